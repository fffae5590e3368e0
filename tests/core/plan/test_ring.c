// SPDX-License-Identifier: MIT
// Plans of ring attention, right and wrong: what core/plan/placement_ring.c and the check of
// messages say to pieces that travel and to sums that are completed on the way.
#include "core/plan/check.h"
#include "core/plan/piece.h"
#include "tests/support/plan_maker.h"

enum { MOST = 4, B = 2, T = 12, C = 4, DATA = 0, CONTEXT = 1 };

// What a wrong plan does.
typedef enum {
    RIGHT,
    TURNED,       // keys and values travel the other way
    STALE,        // the last block is the one before it again
    DROPPED,      // a block is left out
    TWICE,        // a block counts twice
    CONTIGUOUS,   // positions are taken to follow one another, but are cut in a zigzag
    OTHER_INDEX,  // the positions of other keys
    TURNED_SUMS,  // gradients travel the other way
    LEFT_OUT,     // a rank's gradients are not added
    ADDED_TWICE,  // and twice
    NOT_HOME,     // gradients stay where they were completed
} Wrong;

typedef struct {
    Program p;
    Plan *plan;
    int P, send, receive, send_sums, receive_sums;
    Wrong wrong;
} Maker;

static const char *hop_name(const char *stem, int hop) {
    static char names[16][32];
    static int next;
    char *name = names[next++ % 16];
    snprintf(name, sizeof names[0], "%s%d", stem, hop);
    return name;
}

// A tensor of logical tensor `whole` (B,T,C), cut in a zigzag: the piece `shift` before, with the
// terms from `from` on.
static void piece(Maker *m, const char *name, const char *whole, int shift, int from, int terms) {
    Placement how = {.place = PLACE_SHARD,
                     .dim = 1,
                     .cut = CUT_ZIGZAG,
                     .shift = shift,
                     .from = (int16_t)from,
                     .terms = (int16_t)terms};
    bool given = strstr(" q k v dy ", whole) && !shift && strcmp(name, "kept.q");
    int64_t channels = whole[0] == 'l' ? 2 : C, length = T * m->P;
    LogicalSpec l = {.name = whole,
                     .shape = {B, length, channels},
                     .dims = 3,
                     .dtype = DTYPE_F32,
                     .role = given ? ROLE_PARAMETER : ROLE_ACTIVATION};
    TensorSpec t = {.name = name,
                    .shape = {B, T, channels},
                    .dtype = DTYPE_F32,
                    .role = given ? ROLE_PARAMETER : ROLE_ACTIVATION,
                    .placement = {[CONTEXT] = how}};
    t.logical = program_find_logical(&m->p, whole);
    if (t.logical == NONE) ck_assert_ok(program_add_logical(&m->p, &l, &t.logical));
    ck_assert_ok(program_add_tensor(&m->p, &t, NULL));
}

// A hop of two tensors along one ring.
static void message(Maker *m, const char *name, bool sums, const char *from, const char *to) {
    const int64_t tag = sums;
    int way = m->wrong == (sums ? TURNED_SUMS : TURNED) ? -1 : 1;
    OpSpec s = {.name = name,
                .dtype = DTYPE_F32,
                .attrs = &tag,
                .group = program_find_group(&m->p, "context")};
    s.kind = KIND_SEND;
    s.lane = sums ? m->send_sums : m->send;
    s.peer = way;
    make_op(&m->p, m->plan, s, "", from);
    s.kind = KIND_RECEIVE;
    s.lane = sums ? m->receive_sums : m->receive;
    s.peer = -way;
    make_op(&m->p, m->plan, s, to, "");
}

static void attend(Maker *m, int hop, bool backward) {
    const int64_t attrs[] = {2, 2, 1};
    int block = m->wrong == STALE && hop == m->P - 1 ? hop - 1 : hop;
    int index = m->wrong == OTHER_INDEX ? 0 : block;
    char in[200], out[100];
    const char *k = hop_name("k", block), *v = hop_name("v", block),
               *keys = hop_name("index", index);
    OpSpec s = {.name = hop_name(backward ? "back" : "block", hop),
                .kind = backward ? KIND_ATTENTION_BLOCK_BACKWARD : KIND_ATTENTION_BLOCK,
                .dtype = DTYPE_F32,
                .attrs = attrs};
    if (m->wrong == DROPPED && hop == 1) return;
    if (backward) {
        snprintf(out, sizeof out, "dq %s %s", hop_name("dk", hop), hop_name("dv", hop));
        snprintf(in, sizeof in, "dy y lse q %s %s index0 %s %s", k, v, keys, hop ? "dq" : "");
    } else {
        snprintf(out, sizeof out, "y lse");
        snprintf(in, sizeof in, "q %s %s index0 %s %s", k, v, keys, hop ? "y lse" : "");
    }
    make_op(&m->p, m->plan, s, out, in);
    if (m->wrong == TWICE && hop == 1) make_op(&m->p, m->plan, s, out, in);
}

