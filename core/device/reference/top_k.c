// SPDX-License-Identifier: MIT
// The K elements of a tensor with the largest absolute values, and the sum of such lists. A pair is
// a value and its index, an integer in the bytes of a real number: one message carries both.
#include "core/device/top_k.h"
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

// The largest number that K sizes reach, bit by bit from the highest.
static TopKSize threshold(const real *x, int64_t n, int64_t K) {
    TopKSize least = 0;
    for (int bit = 8 * (int)sizeof least - 2; bit >= 0; bit--) {
        TopKSize tried = least | (TopKSize)1 << bit;
        int64_t count = 0;
        for (int64_t i = 0; i < n; i++) count += top_k_size(x[i]) >= tried;
        if (count >= K) least = tried;
    }
    return least;
}

void NAME(reference_top_k)(const KernelCall *call) {
    int64_t K = output(call, 0)->shape[0], n = live_elements(input(call, 0));
    const real *x = input_data(call, 0);
    top_k_take(x, n, K, threshold(x, n, K), output_data(call, 0), output_data(call, 1));
}

// x = the sum of the pairs first .. first + count of every `period`, in their order. The sums begin
// with -0, to which every number is added without a change.
void NAME(reference_spread)(const KernelCall *call) {
    int64_t first = call->attr[0], count = call->attr[1], period = call->attr[2],
            N = input(call, 0)->shape[0], n = live_elements(output(call, 0));
    const real *pairs = input_data(call, 0);
    real *x = output_data(call, 0);
    for (int64_t i = 0; i < n; i++) x[i] = (real)-0.0;
    for (int64_t at = first; at + count <= N; at += period)
        for (int64_t i = at; i < at + count; i++) {
            int64_t index = top_k_index(&pairs[2 * i + 1]);
            if (index >= 0 && index < n) x[index] += pairs[2 * i];
        }
}
