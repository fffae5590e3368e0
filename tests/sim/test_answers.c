// SPDX-License-Identifier: MIT
// What a prediction answers besides times, by hand: utilisation, memory, what a size lost, bytes on
// links, and options with which a step would fit.
#include "sim/answers.h"
#include "sim/fit.h"
#include "sim/peak.h"
#include "sim/sent_bytes.h"
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

static Arena arena;

// 1 TFLOP/s, 8 devices a node.
static const char machine_text[] = "tandem: machine 1\nname: tera\nnodes: 4\ndevices: 8\n"
                                   "device: {name: t, flops: {f32: 1T}, memory: 1GB, "
                                   "memory_bandwidth: 100GB/s, launch: 1us}\n"
                                   "link: {bandwidth: 10GB/s, latency: 1us}\n"
                                   "rail: {bandwidth: 1GB/s, latency: 5us}\n";

static SimJob job_of(const char *model, int ranks, int64_t batch) {
    SimJob job = {.spec = job_spec_default()};
    job.spec.model = model;
    job.spec.device = "timed:dgx-a100";
    job.spec.ranks = ranks;
    job.spec.batch = batch;
    return job;
}

static const Machine *machine(void) {
    static Machine m;
    ck_assert_ok(machine_parse(&m, &arena, machine_text, sizeof machine_text - 1, "tera"));
    return &m;
}

static Prediction predict(const SimJob *job, int64_t dilation) {
    Prediction p;
    const SimSetting setting = {.machine = machine(), .devices = true, .dilation = dilation};
    ck_assert_ok(predict_job(&p, &arena, job, &setting));
    ck_assert_ptr_eq(p.report.answers, p.answers);
    return p;
}

// 7,840 weights: two flops each forward and for their gradient; nothing wants the input's.
START_TEST(model_flops_are_of_the_model_and_utilisation_of_the_peak) {
    const SimJob job = job_of("linear", 2, 64);
    Prediction p = predict(&job, 0);
    ck_assert_double_eq(p.answers->model_flops, 64.0 * 4 * 7840);
    ck_assert_double_eq_tol(p.answers->mfu, 64.0 * 4 * 7840 / (2 * 1e12 * p.step_ms * 1e-3), 1e-12);
    ck_assert_double_eq(p.answers->hardware_flops, p.answers->model_flops);  // of both ranks
    ck_assert_int_eq(p.answers->tokens, 0);
    ck_assert(isnan(p.answers->tokens_per_s));
    // A device twice as slow has half the peak: its use stays.
    Prediction slow = predict(&job, 2000);
    ck_assert_double_eq_tol(slow.answers->mfu, p.answers->mfu, 1e-6);
    arena_finish(&arena);
}
END_TEST

static double flops_with(Recompute how) {
    SimJob job = job_of("gpt:layers=2,hidden=64,heads=4,seq=32", 1, 8);
    job.spec.strategy.recompute = how;
    Prediction p = predict(&job, 0);
    double model = p.answers->model_flops, hardware = p.answers->hardware_flops;
    // Tokens are those of the sequences.
    ck_assert_double_eq_tol(p.answers->tokens_per_s, 8 * 32 / (p.step_ms * 1e-3), 1e-6);
    ck_assert_double_eq_tol(p.answers->hfu / p.answers->mfu, hardware / model, 1e-12);
    arena_finish(&arena);
    ck_assert_double_gt(hardware, model);
    return hardware;
}

// Full recomputation does all products of a block again but for the last, which its backward does
// not read, and attention (tests/parallel/strategy/test_recompute_bytes.c).
START_TEST(what_is_computed_again_is_hardware_alone) {
    double again = 2.0 * 8 * 32 * (2 * 8 * 64 * 64 + 2 * 64 * 33);
    ck_assert_double_eq(flops_with(RECOMPUTE_FULL) - flops_with(RECOMPUTE_NONE), again);
}
END_TEST

