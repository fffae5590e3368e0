// SPDX-License-Identifier: MIT
// Bytes that operations read and write: the sizes of operands, and what is known of their kinds.
#include "core/plan/moved.h"

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Of a table the rows that are asked for, as many as the output has.
static int64_t input_bytes(const Program *p, const OpSpec *op, int i) {
    int64_t all = p->tensors[op->inputs[i]].bytes;
    bool picks = (op->kind == KIND_EMBEDDING && i == 1) ||
                 ((op->kind == KIND_SLICE || op->kind == KIND_FEED_ERROR) && i == 0);
    return picks && op->output_count ? least(all, p->tensors[op->outputs[0]].bytes) : all;
}

// Optimizers and counters read what they are about to write.
static bool updates(Kind k) {
    return k == KIND_SGD || k == KIND_ADAM || k == KIND_INCREMENT || k == KIND_RESCALE;
}

void moved_count(const Program *p, const OpSpec *op, int64_t *read_bytes, int64_t *write_bytes) {
    *read_bytes = *write_bytes = 0;
    for (int i = 0; i < op->input_count; i++) *read_bytes += input_bytes(p, op, i);
    for (int o = 0; o < op->output_count; o++) *write_bytes += p->tensors[op->outputs[o]].bytes;
    if (op->kind == KIND_KEEP_ERROR) *write_bytes = *read_bytes;  // of all errors one row
    if (updates(op->kind)) *read_bytes += *write_bytes;
}

// Of several outputs of an operation that adds, those of these roles are sums; others it writes.
static bool is_sum(const Tensor *t, const Op *op) {
    return op->outputs == 1 || t->role == ROLE_GRADIENT || t->role == ROLE_SCALAR;
}

int64_t moved_bytes(const Program *p, const Plan *plan, const Op *op) {
    const Work *w = op_work(p, op);
    int64_t bytes = w->read_bytes + w->write_bytes;
    for (int o = 0; o < op->outputs && op->flags & OP_ACCUMULATE; o++) {
        const Tensor *t = &p->tensors[op_outputs(plan, op)[o]];
        if (is_sum(t, op)) bytes += t->bytes;
    }
    return bytes;
}
