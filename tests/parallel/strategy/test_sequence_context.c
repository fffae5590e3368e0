// SPDX-License-Identifier: MIT
// --sequence-parallel where --cp cuts sequences: ranks of the tensor group divide, outside of
// attention and products, the positions that the context leaves to them. Losses and all that is
// saved lie within 1e-12 max(1, |w|) of one process in f64 (docs/contract.md, 7), and what is sent
// is Megatron-LM's, of a rank's own positions.
#include "core/plan/check.h"
#include "core/plan/mesh.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "tests/support/ending.h"
#include "tests/support/testing.h"

#include <string.h>

static Arena arena;  // finished by each test

static const char gpt[] = "gpt:layers=2,hidden=16,heads=4,seq=24",
                  llama[] = "llama:layers=2,hidden=16,heads=4,kv_heads=4,seq=24,mlp=20";

typedef struct {
    int pipe, data, context, tensor;
    ContextKind kind;
    int zero;
    Recompute recompute;
    int schedule;
    const char *order;  // of the mesh, or NULL
} Division;

static void divide(JobOptions *o, const Division *d) {
    o->spec.mesh = (Mesh){.pipe = d->pipe, .context = d->context, .tensor = d->tensor};
    o->spec.mesh_order = d->order;
    o->spec.ranks = d->pipe * d->data * d->context * d->tensor;
    o->spec.micro_batches = d->pipe > 1 ? 4 : 1;
    o->spec.strategy.sequence_parallel = true;
    o->spec.strategy.context = d->kind;
    o->spec.strategy.zero = d->zero;
    o->spec.strategy.recompute = d->recompute;
    o->spec.strategy.schedule = (OptionForm){.word = d->schedule};
}

static void check(const char *model, const Division *d, int count) {
    JobOptions o = ending_text_options(model, 10);
    Ending one;
    ending_run(&one, &arena, &o);
    for (int i = 0; i < count; i++) {
        divide(&o, &d[i]);
        o.comm = i % 3 ? COMM_SERIAL : COMM_THREAD;
        ending_check_run(&o, &arena, &one, 1e-12);
    }
    ending_finish(&one);
    arena_finish(&arena);
}

// --- axes

// Four ranks of a piece, three pieces, and an order in which the tensor group is the outermost.
static const Division pieces[] = {
    {1, 1, 2, 2, CONTEXT_RING, .order = NULL},
    {1, 1, 2, 4, CONTEXT_RING, .order = NULL},
    {1, 1, 3, 2, CONTEXT_RING, .order = NULL},
    {1, 1, 2, 2, CONTEXT_ALL_TO_ALL, .order = "tensor,data,context,pipe"},
    {1, 1, 2, 2, CONTEXT_RING, .order = "tensor,context,data,pipe"},
};

START_TEST(positions_of_a_piece_are_divided_again) {
    check(gpt, pieces, 5);
    check(llama, pieces, 5);
}
END_TEST

static const Division products[] = {
    {1, 2, 2, 2, CONTEXT_RING, 1, RECOMPUTE_SELECTIVE, SCHEDULE_1F1B, NULL},
    {2, 1, 2, 2, CONTEXT_RING, 0, RECOMPUTE_FULL, SCHEDULE_ZERO_BUBBLE, NULL},
    {1, 2, 2, 2, CONTEXT_ALL_TO_ALL, 3, RECOMPUTE_FULL, SCHEDULE_1F1B, NULL},
    {2, 1, 2, 2, CONTEXT_ALL_TO_ALL, 0, RECOMPUTE_SELECTIVE, SCHEDULE_INTERLEAVED, NULL},
    {1, 2, 2, 2, CONTEXT_RING, 2, RECOMPUTE_FULL, SCHEDULE_1F1B, "tensor,data,context,pipe"},
};

START_TEST(data_stages_and_shards_of_a_gpt_go_with_it) { check(gpt, products, 5); }
END_TEST

START_TEST(and_those_of_a_llama) { check(llama, products, 4); }
END_TEST