static void travel(Maker *m, int hop, bool backward) {
    char from[64], to[64];
    snprintf(from, sizeof from, "%s %s", hop_name("k", hop), hop_name("v", hop));
    snprintf(to, sizeof to, "%s %s", hop_name("k", hop + 1), hop_name("v", hop + 1));
    message(m, hop_name(backward ? "again" : "kv", hop), false, from, to);
}

static void fold(Maker *m, const char *sum, const char *x) {
    make_op(&m->p, m->plan,
            (OpSpec){.name = "fold", .kind = KIND_FOLD, .dtype = DTYPE_F32, .flags = OP_ACCUMULATE},
            sum, x);
}

// What comes from the rank before, of hop - 1, goes into this rank's gradients of the block.
static void travel_sums(Maker *m, int hop) {
    char from[64], to[64];
    bool home = hop == m->P;
    if (home && m->wrong == NOT_HOME) return;
    const char *dk = hop_name("come.dk", hop), *dv = hop_name("come.dv", hop);
    int before = hop == 2 ? 1 : hop - 1;
    snprintf(from, sizeof from, "%s %s", hop_name("dk", before), hop_name("dv", before));
    snprintf(to, sizeof to, "%s %s", dk, dv);
    piece(m, dk, "dk", hop % m->P, 1, hop - 1);
    piece(m, dv, "dv", hop % m->P, 1, hop - 1);
    message(m, hop_name("dkv", hop), true, from, to);
    if (m->wrong == LEFT_OUT && hop == m->P - 1) return;
    fold(m, hop_name("dk", hop % m->P), dk);
    fold(m, hop_name("dv", hop % m->P), dv);
    if (m->wrong == ADDED_TWICE && home) fold(m, "dk0", dk);
}

static void keep(Maker *m, const char *name) {
    char copy[32];
    snprintf(copy, sizeof copy, "kept.%s", name);
    piece(m, copy, name[1] == 'k' ? "dk" : name[1] == 'v' ? "dv" : name, 0, 0, 0);
    make_op(&m->p, m->plan, (OpSpec){.name = "keep", .kind = KIND_COPY, .dtype = DTYPE_F32}, copy,
            name);
}

// Where in the sequence the positions of a block are.
static void add_index(Maker *m, int hop) {
    Placement how = {.place = PLACE_SHARD, .cut = CUT_ZIGZAG, .shift = hop};
    LogicalSpec l = {.name = hop_name("index", hop),
                     .shape = {T * m->P},
                     .dims = 1,
                     .dtype = DTYPE_I64,
                     .role = ROLE_PARAMETER};
    TensorSpec t = {.name = l.name, .shape = {T}, .dtype = DTYPE_I64, .role = ROLE_PARAMETER};
    if (m->wrong == CONTIGUOUS) how.cut = CUT_CONTIGUOUS;
    t.placement[CONTEXT] = how;
    ck_assert_ok(program_add_logical(&m->p, &l, &t.logical));
    ck_assert_ok(program_add_tensor(&m->p, &t, NULL));
}

static void add_tensors(Maker *m) {
    static const char *const own[] = {"q", "dy", "y", "lse", "dq"};
    static const char *const travelling[] = {"k", "v", "dk", "dv"};
    for (int i = 0; i < 5; i++) piece(m, own[i], own[i], 0, 0, 0);
    for (int i = 0; i < 4; i++)
        for (int hop = 0; hop < m->P; hop++)
            piece(m, hop_name(travelling[i], hop), travelling[i], hop, 0, 0);
    for (int hop = 0; hop < m->P; hop++) add_index(m, hop);
}

static void make_ring(Maker *m, int P, Wrong wrong) {
    int group, lanes[4];
    *m = (Maker){.P = P, .wrong = wrong};
    ck_assert_ok(program_add_axis(&m->p, "data", 2, NULL));
    ck_assert_ok(program_add_axis(&m->p, "context", P, NULL));
    ck_assert_ok(program_add_group(&m->p, "context", 1 << CONTEXT, &group));
    ck_assert_ok(program_add_lane(&m->p, "compute", LANE_COMPUTE, NONE, NULL));
    for (int i = 0; i < 4; i++)
        ck_assert_ok(
            program_add_lane(&m->p, hop_name("ring", i), LANE_COMMUNICATION, group, &lanes[i]));
    m->send = lanes[0];
    m->receive = lanes[1];
    m->send_sums = lanes[2];
    m->receive_sums = lanes[3];
    ck_assert_ok(program_add_plan(&m->p, "step", &m->plan));
    add_tensors(m);
    for (int hop = 0; hop < P; hop++) {
        if (hop + 1 < P) travel(m, hop, false);
        attend(m, hop, false);
    }
    for (int hop = 0; hop < P; hop++) {
        if (hop + 1 < P) travel(m, hop, true);
        attend(m, hop, true);
        if (hop > 1) travel_sums(m, hop);
    }
    if (P > 1) travel_sums(m, P);
    static const char *const results[] = {"y", "dq", "dk0", "dv0"};
    for (int i = 0; i < 4; i++) keep(m, results[i]);
    ck_assert_ok(plan_derive_deps(&m->p, m->plan));
}

