// SPDX-License-Identifier: MIT
// Frozen parameters, and parameters that the loss does not depend on: no strategy gives them a
// gradient, an update or bytes to send, and all of them compute the bits of one rank
// (docs/contract.md, 7). tests/data/frozen.model has both kinds.
#include "core/nn/freeze.h"
#include "tests/support/ending.h"
#include "tests/support/saved_run.h"

enum { BYTES = 1 << 16 };
static const char *const frozen[] = {
    NULL, "conv", "bn", "*.bias", "*.weight", "b,logits", "fc.b*s", "a", "conv,bn,a,logits.bias"};
enum { PATTERNS = sizeof frozen / sizeof *frozen };

static JobOptions frozen_options(const char *pattern) {
    static char model[4096];
    JobOptions o = training_options();
    snprintf(model, sizeof model, "%s", test_source("tests/data/frozen.model"));
    o.spec.model = model;
    o.spec.freeze = pattern;
    o.spec.batch = 31;
    o.data = "digits:count=100";
    o.steps = 4;
    o.spec.optimizer.momentum = 0.9;
    o.spec.optimizer.weight_decay = 0.01;
    return o;
}

static const char *text_of(const char *pattern) { return pattern ? pattern : "nothing"; }

// --- P ranks and P shards

// Every setting takes all of its values beside all values of others, in some run.
static void set(JobOptions *o, int run) {
    static const int64_t caps[][2] = {{512, 1024}, {0, 0}, {1 << 30, 1 << 30}};
    o->spec.strategy.zero = run % 4;
    o->comm = (CommKind)(run % 3);
    memcpy(o->spec.strategy.bucket_bytes, caps[run / 2 % 3], sizeof caps[0]);
    o->spec.strategy.prefetch = run / 3 % 3;
    o->spec.strategy.no_overlap = run % 5 == 0;
}

static void check_ranks(const char *pattern, int ranks, int turn) {
    JobOptions o = frozen_options(pattern);
    Outcome oracle;
    o.spec.shards = turn % 3 == 2 ? 2 * ranks : ranks;
    o.spec.micro_batches = 1 + turn % 2;
    o.spec.strategy.sync_batch_norm = turn / 2 % 2;
    o.spec.device = turn / 3 % 2 ? "reference" : "cpu";
    if (turn % 4 == 1) o.spec.optimizer.kind = OPTIMIZER_ADAMW;
    if (turn % 5 > 2) o.spec.optimizer.clip = 0.5;
    o.spec.on_nan = turn % 3 ? ON_NAN_STOP : ON_NAN_SKIP;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    o.spec.ranks = ranks;
    for (int run = turn; run < turn + 2; run++) {
        Outcome got;
        uint64_t delays = (uint64_t)run;
        set(&o, run);
        ck_assert_ok(
            training_run(&got, &o, &(TrainingProbe){.context = &delays, .before = training_delay}));
        const char *d = outcome_result_difference(&oracle, &got);
        ck_assert_msg(!d, "%s frozen, %d ranks, turn %d, run %d, ZeRO %d: %s", text_of(pattern),
                      ranks, turn, run, o.spec.strategy.zero, d ? d : "");
        outcome_finish(&got);
    }
    outcome_finish(&oracle);
}

START_TEST(ranks_equal_shards_whatever_is_frozen) {
    for (int i = 0; i < PATTERNS; i++)
        for (int ranks = 2; ranks <= 4; ranks++) check_ranks(frozen[i], ranks, i + 2 * ranks);
}
END_TEST

// nn.DataParallel, too: device 0 keeps what no device reads.
START_TEST(one_device_with_all_weights_has_the_same_bits) {
    for (int i = 0; i < PATTERNS; i++) {
        JobOptions o = frozen_options(frozen[i]);
        Outcome oracle, got;
        int ranks = 2 + i % 3;
        o.spec.shards = ranks;
        o.spec.micro_batches = 1 + i % 2;
        ck_assert_ok(training_run(&oracle, &o, NULL));
        o.spec.ranks = ranks;
        o.spec.strategy.data_parallel = true;
        o.comm = (CommKind)(i % 3);
        ck_assert_ok(training_run(&got, &o, NULL));
        const char *d = outcome_result_difference(&oracle, &got);
        ck_assert_msg(!d, "%s frozen, %d ranks: %s", text_of(frozen[i]), ranks, d ? d : "");
        outcome_finish(&oracle);
        outcome_finish(&got);
    }
}
END_TEST

