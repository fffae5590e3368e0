// SPDX-License-Identifier: MIT
// Times of kernels by their shapes, in whole picoseconds: kernel_model_arithmetic_ps() for products
// and attention, kernel_model_memory_ps() for the rest. See kernel_model.h for the idea.
#include "core/platform/kernel_model.h"

#include "core/base/units.h"

static int64_t clamp(__int128 ps) { return ps > INT64_MAX ? INT64_MAX : (int64_t)ps; }

static int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b != 0); }

static const Tensor *output(const Program *p, const Plan *plan, const Op *op) {
    return &p->tensors[op_outputs(plan, op)[0]];
}
static const Tensor *input(const Program *p, const Plan *plan, const Op *op, int i) {
    return &p->tensors[op_inputs(plan, op)[i]];
}

// y(..,R) <- x(..) weight(R,Q): R filters of Q elements each.
static ProductShape forward(const Tensor *y, const Tensor *weight) {
    int64_t R = weight->shape[0];
    return (ProductShape){1, tensor_elements(y) / R, R, tensor_elements(weight) / R};
}

static ProductShape backward_input(const Tensor *dx, const Tensor *weight) {
    int64_t C = weight->shape[1];
    return (ProductShape){1, tensor_elements(dx) / C, C, tensor_elements(weight) / C};
}

static ProductShape backward_weight(const Tensor *dweight, const Tensor *dy) {
    int64_t R = dweight->shape[0];
    return (ProductShape){1, R, tensor_elements(dweight) / R, tensor_elements(dy) / R};
}

// One product for each expert and each piece of the batch.
static ProductShape expert(const Tensor *out, int64_t depth) {
    return (ProductShape){out->shape[0] * out->shape[1], out->shape[2], out->shape[3], depth};
}

static ProductShape expert_weight(const Tensor *dweight, const Tensor *dy) {
    return (ProductShape){dweight->shape[0], dweight->shape[1], dweight->shape[2],
                          dy->shape[0] * dy->shape[2]};
}

bool kernel_model_product(ProductShape *out, const Program *p, const Plan *plan, const Op *op) {
    if (op_work(p, op)->flops == 0) return false;
    switch (op_kind(p, op)) {
    case KIND_LINEAR:
    case KIND_CONV2D: *out = forward(output(p, plan, op), input(p, plan, op, 1)); return true;
    case KIND_LINEAR_BACKWARD_INPUT:
    case KIND_CONV2D_BACKWARD_INPUT:
        *out = backward_input(output(p, plan, op), input(p, plan, op, 1));
        return true;
    case KIND_LINEAR_BACKWARD_WEIGHT:
    case KIND_CONV2D_BACKWARD_WEIGHT:
        *out = backward_weight(output(p, plan, op), input(p, plan, op, 1));
        return true;
    case KIND_EXPERT_LINEAR:
    case KIND_EXPERT_LINEAR_BACKWARD_INPUT:
        *out = expert(output(p, plan, op), input(p, plan, op, 0)->shape[3]);
        return true;
    case KIND_EXPERT_LINEAR_BACKWARD_WEIGHT:
        *out = expert_weight(output(p, plan, op), input(p, plan, op, 1));
        return true;
    default: return false;
    }
}

// Of each head of each row: T x T matrices of sums over D channels, or T x D of sums over T.
int kernel_model_matrices(ProductShape out[2], const Program *p, const Plan *plan, const Op *op) {
    Kind kind = op_kind(p, op);
    bool scores = kind == KIND_ATTENTION_SCORES, values = kind == KIND_ATTENTION_VALUES,
         backward = kind == KIND_ATTENTION_SCORES_BACKWARD,
         values_backward = kind == KIND_ATTENTION_VALUES_BACKWARD;
    if (!scores && !values && !backward && !values_backward) return 0;
    const Tensor *qkv = input(p, plan, op, op->inputs - 1);
    int64_t B = qkv->shape[0], T = qkv->shape[1], heads = work_attr(p, op_work(p, op), 0);
    int64_t D = qkv->shape[2] / (heads + 2 * work_attr(p, op_work(p, op), 1));
    const ProductShape square = {B * heads, T, T, D}, rows = {B * heads, T, D, T};
    out[0] = scores || values_backward ? square : rows;
    out[1] = rows;
    return backward || values_backward ? 2 : 1;
}

