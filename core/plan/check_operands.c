// SPDX-License-Identifier: MIT
// Shapes and types of operands, read off the patterns in KIND_LIST: "y(B,K,OH,OW) <-
// x(B,C,H,W) weight(K,C,kernel,kernel) [bias(K)]". A capital letter takes the first size it
// meets and must meet the same one everywhere; a small word is an attribute. Operands without
// sizes have one shape.
#include "core/base/text.h"
#include "core/plan/check_internal.h"
#include "core/plan/flops.h"
#include "core/plan/share.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS = 8, EXTENT_TEXT = 96 };

typedef struct {
    const Program *p;
    const Plan *plan;
    const Op *op;
    const Work *work;
    char letter[LETTERS][8];
    int64_t size[LETTERS];
    int count;
    const Tensor *plain;       // the first operand without sizes
    const Tensor *rows;        // the first operand whose dimension 0 is rows
    const Tensor *rest;        // the first operand whose pattern has `..`
    int rest_dim, rest_count;  // the dimensions that it stands for
} Match;

static Status mismatch(const Match *m, const Tensor *t, const char *expected) {
    char shape[SHAPE_TEXT];
    FAIL(ERR_PLAN, "plan %s: %s: operand %s is %s %s, expected %s; %s is %s",
         program_name(m->p, m->plan->name), op_name(m->p, m->op), program_name(m->p, t->name),
         dtype_name((Dtype)t->dtype), check_shape_text(t->shape, t->dims, shape), expected,
         kind_name(work_kind(m->work)), kind_operands(work_kind(m->work)));
}

static int64_t attribute(const Match *m, const char *name) {
    for (int i = 0; i < kind_attribute_count(work_kind(m->work)); i++) {
        int n, real;
        const char *s = kind_attribute(work_kind(m->work), i, &n, &real);
        if (n == (int)strlen(name) && !memcmp(s, name, (size_t)n))
            return work_attr(m->p, m->work, i);
    }
    return NONE;
}

static int64_t size_of(const Match *m, const char *letter) {
    for (int i = 0; i < m->count; i++)
        if (!strcmp(m->letter[i], letter)) return m->size[i];
    return NONE;
}

// One dimension of one operand against one word of its pattern.
static Status match_dim(Match *m, const Tensor *t, int dim, const char *word) {
    int64_t want = isdigit((unsigned char)*word)   ? atoll(word)
                   : islower((unsigned char)*word) ? attribute(m, word)
                                                   : size_of(m, word);
    if (want == NONE && m->count < LETTERS) {
        snprintf(m->letter[m->count], sizeof m->letter[0], "%s", word);
        m->size[m->count++] = t->shape[dim];
        return OK;
    }
    if (want == t->shape[dim]) return OK;
    char expected[64];
    snprintf(expected, sizeof expected, "%s = %lld in dimension %d", word, (long long)want, dim);
    return mismatch(m, t, expected);
}

// The dimensions from *dim on that `..` stands for: what `after`, the words behind it, leaves. They
// are the same in all operands.
static Status match_rest(Match *m, const Tensor *t, int *dim, const char *after) {
    int words = 0;
    for (const char *c = after; *c && *c != ':'; c++) words += *c == ',' || *c == ')';
    int count = t->dims - *dim - words;
    if (count < 0) return mismatch(m, t, "more dimensions");
    if (!m->rest) {
        m->rest = t;
        m->rest_dim = *dim;
        m->rest_count = count;
    }
    bool same = m->rest_count == count && !memcmp(&m->rest->shape[m->rest_dim], &t->shape[*dim],
                                                  sizeof t->shape[0] * (size_t)count);
    *dim += count;
    return same ? OK : mismatch(m, t, "the shape of the other operands");
}

// As in a plan file, or "all".
static void extent_text(const Program *p, const Tensor *t, char out[EXTENT_TEXT]) {
    snprintf(out, EXTENT_TEXT, "%s", t->extent == NONE ? "all" : tensor_name(p, t->extent));
    if (t->extent_times != 1) text_append(out, EXTENT_TEXT, "*%lld", (long long)t->extent_times);
}