// Of the two stages, whichever it is.
START_TEST(memory_is_that_of_the_rank_that_needs_most) {
    SimJob job = job_of("mlp:hidden=64,layers=4", 4, 16);
    job.spec.mesh.pipe = 2;
    job.spec.micro_batches = 2;
    Prediction p = predict(&job, 0);
    ProgramSet set;
    ck_assert_ok(sim_job_step(&set, &arena, &job));
    int64_t most = 0;
    int class = NONE;
    for (int c = 0; c < set.count; c++) {
        int64_t bytes = 0;
        for (int m = 0; m < MEMORY_COUNT; m++) bytes += program_memory(&set.programs[c], (Memory)m);
        if (bytes > most) most = bytes, class = c;
    }
    int64_t all = 0;
    for (int m = 0; m < MEMORY_COUNT; m++) {
        all += p.answers->memory_bytes[m];
        ck_assert_int_eq(p.answers->memory_bytes[m],
                         program_memory(&set.programs[class], (Memory)m));
    }
    ck_assert_int_eq(all, most);
    ck_assert_int_eq(p.memory_bytes, most);
    ck_assert_str_eq(p.answers->class, program_set_name(&set, class));
    ck_assert_int_eq(program_set_class(&set, p.answers->rank), class);
    program_set_finish(&set);
    arena_finish(&arena);
}
END_TEST

// In the backward of the last block there are, beside what all blocks keep, the gradient of its
// output and of what gelu reads and gives (tests/parallel/strategy/test_recompute_bytes.c): gelu's
// own backward is the first that has both. Forward alone, the loss has logits and their gradient.
START_TEST(most_is_in_use_where_the_last_block_goes_backward) {
    const SimJob job = job_of("gpt:layers=3,hidden=64,heads=4,seq=32,vocabulary=8", 1, 512);
    Prediction p = predict(&job, 0);
    ck_assert_str_eq(p.answers->peak_op, "h.2.mlp.gelu1.backward_input");
    ck_assert_str_eq(p.answers->peak_phase, "backward");
    const SimJob wide = job_of("gpt:layers=1,hidden=64,heads=4,seq=32,vocabulary=8192", 1, 64);
    p = predict(&wide, 0);
    ck_assert_str_eq(p.answers->peak_op, "cross_entropy.forward");
    arena_finish(&arena);
}
END_TEST

// The images, the gradient of the logits, and what is made of them: gradients of weight and bias.
START_TEST(a_peak_is_the_sum_of_what_is_there) {
    const SimJob job = job_of("linear", 1, 64);
    ProgramSet set;
    Peak peak;
    ck_assert_ok(sim_job_step(&set, &arena, &job));
    int k = program_find_when(&set.programs[0], WHEN_EACH_STEP, 0);
    ck_assert_ok(peak_find(&peak, &arena, &set.programs[0], k));
    const Plan *plan = &set.programs[0].plans[k];
    ck_assert_int_ge(peak.op, 0);
    ck_assert_str_eq(op_name(&set.programs[0], &plan->ops[peak.op]), "fc.backward_weight");
    ck_assert_int_eq(peak.in_use, 4 * (64 * 784 + 64 * 10 + 7840 + 10));
    program_set_finish(&set);
    arena_finish(&arena);
}
END_TEST

// An evaluation takes 256 rows on each device, whatever a step takes.
START_TEST(memory_is_that_of_a_training_step) {
    const SimJob few = job_of("net", 1, 4), many = job_of("net", 1, 256);
    ck_assert_int_lt(2 * predict(&few, 0).memory_bytes, predict(&many, 0).memory_bytes);
    arena_finish(&arena);
}
END_TEST

static Prediction size(int ranks, int64_t batch, double step_ms, double exposed_ms,
                       double launch_ms) {
    static ReportAnswers answers[3];
    static int next;
    Prediction p = {.step_ms = step_ms, .launch_ms = launch_ms, .answers = &answers[next++ % 3]};
    p.report.run.ranks = ranks;
    p.report.run.batch = batch;
    p.report.breakdown_ms[TIME_EXPOSED_COMM] = exposed_ms;
    p.report.breakdown_ms[TIME_COMPUTE] = step_ms - exposed_ms;
    return p;
}

// Weak: 4 times the rows in 1.25 times the time. Strong: 4 ranks share 8 ms of work, and each still
// launches for 1 ms.
START_TEST(a_size_lost_what_grew_most) {
    Prediction base = size(1, 64, 8, 0, 1), weak = size(4, 256, 10, 2, 1);
    answers_relate(&weak, &base);
    ck_assert_double_eq_tol(weak.answers->speed_up, 3.2, 1e-12);
    ck_assert_double_eq_tol(weak.answers->efficiency, 0.8, 1e-12);
    ck_assert_int_eq(weak.answers->lost_to, TIME_EXPOSED_COMM);
    ck_assert_double_eq_tol(weak.answers->lost_ms, 2, 1e-12);
    Prediction strong = size(4, 64, 3, 0.25, 1);
    answers_relate(&strong, &base);
    ck_assert_double_eq_tol(strong.answers->efficiency, 8.0 / 3 / 4, 1e-12);
    ck_assert_int_eq(strong.answers->lost_to, REPORT_LAUNCH);
    ck_assert_double_eq_tol(strong.answers->lost_ms, 0.75, 1e-12);
    ck_assert_str_eq(report_part_name(strong.answers->lost_to), "launch");
    answers_relate(&base, &base);
    ck_assert_int_eq(base.answers->lost_to, NONE);
}
END_TEST