// Masks over channels and positions, a table of positions in the middle, whose input has come to
// lie in parts, and a product whose weight is whole.
static const char masked[] =
    "model m\ninput tokens 24\nclasses 65\nembedding e out=16\ndropout d p=0.2\npositions p\n"
    "block h.0 repeat=2\nlayer_norm n\nlinear q out=16\nlinear k from=n out=16\n"
    "linear v from=n out=16\nrotary qr from=q heads=4\nrotary kr from=k heads=4\n"
    "attention a from=qr,kr,v heads=4 causal=true\n"
    "dropout g p=0.1\nlinear o out=16\ndropout f p=0.3\nadd r from=f,h.in\nend\n"
    "positions again\nrms_norm last\nlinear head out=65\n";

START_TEST(masks_and_tables_are_those_of_one_process) {
    check(ending_write_file(&arena, "m.model", masked), pieces, 5);
}
END_TEST

// What all ranks of the group have of a piece is sliced by its numbers in the piece.
static const char sliced[] =
    "model s\ninput tokens 24\nclasses 65\nembedding wte out=8\nlinear a out=32 place=S0\nrelu\n"
    "linear b out=8 place=S1\nlinear c out=32 bias=false place=R\nlinear d from=b out=32 place=R\n"
    "swiglu s from=c,d\nlinear e out=8 place=S1\nlayer_norm n\nadd f from=e,b\n"
    "linear g out=8 place=R\nlinear h from=f out=4 place=R\nlinear i from=f out=4 place=R\n"
    "attention j from=g,h,i heads=2 kv_heads=1 causal=true\nlinear k out=8 place=R\n"
    "add l from=k,f\nrms_norm o\nlinear head out=65 bias=true place=R\n";

static int count_kind(const Program *p, Kind kind) {
    const Plan *step = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    int count = 0;
    for (int i = 0; i < step->op_count; i++) count += op_kind(p, &step->ops[i]) == kind;
    return count;
}

START_TEST(slices_of_a_piece_are_taken_by_its_numbers) {
    const char *path = ending_write_file(&arena, "s.model", sliced);
    JobOptions o = ending_text_options(path, 1);
    Job job;
    divide(&o, &pieces[0]);
    ck_assert_ok(job_create(&job, &o));
    ck_assert_int_gt(count_kind(&job.set.programs[0], KIND_SLICE), 0);
    job_destroy(&job);
    check(path, pieces, 1);
    check(ending_write_file(&arena, "s.model", sliced), &pieces[2], 1);
    check(ending_write_file(&arena, "s.model", sliced), &pieces[4], 1);
}
END_TEST

// --- what is sent

// Per layer two gathers and two scatters in the forward, and as many in the backward; the table of
// tokens scatters and its backward gathers, the head gathers and its backward scatters: 4 L + 2 of
// each, of B T / cp C elements, of which all but a rank's own come from others. Of gradients the
// group adds up those of norms and the table of positions, which stays whole.
START_TEST(a_rank_sends_what_is_of_its_own_positions) {
    enum { LAYERS = 2, B = 8, T = 24, C = 16, REAL = 8 };
    for (int kind = CONTEXT_RING; kind <= CONTEXT_ALL_TO_ALL; kind++)
        for (int tensor = 2; tensor <= 4 - 2 * (kind == CONTEXT_ALL_TO_ALL); tensor += 2) {
            const Division d = {1, 1, 2, tensor, (ContextKind)kind, .order = NULL};
            JobOptions o = ending_text_options(gpt, 1);
            Outcome got;
            divide(&o, &d);
            ck_assert_ok(training_run(&got, &o, NULL));
            const int64_t bytes = (int64_t)B * (T / 2) * C * REAL / tensor * (tensor - 1);
            static const int operations[] = {COLLECTIVE_ALL_GATHER, COLLECTIVE_REDUCE_SCATTER};
            for (int i = 0; i < 2; i++) {
                CommCount n = outcome_count(&got, tensor, "step", "tensor", operations[i]);
                ck_assert_int_eq(n.calls, 4 * LAYERS + 2);
                ck_assert_int_eq(n.bytes, (4 * LAYERS + 2) * bytes);
            }
            CommCount n = outcome_count(&got, 0, "step", "tensor", COLLECTIVE_ALL_REDUCE);
            // 2 L + 1 norms, the table, and 2 of the loss over divided classes.
            ck_assert_int_eq(n.calls, 2 * LAYERS + 1 + 1 + 2);
            n = outcome_count(&got, 0, "step", "context",
                              kind == CONTEXT_RING ? COMM_SEND : COLLECTIVE_ALL_TO_ALL);
            ck_assert_int_eq(n.calls, kind == CONTEXT_RING ? 3 * LAYERS : 8 * LAYERS);
            outcome_finish(&got);
        }
    arena_finish(&arena);
}
END_TEST