static Status check_all_ranks(const Program *p) {
    const ProgramSet set = program_set_of_one(p);
    return plan_check(&set);
}

START_TEST(a_ring_of_any_size_is_complete) {
    for (int P = 1; P <= MOST; P++) {
        Maker m;
        make_ring(&m, P, RIGHT);
        ck_assert_ok(check_all_ranks(&m.p));
        program_finish(&m.p);
    }
}
END_TEST

START_TEST(a_wrong_ring_is_refused) {
    const struct {
        Wrong wrong;
        const char *refusal;
    } cases[] = {
        {TURNED, "sends k0, which is S1:zigzag along context; kv0 receives it as k1, which is "
                 "S1:zigzag@1"},
        {STALE, "block2: y is S1:zigzag:sum0-1 along context: this block does not follow"},
        {DROPPED, "block2: y is S1:zigzag:sum0-0 along context: this block does not follow"},
        {TWICE, "block1: y is S1:zigzag:sum0-1 along context: this block does not follow"},
        {CONTIGUOUS, "block0: index0 is S0 along context: it is not the index of this rank's"},
        {OTHER_INDEX, "block1: index0 is S0:zigzag along context: it is not the index of these"},
        {TURNED_SUMS, "sends dk1, which is S1:zigzag@1:sum0-0 along context"},
        {LEFT_OUT, "its result come.dk2 is S1:zigzag@2:sum1-1 along context"},
        {ADDED_TWICE, "fold: come.dk3 is S1:zigzag:sum1-2 along context: it is not added"},
        {NOT_HOME, "keep: kept.dk0 is declared S1:zigzag along context, but its inputs make it "
                   "S1:zigzag:sum0-0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Maker m;
        make_ring(&m, 3, cases[i].wrong);
        ck_assert_fails(check_all_ranks(&m.p), ERR_PLAN, cases[i].refusal);
        program_finish(&m.p);
    }
}
END_TEST

// Of 2 P chunks coordinate c has the c-th from the front and from the back; one that has the piece
// of the coordinate before has its chunks.
START_TEST(a_piece_that_travels_is_that_of_a_coordinate_before) {
    Maker m;
    make_ring(&m, 3, RIGHT);
    int k1 = program_find_tensor(&m.p, "k1");
    for (int c = 0; c < 3; c++) {
        int coordinate[AXES] = {[CONTEXT] = c}, owner = (c + 2) % 3;
        PieceWalk w;
        PieceRun run;
        piece_walk(&w, &m.p, &m.p.tensors[k1], coordinate);
        ck_assert(piece_next(&w, &run));
        ck_assert_int_eq(run.whole, owner * T / 2 * C);
        ck_assert_int_eq(run.count, T / 2 * C);
        ck_assert(piece_next(&w, &run));
        ck_assert_int_eq(run.whole, (5 - owner) * T / 2 * C);
        ck_assert_int_eq(run.local, T / 2 * C);
    }
    program_finish(&m.p);
}
END_TEST

// 36 positions see 36 37 / 2 keys, of which each of 3 ranks has a third. A pair is two products of
// C channels, of two flops each.
START_TEST(pairs_of_all_blocks_are_those_of_the_sequence) {
    Maker m;
    int64_t sum = 0, pairs = 36 * 37 / 2;
    make_ring(&m, 3, RIGHT);
    for (int i = 0; i < m.plan->op_count; i++)
        if (op_kind(&m.p, &m.plan->ops[i]) == KIND_ATTENTION_BLOCK)
            sum += op_work(&m.p, &m.plan->ops[i])->flops;
    ck_assert_int_eq(sum * 3, B * pairs * C * 2 * 2);
    program_finish(&m.p);
}
END_TEST

SUITE("ring", a_ring_of_any_size_is_complete, a_wrong_ring_is_refused,
      a_piece_that_travels_is_that_of_a_coordinate_before,
      pairs_of_all_blocks_are_those_of_the_sequence)