// Its host issues for 7.95 of 8 ms: nothing of 8 - 8/4 ms was lost to exposed communication, though
// that grew most. With 7.9 of 8 ms something else binds.
START_TEST(what_a_step_bound_by_its_host_loses_is_lost_to_the_host) {
    Prediction base = size(1, 64, 8, 0, 1), strong = size(4, 64, 8, 7, 1);
    strong.issue_ms = 7.95;
    ck_assert(answers_host_binds(&strong));
    answers_relate(&strong, &base);
    ck_assert_int_eq(strong.answers->lost_to, TIME_HOST);
    ck_assert_double_eq_tol(strong.answers->lost_ms, 6, 1e-12);
    strong.issue_ms = 7.9;
    ck_assert(!answers_host_binds(&strong));
    answers_relate(&strong, &base);
    ck_assert_int_eq(strong.answers->lost_to, TIME_EXPOSED_COMM);
    base.issue_ms = 8;
    answers_relate(&base, &base);
    ck_assert_int_eq(base.answers->lost_to, NONE);
}
END_TEST

static NcclPricing pricing;  // without constants: message by message

static SentBytes sent(const SimJob *job, int devices_per_node) {
    SentBytes out;
    ProgramSet set;
    const TopologyOptions place = {.devices_per_node = devices_per_node, .pricing = pricing};
    ck_assert_ok(sim_job_step(&set, &arena, job));
    ck_assert_ok(sent_bytes_of_step(&out, &arena, &set, &place));
    program_set_finish(&set);
    arena_finish(&arena);
    return out;
}

// Of N ranks each sends 2 (N - 1) / N of the 7,850 gradients, and of loss and correct answers, 16
// bytes. Directly, 7 of the 15 others are on its node; around a ring, 2 of 16 links leave it.
START_TEST(bytes_go_within_nodes_and_between_them) {
    const double all = 2.0 * 15 / 16 * (4 * 7850 + 16);
    SimJob job = job_of("linear", 16, 64);
    SentBytes direct = sent(&job, 8), one = sent(&job, 16);
    ck_assert_double_eq_tol(direct.within_node, all * 7 / 15, 32);
    ck_assert_double_eq_tol(direct.between_nodes, all * 8 / 15, 32);
    ck_assert_double_eq_tol(one.within_node, all, 1);
    ck_assert_double_eq(one.between_nodes, 0);
    job.spec.strategy.algorithm = ALGORITHM_RING;
    SentBytes ring = sent(&job, 8);
    ck_assert_double_eq_tol(ring.within_node + ring.between_nodes, all, 32);
    ck_assert_double_eq_tol(ring.between_nodes, all * 2 / 16, 32);
}
END_TEST

// Four stages on two nodes: activations of 8 rows of 32 and their gradients, in 2 micro-batches, go
// over three borders, of which the second lies between nodes. Means are of four ranks; each rank
// knows the loss afterwards, which is a few bytes.
START_TEST(stages_send_over_the_borders_between_them) {
    SimJob job = job_of("mlp:hidden=32,layers=7", 4, 8);
    job.spec.mesh.pipe = 4;
    job.spec.micro_batches = 2;
    SentBytes bytes = sent(&job, 2);
    const double border = 2.0 * 8 * 32 * 4;
    ck_assert_double_eq_tol(bytes.between_nodes, border / 4, 32);
    ck_assert_double_eq_tol(bytes.within_node, 2 * border / 4, 32);
}
END_TEST

// NCCL's ring over two nodes of 8: 2 * 15 / 16 of the array, an eighth of which each device sends
// by its own rail; within a node 2 * 7 / 8 of it.
START_TEST(priced_collectives_send_as_their_algorithm_does) {
    Machine m;
    ck_assert_ok(machine_read(&m, &arena, "dgx-a100"));
    pricing = (NcclPricing){.constants = &m.collectives, .algorithm = NCCL_RING};
    const double array = 4 * 7850 + 16;
    const SimJob two = job_of("linear", 16, 64), one = job_of("linear", 8, 64);
    SentBytes bytes = sent(&two, 8);
    ck_assert_double_eq_tol(bytes.within_node + bytes.between_nodes, array * 15 / 8, 64);
    ck_assert_double_eq_tol(bytes.between_nodes, array * 15 / 8 / 8, 64);
    bytes = sent(&one, 8);
    ck_assert_double_eq_tol(bytes.within_node, array * 7 / 4, 64);
    ck_assert_double_eq(bytes.between_nodes, 0);
    pricing = (NcclPricing){0};
}
END_TEST

