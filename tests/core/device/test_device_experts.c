// SPDX-License-Identifier: MIT
// A mixture of experts: by hand, against a plain loop over tokens that knows no queues, against the
// reference over swept shapes, and its gradients. Of a Shape V is the number of experts, `heads`
// how many of them a token has.
#include "core/plan/expert.h"
#include "tests/support/device_sweep.h"

typedef struct {
    double capacity, balance;
    bool normalise;
} Routing;

static Routing routing = {.capacity = 0.75, .balance = 0.5, .normalise = true};

static int64_t slots_of(const Shape *s) {
    return expert_capacity(routing.capacity, s->heads, s->capacity * s->T, s->V);
}

static void tokens(Case *c, const Shape *s, const char *name, Dtype dtype, Fill fill,
                   int64_t last) {
    case_tensor(c, name, dtype, fill, SHAPE(ROWS, s->T, last));
}
static void queues(Case *c, const Shape *s, const char *name, int64_t last) {
    case_tensor(c, name, REAL(c), FILL_OUTPUT, SHAPE(1, s->V, slots_of(s), last));
}

static void build_route(Case *c, const Shape *s) {
    const int64_t attrs[] = {routing.normalise, build_attr_real(routing.capacity)},
                  back[] = {routing.normalise, build_attr_real(routing.balance)},
                  layer[] = {1, build_attr_real(routing.balance)};
    if (program_find_tensor(&c->p, "logits") == NONE)
        tokens(c, s, "logits", REAL(c), FILL_RANDOM, s->V);
    tokens(c, s, "gates", REAL(c), FILL_OUTPUT, s->heads);
    tokens(c, s, "slot", DTYPE_I32, FILL_OUTPUT, s->heads);
    tokens(c, s, "probability", REAL(c), FILL_OUTPUT, s->V);
    tokens(c, s, "dlogits", REAL(c), FILL_OUTPUT, s->V);
    if (program_find_tensor(&c->p, "dgates") == NONE)
        tokens(c, s, "dgates", REAL(c), FILL_RANDOM, s->heads);
    case_tensor(c, "load", DTYPE_I64, FILL_OUTPUT, SHAPE(1, s->V));
    case_tensor(c, "chosen", DTYPE_I64, FILL_OUTPUT, SHAPE(1, s->V));
    case_tensor(c, "loss", DTYPE_F64, FILL_RANDOM, SHAPE(2));
    case_tensor(c, "counts", DTYPE_F64, FILL_OUTPUT, SHAPE(2, EXPERT_CHOSEN + s->V));
    case_set(c, case_tensor(c, "inverse_count", DTYPE_F64, FILL_OUTPUT, SHAPE(1)),
             (const double[]){0.25});
    case_op(c, KIND_ROUTE, false, attrs, "gates slot probability load chosen", "logits");
    case_op(c, KIND_COUNT_CHOICES, false, layer, "counts", "slot chosen");
    case_op(c, KIND_BALANCE, true, layer, "counts", "probability chosen inverse_count");
    case_op(c, KIND_ADD_BALANCE, true, NULL, "loss", "counts");
    case_op(c, KIND_ROUTE_BACKWARD, false, back, "dlogits",
            "dgates probability slot chosen inverse_count");
}

static void build_weights(Case *c, const Shape *s) {
    int64_t F = s->C + 1;
    case_tensor(c, "gate", REAL(c), FILL_RANDOM, SHAPE(s->V, s->C));
    case_tensor(c, "gate.grad", REAL(c), FILL_OUTPUT, SHAPE(s->V, s->C));
    case_tensor(c, "w1", REAL(c), FILL_RANDOM, SHAPE(s->V, F, s->C));
    case_tensor(c, "w1.grad", REAL(c), FILL_OUTPUT, SHAPE(s->V, F, s->C));
    case_tensor(c, "w2", REAL(c), FILL_RANDOM, SHAPE(s->V, s->C, F));
    case_tensor(c, "w2.grad", REAL(c), FILL_OUTPUT, SHAPE(s->V, s->C, F));
}

