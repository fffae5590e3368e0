// SPDX-License-Identifier: MIT
// Gradients that are sent as factors of low rank or as their largest elements, with error feedback:
// what is not sent is added to the shard's gradient of the next step. PowerSGD is algorithms 1 and
// 2 of Vogels, Karimireddy and Jaggi, 2019, and begins with the factor of the last step. Each shard
// is compressed by itself, on one rank too, so that a result depends on shards alone. Sums are not
// divided: gradients are parts of one sum already. Read feedback_buckets() at the end first.
#include "parallel/strategy/strategy_internal.h"

#include "core/base/hash.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 256, RANK = 2 };
static const double fraction = 0.01;

// A gradient of two dimensions or more: rows, elements of a row, of all; what is sent of it. One of
// three is a stack of matrices, those of experts: N and M are of each.
typedef struct {
    const Gradient *g;
    int64_t N, M, E;
    int64_t stack;         // so many, an attribute of what is done to factors; 0: one matrix
    int64_t R;             // powersgd: columns of its factors
    int64_t K, first;      // topk: elements that are sent, and where they begin in a shard's list
    int32_t error;         // (local shards, the dimensions of the gradient)
    int32_t factor;        // powersgd: (M,R) of all, the right factor of the last step
    Gradient left, right;  // powersgd: (N,R) and (M,R) of each shard, summed in the first part
    int32_t *pairs;        // topk: (K,2) of each shard
} Matrix;

typedef struct {
    Matrix *matrices;
    Gradient *sent;  // what is all-reduced first: vectors and left factors, in their order
    int matrix_count, sent_count, after;
    int64_t K;     // topk: elements of a shard's list
    int32_t list;  // topk: of all shards
    char name[32];
} Bucket;

typedef struct {
    Join *j;
    Plan *plan;
    int parts, ranks, compute;
    int guard;  // TENSOR_REF of what says that the step counts; 0: it always does
    int last;   // operation of the plan, before any was added
} Feedback;

static const Tensor *tensor_of(const Feedback *f, int32_t t) { return &f->j->p->tensors[t]; }

// --- tensors

// How something that is made of a gradient lies along an axis that cuts the gradient.
typedef enum {
    BESIDE_OWN,      // each rank has its own of its piece
    BESIDE_STACKED,  // the same, one below the other, so that a checkpoint has them all
    BESIDE_CUT,      // it has the gradient's dimensions behind its first one
} Beside;

static Placement beside(Placement g, Beside how) {
    if (placement_is_partial(g)) return PLACEMENT_REPLICATED;  // it has been reduced in place
    if (g.place != PLACE_SHARD) return g;
    if (how == BESIDE_OWN) return PLACEMENT_DIFFERS;
    if (how == BESIDE_STACKED) return PLACEMENT_SHARD(0);
    g.dim++;
    return g;
}

// The pieces of a gradient, and the ranks over which it is summed.
static int64_t count_pieces(const Feedback *f, int32_t gradient) {
    int64_t pieces = 1;
    for (int a = 0; a < f->j->p->axis_count; a++)
        if (tensor_of(f, gradient)->placement[a].place == PLACE_SHARD)
            pieces *= f->j->p->axes[a].size;
    return pieces;
}

static int64_t count_ranks(const Feedback *f, const Gradient *g) {
    int64_t ranks = 1;
    for (int a = 0; a < f->j->p->axis_count; a++)
        if (join_summed_axes(f->j, g) >> a & 1) ranks *= f->j->p->axes[a].size;
    return ranks;
}

// The tensor NAME, of a shard NAME/1, of the logical tensor `whole`, in the type of the gradients.
// What the spec does not say follows: of the name, and `place` along the axes over which the
// gradient is summed.
static Status add_tensor(const Feedback *f, const Gradient *g, const LogicalSpec *whole,
                         TensorSpec piece, Placement place, int32_t *out) {
    char local[NAME + 16];
    int index;
    snprintf(local, sizeof local, piece.shard ? "%s/%d" : "%s", whole->name, piece.shard);
    piece.name = local;
    piece.dtype = whole->dtype;
    piece.role = whole->role;
    join_confine(f->j, &piece);
    for (int a = 0; a < f->j->p->axis_count; a++)
        if (join_summed_axes(f->j, g) >> a & 1) piece.placement[a] = place;
    piece.logical = program_find_logical(f->j->p, whole->name);
    if (piece.logical == NONE) TRY(program_add_logical(f->j->p, whole, &piece.logical));
    TRY(program_add_tensor(f->j->p, &piece, &index));
    *out = index;
    return OK;
}