// --- what would fit

static int64_t memory_of(const SimJob *job) {
    ProgramSet set;
    int64_t bytes = 0;
    ck_assert_ok(sim_job_step(&set, &arena, job));
    for (int m = 0; m < MEMORY_COUNT; m++) bytes += program_memory(&set.programs[0], (Memory)m);
    program_set_finish(&set);
    arena_finish(&arena);
    return bytes;
}

static void finds(const char *want, const SimJob *job, int64_t bytes) {
    char text[FIT_TEXT];
    ck_assert_ok(fit_find(text, job, &(FitPlace){.bytes = bytes, .devices_per_node = 4}));
    ck_assert_str_eq(text, want);
}

// As much memory as a stage of ZeRO needs, and one byte less.
START_TEST(a_step_that_does_not_fit_is_planned_with_other_options) {
    SimJob job = job_of("mlp:hidden=256,layers=12", 4, 16), zero = job;
    int64_t bytes[4];
    for (int stage = 0; stage < 4; stage++) {
        zero.spec.strategy.zero = stage;
        bytes[stage] = memory_of(&zero);
        if (stage) ck_assert_int_lt(bytes[stage], bytes[stage - 1]);
    }
    finds("--zero 1", &job, bytes[1]);
    finds("--zero 2", &job, bytes[1] - 1);
    finds("--zero 2", &job, bytes[2]);
    finds("--zero 3", &job, bytes[3]);
    finds("", &job, 1000);
    zero.spec.strategy.zero = 2;
    finds("--zero 3", &zero, bytes[2] - 1);
}
END_TEST

START_TEST(one_device_recomputes_or_takes_fewer_rows_at_once) {
    SimJob gpt = job_of("gpt:layers=4", 1, 64), again = gpt;
    again.spec.strategy.recompute = RECOMPUTE_SELECTIVE;
    finds("--recompute selective", &gpt, memory_of(&again));
    again.spec.strategy.recompute = RECOMPUTE_FULL;
    finds("--recompute full", &gpt, memory_of(&again));
    SimJob mlp = job_of("mlp:hidden=64,layers=2", 1, 1024), fewer = mlp;
    fewer.spec.micro_batches = 4;
    finds("--accumulate 4", &mlp, memory_of(&fewer));
}
END_TEST

// Weights of 4 ranks together: the batch of a rank stays, so that it is that of one data rank.
START_TEST(tensor_parallel_ranks_share_weights) {
    const SimJob job = job_of("mlp:hidden=512,layers=2", 4, 64);
    SimJob cut = job;
    cut.spec.mesh.tensor = 4;
    cut.spec.batch = 16;
    finds("--tp 4", &job, memory_of(&cut));
}
END_TEST

// In what this takes nothing fits that lacks one of the four.
START_TEST(all_options_together_are_tried_at_last) {
    SimJob job = job_of("mlp:hidden=512,layers=4", 8, 512), all = job;
    all.spec.mesh.tensor = 4;
    all.spec.strategy.zero = 1;
    all.spec.strategy.recompute = RECOMPUTE_FULL;
    all.spec.micro_batches = 4;
    all.spec.batch = 128;  // 64 rows a shard, as before
    finds("--tp 4 --zero 1 --recompute full --accumulate 4", &job, memory_of(&all));
    finds("", &job, 1000000);
}
END_TEST

SUITE("answers", model_flops_are_of_the_model_and_utilisation_of_the_peak,
      what_is_computed_again_is_hardware_alone, memory_is_that_of_the_rank_that_needs_most,
      most_is_in_use_where_the_last_block_goes_backward, a_peak_is_the_sum_of_what_is_there,
      memory_is_that_of_a_training_step, a_size_lost_what_grew_most,
      what_a_step_bound_by_its_host_loses_is_lost_to_the_host,
      bytes_go_within_nodes_and_between_them, stages_send_over_the_borders_between_them,
      priced_collectives_send_as_their_algorithm_does,
      a_step_that_does_not_fit_is_planned_with_other_options,
      one_device_recomputes_or_takes_fewer_rows_at_once, tensor_parallel_ranks_share_weights,
      all_options_together_are_tried_at_last)