// Operands of one computation have equal numbers of rows in use: what is read must be written. A
// fold may add all rows, used or not.
static Status match_extent(Match *m, const Tensor *t) {
    if (!m->rows) m->rows = t;
    if (m->rows->extent == t->extent && m->rows->extent_times == t->extent_times) return OK;
    if (m->work->kind == KIND_FOLD && (m->rows->extent == NONE || t->extent == NONE)) return OK;
    char of_rows[EXTENT_TEXT], of_t[EXTENT_TEXT];
    extent_text(m->p, m->rows, of_rows);
    extent_text(m->p, t, of_t);
    FAIL(ERR_PLAN, "plan %s: %s: %s has %s rows in use, %s has %s; give them one extent",
         program_name(m->p, m->plan->name), op_name(m->p, m->op), program_name(m->p, m->rows->name),
         of_rows, program_name(m->p, t->name), of_t);
}

// One operand against "name(B,K):type"; the pattern is cut up.
static Status match_operand(Match *m, const Tensor *t, char *pattern) {
    Dtype dtype = kind_word_dtype(pattern, (Dtype)m->work->dtype);
    if (t->dtype != dtype) return mismatch(m, t, dtype_name(dtype));
    char *open = strchr(pattern, '(');
    if (!open || open[1] == 'B') TRY(match_extent(m, t));
    if (!open) {
        if (!m->plain) m->plain = t;
        bool loads = kind_loads(work_kind(m->work));  // an image has any shape
        return loads || check_same_shape(m->plain, t)
                   ? OK
                   : mismatch(m, t, "the shape of the other operands");
    }
    int dim = 0;
    char *end;
    for (char *word = strtok_r(open + 1, ",)", &end); word && *word != ':';
         word = strtok_r(NULL, ",)", &end)) {
        if (!strcmp(word, "..")) {
            TRY(match_rest(m, t, &dim, end));
            continue;
        }
        if (dim >= t->dims) return mismatch(m, t, "more dimensions");
        TRY(match_dim(m, t, dim++, word));
    }
    return dim == t->dims ? OK : mismatch(m, t, "fewer dimensions");
}

static Status wrong_count(const Match *m, const char *what, int found) {
    FAIL(ERR_PLAN, "plan %s: %s has %d %s; %s is %s", program_name(m->p, m->plan->name),
         op_name(m->p, m->op), found, what, kind_name(work_kind(m->work)),
         kind_operands(work_kind(m->work)));
}

// Any number of inputs, which are put together to one output.
static Status match_concatenated(const Match *m) {
    const Tensor *y = &m->p->tensors[op_outputs(m->plan, m->op)[0]];
    int64_t sum = 0;
    for (int i = 0; i < m->op->inputs; i++) {
        const Tensor *x = &m->p->tensors[op_inputs(m->plan, m->op)[i]];
        if (x->dtype != y->dtype) return mismatch(m, x, dtype_name((Dtype)y->dtype));
        if (x->extent != NONE) return mismatch(m, x, "all rows in use");
        sum += tensor_elements(x);
    }
    return sum == tensor_elements(y) ? OK : mismatch(m, y, "as many elements as its inputs");
}

// One side of the arrow.
static Status match_side(Match *m, const int32_t *operands, int count, char *side,
                         const char *what) {
    int i = 0;
    char *end;
    for (char *word = strtok_r(side, " ", &end); word; word = strtok_r(NULL, " ", &end)) {
        bool optional = *word == '[';
        if (optional) {
            word++;
            word[strlen(word) - 1] = '\0';
        }
        if (strstr(word, "...")) return match_concatenated(m);
        if (i == count && optional) continue;
        if (i == count) return wrong_count(m, what, count);
        TRY(match_operand(m, &m->p->tensors[operands[i++]], word));
    }
    return i == count ? OK : wrong_count(m, what, count);
}

static Status check_attribute(const Match *m, const char *name, int64_t least, int64_t most) {
    for (int i = 0; i < kind_attribute_count(work_kind(m->work)); i++) {
        int n, real;
        const char *s = kind_attribute(work_kind(m->work), i, &n, &real);
        if (n != (int)strlen(name) || memcmp(s, name, (size_t)n)) continue;
        int64_t value = work_attr(m->p, m->work, i);
        if (value < least || value > most)
            FAIL(ERR_PLAN, "plan %s: %s: %s is %lld, expected %lld to %lld",
                 program_name(m->p, m->plan->name), op_name(m->p, m->op), name, (long long)value,
                 (long long)least, (long long)most);
    }
    return OK;
}

static bool writes_index(const Match *m) {
    return m->work->kind == KIND_MAX_POOL_BACKWARD ||
           (m->work->kind == KIND_MAX_POOL && m->op->outputs > 1);
}

