// SPDX-License-Identifier: MIT
// How language models begin: tables of tokens, positions and segments, and layer_norm; by hand,
// against the reference over swept shapes, and their gradients.
#include "tests/support/device_sweep.h"

// Tokens in no order, the first often, some never.
static void build_embedding(Case *c, const Shape *s) {
    double tokens[4096];
    int64_t n = s->capacity * s->T;
    ck_assert_int_le(n, 4096);
    for (int64_t i = 0; i < n; i++) tokens[i] = (double)(i % 3 ? i * i * 7 % s->V : 0);
    case_set(c, case_tensor(c, "tokens", DTYPE_I32, FILL_OUTPUT, SHAPE(ROWS, s->T)), tokens);
    case_tensor(c, "weight", REAL(c), FILL_RANDOM, SHAPE(s->V, s->C));
    case_tensor(c, "dweight", REAL(c), sum_fill(s), SHAPE(s->V, s->C));
    sequence(c, s, "y", FILL_OUTPUT);
    sequence(c, s, "dy", FILL_RANDOM);
    case_op(c, KIND_EMBEDDING, false, NULL, "y", "tokens weight");
    case_op(c, KIND_EMBEDDING_BACKWARD, s->accumulate, NULL, "dweight", "tokens dy");
}

static void build_positions(Case *c, const Shape *s) {
    sequence(c, s, "x", FILL_RANDOM);
    sequence(c, s, "y", FILL_OUTPUT);
    sequence(c, s, "dy", FILL_RANDOM);
    case_tensor(c, "weight", REAL(c), FILL_RANDOM, SHAPE(s->T, s->C));
    case_tensor(c, "dweight", REAL(c), sum_fill(s), SHAPE(s->T, s->C));
    case_op(c, KIND_POSITIONS, false, NULL, "y", "x weight");
    case_op(c, KIND_POSITIONS_BACKWARD, s->accumulate, NULL, "dweight", "dy");
}

static void build_segments(Case *c, const Shape *s) {
    sequence(c, s, "x", FILL_RANDOM);
    sequence(c, s, "y", FILL_OUTPUT);
    sequence(c, s, "dy", FILL_RANDOM);
    case_tensor(c, "weight", REAL(c), FILL_RANDOM, SHAPE(s->V, s->C));
    case_tensor(c, "dweight", REAL(c), sum_fill(s), SHAPE(s->V, s->C));
    case_op(c, KIND_SEGMENTS, false, NULL, "y", "x weight");
    case_op(c, KIND_SEGMENTS_BACKWARD, s->accumulate, NULL, "dweight", "dy");
}

static void build_norm(Case *c, const Shape *s, bool bias) {
    const int64_t eps = build_attr_real(0.5);
    sequence(c, s, "x", FILL_RANDOM);
    sequence(c, s, "y", FILL_OUTPUT);
    sequence(c, s, "dy", FILL_RANDOM);
    sequence(c, s, "dx", FILL_OUTPUT);
    case_tensor(c, "weight", REAL(c), FILL_RANDOM, SHAPE(s->C));
    case_tensor(c, "dweight", REAL(c), sum_fill(s), SHAPE(s->C));
    if (bias) {
        case_tensor(c, "bias", REAL(c), FILL_RANDOM, SHAPE(s->C));
        case_tensor(c, "dbias", REAL(c), sum_fill(s), SHAPE(s->C));
    }
    case_op(c, KIND_LAYER_NORM, false, &eps, "y", bias ? "x weight bias" : "x weight");
    // In the order of the layer the halves are one kernel where the device has one.
    if (!bias) case_op(c, KIND_LAYER_NORM_BACKWARD_INPUT, false, &eps, "dx", "dy x weight");
    case_op(c, KIND_LAYER_NORM_BACKWARD_WEIGHT, s->accumulate, &eps,
            bias ? "dweight dbias" : "dweight", "dy x");
    if (bias) case_op(c, KIND_LAYER_NORM_BACKWARD_INPUT, false, &eps, "dx", "dy x weight");
}
static void build_layer_norm(Case *c, const Shape *s) { build_norm(c, s, true); }
static void build_layer_norm_without_bias(Case *c, const Shape *s) { build_norm(c, s, false); }

// --- by hand

// Token 2 is used twice, token 1 never: its gradient is 0, or what was there before.
static void embedding(Case *c, const Device *d, bool accumulate) {
    const Shape s = {.rows = 1, .capacity = 1, .T = 3, .C = 2, .V = 3, .accumulate = accumulate};
    build_embedding(c, &s);
    SET(c, "tokens", 2, 0, 2);
    SET(c, "weight", 1, 2, 3, 4, 5, 6);
    SET(c, "dy", 1, 10, 2, 20, 4, 40);
    if (accumulate) SET(c, "dweight", 100, 100, 200, 200, 300, 300);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 5, 6, 1, 2, 5, 6);
    if (accumulate)
        EXPECT(c, &got, "dweight", 102, 120, 200, 200, 305, 350);
    else
        EXPECT(c, &got, "dweight", 2, 20, 0, 0, 5, 50);
}
static void embedding_writes(Case *c, const Device *d) { embedding(c, d, false); }
static void embedding_adds(Case *c, const Device *d) { embedding(c, d, true); }

static void positions(Case *c, const Device *d) {
    const Shape s = {.rows = 2, .capacity = 2, .T = 2, .C = 1};
    build_positions(c, &s);
    SET(c, "x", 1, 2, 3, 4);
    SET(c, "weight", 10, 20);
    SET(c, "dy", 1, 2, 4, 8);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 11, 22, 13, 24);
    EXPECT(c, &got, "dweight", 5, 10);
}