// --- mistakes

static void edit_first(Program *p, Kind kind, int operand, void (*edit)(Program *p, int tensor)) {
    Plan *step = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    for (int i = 0; i < step->op_count; i++)
        if (op_kind(p, &step->ops[i]) == kind) {
            edit(p, op_outputs(step, &step->ops[i])[operand]);
            return;
        }
    ck_abort_msg("no %s", kind_name(kind));
}

static Placement *tensor_placement(Program *p, int t) {
    return &p->tensors[t].placement[mesh_find_axis(p, MESH_TENSOR)];
}

// Parts of all positions, of which the context would then take pieces: others where the tensor
// group is the outer one.
static void cut_first(Program *p, int t) { tensor_placement(p, t)->inner = 0; }
static void make_whole(Program *p, int t) { *tensor_placement(p, t) = PLACEMENT_REPLICATED; }
static void turn_contiguous(Program *p, int t) {
    p->tensors[t].placement[mesh_find_axis(p, MESH_CONTEXT)].cut = CUT_CONTIGUOUS;
}

START_TEST(parts_of_other_positions_are_refused) {
    static const struct {
        Kind kind;
        int operand;
        void (*edit)(Program *p, int tensor);
    } mistakes[] = {
        {KIND_FROM_CHUNKS, 0, cut_first},     {KIND_FROM_CHUNKS, 0, turn_contiguous},
        {KIND_POSITIONS, 3, cut_first},       {KIND_POSITIONS, 3, turn_contiguous},
        {KIND_POSITIONS, 3, make_whole},      {KIND_LAYER_NORM, 0, make_whole},
        {KIND_TO_CHUNKS, 1, turn_contiguous}, {KIND_POSITIONS_BACKWARD, 0, make_whole},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        JobOptions o = ending_text_options(gpt, 1);
        Job job;
        divide(&o, &pieces[4]);
        ck_assert_ok(job_create(&job, &o));
        ck_assert_ok(plan_check(&job.set));
        edit_first(&job.set.programs[0], mistakes[i].kind, mistakes[i].operand, mistakes[i].edit);
        ck_assert_msg(plan_check(&job.set) == ERR_PLAN, "mistake %zu is not seen", i);
        job_destroy(&job);
    }
    arena_finish(&arena);
}
END_TEST

START_TEST(what_cannot_be_divided_is_refused_with_what_can) {
    JobOptions o = ending_text_options("gpt:layers=1,hidden=16,heads=4,seq=12", 1);
    Job job;
    divide(&o, &pieces[1]);
    ck_assert_fails(job_create(&job, &o), ERR_USAGE,
                    "--sequence-parallel divides the positions of each of --cp 2 among --tp 4, but "
                    "12 are 2 × 4 × 1 + 4; give the model a length of 8 or 16");
    arena_finish(&arena);
}
END_TEST

SUITE("sequence_context", positions_of_a_piece_are_divided_again,
      data_stages_and_shards_of_a_gpt_go_with_it, and_those_of_a_llama,
      masks_and_tables_are_those_of_one_process, slices_of_a_piece_are_taken_by_its_numbers,
      a_rank_sends_what_is_of_its_own_positions, parts_of_other_positions_are_refused,
      what_cannot_be_divided_is_refused_with_what_can)