// An index is one byte: a place in a window of 16 x 16. A pool's padding is at most half of its
// kernel, so that every window has a pixel.
Status op_check_window(const Program *p, const Plan *plan, const Op *op) {
    const Match m = {.p = p, .plan = plan, .op = op, .work = op_work(p, op)};
    TRY(check_attribute(&m, "kernel", 1, writes_index(&m) ? 16 : KIND_WINDOW_MAX));
    TRY(check_attribute(&m, "height", 1, KIND_WINDOW_MAX));
    TRY(check_attribute(&m, "width", 1, KIND_WINDOW_MAX));
    TRY(check_attribute(&m, "stride", 1, KIND_WINDOW_MAX));
    bool pools = work_kind(m.work) == KIND_MAX_POOL || work_kind(m.work) == KIND_MAX_POOL_BACKWARD;
    return check_attribute(&m, "pad", 0, pools ? attribute(&m, "kernel") / 2 : KIND_WINDOW_MAX);
}

// Sizes of a window: OH = (H + 2 pad - kernel) / stride + 1. A window that need not be square has
// a height and a width in the place of its kernel.
static Status match_window(const Match *m) {
    TRY(op_check_window(m->p, m->plan, m->op));
    int64_t square = attribute(m, "kernel"), stride = attribute(m, "stride"),
            pad = attribute(m, "pad");
    const char *const before[] = {"H", "W"}, *const after[] = {"OH", "OW"},
                      *const window[] = {"height", "width"};
    for (int i = 0; i < 2 && stride != NONE; i++) {
        int64_t kernel = square == NONE ? attribute(m, window[i]) : square;
        int64_t in = size_of(m, before[i]), out = size_of(m, after[i]);
        int64_t room = in + 2 * (pad == NONE ? 0 : pad) - kernel, want = room / stride + 1;
        if (room < 0 || want != out)
            FAIL(ERR_PLAN,
                 "plan %s: %s: %s = %lld with kernel %lld, stride %lld gives %s = %lld, not %lld",
                 program_name(m->p, m->plan->name), op_name(m->p, m->op), before[i], (long long)in,
                 (long long)kernel, (long long)stride, after[i], (long long)want, (long long)out);
    }
    return OK;
}

// A sum for each block of the whole, of which the last may be shorter, whatever a rank has of it.
static Status match_blocks(const Match *m) {
    if (m->work->kind != KIND_SQUARE_SUMS) return OK;
    const Tensor *gradient = &m->p->tensors[op_inputs(m->plan, m->op)[0]];
    const Logical *whole = &m->p->logicals[gradient->logical];
    int64_t n = 1;
    for (int d = 0; d < whole->dims; d++) n *= whole->shape[d];
    int64_t have = size_of(m, "N"), want = (n - 1) / KIND_SUM_BLOCK + 1;
    if (have == want) return OK;
    FAIL(ERR_PLAN, "plan %s: %s: %lld elements are %lld blocks of %d, but there are %lld sums",
         program_name(m->p, m->plan->name), op_name(m->p, m->op), (long long)n, (long long)want,
         KIND_SUM_BLOCK, (long long)have);
}

// W pieces of a dimension behind the first, of each of its sections: with room for the largest.
static Status match_chunks(const Match *m) {
    Kind kind = work_kind(m->work);
    if (kind != KIND_TO_CHUNKS && kind != KIND_FROM_CHUNKS) return OK;
    TRY(check_attribute(m, "dim", 1, m->plain->dims - 1));
    int64_t size = m->plain->shape[attribute(m, "dim")], W = size_of(m, "W");
    TRY(check_attribute(m, "sections", 0, size));
    int64_t sections = attribute(m, "sections") ? attribute(m, "sections") : 1;
    const Shares cut = {.elements = size / sections, .count = (int)W};
    int64_t others = size ? tensor_elements(m->plain) / size : 0;
    bool fits = W > 0 && W <= INT32_MAX && size % sections == 0 &&
                size_of(m, "N") == others * sections * share_capacity(cut);
    return fits ? OK : mismatch(m, m->plain, "W pieces along dim, with room for N elements each");
}

// So much of a dimension behind the first as there are numbers in the index.
static Status match_slice(const Match *m) {
    if (m->work->kind != KIND_SLICE) return OK;
    const Tensor *x = &m->p->tensors[op_inputs(m->plan, m->op)[0]], *y = m->plain;
    TRY(check_attribute(m, "dim", 1, x->dims - 1));
    int dim = (int)attribute(m, "dim");
    bool fits = y->dims == x->dims && y->shape[dim] == size_of(m, "N");
    for (int d = 0; fits && d < x->dims; d++) fits = d == dim || y->shape[d] == x->shape[d];
    return fits ? OK : mismatch(m, y, "the shape of x, but for N places of dim");
}

