// SPDX-License-Identifier: MIT
// Attention in blocks of a cut sequence: the pieces of all ranks of a ring, block after block, are
// what attention of the whole sequence is, and so are their gradients; and every device's kernels
// against the reference.
#include "tests/support/device_hand.h"
#include "tests/support/device_near.h"

#include <stdlib.h>

enum { WHOLE_ROWS = 2, CHUNK = 3 };

// A ring of P ranks; `wrong` is what a mutation does to it.
typedef enum { RIGHT, CONTIGUOUS, STALE, DROPPED } Mutation;
typedef struct {
    int P, heads, kv_heads, causal, zigzag;
    Mutation wrong;
} Ring;
enum { D = 4 };

static int64_t piece_length(const Ring *r) { return CHUNK * (r->zigzag ? 2 : 1); }

// The place in the whole sequence of position i of a rank's piece.
static int64_t place(const Ring *r, int rank, int64_t i) {
    if (!r->zigzag) return rank * CHUNK + i;
    return (i < CHUNK ? rank : 2 * r->P - 2 - rank) * CHUNK + i;
}

static const char *named(const char *stem, int rank, int block) {
    static char names[16][32];
    static int next;
    char *name = names[next++ % 16];
    if (block < 0)
        snprintf(name, sizeof names[0], "%s%d", stem, rank);
    else
        snprintf(name, sizeof names[0], "%s%d.%d", stem, rank, block);
    return name;
}

static void add(Case *c, const char *name, int64_t T, int64_t channels, bool random) {
    case_tensor(c, name, REAL(c), random ? FILL_RANDOM : FILL_OUTPUT, SHAPE(ROWS, T, channels));
}

static const char *const kinds[] = {"q", "k", "v", "dy"};

static int64_t channels_of(const Ring *r, int kind) {
    return (kind == 1 || kind == 2 ? r->kv_heads : r->heads) * D;
}

// Rank `rank`'s rows of a whole tensor.
static void cut(Case *c, const Ring *r, int kind, int rank) {
    int64_t T = piece_length(r), n = channels_of(r, kind), all = T * r->P;
    double *piece = calloc((size_t)(WHOLE_ROWS * T * n), sizeof *piece);
    const double *whole = c->before[program_find_tensor(&c->p, kinds[kind])];
    ck_assert_ptr_nonnull(piece);
    for (int64_t b = 0; b < WHOLE_ROWS; b++)
        for (int64_t i = 0; i < T; i++)
            memcpy(&piece[(b * T + i) * n], &whole[(b * all + place(r, rank, i)) * n],
                   (size_t)n * sizeof *piece);
    add(c, named(kinds[kind], rank, -1), T, n, false);
    case_set(c, program_find_tensor(&c->p, named(kinds[kind], rank, -1)), piece);
    free(piece);
}

static void whole(Case *c, const Ring *r) {
    const int64_t attrs[] = {r->heads, r->kv_heads, r->causal};
    int64_t T = piece_length(r) * r->P;
    for (int k = 0; k < 4; k++) add(c, kinds[k], T, channels_of(r, k), true);
    add(c, "y", T, channels_of(r, 0), false);
    add(c, "lse", T, r->heads, false);
    add(c, "dq", T, channels_of(r, 0), false);
    add(c, "dk", T, channels_of(r, 1), false);
    add(c, "dv", T, channels_of(r, 1), false);
    case_op(c, KIND_ATTENTION, false, attrs, "y lse", "q k v");
    case_op(c, KIND_ATTENTION_BACKWARD, false, attrs, "dq dk dv", "dy y lse q k v");
}

// Where a rank's positions are; or, in a mutation, as if they followed one another.
static void index_of(Case *c, const Ring *r, int rank) {
    double places[2 * CHUNK];
    for (int64_t i = 0; i < piece_length(r); i++)
        places[i] =
            (double)(r->wrong == CONTIGUOUS ? rank * piece_length(r) + i : place(r, rank, i));
    case_set(
        c,
        case_tensor(c, named("places", rank, -1), DTYPE_I64, FILL_OUTPUT, SHAPE(piece_length(r))),
        places);
}

