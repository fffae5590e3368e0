// SPDX-License-Identifier: MIT
// Rows of a table: y[b][t] = weight[tokens[b][t]], and zeros for a token whose row another rank has
// (core/device/index.h), so that all ranks' y add up to the whole; a table of positions: y[b][t] =
// x[b][t] + weight[t], of row index[t] where there is an index; and one of segments: y[b][t] =
// x[b][t] + weight[0], since a sample is one segment. The gradient of a table's row is the sum of
// those of its uses, in their order; of a row without uses it is 0. Tokens lie in the table: the
// data were checked (core/data/dataset.h).
#include "core/device/index.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_embedding)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const int32_t *tokens = input_data(call, 0);
    const real *weight = input_data(call, 1);
    int64_t C = input(call, 1)->shape[1], n = live_elements(input(call, 0));
    const IndexRange rows = index_range(call, 2, input(call, 1)->shape[0]);
    for (int64_t i = 0; i < n; i++) {
        int64_t v = tokens[i] - rows.first;
        for (int64_t c = 0; c < C; c++)
            y[i * C + c] = index_has(rows, tokens[i]) ? weight[v * C + c] : 0;
    }
}

void NAME(reference_embedding_backward)(const KernelCall *call) {
    real *dweight = output_data(call, 0);
    const int32_t *tokens = input_data(call, 0);
    const real *dy = input_data(call, 1);
    int64_t V = output(call, 0)->shape[0], C = output(call, 0)->shape[1],
            n = live_elements(input(call, 0));
    const IndexRange rows = index_range(call, 2, V);
    for (int64_t v = 0; v < V; v++)
        for (int64_t c = 0; c < C; c++) {
            real sum = 0;
            for (int64_t i = 0; i < n; i++)
                if (v < rows.count && tokens[i] == rows.first + v) sum += dy[i * C + c];
            dweight[v * C + c] = call->accumulate ? dweight[v * C + c] + sum : sum;
        }
}

void NAME(reference_positions)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0), *weight = input_data(call, 1);
    const int64_t *index = input_data(call, 2);
    int64_t B = operand_rows(input(call, 0)), T = input(call, 0)->shape[1],
            C = input(call, 0)->shape[2];
    for (int64_t i = 0; i < B * T * C; i++)
        y[i] = x[i] + weight[index_at(index, i / C % T) * C + i % C];
}

void NAME(reference_positions_backward)(const KernelCall *call) {
    real *dweight = output_data(call, 0);
    const real *dy = input_data(call, 0);
    const int64_t *index = input_data(call, 1);
    int64_t B = operand_rows(input(call, 0)), T = input(call, 0)->shape[1],
            C = input(call, 0)->shape[2];
    for (int64_t i = 0; index && !call->accumulate && i < live_elements(output(call, 0)); i++)
        dweight[i] = 0;
    for (int64_t i = 0; i < T * C; i++) {
        real sum = 0, *to = &dweight[index_at(index, i / C) * C + i % C];
        for (int64_t b = 0; b < B; b++) sum += dy[b * T * C + i];
        *to = call->accumulate ? *to + sum : sum;
    }
}

void NAME(reference_segments)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0), *weight = input_data(call, 1);
    int64_t C = input(call, 1)->shape[1], n = live_vectors(input(call, 0));
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < C; c++) y[i * C + c] = x[i * C + c] + weight[c];
}

void NAME(reference_segments_backward)(const KernelCall *call) {
    real *dweight = output_data(call, 0);
    const real *dy = input_data(call, 0);
    int64_t S = output(call, 0)->shape[0], C = output(call, 0)->shape[1],
            n = live_vectors(input(call, 0));
    for (int64_t c = 0; c < C; c++) {
        real sum = 0;
        for (int64_t i = 0; i < n; i++) sum += dy[i * C + c];
        dweight[c] = call->accumulate ? dweight[c] + sum : sum;
    }
    for (int64_t i = C; i < S * C && !call->accumulate; i++) dweight[i] = 0;
}