// A matrix of N rows, however many dimensions the M elements of one have; or of a stack of matrices
// all rows, and of their factors, too.
static Status match_matrix(const Match *m) {
    Kind kind = work_kind(m->work);
    bool has = kind == KIND_LOW_RANK_LEFT || kind == KIND_LOW_RANK_RIGHT ||
               kind == KIND_LOW_RANK_REST || kind == KIND_LOW_RANK_WHOLE;
    int64_t elements, N = size_of(m, "N"), M = has ? size_of(m, "M") : 0, B, rows;
    if (!has && kind != KIND_ORTHOGONALISE) return OK;
    TRY(check_attribute(m, "matrices", 0, N));
    B = attribute(m, "matrices") ? attribute(m, "matrices") : 1;
    if (N % B || M % B)
        FAIL(ERR_PLAN, "plan %s: %s: matrices=%lld are not of %lld rows and %lld columns in all",
             program_name(m->p, m->plan->name), op_name(m->p, m->op), (long long)B, (long long)N,
             (long long)M);
    if (!has) return OK;
    rows = m->plain->shape[0] * (B > 1 && m->plain->dims > 1 ? m->plain->shape[1] : 1);
    bool fits = !__builtin_mul_overflow(N, M / B, &elements) && rows == N &&
                (B == 1 || m->plain->shape[0] == B) && elements == tensor_elements(m->plain);
    return fits ? OK
                : mismatch(m, m->plain, "a matrix of N rows of M elements, or a stack of some");
}

// Query, key and value side by side have their channels together.
static Status match_packed(const Match *m) {
    if (m->work->kind != KIND_PACK_QKV && m->work->kind != KIND_UNPACK_QKV) return OK;
    int64_t C = size_of(m, "C"), G = size_of(m, "G"), E = size_of(m, "E");
    if (E > C && (E - C) % 2 == 0 && (E - C) / 2 == G) return OK;
    FAIL(ERR_PLAN,
         "plan %s: %s: q of %lld channels, k and v of %lld are %lld side by side, not "
         "%lld",
         program_name(m->p, m->plan->name), op_name(m->p, m->op), (long long)C, (long long)G,
         (long long)(C + 2 * G), (long long)E);
}

// All elements of a row, in as many pieces of one size.
static Status match_pieces(const Match *m) {
    Kind kind = work_kind(m->work);
    if (kind != KIND_APART && kind != KIND_TOGETHER) return OK;
    int64_t dim = attribute(m, "dim"), P = size_of(m, "P"), Q = size_of(m, "Q"),
            T = size_of(m, "T"), C = size_of(m, "C"), R = size_of(m, "R");
    TRY(check_attribute(m, "dim", 1, 2));
    bool fits = (P == 1 || Q == 1) && (dim == 2 ? C : T) % (P * Q) == 0 && T * C == P * Q * R;
    if (fits) return OK;
    FAIL(ERR_PLAN, "plan %s: %s: rows of %lld × %lld are not %lld × %lld pieces of %lld along %lld",
         program_name(m->p, m->plan->name), op_name(m->p, m->op), (long long)T, (long long)C,
         (long long)P, (long long)Q, (long long)R, (long long)dim);
}

// A table of positions has a row for each, unless an index says which rows are wanted.
static Status match_positions(const Match *m) {
    Kind kind = work_kind(m->work);
    int64_t N = size_of(m, "N"), T = size_of(m, "T");
    bool table = kind == KIND_POSITIONS || kind == KIND_POSITIONS_BACKWARD,
         indexed = m->op->inputs > (kind == KIND_POSITIONS ? 2 : 1);
    if (!table || indexed || N == T) return OK;
    FAIL(ERR_PLAN, "plan %s: %s: a table of %lld positions for %lld, without an index",
         program_name(m->p, m->plan->name), op_name(m->p, m->op), (long long)N, (long long)T);
}