// Of four positions the rank has the first and the last; its gradient of the others is 0, or what
// was there before.
static void numbered_positions(Case *c, const Device *d, bool accumulate) {
    const Shape s = {.T = 2, .C = 1};
    sequence(c, &s, "x", FILL_RANDOM);
    sequence(c, &s, "y", FILL_OUTPUT);
    sequence(c, &s, "dy", FILL_RANDOM);
    TENSOR(c, "weight", REAL(c), SHAPE(4, 1), 10, 20, 30, 40);
    TENSOR(c, "dweight", REAL(c), SHAPE(4, 1), 100, 200, 300, 400);
    TENSOR(c, "index", DTYPE_I64, SHAPE(2), 0, 3);
    case_op(c, KIND_POSITIONS, false, NULL, "y", "x weight index");
    case_op(c, KIND_POSITIONS_BACKWARD, accumulate, NULL, "dweight", "dy index");
    SET(c, "x", 1, 2, 3, 4);
    SET(c, "dy", 1, 2, 4, 8);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 11, 42, 13, 44);
    if (accumulate)
        EXPECT(c, &got, "dweight", 105, 200, 300, 410);
    else
        EXPECT(c, &got, "dweight", 5, 0, 0, 10);
}
static void numbered_positions_write(Case *c, const Device *d) { numbered_positions(c, d, false); }
static void numbered_positions_add(Case *c, const Device *d) { numbered_positions(c, d, true); }

// Every position is of the first segment; the second row has no gradient, or keeps what was there.
static void segments(Case *c, const Device *d, bool accumulate) {
    const Shape s = {.rows = 2, .capacity = 2, .T = 2, .C = 1, .V = 2, .accumulate = accumulate};
    build_segments(c, &s);
    SET(c, "x", 1, 2, 3, 4);
    SET(c, "weight", 10, 20);
    SET(c, "dy", 1, 2, 4, 8);
    if (accumulate) SET(c, "dweight", 100, 200);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 11, 12, 13, 14);
    if (accumulate)
        EXPECT(c, &got, "dweight", 115, 200);
    else
        EXPECT(c, &got, "dweight", 15, 0);
}
static void segments_write(Case *c, const Device *d) { segments(c, d, false); }
static void segments_add(Case *c, const Device *d) { segments(c, d, true); }

// Mean 3, variance 7/2, which with eps 1/2 is 4: r = 1/2, h = -3/2 0 1/2 1.
static void layer_norm(Case *c, const Device *d) {
    const Shape s = {.rows = 1, .capacity = 1, .T = 1, .C = 4, .accumulate = true};
    build_layer_norm(c, &s);
    SET(c, "x", 0, 3, 4, 5);
    SET(c, "weight", 2, 4, 1, -2);
    SET(c, "bias", 1, 1, 0, 1);
    SET(c, "dy", 4, 2, 8, 4);
    SET(c, "dweight", 10, 20, 30, 40);
    SET(c, "dbias", 1, 2, 3, 4);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", -2, 1, 0.5, -1);
    EXPECT(c, &got, "dweight", 4, 20, 34, 44);
    EXPECT(c, &got, "dbias", 5, 4, 11, 8);
    // g = 8 8 8 -8, mean g = 4, mean g h = -4: dx = (g - 4 + 4 h) / 2
    EXPECT(c, &got, "dx", -1, 2, 3, -4);
}

START_TEST(tables_and_norms_by_hand) {
    by_hand(1, embedding_writes);
    by_hand(1, embedding_adds);
    by_hand(2, positions);
    by_hand(2, numbered_positions_write);
    by_hand(2, numbered_positions_add);
    by_hand(2, segments_write);
    by_hand(2, segments_add);
    by_hand(1, layer_norm);
}
END_TEST

// --- against the reference

// Tables have the reference's bits.
START_TEST(tables_and_norms_agree) {
    static const int64_t lengths[] = {1, 2, 31, 100}, channels[] = {1, 6, 32, 131};
    for (int i = 0; i < 4 * 4; i++) {
        int64_t T = lengths[i % 4], C = channels[i / 4];
        agree(build_embedding, (Shape){.T = T, .C = C, .V = 1 + i * 5}, 0);
        agree(build_positions, (Shape){.T = T, .C = C}, 0);
        agree(build_segments, (Shape){.T = T, .C = C, .V = 1 + i % 3}, 0);
        agree(build_layer_norm, (Shape){.T = T, .C = C}, (double)(16 + 2 * C + 2 * T));
        agree(build_layer_norm_without_bias, (Shape){.T = T, .C = C}, (double)(16 + 2 * C + 2 * T));
    }
}
END_TEST

// --- gradients

START_TEST(gradients_of_tables_and_norms) {
    check_gradients(build_embedding, (const char *const[][2]){{"weight", "dweight"}, {NULL, NULL}});
    check_gradients(build_positions, (const char *const[][2]){{"weight", "dweight"}, {NULL, NULL}});
    check_gradients(build_segments, (const char *const[][2]){{"weight", "dweight"}, {NULL, NULL}});
    check_gradients(build_layer_norm,
                    (const char *const[][2]){
                        {"x", "dx"}, {"weight", "dweight"}, {"bias", "dbias"}, {NULL, NULL}});
}
END_TEST

SUITE("device embedding", tables_and_norms_by_hand, tables_and_norms_agree,
      gradients_of_tables_and_norms)