static TensorSpec spec_beside(const Feedback *f, int32_t gradient, Beside how) {
    TensorSpec s = {0};
    for (int a = 0; a < f->j->p->axis_count; a++)
        s.placement[a] = beside(tensor_of(f, gradient)->placement[a], how);
    return s;
}

static int64_t count_matrices(const Matrix *m) { return m->stack ? m->stack : 1; }

// A tensor (rows, columns) "GRADIENT.what" of this rank's piece.
static Status add_matrix(const Feedback *f, const Matrix *m, const char *what, int shard,
                         int64_t rows, int64_t columns, Placement place, int32_t *out) {
    char name[NAME];
    const Tensor *g = tensor_of(f, m->g->part[0]);
    const LogicalSpec whole = {.name = name,
                               .shape = {rows, columns},
                               .dims = 2,
                               .dtype = (Dtype)g->dtype,
                               .role = ROLE_BUFFER};
    TensorSpec piece = spec_beside(f, m->g->part[0], BESIDE_OWN);
    snprintf(name, sizeof name, "%s.%s", program_name(f->j->p, f->j->p->logicals[g->logical].name),
             what);
    piece.shard = shard;
    return add_tensor(f, m->g, &whole, piece, place, out);
}

// (rows, the dimensions of the gradient), of which those behind the second are one.
static int error_shape(const int64_t shape[DIMS], int dims, int64_t rows, int64_t out[DIMS]) {
    out[0] = rows;
    for (int d = 0; d < dims && d < DIMS - 1; d++) out[d + 1] = shape[d];
    for (int d = DIMS - 1; d < dims; d++) out[DIMS - 1] *= shape[d];
    return dims < DIMS ? dims + 1 : DIMS;
}

// What all shards have not sent, a row each, and this rank's rows of it; where the gradient is cut,
// of its piece alone.
static Status add_error(const Feedback *f, Matrix *m) {
    char name[NAME];
    const Tensor *g = tensor_of(f, m->g->part[0]);
    const Logical *of = &f->j->p->logicals[g->logical];
    LogicalSpec whole = {.name = name, .dtype = (Dtype)g->dtype, .role = ROLE_FEEDBACK};
    TensorSpec piece = spec_beside(f, m->g->part[0], BESIDE_CUT);
    whole.dims = error_shape(of->shape, of->dims, f->parts * count_ranks(f, m->g), whole.shape);
    error_shape(g->shape, g->dims, f->parts, piece.shape);
    snprintf(name, sizeof name, "%s.error", program_name(f->j->p, of->name));
    return add_tensor(f, m->g, &whole, piece,
                      f->ranks > 1 ? PLACEMENT_SHARD(0) : PLACEMENT_REPLICATED, &m->error);
}

// Random at first, alike on all ranks that hold the piece: keyed by the seed and its name.
static Status add_factor(const Feedback *f, Matrix *m) {
    Program *p = f->j->p;
    int64_t rows = count_matrices(m) * m->M;
    char name[NAME];
    const Tensor *g = tensor_of(f, m->g->part[0]);
    const LogicalSpec whole = {.name = name,
                               .shape = {rows * count_pieces(f, m->g->part[0]), m->R},
                               .dims = 2,
                               .dtype = (Dtype)g->dtype,
                               .role = ROLE_FEEDBACK,
                               .normal = 1};
    TensorSpec piece = spec_beside(f, m->g->part[0], BESIDE_STACKED);
    piece.shape[0] = rows;
    piece.shape[1] = m->R;
    snprintf(name, sizeof name, "%s.factor", program_name(p, p->logicals[g->logical].name));
    TRY(add_tensor(f, m->g, &whole, piece, PLACEMENT_REPLICATED, &m->factor));
    p->logicals[p->tensors[m->factor].logical].init =
        (int32_t)(hash_bytes(HASH_START, name, strlen(name)) & INT32_MAX);
    return OK;
}