// Errors of all shards, a row each, of any dimensions; K of the elements, which i32 can count.
static Status match_feedback(const Match *m) {
    Kind kind = work_kind(m->work);
    if (kind == KIND_FEED_ERROR || kind == KIND_KEEP_ERROR) {
        TRY(check_attribute(m, "row", 0, size_of(m, "L") - 1));
        return tensor_elements(m->rest) == size_of(m, "L") * tensor_elements(m->plain)
                   ? OK
                   : mismatch(m, m->plain, "the elements of a row");
    }
    if (kind == KIND_SPREAD) {
        int64_t period = attribute(m, "period");
        TRY(check_attribute(m, "period", 1, size_of(m, "N")));
        TRY(check_attribute(m, "first", 0, period - 1));
        TRY(check_attribute(m, "count", 1, period - attribute(m, "first")));
    }
    if (kind != KIND_SPREAD && kind != KIND_TOP_K) return OK;
    int64_t n = tensor_elements(m->plain);
    bool fits = n <= INT32_MAX && (kind == KIND_SPREAD || size_of(m, "K") <= n);
    return fits ? OK : mismatch(m, m->plain, "K elements or more, at most 2147483647");
}

// Does a reduction add in the order that it states (docs/contract.md, 4)? The sum of two is the
// same both ways, and a maximum is the same in every order.
static Status check_sum_order(const Match *m) {
    const Work *w = m->work;
    int size = m->p->groups[w->group].size;
    if (!kind_reduces(work_kind(w)) || w->reduce != REDUCE_SUM || w->order != ORDER_RANK ||
        size < 3 || algorithm_order((Algorithm)w->algorithm) == ORDER_RANK)
        return OK;
    FAIL(ERR_PLAN,
         "plan %s: %s: algorithm=%s over %d ranks does not add in the order of the ranks; write "
         "order=schedule",
         program_name(m->p, m->plan->name), op_name(m->p, m->op),
         algorithm_name((Algorithm)w->algorithm), size);
}

// A lane of communication is one group's: its messages are counted by lane.
static Status check_lane_group(const Match *m) {
    const Lane *lane = &m->p->lanes[m->op->lane];
    if (lane->group == NONE || lane->group == m->work->group) return OK;
    FAIL(ERR_PLAN, "plan %s: %s: lane %s is of group %s, not of %s",
         program_name(m->p, m->plan->name), op_name(m->p, m->op), program_name(m->p, lane->name),
         program_name(m->p, m->p->groups[lane->group].name),
         program_name(m->p, m->p->groups[m->work->group].name));
}

// All tensors of a communication have its type, and what is written is as large as what is read; of
// shares check_communication() sees to that.
static Status check_payload(const Match *m) {
    const Op *op = m->op;
    int64_t in = 0, out = 0;
    for (int i = 0; i < op->outputs + op->inputs; i++) {
        const Tensor *t = &m->p->tensors[op_outputs(m->plan, op)[i]];
        if (t->dtype != m->work->dtype) return mismatch(m, t, dtype_name((Dtype)m->work->dtype));
        *(i < op->outputs ? &out : &in) += tensor_elements(t);
    }
    if (kind_cuts(work_kind(m->work))) return OK;
    int64_t size = m->p->groups[m->work->group].size, want = in;
    if (m->work->kind == KIND_ALL_REDUCE || m->work->kind == KIND_REDUCE)
        want = in / m->work->parts;
    const Shares cuts = {
        .elements = in / m->work->parts, .unit = m->work->unit, .count = (int)size};
    if (m->work->kind == KIND_ALL_TO_ALL) want = share_capacity(cuts) * size;
    // The root alone has the whole, of equal pieces; the others may bring it, too.
    bool scatters = m->work->kind == KIND_SCATTER, gathers = m->work->kind == KIND_GATHER;
    if (scatters) want = in ? in / size : out;
    if (gathers) want = out ? in * size : 0;
    if ((scatters && in % size) || ((scatters || gathers) && m->work->unit)) want = NONE;
    if (m->work->kind == KIND_SEND) want = 0;
    if (m->work->kind == KIND_RECEIVE) want = out;
    if (want != out)
        FAIL(ERR_PLAN,
             "plan %s: %s: %s of %lld elements in %d part%s over %lld ranks writes %lld, not %lld",
             program_name(m->p, m->plan->name), op_name(m->p, op), kind_name(work_kind(m->work)),
             (long long)in, m->work->parts, m->work->parts == 1 ? "" : "s", (long long)size,
             (long long)want, (long long)out);
    return OK;
}