// What rank `rank` does at one hop.
static void block(Case *c, const Ring *r, int rank, int hop, bool backward) {
    const int64_t attrs[] = {r->heads, r->kv_heads, r->causal};
    int from = (rank - hop + r->P) % r->P, read = from;
    if (r->wrong == STALE && hop == r->P - 1) read = (from + 1) % r->P;
    if (r->wrong == DROPPED && hop == 1) return;
    char out[100], in[200];
    const char *q = named("q", rank, -1), *k = named("k", read, -1), *v = named("v", read, -1),
               *y = named("y", rank, -1), *lse = named("lse", rank, -1),
               *dq = named("dq", rank, -1), *queries = named("places", rank, -1),
               *keys = named("places", from, -1);
    if (backward) {
        const char *dk = named("dk", from, rank), *dv = named("dv", from, rank);
        add(c, dk, piece_length(r), channels_of(r, 1), false);
        add(c, dv, piece_length(r), channels_of(r, 1), false);
        snprintf(out, sizeof out, "%s %s %s", dq, dk, dv);
        snprintf(in, sizeof in, "%s %s %s %s %s %s %s %s %s", named("dy", rank, -1), y, lse, q, k,
                 v, queries, keys, hop ? dq : "");
        case_op(c, KIND_ATTENTION_BLOCK_BACKWARD, false, attrs, out, in);
        return;
    }
    snprintf(out, sizeof out, "%s %s", y, lse);
    snprintf(in, sizeof in, "%s %s %s %s %s %s %s", q, k, v, queries, keys, hop ? y : "",
             hop ? lse : "");
    case_op(c, KIND_ATTENTION_BLOCK, false, attrs, out, in);
}

static void build(Case *c, const Ring *r) {
    whole(c, r);
    for (int rank = 0; rank < r->P; rank++) {
        for (int k = 0; k < 4; k++) cut(c, r, k, rank);
        add(c, named("y", rank, -1), piece_length(r), channels_of(r, 0), false);
        add(c, named("lse", rank, -1), piece_length(r), r->heads, false);
        add(c, named("dq", rank, -1), piece_length(r), channels_of(r, 0), false);
        index_of(c, r, rank);
    }
    for (int side = 0; side < 2; side++)
        for (int rank = 0; rank < r->P; rank++)
            for (int hop = 0; hop < r->P; hop++) block(c, r, rank, hop, side);
    snprintf(c->text, sizeof c->text, "%d ranks, heads %d and %d%s%s", r->P, r->heads, r->kv_heads,
             r->causal ? ", causal" : "", r->zigzag ? ", zigzag" : "");
}

// How far a piece is from its part of the whole; dk and dv are sums over all ranks.
static double apart(const Case *c, const Values *got, const Ring *r, const char *stem, int rank) {
    bool sums = !strcmp(stem, "dk") || !strcmp(stem, "dv");
    const double *all = got->of[program_find_tensor(&c->p, stem)];
    int t = program_find_tensor(&c->p, stem);
    int64_t T = piece_length(r), n = c->p.tensors[t].shape[2];
    double most = 0;
    for (int64_t b = 0; b < WHOLE_ROWS; b++)
        for (int64_t i = 0; i < T * n; i++) {
            double sum = 0;
            for (int from = 0; from < (sums ? r->P : 1); from++) {
                const char *name = named(stem, rank, sums ? from : -1);
                int piece = program_find_tensor(&c->p, name);
                if (piece != NONE) sum += got->of[piece][b * T * n + i];
            }
            double want = all[(b * T * r->P + place(r, rank, i / n)) * n + i % n];
            most = fmax(most, fabs(sum - want));
        }
    return most;
}

static double furthest(const Device *d, Dtype dtype, const Ring *r) {
    static const char *const stems[] = {"y", "lse", "dq", "dk", "dv"};
    Case c;
    double most = 0;
    case_init(&c, dtype, WHOLE_ROWS, WHOLE_ROWS);
    build(&c, r);
    Values got = run_lowered(&c, d);
    for (int s = 0; s < 5; s++)
        for (int rank = 0; rank < r->P; rank++)
            most = fmax(most, apart(&c, &got, r, stems[s], rank));
    case_finish(&c);
    return most;
}