static bool is_backward(Kind kind) {
    return kind == KIND_ATTENTION_BACKWARD || kind == KIND_ATTENTION_PACKED_BACKWARD ||
           kind == KIND_ATTENTION_BLOCK_BACKWARD;
}

static bool is_attention(Kind kind) {
    return is_backward(kind) || kind == KIND_ATTENTION || kind == KIND_ATTENTION_PACKED ||
           kind == KIND_ATTENTION_BLOCK;
}

bool kernel_model_multiplies(Kind kind) {
    switch (kind) {
    case KIND_LINEAR:
    case KIND_LINEAR_BACKWARD_INPUT:
    case KIND_LINEAR_BACKWARD_WEIGHT:
    case KIND_CONV2D:
    case KIND_CONV2D_BACKWARD_INPUT:
    case KIND_CONV2D_BACKWARD_WEIGHT:
    case KIND_EXPERT_LINEAR:
    case KIND_EXPERT_LINEAR_BACKWARD_INPUT:
    case KIND_EXPERT_LINEAR_BACKWARD_WEIGHT:
    case KIND_ATTENTION_SCORES:
    case KIND_ATTENTION_SCORES_BACKWARD:
    case KIND_ATTENTION_VALUES:
    case KIND_ATTENTION_VALUES_BACKWARD: return true;
    default: return is_attention(kind);
    }
}

bool kernel_model_blocks(int64_t *out, const Program *p, const Plan *plan, const Op *op,
                         int32_t queries) {
    if (!is_attention(op_kind(p, op)) || op_work(p, op)->flops == 0) return false;
    const Tensor *t = is_backward(op_kind(p, op)) ? input(p, plan, op, 0) : output(p, plan, op);
    *out = t->shape[0] * work_attr(p, op_work(p, op), 0) * ceil_div(t->shape[1], queries);
    return true;
}

// --- times

static int64_t waves_ps(const KernelModel *k, __int128 tiles, int64_t flops_of_tile,
                        const KernelTile *tile, int64_t flops_per_s) {
    int64_t rate = flops_per_s / k->units;
    int64_t sums = units_ps_at(flops_of_tile, rate, tile->reached_permille);
    return clamp((__int128)ceil_div(clamp(tiles), k->units) * ((__int128)sums + tile->fill_ps));
}

// Where not every unit has a tile, sums may be divided among units, in 2, 4, 8 ... pieces of at
// least SPLIT_LEAST products (split-K): another beginning and end, to add up.
static int64_t tile_ps(const KernelModel *k, const ProductShape *s, const KernelTile *t,
                       int64_t rows, int64_t columns, int64_t flops_per_s) {
    enum { SPLIT_LEAST = 64, SPLIT_WAVES = 4 };
    __int128 tiles = (__int128)s->count * ceil_div(s->rows, rows) * ceil_div(s->columns, columns);
    int64_t best = INT64_MAX;
    for (int64_t split = 1; split == 1 || s->depth / split >= SPLIT_LEAST; split *= 2) {
        if (split > 1 && (tiles >= k->units || tiles * split > SPLIT_WAVES * k->units)) break;
        int64_t flops = clamp((__int128)2 * rows * columns * ceil_div(s->depth, split));
        __int128 ps = waves_ps(k, tiles * split, flops, t, flops_per_s);
        if (split > 1) ps += t->fill_ps;
        if (ps < best) best = (int64_t)ps;
    }
    return best;
}

static int64_t product_ps(const KernelModel *k, const ProductShape *s, int64_t flops_per_s) {
    int64_t best = INT64_MAX;
    for (int i = 0; i < 2 * k->tile_count; i++) {
        const KernelTile *t = &k->tiles[i / 2];
        int64_t rows = i % 2 ? t->columns : t->rows, columns = i % 2 ? t->rows : t->columns;
        int64_t ps = tile_ps(k, s, t, rows, columns, flops_per_s);
        if (ps < best) best = ps;
    }
    return best;
}

