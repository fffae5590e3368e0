// SPDX-License-Identifier: MIT
// Tables of tokens, positions and segments; core/device/reference/embedding.c says what they
// compute. The uses of each token are found by a counting sort, so that its gradient is summed in
// the order of the reference, with its bits.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/index.h"

void NAME(cpu_embedding)(const KernelCall *call) {
    real *restrict y = output_data(call, 0);
    const int32_t *tokens = input_data(call, 0);
    const real *restrict weight = input_data(call, 1);
    int64_t C = input(call, 1)->shape[1], n = live_elements(input(call, 0));
    const IndexRange rows = index_range(call, 2, input(call, 1)->shape[0]);
    for (int64_t i = 0; i < n; i++)
        if (index_has(rows, tokens[i]))
            memcpy(y + i * C, weight + (tokens[i] - rows.first) * C, (size_t)C * sizeof *y);
        else
            memset(y + i * C, 0, (size_t)C * sizeof *y);
}

// Positions by row of the table, of which this rank has `rows`, at the beginning of V: the uses of
// row v are use[end[v - 1] .. end[v]), ascending. end[V].
static void sort_uses(const int32_t *tokens, int64_t n, int64_t V, IndexRange rows, int32_t *end,
                      int32_t *use) {
    memset(end, 0, (size_t)V * sizeof *end);
    for (int64_t i = 0; i < n; i++)
        if (index_has(rows, tokens[i])) end[tokens[i] - rows.first]++;
    for (int64_t v = 1; v < V; v++) end[v] += end[v - 1];
    int32_t uses = end[V - 1];
    for (int64_t i = n - 1; i >= 0; i--)  // leaves the beginnings
        if (index_has(rows, tokens[i])) use[--end[tokens[i] - rows.first]] = (int32_t)i;
    for (int64_t v = 0; v + 1 < V; v++) end[v] = end[v + 1];
    end[V - 1] = uses;
}

void NAME(cpu_embedding_backward)(const KernelCall *call) {
    real *dweight = output_data(call, 0);
    const int32_t *tokens = input_data(call, 0);
    const real *dy = input_data(call, 1);
    int64_t V = output(call, 0)->shape[0], C = output(call, 0)->shape[1],
            n = live_elements(input(call, 0));
    EmbeddingScratch s =
        embedding_scratch(V, C, input(call, 0)->shape[0] * input(call, 0)->shape[1], sizeof(real));
    char *scratch = call->scratch;
    int32_t *end = (int32_t *)(scratch + s.end_of_token), *use = (int32_t *)(scratch + s.use);
    real *restrict sum = (real *)(scratch + s.sum);
    sort_uses(tokens, n, V, index_range(call, 2, V), end, use);
    for (int64_t v = 0, k = 0; v < V; v++) {
        if (k == end[v] && call->accumulate) continue;
        memset(sum, 0, (size_t)C * sizeof *sum);
        for (; k < end[v]; k++) {
            const real *restrict row = dy + use[k] * C;
            for (int64_t c = 0; c < C; c++) sum[c] += row[c];
        }
        NAME(cpu_deliver)(C, sum, call->accumulate, dweight + v * C);
    }
}

void NAME(cpu_positions)(const KernelCall *call) {
    real *restrict y = output_data(call, 0);
    const real *restrict x = input_data(call, 0), *restrict weight = input_data(call, 1);
    const int64_t *index = input_data(call, 2);
    int64_t B = operand_rows(input(call, 0)), T = input(call, 0)->shape[1],
            C = input(call, 0)->shape[2], row = T * C;
    for (int64_t b = 0; b < B && !index; b++, x += row, y += row)
        for (int64_t i = 0; i < row; i++) y[i] = x[i] + weight[i];
    for (int64_t t = 0; t < B * T && index; t++, x += C, y += C) {
        const real *restrict w = weight + index[t % T] * C;
        for (int64_t c = 0; c < C; c++) y[c] = x[c] + w[c];
    }
}

// Complete before it is added to what others left.
void NAME(cpu_positions_backward)(const KernelCall *call) {
    const real *restrict dy = input_data(call, 0);
    const int64_t *index = input_data(call, 1);
    real *restrict sum = call->scratch, *dweight = output_data(call, 0);
    int64_t B = operand_rows(input(call, 0)), T = input(call, 0)->shape[1],
            C = input(call, 0)->shape[2], row = T * C;
    memset(sum, 0, (size_t)row * sizeof *sum);
    for (int64_t b = 0; b < B; b++, dy += row)
        for (int64_t i = 0; i < row; i++) sum[i] += dy[i];
    if (!index) {
        NAME(cpu_deliver)(row, sum, call->accumulate, dweight);
        return;
    }
    if (!call->accumulate)
        memset(dweight, 0, (size_t)live_elements(output(call, 0)) * sizeof *dweight);
    for (int64_t t = 0; t < T; t++)
        NAME(cpu_deliver)(C, sum + t * C, call->accumulate, dweight + index[t] * C);
}

void NAME(cpu_segments)(const KernelCall *call) {
    real *restrict y = output_data(call, 0);
    const real *restrict x = input_data(call, 0), *restrict weight = input_data(call, 1);
    int64_t C = input(call, 1)->shape[1], n = live_vectors(input(call, 0));
    for (int64_t i = 0; i < n; i++, x += C, y += C)
        for (int64_t c = 0; c < C; c++) y[c] = x[c] + weight[c];
}

void NAME(cpu_segments_backward)(const KernelCall *call) {
    real *dweight = output_data(call, 0);
    const real *restrict dy = input_data(call, 0);
    real *restrict sum = call->scratch;
    int64_t S = output(call, 0)->shape[0], C = output(call, 0)->shape[1],
            n = live_vectors(input(call, 0));
    memset(sum, 0, (size_t)C * sizeof *sum);
    for (int64_t i = 0; i < n; i++, dy += C)
        for (int64_t c = 0; c < C; c++) sum[c] += dy[c];
    NAME(cpu_deliver)(C, sum, call->accumulate, dweight);
    if (!call->accumulate) memset(dweight + C, 0, (size_t)((S - 1) * C) * sizeof *dweight);
}