// y = sum of gate w2 (w1 x)², the activation swiglu(u, u) having one weight before it.
static void build_experts(Case *c, const Shape *s) {
    int64_t F = s->C + 1;
    static const char *const wide[] = {"u", "h", "dh", "du1", "du3", "du"};
    static const char *const narrow[] = {"sent", "given", "dgiven", "dsent"};
    sequence(c, s, "x", FILL_RANDOM);
    sequence(c, s, "y", FILL_OUTPUT);
    sequence(c, s, "dy", FILL_RANDOM);
    sequence(c, s, "dx", FILL_OUTPUT);
    sequence(c, s, "dx.sent", FILL_OUTPUT);
    sequence(c, s, "dx.gate", FILL_OUTPUT);
    tokens(c, s, "logits", REAL(c), FILL_OUTPUT, s->V);
    tokens(c, s, "dgates", REAL(c), FILL_OUTPUT, s->heads);
    build_weights(c, s);
    for (int i = 0; i < 6; i++) queues(c, s, wide[i], F);
    for (int i = 0; i < 4; i++) queues(c, s, narrow[i], s->C);
    case_op(c, KIND_LINEAR, false, NULL, "logits", "x gate");
    const int64_t attrs[] = {routing.normalise, build_attr_real(routing.capacity)},
                  back[] = {routing.normalise, build_attr_real(0)};
    tokens(c, s, "gates", REAL(c), FILL_OUTPUT, s->heads);
    tokens(c, s, "slot", DTYPE_I32, FILL_OUTPUT, s->heads);
    tokens(c, s, "probability", REAL(c), FILL_OUTPUT, s->V);
    tokens(c, s, "dlogits", REAL(c), FILL_OUTPUT, s->V);
    case_tensor(c, "load", DTYPE_I64, FILL_OUTPUT, SHAPE(1, s->V));
    case_tensor(c, "chosen", DTYPE_I64, FILL_OUTPUT, SHAPE(1, s->V));
    case_set(c, case_tensor(c, "inverse_count", DTYPE_F64, FILL_OUTPUT, SHAPE(1)),
             (const double[]){0.25});
    case_op(c, KIND_ROUTE, false, attrs, "gates slot probability load chosen", "logits");
    case_op(c, KIND_DISPATCH, false, NULL, "sent", "x slot");
    case_op(c, KIND_EXPERT_LINEAR, false, NULL, "u", "sent w1 load");
    case_op(c, KIND_SWIGLU, false, NULL, "h", "u u");
    case_op(c, KIND_EXPERT_LINEAR, false, NULL, "given", "h w2 load");
    case_op(c, KIND_COMBINE, false, NULL, "y", "given slot gates");
    case_op(c, KIND_COMBINE_BACKWARD, false, NULL, "dgiven dgates", "dy given slot gates");
    case_op(c, KIND_EXPERT_LINEAR_BACKWARD_WEIGHT, false, NULL, "w2.grad", "h dgiven load");
    case_op(c, KIND_EXPERT_LINEAR_BACKWARD_INPUT, false, NULL, "dh", "dgiven w2 load");
    case_op(c, KIND_SWIGLU_BACKWARD, false, NULL, "du1 du3", "dh u u");
    case_op(c, KIND_ADD, false, NULL, "du", "du1 du3");
    case_op(c, KIND_EXPERT_LINEAR_BACKWARD_WEIGHT, false, NULL, "w1.grad", "sent du load");
    case_op(c, KIND_EXPERT_LINEAR_BACKWARD_INPUT, false, NULL, "dsent", "du w1 load");
    case_op(c, KIND_DISPATCH_BACKWARD, false, NULL, "dx.sent", "dsent slot");
    case_op(c, KIND_ROUTE_BACKWARD, false, back, "dlogits",
            "dgates probability slot chosen inverse_count");
    case_op(c, KIND_LINEAR_BACKWARD_WEIGHT, false, NULL, "gate.grad", "x dlogits");
    case_op(c, KIND_LINEAR_BACKWARD_INPUT, false, NULL, "dx.gate", "dlogits gate");
    case_op(c, KIND_ADD, false, NULL, "dx", "dx.sent dx.gate");
}

// --- capacity

START_TEST(a_queue_has_room_for_its_share_rounded_up) {
    ck_assert_int_eq(expert_capacity(1, 1, 8, 4), 2);
    ck_assert_int_eq(expert_capacity(1, 1, 9, 4), 3);  // 2.25
    ck_assert_int_eq(expert_capacity(1.25, 2, 64, 8), 20);
    ck_assert_int_eq(expert_capacity(1.1, 1, 10, 1), 10);  // no more than there are tokens
    ck_assert_int_eq(expert_capacity(1.1, 1, 20, 2), 11);  // 1.1 · 20 is 22.000000000000004
    ck_assert_int_eq(expert_capacity(0.01, 1, 10, 5), 1);
    ck_assert_int_eq(expert_capacity(2, 1, 0, 5), 0);
}
END_TEST