static const Ring rings[] = {
    {.P = 1, .heads = 2, .kv_heads = 1, .causal = 1, .zigzag = 1},
    {.P = 2, .heads = 2, .kv_heads = 2, .causal = 1, .zigzag = 1},
    {.P = 3, .heads = 4, .kv_heads = 2, .causal = 1, .zigzag = 1},
    {.P = 4, .heads = 1, .kv_heads = 1, .causal = 1, .zigzag = 1},
    {.P = 3, .heads = 2, .kv_heads = 1, .causal = 0, .zigzag = 1},
    {.P = 3, .heads = 2, .kv_heads = 1, .causal = 1, .zigzag = 0},
    {.P = 4, .heads = 3, .kv_heads = 1, .causal = 0, .zigzag = 0},
};
enum { RINGS = sizeof rings / sizeof *rings };

START_TEST(blocks_of_all_ranks_are_the_whole_sequence) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < count; d++)
        for (int i = 0; i < RINGS; i++)
            for (int k = 0; k < 2; k++) {
                double most = furthest(devices[d], k ? DTYPE_F64 : DTYPE_F32, &rings[i]);
                ck_assert_msg(most < (k ? 1e-14 : 1e-5), "%s, ring %d: %g apart", devices[d]->name,
                              i, most);
            }
}
END_TEST

START_TEST(a_wrong_ring_is_another_result) {
    const Mutation wrong[] = {CONTIGUOUS, STALE, DROPPED};
    for (int m = 0; m < 3; m++) {
        Ring r = rings[2];
        r.wrong = wrong[m];
        double most = furthest(&device_reference, DTYPE_F64, &r);
        ck_assert_msg(most > 1e-3, "mutation %d: %g apart", m, most);
    }
}
END_TEST

// --- devices against the reference, on both sides of where blocks of 64 queries and 256 keys end

static void agree(int64_t T, int64_t kv_heads, int64_t causal, Dtype dtype, const double *queries,
                  const double *keys) {
    const Device *devices[DEVICES];
    const int64_t attrs[] = {2, kv_heads, causal};
    int count = case_devices(devices);
    for (int d = 0; d < count; d++) {
        Case c;
        case_init(&c, dtype, 2, 1);
        for (int k = 0; k < 4; k++)
            add(&c, kinds[k], T, (k == 1 || k == 2 ? kv_heads : 2) * D, true);
        add(&c, "y", T, 2 * D, true);
        add(&c, "lse", T, 2, true);
        add(&c, "z", T, 2 * D, false);
        add(&c, "l", T, 2, false);
        add(&c, "dq", T, 2 * D, true);
        add(&c, "dk", T, kv_heads * D, false);
        add(&c, "dv", T, kv_heads * D, false);
        case_set(&c, case_tensor(&c, "queries", DTYPE_I64, FILL_OUTPUT, SHAPE(T)), queries);
        case_set(&c, case_tensor(&c, "keys", DTYPE_I64, FILL_OUTPUT, SHAPE(T)), keys);
        case_op(&c, KIND_ATTENTION_BLOCK, false, attrs, "z l", "q k v queries keys y lse");
        case_op(&c, KIND_ATTENTION_BLOCK_BACKWARD, false, attrs, "dq dk dv",
                "dy z l q k v queries keys dq");
        snprintf(c.text, sizeof c.text, "%s T %lld%s, queries from %g, keys from %g",
                 dtype_name(dtype), (long long)T, causal ? ", causal" : "", queries[0], keys[0]);
        near_agree(&c, devices[d], 4 * (double)(T + D + 16));
        case_finish(&c);
    }
}

// The piece of a coordinate among three, in a zigzag; moved by `more`.
static void zigzag(int64_t T, int coordinate, int64_t more, double *out) {
    for (int64_t i = 0; i < T; i++)
        out[i] = (double)((i < T / 2 ? coordinate : 4 - coordinate) * (T / 2) + i + more);
}