START_TEST(compressed_gradients_do_not_depend_on_ranks_either) {
    for (int i = 0; i < PATTERNS; i++) {
        JobOptions o = frozen_options(frozen[i]);
        Outcome two, four;
        o.spec.shards = 4;
        o.spec.ranks = 2;
        o.spec.strategy.compress.word = COMPRESS_BF16 + i % COMPRESS_TOPK;
        ck_assert_ok(training_run(&two, &o, NULL));
        o.spec.ranks = 4;
        set(&o, 12 + 4 * i);  // without ZeRO
        ck_assert_ok(training_run(&four, &o, NULL));
        const char *d = outcome_result_difference(&two, &four);
        ck_assert_msg(!d, "%s frozen: %s", text_of(frozen[i]), d ? d : "");
        outcome_finish(&two);
        outcome_finish(&four);
    }
}
END_TEST

// --- a frozen net and one whose updates are left out

static bool is_update_of(const Program *p, const Op *op, const Program *frozen_one) {
    if (op_work(p, op)->phase != PHASE_UPDATE || !op->outputs) return false;
    int l = program_find_logical(frozen_one, tensor_name(p, op_outputs(&p->plans[0], op)[0]));
    return l != NONE && frozen_one->logicals[l].role == ROLE_PARAMETER &&
           !frozen_one->logicals[l].trainable;
}

// Of a job that freezes nothing, the updates of what the other one freezes are taken out.
static void leave_out(void *context, Job *job) {
    Program *p = &job->set.programs[0];
    Plan *plan = &p->plans[job->plan_step];
    const Program *other = context;
    uint8_t keep[512];
    ck_assert_int_eq(job->plan_step, 0);
    ck_assert_int_lt(plan->op_count, (int)sizeof keep);
    for (int i = 0; i < plan->op_count; i++) keep[i] = !is_update_of(p, &plan->ops[i], other);
    ck_assert_ok(plan_select(plan, NULL, keep));
}

// Parameters and state are the same bits; what is frozen has its initial ones.
static void compare_tensors(const Outcome *froze, const Outcome *left_out, const char *pattern) {
    const Program *p = &froze->job.set.programs[0];
    for (int t = 0; t < p->tensor_count; t++) {
        const Tensor *tensor = &p->tensors[t];
        const Logical *l = &p->logicals[tensor->logical];
        if (tensor->role != ROLE_PARAMETER && tensor->role != ROLE_STATE) continue;
        const char *name = tensor_name(p, t);
        const void *mine = outcome_tensor(froze, 0, name),
                   *theirs = outcome_tensor(left_out, 0, name);
        static char initial[BYTES];
        ck_assert_ptr_nonnull(mine);
        ck_assert_ptr_nonnull(theirs);
        ck_assert_msg(!memcmp(mine, theirs, (size_t)tensor->bytes), "%s frozen: %s",
                      text_of(pattern), name);
        if (tensor->role == ROLE_STATE && l->dtype == DTYPE_I64) continue;
        ck_assert_int_le(tensor->bytes, BYTES);
        model_initialise(p, tensor->logical, 1, (Dtype)tensor->dtype, initial);
        bool moved = memcmp(mine, initial, (size_t)tensor->bytes) != 0;
        ck_assert_msg(moved == (l->trainable || l->role == ROLE_STATE), "%s frozen: %s %s",
                      text_of(pattern), name, moved ? "moved" : "stayed");
    }
}

START_TEST(what_is_frozen_stays_and_the_rest_moves_as_if_only_updates_were_left_out) {
    for (int i = 0; i < 2 * PATTERNS; i++) {
        JobOptions o = frozen_options(frozen[i / 2]);
        Outcome froze, left_out;
        o.spec.device = i % 2 ? "cpu" : "reference";
        o.spec.micro_batches = 1 + i / 2 % 2;
        if (i % 3 == 0) o.spec.optimizer.kind = OPTIMIZER_ADAM;
        ck_assert_ok(training_run(&froze, &o, NULL));
        o.spec.freeze = NULL;
        ck_assert_ok(training_run(
            &left_out, &o,
            &(TrainingProbe){.context = &froze.job.set.programs[0], .edit = leave_out}));
        compare_tensors(&froze, &left_out, frozen[i / 2]);
        outcome_finish(&froze);
        outcome_finish(&left_out);
    }
}
END_TEST

