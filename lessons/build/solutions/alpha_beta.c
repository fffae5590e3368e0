// SPDX-License-Identifier: MIT
// Least squares of relative errors: each message has the weight 1 / us^2.
void fit_alpha_beta(double *alpha_us, double *bytes_per_us, const double *bytes, const double *us,
                    int count) {
    double sw = 0, swx = 0, swy = 0, swxx = 0, swxy = 0;
    for (int i = 0; i < count; i++) {
        double w = 1 / (us[i] * us[i]);
        sw += w;
        swx += w * bytes[i];
        swy += w * us[i];
        swxx += w * bytes[i] * bytes[i];
        swxy += w * bytes[i] * us[i];
    }
    double us_per_byte = (sw * swxy - swx * swy) / (sw * swxx - swx * swx);
    *alpha_us = (swy - us_per_byte * swx) / sw;
    *bytes_per_us = 1 / us_per_byte;
}