START_TEST(devices_agree_about_a_block) {
    enum { LONGEST = 520 };
    static const int64_t lengths[] = {2, 6, 34, 126, 130, 258, LONGEST};
    static double queries[LONGEST], keys[LONGEST];
    for (int i = 0; i < 7; i++)
        for (int hop = 0; hop < 3; hop++) {
            if (lengths[i] > 200 && hop != i % 2) continue;
            zigzag(lengths[i], i % 3, 0, queries);
            zigzag(lengths[i], (i + hop) % 3, 0, keys);
            agree(lengths[i], 1 + i % 2, 1, hop ? DTYPE_F64 : DTYPE_F32, queries, keys);
            agree(lengths[i], 2 - i % 2, 0, hop ? DTYPE_F32 : DTYPE_F64, queries, keys);
        }
}
END_TEST

// Keys that lie across the queries, and places that a smaller piece leaves free.
START_TEST(devices_agree_about_any_positions) {
    double queries[34], keys[34];
    for (int64_t more = -20; more <= 20; more += 5) {
        zigzag(34, 1, 20, queries);
        zigzag(34, 1, 20 + more, keys);
        keys[33] = keys[16] = queries[33] = -1;
        agree(34, 1, 1, DTYPE_F64, queries, keys);
    }
}
END_TEST

static void sections(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(1, 2, 4), 1, 2, 3, 4, 5, 6, 7, 8);
    OUTPUT(c, "q", REAL(c), SHAPE(1, 2, 2));
    OUTPUT(c, "k", REAL(c), SHAPE(1, 2, 1));
    OUTPUT(c, "v", REAL(c), SHAPE(1, 2, 1));
    OUTPUT(c, "again", REAL(c), SHAPE(1, 2, 4));
    case_op(c, KIND_UNPACK_QKV, false, NULL, "q k v", "x");
    case_op(c, KIND_PACK_QKV, false, NULL, "again", "q k v");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "q", 1, 2, 5, 6);
    EXPECT(c, &got, "k", 3, 7);
    EXPECT(c, &got, "v", 4, 8);
    EXPECT(c, &got, "again", 1, 2, 3, 4, 5, 6, 7, 8);
}

// Two rows of two positions of four channels: two groups of heads, or two positions, of all rows.
static void pieces(Case *c, const Device *d) {
    const int64_t heads = 2, positions = 1;
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 2, 4), 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17,
           18);
    OUTPUT(c, "by_heads", REAL(c), SHAPE(2, 1, 2, 4));
    OUTPUT(c, "by_positions", REAL(c), SHAPE(1, 2, 2, 4));
    OUTPUT(c, "again", REAL(c), SHAPE(ROWS, 2, 4));
    OUTPUT(c, "other", REAL(c), SHAPE(ROWS, 4, 2));
    case_op(c, KIND_APART, false, &heads, "by_heads", "x");
    case_op(c, KIND_APART, false, &positions, "by_positions", "x");
    case_op(c, KIND_TOGETHER, false, &heads, "again", "by_heads");
    case_op(c, KIND_TOGETHER, false, &positions, "other", "by_heads");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "by_heads", 1, 2, 5, 6, 11, 12, 15, 16, 3, 4, 7, 8, 13, 14, 17, 18);
    EXPECT(c, &got, "by_positions", 1, 2, 3, 4, 11, 12, 13, 14, 5, 6, 7, 8, 15, 16, 17, 18);
    EXPECT(c, &got, "again", 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18);
    EXPECT(c, &got, "other", 1, 2, 5, 6, 3, 4, 7, 8, 11, 12, 15, 16, 13, 14, 17, 18);
}

START_TEST(rows_are_taken_apart_by_heads_or_positions) { by_hand(2, pieces); }
END_TEST

START_TEST(query_key_and_value_are_taken_apart_and_put_together) { by_hand(1, sections); }
END_TEST

SUITE("attention block", blocks_of_all_ranks_are_the_whole_sequence, a_wrong_ring_is_another_result,
      devices_agree_about_a_block, devices_agree_about_any_positions,
      query_key_and_value_are_taken_apart_and_put_together,
      rows_are_taken_apart_by_heads_or_positions)