// --- by hand

// exp(z) is 1 or 3: probabilities are 3/4 and 1/4. Of five tokens four choose expert 0, whose queue
// has room for ceil(1.2 · 5 / 2) = 3.
static void switch_route(Case *c, const Device *d) {
    const Shape s = {.rows = 5, .capacity = 5, .T = 1, .C = 1, .heads = 1, .V = 2};
    const double z = log(3);
    routing = (Routing){.capacity = 1.2, .balance = 0.5, .normalise = false};
    build_route(c, &s);
    SET(c, "logits", z, 0, 0, z, z, 0, z, 0, z, 0);
    SET(c, "dgates", 1, 1, 1, 1, 1);
    SET(c, "loss", 7, 9);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "slot", 0, 1, 2, 4, -1);
    EXPECT(c, &got, "load", 3, 1);
    EXPECT(c, &got, "chosen", 4, 1);
    double u = REAL(c) == DTYPE_F32 ? 0x1p-22 : 0x1p-50;
    const double gates[] = {0.75, 0.75, 0.75, 0.75, 0},
                 counts[] = {0, 0, 0, 0, 0.7375, 1, 4, 1};  // of layer 1
    for (int i = 0; i < 8; i++)
        ck_assert_double_eq_tol(got.of[gradient_tensor(c, "counts")][i], counts[i], 8 * u);
    for (int i = 0; i < 5; i++)
        ck_assert_double_eq_tol(got.of[gradient_tensor(c, "gates")][i], gates[i], u);
    // sum of p: 3.25 and 1.75. 0.5 · 2 / 5 · (4 · 3.25 + 1 · 1.75) / 4 = 0.7375
    ck_assert_double_eq_tol(got.of[gradient_tensor(c, "loss")][0], 7.7375, 8 * u);
    ck_assert_double_eq(got.of[gradient_tensor(c, "loss")][1], 9);
    // dp = 0.5 · 2 / 5 / 4 · chosen = 0.2 0.05, and 1 more of a choice that was kept. Then
    // dz0 = p0 p1 (dp0 - dp1), 3/16 of it.
    const double dz[] = {1.15, -0.85, 1.15, 1.15, 0.15};
    for (int b = 0; b < 5; b++)
        for (int e = 0; e < 2; e++)
            ck_assert_double_eq_tol(got.of[gradient_tensor(c, "dlogits")][2 * b + e],
                                    (e ? -1 : 1) * 3.0 / 16 * dz[b], u);
}

// Equal probabilities: the first experts are chosen. Gates add up to 1 before any is dropped, and
// do not depend on what falls away.
static void mixtral_route(Case *c, const Device *d) {
    const Shape s = {.rows = 2, .capacity = 2, .T = 1, .C = 1, .heads = 2, .V = 4};
    routing = (Routing){.capacity = 1, .normalise = true};
    build_route(c, &s);
    SET(c, "logits", 0, 0, 0, 0, 0, 1, 0, 1);
    SET(c, "dgates", 3, 5, 4, 4);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "slot", 0, 1, -2, 3);  // the second token finds expert 1 full
    EXPECT(c, &got, "load", 1, 1, 0, 1);
    EXPECT(c, &got, "gates", 0.5, 0.5, 0, 0.5);
    EXPECT(c, &got, "counts", 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 1);
    // Token 0: dp = (3 - 4) / (1/2), (5 - 4) / (1/2), 0, 0; their mean by p is 0.
    const double *dz = got.of[gradient_tensor(c, "dlogits")];
    const double want[] = {-0.5, 0.5, 0, 0};
    double u = REAL(c) == DTYPE_F32 ? 0x1p-22 : 0x1p-50;
    for (int e = 0; e < 4; e++) ck_assert_double_eq_tol(dz[e], want[e], u);
}