// --- operations

// One computation on a shard; outputs and inputs as in KIND_LIST.
static Status compute(const Feedback *f, Kind kind, int32_t of, OpSpec spec, int shard, int after) {
    char name[NAME];
    snprintf(name, sizeof name, "%s.%s", kind_name(kind), tensor_name(f->j->p, of));
    spec.name = name;
    spec.kind = kind;
    spec.phase = PHASE_SYNC;
    spec.dtype = (Dtype)tensor_of(f, of)->dtype;
    spec.lane = f->compute;
    spec.shard = shard;
    return join_add(f->j, f->plan, &spec, after);
}
#define OPERANDS_OF(out, outs, in, ins) \
    .outputs = (out), .output_count = (outs), .inputs = (in), .input_count = (ins)
#define ONE(t) ((const int32_t[]){t})

// What the step before has left of the shard is added to its gradient.
static Status feed(const Feedback *f, const Matrix *m, int s, int after) {
    const int64_t row = s;
    return compute(f, KIND_FEED_ERROR, m->g->part[s],
                   (OpSpec){OPERANDS_OF(&m->g->part[s], 1, &m->error, 1), .attrs = &row,
                            .flags = OP_ACCUMULATE},
                   s, after);
}

// What is left now; of a step that counts.
static Status keep(const Feedback *f, const Matrix *m, int s, int after) {
    const int64_t row = s;
    return compute(
        f, KIND_KEEP_ERROR, m->g->part[s],
        (OpSpec){OPERANDS_OF(&m->error, 1, &m->g->part[s], 1), .attrs = &row, .guard = f->guard}, s,
        f->guard ? f->last : after);
}

// The sum of all shards, in their order, into the first part.
static Status sum(const Feedback *f, const char *name, const Gradient *g, int count, int after) {
    if (!count) return OK;
    if (f->ranks > 1)
        return join_all_reduce(f->j, f->plan, name, g, count, f->j->options->algorithm, after);
    for (int s = 1; s < f->parts; s++)
        for (int i = 0; i < count; i++)
            TRY(compute(
                f, KIND_FOLD, g[i].part[s],
                (OpSpec){OPERANDS_OF(&g[i].part[0], 1, &g[i].part[s], 1), .flags = OP_ACCUMULATE},
                s, after));
    return OK;
}

// --- PowerSGD

// P = M Q of each shard; P of all is on its way then.
static Status send_left(const Feedback *f, const Matrix *m, int after) {
    for (int s = 0; s < f->parts; s++) {
        const int32_t in[] = {m->g->part[s], m->factor};
        TRY(feed(f, m, s, after));
        TRY(compute(f, KIND_LOW_RANK_LEFT, m->left.part[s],
                    (OpSpec){OPERANDS_OF(&m->left.part[s], 1, in, 2), .attrs = &m->stack}, s,
                    after));
    }
    return OK;
}

// P is orthogonalised, Q = M'P and M - PQ' of each shard; Q of all is on its way then. A shard's
// error has its own Q, so that nobody waits for that of all; their sums are equal.
static Status send_right(const Feedback *f, const Bucket *b, int after) {
    Gradient *right = ARENA_NEW(&f->j->arena, Gradient, b->matrix_count + 1);
    char name[NAME];
    if (!right) FAIL(ERR_MEMORY, "out of memory for a bucket");
    for (int i = 0; i < b->matrix_count; i++) {
        const Matrix *m = &b->matrices[i];
        int32_t p = m->left.part[0];
        right[i] = m->right;
        TRY(compute(f, KIND_ORTHOGONALISE, p,
                    (OpSpec){OPERANDS_OF(&p, 1, &p, 1), .attrs = &m->stack}, 0, after));
        for (int s = 0; s < f->parts; s++) {
            const int32_t g = m->g->part[s], q = m->right.part[s], in[] = {g, p, q};
            TRY(compute(f, KIND_LOW_RANK_RIGHT, q,
                        (OpSpec){OPERANDS_OF(&q, 1, in, 2), .attrs = &m->stack}, s, after));
            TRY(compute(f, KIND_LOW_RANK_REST, g,
                        (OpSpec){OPERANDS_OF(&g, 1, in, 3), .attrs = &m->stack}, s, after));
            TRY(keep(f, m, s, after));
        }
    }
    snprintf(name, sizeof name, "%s.right", b->name);
    return sum(f, name, right, b->matrix_count, after);
}