// --- what a plan has for it

static int count_named(const Program *p, const char *what) {
    int count = 0;
    for (int t = 0; t < p->tensor_count; t++) count += strstr(tensor_name(p, t), what) != NULL;
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++)
            count += strstr(op_name(p, &p->plans[k].ops[i]), what) != NULL;
    return count;
}

START_TEST(it_has_no_gradient_no_state_no_bytes_and_no_backward) {
    static const char *const none[] = {"conv.weight.grad",
                                       "bn.bias.grad",
                                       "a.weight.grad",
                                       "a.bias.grad",
                                       "b.weight.grad",
                                       "logits.bias.grad",
                                       "conv.weight.velocity",
                                       "bn.weight.velocity",
                                       "a.weight.velocity",
                                       "a.weight.sum",
                                       "sum.a.weight",
                                       "aside",
                                       "logits.bias.veloc",
                                       "conv.y.dy",
                                       "backward_reduce",
                                       "a.backward",
                                       "b.backward",
                                       "fc.backward_input",
                                       "w.dy",
                                       "unused",
                                       "sgd.conv.weight",
                                       "sgd.logits.bias"};
    static const char *const some[] = {"fc.weight.grad", "fc.bias.velocity", "logits.weight.grad",
                                       "bn.update", "logits.backward_input"};
    JobOptions o = frozen_options("conv,bn,a,logits.bias");
    Job job;
    for (int zero = 0; zero <= 3; zero++) {
        o.spec.ranks = 2;
        o.spec.strategy.zero = zero;
        ck_assert_ok(job_create(&job, &o));
        const Program *p = &job.set.programs[0];
        for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
            bool parameter = !strcmp(none[i], "aside");  // which is there, and in the broadcast
            if (!parameter) ck_assert_msg(!count_named(p, none[i]), "ZeRO %d: %s", zero, none[i]);
        }
        for (size_t i = 0; i < sizeof some / sizeof *some; i++)
            ck_assert_msg(count_named(p, some[i]), "ZeRO %d: no %s", zero, some[i]);
        ck_assert_int_eq(count_named(p, "aside.weight"), 0);  // it is a.weight
        ck_assert_int_ne(count_named(p, "aside.bias"), 0);
        ck_assert_int_eq(count_named(p, "aside.forward"), 0);
        job_destroy(&job);
    }
    o.spec.ranks = 1;
    o.spec.strategy.zero = 0;
    ck_assert_ok(job_create(&job, &o));
    // fc 20x48 and 20, logits 10x20: gradients and momentum.
    const int64_t bytes = 4 * (20 * 48 + 20 + 10 * 20);
    ck_assert_int_le(program_memory(&job.set.programs[0], MEMORY_GRADIENTS), bytes + 3 * 64);
    ck_assert_int_ge(program_memory(&job.set.programs[0], MEMORY_GRADIENTS), bytes);
    job_destroy(&job);
}
END_TEST

// --- a weight whose bias alone is trained

// Its gradient is computed and dropped: no axis of the mesh has a sum of it.
START_TEST(a_weight_whose_bias_is_trained_goes_with_divided_positions) {
    static const struct {
        int pipe, data, tensor, context, micro_batches, zero;
    } cuts[] = {{1, 1, 2, 1, 1, 0}, {2, 1, 2, 1, 4, 0}, {1, 2, 2, 2, 2, 2}};
    static Arena arena;
    JobOptions o = ending_text_options("gpt:layers=2,hidden=16,heads=4,seq=8", 3);
    Ending one;
    o.spec.freeze = "*.ln_1.weight,h.0.mlp.c_proj.weight";
    ending_run(&one, &arena, &o);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        o.spec.mesh =
            (Mesh){.pipe = cuts[i].pipe, .tensor = cuts[i].tensor, .context = cuts[i].context};
        o.spec.ranks = cuts[i].pipe * cuts[i].data * cuts[i].tensor * cuts[i].context;
        o.spec.micro_batches = cuts[i].micro_batches;
        o.spec.strategy.zero = cuts[i].zero;
        o.spec.strategy.sequence_parallel = true;
        ending_check_run(&o, &arena, &one, 1e-12);
    }
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