// One token that went to experts 1 and 0, and one of which nothing was kept.
static void slots_by_hand(Case *c, const Device *d) {
    const Shape s = {.rows = 2, .capacity = 2, .T = 1, .C = 2, .heads = 2, .V = 2};
    sequence(c, &s, "x", FILL_RANDOM);
    sequence(c, &s, "y", FILL_OUTPUT);
    sequence(c, &s, "dy", FILL_RANDOM);
    sequence(c, &s, "dx", FILL_OUTPUT);
    TENSOR(c, "slot", DTYPE_I32, SHAPE(ROWS, 1, 2), 1, 2, -1, -2);
    TENSOR(c, "gates", REAL(c), SHAPE(ROWS, 1, 2), 0.5, 0.25, 0, 0);
    static const char *const names[] = {"sent", "dslots"};
    for (int i = 0; i < 2; i++) OUTPUT(c, names[i], REAL(c), SHAPE(1, 2, 2, 2));
    TENSOR(c, "given", REAL(c), SHAPE(1, 2, 2, 2), 9, 9, 4, 8, 2, 6, 9, 9);
    OUTPUT(c, "dgates", REAL(c), SHAPE(ROWS, 1, 2));
    case_op(c, KIND_DISPATCH, false, NULL, "sent", "x slot");
    case_op(c, KIND_COMBINE, false, NULL, "y", "given slot gates");
    case_op(c, KIND_COMBINE_BACKWARD, false, NULL, "dslots dgates", "dy given slot gates");
    case_op(c, KIND_DISPATCH_BACKWARD, false, NULL, "dx", "given slot");
    SET(c, "x", 1, 2, 3, 4);
    SET(c, "dy", 4, 8, 5, 5);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "sent", 0, 0, 1, 2, 1, 2, 0, 0);
    EXPECT(c, &got, "y", 2, 5, 0, 0);
    EXPECT(c, &got, "dslots", 0, 0, 1, 2, 2, 4, 0, 0);
    EXPECT(c, &got, "dgates", 56, 80, 0, 0);
    EXPECT(c, &got, "dx", 6, 14, 0, 0);
}

// Two tokens here and two on another rank, of which one chose each expert here, and both expert 0
// there. 0.5 · 2 / 4 of (3 · 1.25 + 1 · 0.75), counted by 1/4. Nothing but the balance has a
// gradient: dp = 0.5 · 2 / 4 / 4 · chosen = 3/16 1/16, and dz0 = p0 p1 (dp0 - dp1).
static void balance_of_two_ranks(Case *c, const Device *d) {
    const int64_t attrs[] = {0, build_attr_real(0.5)};
    TENSOR(c, "probability", REAL(c), SHAPE(ROWS, 1, 2), 0.75, 0.25, 0.5, 0.5);
    TENSOR(c, "chosen", DTYPE_I64, SHAPE(2, 2), 1, 1, 2, 0);
    TENSOR(c, "slot", DTYPE_I32, SHAPE(ROWS, 1, 1), 0, 1);
    TENSOR(c, "dgates", REAL(c), SHAPE(ROWS, 1, 1), 0, 0);
    TENSOR(c, "inverse_count", DTYPE_F64, SHAPE(1), 0.25);
    OUTPUT(c, "counts", DTYPE_F64, SHAPE(1, EXPERT_CHOSEN + 2));
    OUTPUT(c, "dlogits", REAL(c), SHAPE(ROWS, 1, 2));
    case_op(c, KIND_BALANCE, false, attrs, "counts", "probability chosen inverse_count");
    case_op(c, KIND_ROUTE_BACKWARD, false, attrs, "dlogits",
            "dgates probability slot chosen inverse_count");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "counts", 0.28125, 0, 0, 0);
    EXPECT(c, &got, "dlogits", 0.0234375, -0.0234375, 0.03125, -0.03125);
}

START_TEST(experts_by_hand) {
    by_hand(5, switch_route);
    by_hand(2, mixtral_route);
    by_hand(2, balance_of_two_ranks);
    by_hand(2, slots_by_hand);
}
END_TEST

// --- against a loop over tokens

enum { E = 5, K = 2, C = 3, F = C + 1, TOKENS = 14 };