// The sum PQ', and the next step's Q: orthonormal, so that it never grows or vanishes.
static Status receive_factors(const Feedback *f, const Matrix *m, int32_t reduced, int after) {
    const int32_t in[] = {m->left.part[0], m->right.part[0]};
    if (reduced != NONE)
        TRY(compute(f, KIND_LOW_RANK_WHOLE, reduced,
                    (OpSpec){OPERANDS_OF(&reduced, 1, in, 2), .attrs = &m->stack}, 0, after));
    return compute(
        f, KIND_ORTHOGONALISE, m->factor,
        (OpSpec){OPERANDS_OF(&m->factor, 1, &in[1], 1), .guard = f->guard, .attrs = &m->stack}, 0,
        f->guard ? f->last : after);
}

// --- top-k

static Status add_list(const Feedback *f, const Bucket *b, const char *what, int64_t pairs,
                       Dtype dtype, Placement place, int32_t *out) {
    char name[NAME];
    snprintf(name, sizeof name, "%s.%s", b->name, what);
    const LogicalSpec whole = {
        .name = name, .shape = {pairs, 2}, .dims = 2, .dtype = dtype, .role = ROLE_BUFFER};
    const Gradient *g = b->matrices[0].g;
    return add_tensor(f, g, &whole, spec_beside(f, g->part[0], BESIDE_OWN), place, out);
}

// One list of several, as many at a time as an operation takes, until one is left.
static Status concatenate(const Feedback *f, const Bucket *b, int32_t *lists, int count) {
    Placement place = f->ranks > 1 ? PLACEMENT_DIFFERS : PLACEMENT_REPLICATED;
    for (int joined = 0; count > 1;) {
        int left = 0;
        for (int first = 0, n; first < count; first += n) {
            char what[32];
            int64_t pairs = 0;
            n = count - first < OPERANDS - 1 ? count - first : OPERANDS - 1;
            for (int i = 0; i < n; i++) pairs += tensor_of(f, lists[first + i])->shape[0];
            snprintf(what, sizeof what, "joined%d", joined++);
            Dtype dtype = (Dtype)tensor_of(f, lists[first])->dtype;
            int32_t to;
            TRY(add_list(f, b, what, pairs, dtype, place, &to));
            TRY(compute(f, KIND_CONCATENATE, to, (OpSpec){OPERANDS_OF(&to, 1, &lists[first], n)}, 0,
                        b->after));
            lists[left++] = to;
        }
        count = left;
    }
    return OK;
}

static Status gather(const Feedback *f, Bucket *b, int32_t mine) {
    char name[NAME];
    Dtype dtype = (Dtype)tensor_of(f, mine)->dtype;
    b->list = mine;
    if (f->ranks == 1) return OK;
    const Gradient *g = b->matrices[0].g;
    bool of_experts = join_is_of_experts(f->j, g);
    TRY(add_list(f, b, "all", b->K * f->parts * count_ranks(f, g), dtype, PLACEMENT_REPLICATED,
                 &b->list));
    snprintf(name, sizeof name, "%s.pairs", b->name);
    return join_add(f->j, f->plan,
                    &(OpSpec){OPERANDS_OF(&b->list, 1, &mine, 1), .name = name,
                              .kind = KIND_ALL_GATHER, .phase = PHASE_SYNC, .dtype = dtype,
                              .lane = of_experts ? f->j->holders_lane : f->j->lane,
                              .group = of_experts ? f->j->holders_group : f->j->group},
                    b->after);
}

