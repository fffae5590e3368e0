// SPDX-License-Identifier: MIT
// place= of model files: whatever layers say of their weights, what lies otherwise than the next
// operation takes it is converted. The training is that of one rank, and what is sent is what the
// placements ask for.
#include "core/plan/check.h"
#include "parallel/strategy/job_spec.h"
#include "tests/support/placed.h"

// --- three layers

// 17 and 21 channels are uneven over 2 ranks, and 10 over 3.
static const char *write_mlp(int sequence, bool says) {
    char text[300] = "model mlp\ninput 1 28 28\nclasses 10\nflatten\n";
    placed_line(text, sizeof text, "linear a out=17", sequence, 0, says);
    placed_line(text, sizeof text, "relu\nlinear b out=21", sequence, 1, says);
    placed_line(text, sizeof text, "relu\nlinear c out=10", sequence, 2, says);
    return ending_write_file(&arena, "mlp.model", text);
}

START_TEST(every_sequence_of_three_layers_trains_alike) {
    for (int ranks = 2; ranks <= 3; ranks++)
        placed_check(write_mlp, "digits:count=100", (PlacedRun){3, ranks, 1});
}
END_TEST

// Five channels over 2 ranks are uneven: images that are cut so have no view as rows.
static const char *write_images(int sequence, bool says) {
    char text[400] = "model images\ninput 1 28 28\nclasses 10\n";
    placed_line(text, sizeof text, "conv2d a out=4 kernel=5 stride=3", sequence, 0, says);
    placed_line(text, sizeof text, "relu\nconv2d b out=5 kernel=3 stride=2", sequence, 1, says);
    placed_line(text, sizeof text, "batch_norm\nrelu\nflatten\nlinear c out=10", sequence, 2, says);
    return ending_write_file(&arena, "images.model", text);
}

START_TEST(every_sequence_of_convolutions_trains_alike) {
    placed_check(write_images, "digits:count=100", (PlacedRun){3, 2, 1});
}
END_TEST

// --- what is sent

// All-reduces, all-gathers and reduce-scatters: how many, and the bytes that a rank brings.
typedef struct {
    int count[3];
    int64_t bytes[3];
} Sent;

enum { REDUCED, GATHERED, SCATTERED, TENSOR = 2, BATCH = 8, REAL = 4 };
static const Kind sent_kinds[] = {KIND_ALL_REDUCE, KIND_ALL_GATHER, KIND_REDUCE_SCATTER};

static void add_sent(Sent *s, int what, int64_t channels) {
    int64_t whole = BATCH * channels * REAL;
    s->count[what]++;
    s->bytes[what] += what == GATHERED ? whole / TENSOR : whole;
}

// From layer to layer, and to the loss, which takes whole rows. S1 leaves a sum, that of all ranks
// is whole; S0 leaves pieces, which only S1 takes. The way back is the transposed one: of a gather
// a scatter, of a slice, which is free, a gather.
static void expect_sent(int sequence, const int channels[3], Sent *s) {
    for (int i = 0; i < 3; i++) {
        bool pieces = placed_is(sequence, i, "S0"), last = i == 2;
        if (placed_is(sequence, i, "S1")) add_sent(s, REDUCED, channels[i]);
        if (pieces && (last || !placed_is(sequence, i + 1, "S1")))
            add_sent(s, GATHERED, channels[i]);
        if (last) continue;
        if (placed_is(sequence, i + 1, "S0"))
            add_sent(s, pieces ? SCATTERED : REDUCED, channels[i]);
        if (placed_is(sequence, i + 1, "S1") && !pieces) add_sent(s, GATHERED, channels[i]);
    }
}

static void count_sent(const Program *p, Sent *s) {
    const Plan *step = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    for (int k = 0; k < step->op_count; k++) {
        const Work *w = op_work(p, &step->ops[k]);
        if (!work_communicates(w)) continue;
        int what = 0;
        while (what < 3 && sent_kinds[what] != work_kind(w)) what++;
        ck_assert_int_lt(what, 3);
        s->count[what]++;
        s->bytes[what] += w->payload_bytes;
    }
}

static void make_as(ProgramSet *out, const char *model, bool positions) {
    JobSpec s = job_spec_default();
    Model m;
    s.model = model;
    s.ranks = s.mesh.tensor = TENSOR;
    s.batch = BATCH;
    s.strategy.sequence_parallel = positions;
    ck_assert_ok(job_spec_check(&s));
    ck_assert_ok(job_spec_model(&m, &arena, &s));
    ck_assert_ok(job_spec_programs(out, &s, &m));
    ck_assert_ok(plan_check(out));
}

static const char *write_even(int sequence) {
    char text[300] = "model even\ninput 12\nclasses 10\n";
    placed_line(text, sizeof text, "linear a out=16", sequence, 0, true);
    placed_line(text, sizeof text, "relu\nlinear b out=6", sequence, 1, true);
    placed_line(text, sizeof text, "relu\nlinear c out=10", sequence, 2, true);
    return ending_write_file(&arena, "even.model", text);
}

START_TEST(a_sequence_sends_what_its_placements_ask_for) {
    static const int channels[] = {16, 6, 10};
    for (int s = 0; s < PLACES * PLACES * PLACES; s++) {
        ProgramSet set;
        Sent want = {{0}, {0}}, got = {{0}, {0}};
        make_as(&set, write_even(s), false);
        expect_sent(s, channels, &want);
        count_sent(&set.programs[0], &got);
        for (int i = 0; i < 3; i++)
            ck_assert_msg(want.count[i] == got.count[i] && want.bytes[i] == got.bytes[i],
                          "%s %s %s: %d %s of %lld bytes, not %d of %lld", placed_word(s, 0),
                          placed_word(s, 1), placed_word(s, 2), got.count[i],
                          kind_name(sent_kinds[i]), (long long)got.bytes[i], want.count[i],
                          (long long)want.bytes[i]);
        program_set_finish(&set);
    }
    arena_finish(&arena);
}
END_TEST

// Between norms, which have some positions, and a product that takes some channels, pieces become
// others: a rank sends all but its own part of its half. Forward, and the gradient backward.
START_TEST(pieces_of_positions_are_exchanged_for_channels) {
    enum { T = 4, C = 8 };
    char text[300] =
        "model exchanged\ninput tokens 4\nclasses 65\nembedding e out=8\npositions p\n"
        "layer_norm n\nlinear a out=8 place=S1\nadd from=a,p\nlinear b out=65 place=R\n";
    ProgramSet set;
    int count[2] = {0};
    make_as(&set, ending_write_file(&arena, "exchanged.model", text), true);
    const Program *p = &set.programs[0];
    const Plan *step = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    for (int k = 0; k < step->op_count; k++) {
        const Work *w = op_work(p, &step->ops[k]);
        if (work_kind(w) != KIND_ALL_TO_ALL) continue;
        ck_assert_int_eq(w->payload_bytes, BATCH * T * C * REAL / TENSOR);
        count[w->phase == PHASE_BACKWARD]++;
    }
    ck_assert_int_eq(count[0], 1);
    ck_assert_int_eq(count[1], 1);
    program_set_finish(&set);
    arena_finish(&arena);
}
END_TEST

SUITE("split_place", every_sequence_of_three_layers_trains_alike,
      every_sequence_of_convolutions_trains_alike, a_sequence_sends_what_its_placements_ask_for,
      pieces_of_positions_are_exchanged_for_channels)