// The output of token t: the experts it is sent to count those before them that were sent there.
static void plain(const double *x, const double *gate, const double *w1, const double *w2,
                  int64_t capacity, double *y) {
    int sent[E] = {0};
    for (int t = 0; t < TOKENS; t++) {
        double p[E], sum = 0, of_chosen = 0;
        bool chosen[E] = {false};
        for (int e = 0; e < E; e++) {
            double z = 0;
            for (int c = 0; c < C; c++) z += x[t * C + c] * gate[e * C + c];
            sum += p[e] = exp(z);
        }
        for (int k = 0; k < K; k++) {
            int best = -1;
            for (int e = E - 1; e >= 0; e--)
                if (!chosen[e] && (best < 0 || p[e] >= p[best])) best = e;
            chosen[best] = true;
            of_chosen += p[best] / sum;
        }
        for (int c = 0; c < C; c++) y[t * C + c] = 0;
        for (int e = 0; e < E; e++) {
            if (!chosen[e] || sent[e]++ >= capacity) continue;
            for (int f = 0; f < F; f++) {
                double u = 0;
                for (int c = 0; c < C; c++) u += w1[(e * F + f) * C + c] * x[t * C + c];
                for (int c = 0; c < C; c++)
                    y[t * C + c] += p[e] / sum / (routing.normalise ? of_chosen : 1) *
                                    w2[(e * C + c) * F + f] * u * u / (1 + exp(-u));
            }
        }
    }
}

// How far what a device computes is from that, with queues of so many places.
static double distance(const Device *d, uint32_t seed, int64_t capacity) {
    const Shape s = {.rows = 7, .capacity = 8, .T = 2, .C = C, .heads = K, .V = E};
    double y[TOKENS * C], most = 0;
    Case c;
    case_init(&c, DTYPE_F64, s.capacity, s.rows);
    rng_init(&c.rng, seed, RNG_TEST, 3, 3);
    build_experts(&c, &s);
#define BEFORE(name) c.before[gradient_tensor(&c, name)]
    plain(BEFORE("x"), BEFORE("gate"), BEFORE("w1"), BEFORE("w2"), capacity, y);
    Values got = run_lowered(&c, d);
    for (int i = 0; i < TOKENS * C; i++)
        most = fmax(most, fabs(got.of[gradient_tensor(&c, "y")][i] - y[i]));
    case_finish(&c);
    return most;
}

// Of 14 tokens with two choices each, and factor 0.9, a queue has ceil(5.04) = 6 places.
START_TEST(a_layer_is_what_a_loop_over_tokens_gives) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int i = 0; i < 6 * count; i++) {
        routing = (Routing){.capacity = 0.9, .normalise = i % 2};
        ck_assert_double_lt(distance(devices[i / 6], (uint32_t)i % 6, 6), 1e-14);
    }
}
END_TEST

START_TEST(a_capacity_that_is_off_by_one_is_seen) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int i = 0; i < 2 * count; i++) {
        double most = 0;
        routing = (Routing){.capacity = 0.9, .normalise = true};
        for (uint32_t seed = 0; seed < 6; seed++)
            most = fmax(most, distance(devices[i / 2], seed, i % 2 ? 5 : 7));
        ck_assert_double_gt(most, 1e-3);
    }
}
END_TEST

// --- pieces of a batch

enum { P = 3, S = 5, SLOTS = E * S };

static void expert_weight_gradient(Case *c, const Device *d, int pieces, bool accumulate,
                                   const double *x, const double *dy, const double *load,
                                   double *out) {
    case_init(c, DTYPE_F32, 1, 1);
    case_set(c, case_tensor(c, "x", DTYPE_F32, FILL_OUTPUT, SHAPE(pieces, E, S, C)), x);
    case_set(c, case_tensor(c, "dy", DTYPE_F32, FILL_OUTPUT, SHAPE(pieces, E, S, F)), dy);
    case_set(c, case_tensor(c, "load", DTYPE_I64, FILL_OUTPUT, SHAPE(pieces, E)), load);
    int w = case_tensor(c, "dweight", DTYPE_F32, FILL_OUTPUT, SHAPE(E, F, C));
    if (accumulate) case_set(c, w, out);
    case_op(c, KIND_EXPERT_LINEAR_BACKWARD_WEIGHT, accumulate, NULL, "dweight", "x dy load");
    Values got = run_lowered(c, d);
    memcpy(out, got.of[w], E * F * C * sizeof *out);
    case_finish(c);
}