// The lists of a rank: its shards', of each one matrix after the other.
static Status send_largest(const Feedback *f, Bucket *b) {
    int32_t *lists = ARENA_NEW(&f->j->arena, int32_t, f->parts * b->matrix_count + 1);
    int count = 0;
    if (!lists) FAIL(ERR_MEMORY, "out of memory for a bucket");
    for (int s = 0; s < f->parts; s++)
        for (int i = 0; i < b->matrix_count; i++) {
            const Matrix *m = &b->matrices[i];
            const int32_t g = m->g->part[s], out[] = {m->pairs[s], g};
            TRY(feed(f, m, s, b->after));
            TRY(compute(f, KIND_TOP_K, g, (OpSpec){OPERANDS_OF(out, 2, &g, 1)}, s, b->after));
            TRY(keep(f, m, s, b->after));
            lists[count++] = m->pairs[s];
        }
    if (!count) return OK;
    TRY(concatenate(f, b, lists, count));
    return gather(f, b, lists[0]);
}

static Status receive_largest(const Feedback *f, const Bucket *b, const Matrix *m, int32_t reduced,
                              int after) {
    const int64_t attrs[] = {m->first, m->K, b->K};
    if (reduced == NONE) return OK;
    return compute(f, KIND_SPREAD, reduced,
                   (OpSpec){OPERANDS_OF(&reduced, 1, &b->list, 1), .attrs = attrs}, 0, after);
}

// --- the whole

// Is it smaller as factors? Else it is sent as it is, as vectors are.
static bool shrinks(const Feedback *f, const Gradient *g, Matrix *m) {
    const OptionForm *form = &f->j->options->compress;
    const Tensor *t = tensor_of(f, g->part[0]);
    *m = (Matrix){.g = g, .N = t->shape[0], .E = tensor_elements(t), .error = NONE, .factor = NONE};
    if (t->dims < 2) return false;
    if (t->dims == 3) m->stack = t->shape[0];
    if (m->stack) m->N = t->shape[1];
    m->M = m->E / (m->N * count_matrices(m));
    double rank = form->number > 0 ? form->number : RANK;
    m->R = m->N < m->M ? m->N : m->M;
    if (rank < (double)m->R) m->R = (int64_t)rank;
    m->K = llround((form->number > 0 ? form->number : fraction) * (double)m->E);
    m->K = m->K < 1 ? 1 : m->K > m->E ? m->E : m->K;
    return form->word == COMPRESS_TOPK || m->R * (m->N + m->M) < m->N * m->M;
}

// Tensors of a matrix that is compressed.
static Status add_parts(const Feedback *f, Matrix *m) {
    Arena *a = &f->j->arena;
    Placement own = f->ranks > 1 ? PLACEMENT_DIFFERS : PLACEMENT_REPLICATED;
    bool topk = f->j->options->compress.word == COMPRESS_TOPK;
    m->pairs = ARENA_NEW(a, int32_t, f->parts);
    m->left.part = ARENA_NEW(a, int32_t, f->parts);
    m->right.part = ARENA_NEW(a, int32_t, f->parts);
    if (!m->pairs || !m->left.part || !m->right.part) FAIL(ERR_MEMORY, "out of memory for shards");
    TRY(add_error(f, m));
    if (!topk) TRY(add_factor(f, m));
    for (int s = 0; s < f->parts; s++) {
        if (topk) {
            TRY(add_matrix(f, m, "pairs", s, m->K, 2, own, &m->pairs[s]));
            continue;
        }
        TRY(add_matrix(f, m, "left", s, count_matrices(m) * m->N, m->R, PLACEMENT_SUM,
                       &m->left.part[s]));
        TRY(add_matrix(f, m, "right", s, count_matrices(m) * m->M, m->R, PLACEMENT_SUM,
                       &m->right.part[s]));
    }
    return OK;
}

static Status fill_bucket(const Feedback *f, Bucket *b, const Gradient *g, int count) {
    b->matrices = ARENA_NEW(&f->j->arena, Matrix, count);
    b->sent = ARENA_NEW(&f->j->arena, Gradient, count);
    if (!b->matrices || !b->sent)
        FAIL(ERR_MEMORY, "out of memory for a bucket of %d gradients", count);
    for (int i = 0; i < count; i++) {
        Matrix *m = &b->matrices[b->matrix_count];
        bool factors = f->j->options->compress.word == COMPRESS_POWERSGD;
        if (!shrinks(f, &g[i], m)) {
            b->sent[b->sent_count++] = g[i];
            continue;
        }
        TRY(add_parts(f, m));
        m->first = b->K;
        b->K += m->K;
        b->matrix_count++;
        if (factors) b->sent[b->sent_count++] = m->left;
    }
    return OK;
}

