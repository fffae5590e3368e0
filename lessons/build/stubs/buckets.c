// SPDX-License-Identifier: MIT
// What a learner begins with; the task goes before it.
int plan_buckets(int *bucket_of, const long *bytes, int count, long first_cap, long cap) {
    return 0;  // Your code.
}
