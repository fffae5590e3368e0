// SPDX-License-Identifier: MIT
// What a learner begins with; the task goes before it.
void fit_alpha_beta(double *alpha_us, double *bytes_per_us, const double *bytes, const double *us,
                    int count) {
    // Your code.
}