static Status send(const Feedback *f, Bucket *b) {
    bool topk = f->j->options->compress.word == COMPRESS_TOPK;
    for (int i = 0; i < b->matrix_count && !topk; i++) TRY(send_left(f, &b->matrices[i], b->after));
    TRY(sum(f, b->name, b->sent, b->sent_count, b->after));
    return topk ? send_largest(f, b) : OK;
}

static Status receive(const Feedback *f, const Bucket *b, int original) {
    for (int i = 0; i < b->matrix_count; i++) {
        const Matrix *m = &b->matrices[i];
        int32_t reduced;
        TRY(compress_add_sum(f->j, m->g, &reduced));
        int first = compress_read_sum(f->plan, m->g, reduced, original);
        int after = first == NONE ? f->last : first - 1;
        if (first == NONE) reduced = NONE;
        TRY(f->j->options->compress.word == COMPRESS_TOPK ? receive_largest(f, b, m, reduced, after)
                                                          : receive_factors(f, m, reduced, after));
    }
    return OK;
}

// Gradients of which this rank has a piece go behind the others: a list is either of elements that
// are each rank's own or of such as all know alike. How many there are before.
static int sort_pieces(const Feedback *f, Gradient *g, const Gradient *from, int count) {
    int placed = 0, before = 0;
    for (int cut = 0; cut < 2; cut++) {
        for (int i = 0; i < count; i++)
            if ((count_pieces(f, from[i].part[0]) > 1) == cut) g[placed++] = from[i];
        if (!cut) before = placed;
    }
    return before;
}

static Status add_bucket(const Feedback *f, Bucket *buckets, int *n, const Gradient *g, int count,
                         int after) {
    Bucket *b = &buckets[*n];
    if (!count) return OK;
    b->after = after;
    snprintf(b->name, sizeof b->name, "%sbucket%d", join_is_of_experts(f->j, g) ? "experts." : "",
             *n);
    TRY(fill_bucket(f, b, g, count));
    TRY(send(f, b));
    if (*n && f->j->options->compress.word == COMPRESS_POWERSGD)
        TRY(send_right(f, &buckets[*n - 1], after));
    ++*n;
    return OK;
}

// A bucket's right factors wait for the sum of its left ones, so they go behind the next bucket's
// left ones: the backward goes on meanwhile.
Status feedback_buckets(Join *j, Plan *plan, const Gradient *g, int count, int last_backward,
                        int original) {
    int finite = program_find_result(j->p, (int)(plan - j->p->plans), RESULT_FINITE), n = 0;
    bool topk = j->options->compress.word == COMPRESS_TOPK;
    Feedback f = {.j = j,
                  .plan = plan,
                  .parts = j->options->local_shards,
                  .ranks = j->p->axes[j->axis].size,
                  .compute = program_find_lane(j->p, "compute"),
                  .guard = finite == NONE ? 0 : TENSOR_REF(finite),
                  .last = original - 1};
    Bucket *buckets = ARENA_NEW(&j->arena, Bucket, 2 * count + 1);
    Gradient *sorted = ARENA_NEW(&j->arena, Gradient, count + 1);
    if (!buckets || !sorted) FAIL(ERR_MEMORY, "out of memory for %d buckets", count);
    memcpy(sorted, g, (size_t)count * sizeof *g);
    for (int first = 0, end; first < count; first = end) {
        int after;
        end = gradients_bucket(j->p, j->options, g, count, first, &after);
        int whole = topk ? sort_pieces(&f, &sorted[first], &g[first], end - first) : end - first;
        after = join_after(j, after, last_backward);
        TRY(add_bucket(&f, buckets, &n, &sorted[first], whole, after));
        TRY(add_bucket(&f, buckets, &n, &sorted[first + whole], end - first - whole, after));
    }
    if (n && !topk) TRY(send_right(&f, &buckets[n - 1], buckets[n - 1].after));
    for (int i = 0; i < n; i++) TRY(receive(&f, &buckets[i], original));
    return OK;
}