// --- a branch that nobody takes

// Initial values are keyed by how many parameters are above: give those of the net without the
// branch the keys that they have in the net with it.
static void take_keys(void *context, Job *job) {
    const Program *with = context;
    Program *p = &job->set.programs[0];
    for (int l = 0; l < p->logical_count; l++) {
        int other = program_find_logical(with, program_name(p, p->logicals[l].name));
        if (p->logicals[l].role != ROLE_PARAMETER) continue;
        ck_assert_int_ne(other, NONE);
        p->logicals[l].init = with->logicals[other].init;
    }
}

START_TEST(a_branch_that_nobody_takes_changes_nothing) {
    static const char text[] = "model without\ninput 1 28 28\nclasses 10\n"
                               "conv2d conv out=3 kernel=7 stride=3\nbatch_norm bn\nrelu\n"
                               "max_pool kernel=2\nflatten v\nlinear a out=48\ngelu\n"
                               "linear b out=48 tie=a bias=false\nadd w from=b,v\n"
                               "linear fc from=w out=20\nrelu\nlinear logits out=10\n";
    char path[PATH], line[MODEL_UNUSED];
    Outcome with, without;
    JobOptions o = frozen_options(NULL);
    snprintf(path, sizeof path, "%s/without.model", test_directory());
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    ck_assert_ok(training_run(&with, &o, NULL));
    o.spec.model = path;
    ck_assert_ok(training_run(
        &without, &o, &(TrainingProbe){.context = &with.job.set.programs[0], .edit = take_keys}));
    const Program *p = &without.job.set.programs[0];
    for (int t = 0; t < p->tensor_count; t++) {
        if (p->tensors[t].role != ROLE_PARAMETER) continue;
        const char *name = tensor_name(p, t);
        ck_assert_msg(!memcmp(outcome_tensor(&with, 0, name), outcome_tensor(&without, 0, name),
                              (size_t)p->tensors[t].bytes),
                      "%s", name);
    }
    ck_assert(!model_describe_unused(&without.job.model, line));
    ck_assert(model_describe_unused(&with.job.model, line));
    ck_assert_msg(strstr(line, "frozen.model:18: nothing takes the output of linear aside2: the "
                               "loss does not depend on it and 2 more layers, so these are not "
                               "trained: aside.bias, aside2.weight, aside2.bias"),
                  "%s", line);
    outcome_finish(&with);
    outcome_finish(&without);
}
END_TEST

// --- checkpoints

static void save_run(JobOptions o, const char *path, int steps) {
    o.save = path;
    o.steps = steps;
    run(&o);
}

static const char *notes_of(const JobOptions *o) {
    static char notes[2048];
    Job job;
    notes[0] = '\0';
    ck_assert_ok(job_create(&job, o));
    for (int i = 0; i < job.restore.note_count; i++)
        snprintf(notes + strlen(notes), sizeof notes - strlen(notes), "%s\n", job.restore.notes[i]);
    job_destroy(&job);
    return notes;
}

START_TEST(a_resumed_run_with_the_same_frozen_equals_one_that_was_not_stopped) {
    name_files();
    for (int zero = 0; zero <= 3; zero++) {
        JobOptions o = frozen_options("conv,*.bias");
        o.spec.ranks = o.spec.shards = 2;
        o.spec.strategy.zero = zero;
        o.spec.optimizer.kind = OPTIMIZER_ADAM;
        save_run(o, whole, 5);
        save_run(o, part, 2);
        o.resume = part;
        save_run(o, resumed, 5);
        assert_same_bytes(whole, resumed, "resumed");
    }
}
END_TEST

