// SPDX-License-Identifier: MIT
// The largest elements by a radix selection: a histogram for each byte, from the highest on.
#include "core/device/top_k.h"
#include "core/device/cpu/cpu_internal.h"
#include "core/device/reference/reference.h"

// The K-th largest size.
static TopKSize threshold(const real *x, int64_t n, int64_t K) {
    TopKSize found = 0, known = 0;
    for (int shift = 8 * (int)sizeof found - 8; shift >= 0; shift -= 8) {
        int64_t count[256] = {0};
        int byte = 255;
        for (int64_t i = 0; i < n; i++) {
            TopKSize size = top_k_size(x[i]);
            count[size >> shift & 255] += (size & known) == found;
        }
        while (count[byte] < K) K -= count[byte--];
        found |= (TopKSize)byte << shift;
        known |= (TopKSize)255 << shift;
    }
    return found;
}

void NAME(cpu_top_k)(const KernelCall *call) {
    int64_t K = output(call, 0)->shape[0], n = live_elements(input(call, 0));
    const real *x = input_data(call, 0);
    top_k_take(x, n, K, threshold(x, n, K), output_data(call, 0), output_data(call, 1));
}

void NAME(cpu_spread)(const KernelCall *call) { TYPED(reference_spread)(call); }