// What three shards give, folded in f32; rows that are not in use are not looked at.
START_TEST(pieces_are_folded_as_shards_are) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < 2 * count; d++) {
        Case c;
        Rng rng;
        double x[P * SLOTS * C], dy[P * SLOTS * F], load[P * E];
        double whole[E * F * C], part[E * F * C], sum[E * F * C];
        rng_init(&rng, 1, RNG_TEST, 4, 4);
        for (int i = 0; i < P * SLOTS * C; i++) x[i] = (double)(rng_float(&rng) - 0.5F);
        for (int i = 0; i < P * SLOTS * F; i++) dy[i] = (double)(rng_float(&rng) - 0.5F);
        for (int i = 0; i < P * E; i++) load[i] = rng_below(&rng, S + 1);
        for (int i = 0; i < E * F * C; i++) whole[i] = (double)0.1F;
        for (int p = 0; p < P; p++) {
            expert_weight_gradient(&c, devices[d / 2], 1, false, x + p * SLOTS * C,
                                   dy + p * SLOTS * F, load + p * E, part);
            for (int i = 0; i < E * F * C; i++)
                sum[i] = p ? (double)((float)sum[i] + (float)part[i]) : part[i];
        }
        for (int i = 0; i < E * F * C && d % 2; i++) sum[i] = (double)(0.1F + (float)sum[i]);
        expert_weight_gradient(&c, devices[d / 2], P, d % 2, x, dy, load, whole);
        for (int i = 0; i < E * F * C; i++)
            ck_assert_msg(whole[i] == sum[i], "%s: %d is %.9g, not %.9g", devices[d / 2]->name, i,
                          whole[i], sum[i]);
    }
}
END_TEST

// --- against the reference

static void build_products(Case *c, const Shape *s) {
    int64_t out = s->C + 3;
    int load = case_tensor(c, "load", DTYPE_I64, FILL_OUTPUT, SHAPE(2, s->V));
    double rows[64];
    for (int i = 0; i < 2 * (int)s->V; i++) rows[i] = rng_below(&c->rng, (uint32_t)s->T + 1);
    case_set(c, load, rows);
    case_tensor(c, "x", REAL(c), FILL_RANDOM, SHAPE(2, s->V, s->T, s->C));
    case_tensor(c, "y", REAL(c), FILL_OUTPUT, SHAPE(2, s->V, s->T, out));
    case_tensor(c, "dy", REAL(c), FILL_RANDOM, SHAPE(2, s->V, s->T, out));
    case_tensor(c, "dx", REAL(c), FILL_OUTPUT, SHAPE(2, s->V, s->T, s->C));
    case_tensor(c, "weight", REAL(c), FILL_RANDOM, SHAPE(s->V, out, s->C));
    case_tensor(c, "dweight", REAL(c), sum_fill(s), SHAPE(s->V, out, s->C));
    case_op(c, KIND_EXPERT_LINEAR, false, NULL, "y", "x weight load");
    case_op(c, KIND_EXPERT_LINEAR_BACKWARD_INPUT, false, NULL, "dx", "dy weight load");
    case_op(c, KIND_EXPERT_LINEAR_BACKWARD_WEIGHT, s->accumulate, NULL, "dweight", "x dy load");
}

START_TEST(experts_agree) {
    static const int64_t lengths[] = {1, 2, 17, 32}, channels[] = {1, 6, 33};
    routing = (Routing){.capacity = 0.75, .balance = 0.5, .normalise = true};
    for (int i = 0; i < 4 * 3; i++) {
        Shape s = {.T = lengths[i % 4], .C = channels[i / 4], .heads = 1 + i % 3, .V = 3 + i % 2};
        agree(build_route, s, 64);
        agree(build_products, s, (double)(16 + 4 * s.C + 2 * s.T));
    }
}
END_TEST

// --- gradients

START_TEST(gradients_of_experts) {
    for (int i = 0; i < 4; i++) {
        routing = (Routing){.capacity = i / 2 ? 0.6 : 4, .normalise = i % 2};
        check_gradients(build_experts, (const char *const[][2]){{"x", "dx"},
                                                                {"gate", "gate.grad"},
                                                                {"w1", "w1.grad"},
                                                                {"w2", "w2.grad"},
                                                                {NULL, NULL}});
    }
}
END_TEST

SUITE("device experts", a_queue_has_room_for_its_share_rounded_up, experts_by_hand,
      a_layer_is_what_a_loop_over_tokens_gives, a_capacity_that_is_off_by_one_is_seen,
      pieces_are_folded_as_shards_are, experts_agree, gradients_of_experts)