// Pieces of any size, in whole units: there is a count for each member, of what goes and of what
// comes. What comes may have room of another size; that it suffices is seen when counts are known.
static Status check_pieces_payload(const Match *m) {
    const Op *op = m->op;
    const char *plan = program_name(m->p, m->plan->name), *name = op_name(m->p, op);
    int64_t size = m->p->groups[m->work->group].size;
    int64_t unit = m->work->unit > 1 ? m->work->unit : 1;
    if (op->outputs != 2) return wrong_count(m, "outputs", op->outputs);
    if (op->inputs != 2) return wrong_count(m, "inputs", op->inputs);
    if (m->work->parts != 1 || m->work->algorithm != ALGORITHM_DIRECT)
        FAIL(ERR_PLAN, "plan %s: %s: all_to_all_v has one part and is direct", plan, name);
    for (int i = 0; i < 4; i++) {
        const Tensor *t = &m->p->tensors[op_outputs(m->plan, op)[i]];
        bool counts = i % 2;
        Dtype dtype = counts ? DTYPE_I64 : (Dtype)m->work->dtype;
        if (t->dtype != dtype) return mismatch(m, t, dtype_name(dtype));
        if (counts && tensor_elements(t) != size)
            FAIL(ERR_PLAN, "plan %s: %s: %s has %lld counts for %lld members", plan, name,
                 program_name(m->p, t->name), (long long)tensor_elements(t), (long long)size);
        if (!counts && tensor_elements(t) % unit)
            FAIL(ERR_PLAN, "plan %s: %s: %s has %lld elements, not whole units of %lld", plan, name,
                 program_name(m->p, t->name), (long long)tensor_elements(t), (long long)unit);
    }
    return OK;
}

// What is stated must be what is done: reports and predictions divide by it.
static Status check_flops(const Match *m) {
    int64_t flops;
    TRY(flops_of_op(m->p, m->plan, m->op, &flops));
    if (m->work->flops == flops) return OK;
    FAIL(ERR_PLAN, "plan %s: %s: flops=%lld, but %s of these operands does %lld",
         program_name(m->p, m->plan->name), op_name(m->p, m->op), (long long)m->work->flops,
         kind_name(work_kind(m->work)), (long long)flops);
}

static const Logical *logical_of(const Program *p, int32_t tensor) {
    return &p->logicals[p->tensors[tensor].logical];
}

Status check_operands(const Program *p, const Plan *plan, const Op *op) {
    Match m = {.p = p, .plan = plan, .op = op, .work = op_work(p, op)};
    Kind kind = work_kind(m.work);
    bool communication = kind_communicates(kind);
    LaneKind lane = (LaneKind)p->lanes[op->lane].kind;
    if (communication != (lane == LANE_COMMUNICATION) || (lane == LANE_COPY && kind != KIND_COPY))
        FAIL(ERR_PLAN, "plan %s: %s: %s cannot run on the %s lane %s", program_name(p, plan->name),
             op_name(p, op), kind_name(kind), lane_kind_name(lane),
             program_name(p, p->lanes[op->lane].name));
    if (kind == KIND_FUSED) {
        for (int i = 0; i < op->member_count; i++)
            TRY(check_operands(p, plan, &plan->members[op->member_first + i]));
        return check_flops(&m);
    }
    if (communication) {
        TRY(check_lane_group(&m));
        TRY(check_sum_order(&m));
        TRY(check_communication(p, plan, op));
        return kind == KIND_ALL_TO_ALL_V ? check_pieces_payload(&m) : check_payload(&m);
    }
    char pattern[256], *inputs;
    snprintf(pattern, sizeof pattern, "%s", kind_operands(kind));
    inputs = strstr(pattern, "<-");
    *inputs = '\0';
    TRY(match_side(&m, op_outputs(plan, op), op->outputs, pattern, "outputs"));
    bool updates = kind == KIND_SGD || kind == KIND_ADAM;
    const Logical *updated = updates ? logical_of(p, op_outputs(plan, op)[0]) : NULL;
    if (updated && updated->role == ROLE_PARAMETER && !updated->trainable)
        FAIL(ERR_PLAN, "plan %s: %s: updates %s, which is trainable=0", program_name(p, plan->name),
             op_name(p, op), program_name(p, updated->name));
    TRY(match_side(&m, op_inputs(plan, op), op->inputs, inputs + 2, "inputs"));
    TRY(match_window(&m));
    TRY(match_blocks(&m));
    TRY(match_matrix(&m));
    TRY(match_chunks(&m));
    TRY(match_slice(&m));
    TRY(match_feedback(&m));
    TRY(match_packed(&m));
    TRY(match_positions(&m));
    TRY(match_pieces(&m));
    TRY(check_attributes(p, plan, op));
    return check_flops(&m);
}