// The largest power of two, up to eight, that divides the features of a product, those of its input
// and those of its output: rows of its matrices begin at multiples of so many elements.
static int64_t alignment(const Program *p, const Plan *plan, const Op *op) {
    const Tensor *weight;
    switch (op_kind(p, op)) {
    case KIND_LINEAR:
    case KIND_LINEAR_BACKWARD_INPUT:
    case KIND_CONV2D:
    case KIND_CONV2D_BACKWARD_INPUT: weight = input(p, plan, op, 1); break;
    case KIND_LINEAR_BACKWARD_WEIGHT:
    case KIND_CONV2D_BACKWARD_WEIGHT: weight = output(p, plan, op); break;
    default: return 8;
    }
    int64_t features = weight->shape[0] | weight->shape[1] | 8;
    return features & -features;
}

static int32_t most_permille(const KernelModel *k, const Program *p, const Plan *plan,
                             const Op *op) {
    int64_t aligned = op_work(p, op)->dtype == DTYPE_BF16 ? alignment(p, plan, op) : 8;
    if (aligned == 1 && k->odd_permille) return k->odd_permille;
    if (aligned == 2 && k->even_permille) return k->even_permille;
    return k->most_permille;
}

bool kernel_model_arithmetic_ps(int64_t *out, const KernelModel *k, const Program *p,
                                const Plan *plan, const Op *op, int64_t flops_per_s) {
    ProductShape shape[2];
    int64_t blocks, flops = op_work(p, op)->flops;
    if (flops_per_s < k->units) return false;
    int count =
        kernel_model_product(shape, p, plan, op) ? 1 : kernel_model_matrices(shape, p, plan, op);
    if (k->tile_count && count) {
        __int128 sum = 0;
        for (int i = 0; i < count; i++) sum += product_ps(k, &shape[i], flops_per_s);
        *out = clamp(sum);
        int64_t least = units_ps_at(flops, flops_per_s, most_permille(k, p, plan, op));
        if (least > *out) *out = least;
        return true;
    }
    KernelTile tile = k->attention;
    if (!tile.rows || !kernel_model_blocks(&blocks, p, plan, op, tile.rows)) return false;
    if (is_backward(op_kind(p, op))) {
        tile.reached_permille = k->attention_backward_permille;
        tile.fill_ps = k->attention_backward_fill_ps;
    }
    *out = waves_ps(k, blocks, ceil_div(flops, blocks), &tile, flops_per_s);
    return true;
}

int64_t kernel_model_bias_bytes(int32_t *permille, const KernelModel *k, const Program *p,
                                const Plan *plan, const Op *op) {
    Kind kind = op_kind(p, op);
    bool forward = kind == KIND_CONV2D && op->inputs > 2;
    bool backward = (kind == KIND_CONV2D_BACKWARD_WEIGHT || kind == KIND_LINEAR_BACKWARD_WEIGHT) &&
                    op->outputs > 1;
    if (!k->bias_permille || (!forward && !backward)) return 0;
    const Tensor *t = forward ? output(p, plan, op) : input(p, plan, op, 1);
    *permille = forward ? 1000 : k->bias_permille;
    return (forward ? 2 : 1) * tensor_elements(t) * dtype_bytes((Dtype)t->dtype);
}

int64_t kernel_model_memory_ps(const KernelModel *k, int64_t bytes, int64_t bytes_per_s,
                               int32_t permille) {
    const int last = k->point_count - 1;
    if (last < 0 || bytes == 0) return units_ps_at(bytes, bytes_per_s, permille);
    if (bytes <= k->bytes[0]) return units_ps_at(k->bytes[0], bytes_per_s, k->bytes_permille[0]);
    int i = 0;
    while (i < last && k->bytes[i + 1] < bytes) i++;
    if (i == last) return units_ps_at(bytes, bytes_per_s, k->bytes_permille[last]);
    __int128 rise =
        (__int128)(k->bytes_permille[i + 1] - k->bytes_permille[i]) * (bytes - k->bytes[i]);
    return units_ps_at(bytes, bytes_per_s,
                       k->bytes_permille[i] + (int32_t)(rise / (k->bytes[i + 1] - k->bytes[i])));
}