START_TEST(a_run_that_is_resumed_with_others_frozen_is_told_and_goes_on) {
    name_files();
    JobOptions o = frozen_options("conv");
    save_run(o, part, 2);
    o.resume = part;
    ck_assert_str_eq(notes_of(&o), "");
    o.spec.freeze = "fc,conv.bias";
    const char *notes = notes_of(&o);
    // Momentum of conv.weight begins with zeros, that of fc is left.
    ck_assert_msg(strstr(notes, ": frozen conv.weight,conv.bias,aside.bias"), "%s", notes);
    ck_assert_msg(strstr(notes, "aside2.bias, here conv.bias,aside.bias"), "%s", notes);
    ck_assert_msg(strstr(notes, "begin as without it: conv.weight.velocity is not in it, here f32 "
                                "3x1x7x7\n"),
                  "%s", notes);
    ck_assert_msg(strstr(notes, "2 tensors are not used: fc.weight.velocity; fc.bias.velocity"),
                  "%s", notes);
    run(&o);
    o.spec.freeze = NULL;
    o.spec.optimizer.momentum = 0;  // what else is missing is still refused
    Job job;
    ck_assert_fails(job_create(&job, &o), ERR_SHAPE, "a.weight.velocity is f32 48x48, here none");
    job_destroy(&job);
}
END_TEST

// What compression keeps of a tied weight has the names of its uses.
START_TEST(error_feedback_of_what_is_frozen_is_left_and_begins_with_zeros) {
    name_files();
    for (int form = COMPRESS_POWERSGD; form <= COMPRESS_TOPK; form++) {
        JobOptions o = frozen_options("a,conv");
        bool power = form == COMPRESS_POWERSGD;
        o.spec.strategy.compress = (OptionForm){form, power ? 2 : 0.1};
        o.spec.shards = 2;
        save_run(o, part, 2);
        o.resume = part;
        o.spec.freeze = "fc";
        const char *notes = notes_of(&o);
        ck_assert_msg(strstr(notes, "b.weight.grad.error is not in it, here f32 2x48x48"), "%s",
                      notes);
        ck_assert_msg(strstr(notes, power ? "4 tensors are not used" : "3 tensors are not used"),
                      "%s", notes);
        ck_assert_msg(strstr(notes, "fc.weight.grad.error"), "%s", notes);
        run(&o);
    }
}
END_TEST

// Fine tuning: weights of another run, and the last layer alone is trained.
START_TEST(loaded_weights_that_are_frozen_stay_and_the_head_is_trained) {
    name_files();
    JobOptions o = frozen_options(NULL);
    Outcome first, tuned;
    o.save = part;
    ck_assert_ok(training_run(&first, &o, NULL));
    o.save = NULL;
    o.load = part;
    o.spec.freeze = "conv,bn,a,fc";
    ck_assert_ok(training_run(&tuned, &o, NULL));
    const Program *p = &tuned.job.set.programs[0];
    int stayed = 0, moved = 0;
    for (int t = 0; t < p->tensor_count; t++) {
        const char *name = tensor_name(p, t);
        if (p->tensors[t].role != ROLE_PARAMETER) continue;
        bool same = !memcmp(outcome_tensor(&tuned, 0, name), outcome_tensor(&first, 0, name),
                            (size_t)p->tensors[t].bytes);
        ck_assert_msg(same == (strncmp(name, "logits.", 7) != 0), "%s", name);
        stayed += same;
        moved += !same;
    }
    ck_assert_int_eq(moved, 2);
    ck_assert_int_eq(stayed, 11);
    outcome_finish(&first);
    outcome_finish(&tuned);
}
END_TEST

SUITE_SECONDS("frozen", 60, ranks_equal_shards_whatever_is_frozen,
              one_device_with_all_weights_has_the_same_bits,
              compressed_gradients_do_not_depend_on_ranks_either,
              what_is_frozen_stays_and_the_rest_moves_as_if_only_updates_were_left_out,
              it_has_no_gradient_no_state_no_bytes_and_no_backward,
              a_weight_whose_bias_is_trained_goes_with_divided_positions,
              a_branch_that_nobody_takes_changes_nothing,
              a_resumed_run_with_the_same_frozen_equals_one_that_was_not_stopped,
              a_run_that_is_resumed_with_others_frozen_is_told_and_goes_on,
              error_feedback_of_what_is_frozen_is_left_and_begins_with_zeros,
              loaded_weights_that_are_frozen_stay_and_the_head_is_trained)
