// SPDX-License-Identifier: MIT
// From the last parameter to the first; the gradient that reaches the cap closes the bucket.
int plan_buckets(int *bucket_of, const long *bytes, int count, long first_cap, long cap) {
    int bucket = 0;
    long filled = 0;
    for (int i = count - 1; i >= 0; i--) {
        bucket_of[i] = bucket;
        filled += bytes[i];
        if (filled >= (bucket == 0 ? first_cap : cap)) {
            bucket++;
            filled = 0;
        }
    }
    return bucket + (filled > 0);
}
