// SPDX-License-Identifier: MIT
// Attributes of kinds that work on sequences: heads that divide the channels, as many of keys and
// values as fit.
#include "core/plan/check_internal.h"

typedef struct {
    const Program *p;
    const Plan *plan;
    const Op *op;
    const int64_t *attr;
} Asked;

#define REFUSE(a, format, ...)                                                    \
    FAIL(ERR_PLAN, "plan %s: %s: " format, program_name((a)->p, (a)->plan->name), \
         op_name((a)->p, (a)->op), __VA_ARGS__)

static const Tensor *input_of(const Asked *a, int i) {
    return &a->p->tensors[op_inputs(a->plan, a->op)[i]];
}

static Status check_divides(const Asked *a, const char *what, int64_t part, const char *whole,
                            int64_t of) {
    if (part >= 1 && of % part == 0) return OK;
    REFUSE(a, "%s=%lld does not divide %s %lld", what, (long long)part, whole, (long long)of);
}

static Status check_channels(const Asked *a, const char *what, int64_t has, int64_t want) {
    if (has == want) return OK;
    REFUSE(a, "heads=%lld, kv_heads=%lld: %s has %lld channels, not %lld", (long long)a->attr[0],
           (long long)a->attr[1], what, (long long)has, (long long)want);
}

// C = heads D; keys and values have kv_heads D channels, packed ones (heads + 2 kv_heads) D. The
// operation's other operands match already.
static Status check_heads(const Asked *a) {
    bool backward = op_kind(a->p, a->op) == KIND_ATTENTION_BACKWARD ||
                    op_kind(a->p, a->op) == KIND_ATTENTION_PACKED_BACKWARD;
    bool packed = a->op->inputs == (backward ? 4 : 1);
    int32_t y = backward ? op_inputs(a->plan, a->op)[0] : op_outputs(a->plan, a->op)[0];
    int64_t heads = a->attr[0], kv_heads = a->attr[1], C = a->p->tensors[y].shape[2];
    TRY(check_divides(a, "heads", heads, "channels", C));
    TRY(check_divides(a, "kv_heads", kv_heads, "heads", heads));
    if (a->attr[2] != 0 && a->attr[2] != 1)
        REFUSE(a, "causal is %lld, expected 0 or 1", (long long)a->attr[2]);
    int64_t D = C / heads, last = input_of(a, a->op->inputs - 1)->shape[2];
    return packed ? check_channels(a, "qkv", last, (heads + 2 * kv_heads) * D)
                  : check_channels(a, "v", last, kv_heads * D);
}

Status check_attributes(const Program *p, const Plan *plan, const Op *op) {
    switch (op_kind(p, op)) {
    case KIND_ATTENTION:
    case KIND_ATTENTION_BACKWARD:
    case KIND_ATTENTION_PACKED:
    case KIND_ATTENTION_PACKED_BACKWARD:
        return check_heads(&(Asked){p, plan, op, p->attrs + op_work(p, op)->attr_first});
    default: return OK;
    }
}
