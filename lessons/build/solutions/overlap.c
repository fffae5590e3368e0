// SPDX-License-Identifier: MIT
// Which bucket is ready first is sent first, as soon as the link is free.
double overlap_schedule(double *start_us, const double *backward_us, const int *bucket_of,
                        const long *bytes, int layers, int buckets, int ranks, double alpha_us,
                        double bytes_per_us) {
    double now = 0, link = 0;  // link: when it is free
    for (int i = layers - 1; i >= 0; i--) {
        int bucket = bucket_of[i], missing = 0;
        double sum = 0;
        now += backward_us[i];
        for (int j = 0; j < layers; j++) {
            if (bucket_of[j] != bucket) continue;
            missing += j < i;
            sum += (double)bytes[j];
        }
        if (missing > 0) continue;
        start_us[bucket] = link > now ? link : now;
        link = start_us[bucket] + 2 * (ranks - 1) * (alpha_us + sum / ranks / bytes_per_us);
    }
    return link - now;
}
