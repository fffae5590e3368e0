// SPDX-License-Identifier: MIT
// A run that was stopped and resumed is the run that was not (docs/contract.md, 7): what both save
// at the end has the same bytes, on any number of ranks, whatever program held the pieces.
#include "core/data/safetensors_index.h"
#include "core/plan_text/plan_text.h"
#include "parallel/run/checkpoint_files.h"
#include "tests/support/saved_run.h"
#include "tests/support/sharded.h"

#include <stdio.h>
#include <string.h>

static double loss_of(const Outcome *o, int step) {
    const Timeline *t = &o->training.shared->results[0].timeline;
    for (int i = 0; i < t->step_count; i++)
        if (t->steps[i].plan == o->job.plan_step && t->steps[i].step == step)
            return t->steps[i].loss;
    return (double)NAN;
}

// 20 steps; 10 of them, saved on `ranks`; the others on `later` ranks.
static void check_resumed(const JobOptions *like, int ranks, int later, CommKind comm) {
    char what[160];
    Outcome all, rest;
    JobOptions o = *like;
    snprintf(what, sizeof what, "%d, then %d ranks, %s, %s", ranks, later, comm_kind_name(comm),
             o.spec.device);
    o.save = whole;
    ck_assert_ok(training_run(&all, &o, NULL));
    o.save = part;
    o.steps = 10;
    o.spec.ranks = ranks;
    o.comm = comm;
    run(&o);
    o.save = resumed;
    o.steps = 20;
    o.resume = part;
    o.spec.ranks = later;
    ck_assert_ok(training_run(&rest, &o, NULL));
    assert_same_bytes(whole, resumed, what);
    ck_assert_uint_eq(all.training.shared->results[0].parameters_hash,
                      rest.training.shared->results[0].parameters_hash);
    ck_assert(isnan(loss_of(&rest, 9)));
    for (int k = 10; k < 20; k++) {
        double x = loss_of(&all, k), y = loss_of(&rest, k);
        ck_assert_msg(isfinite(x) && !memcmp(&x, &y, sizeof x), "%s: step %d: %.17g, %.17g", what,
                      k, x, y);
    }
    const RankResult *a = all.training.shared->results, *b = rest.training.shared->results;
    const Evaluation *e = &a->evaluations[a->evaluation_count - 1],
                     *f = &b->evaluations[b->evaluation_count - 1];
    ck_assert(e->step == 20 && f->step == 20 && e->epoch == f->epoch);
    ck_assert(!memcmp(&e->loss, &f->loss, sizeof e->loss) && e->accuracy == f->accuracy);
    outcome_finish(&all);
    outcome_finish(&rest);
}

START_TEST(a_resumed_run_equals_one_that_was_not_stopped) {
    static const char *const devices[] = {"reference", "cpu"};
    name_files();
    for (int ranks = 1; ranks <= 4; ranks++)
        for (int device = 0; device < 2; device++) {
            JobOptions o = options_of(20, NULL, ranks);
            o.spec.device = devices[device];
            o.spec.dtype = ranks % 2 ? DTYPE_F32 : DTYPE_F64;
            check_resumed(&o, ranks, ranks, ranks > 1 ? COMM_SHM : COMM_SERIAL);
        }
}
END_TEST

START_TEST(it_may_go_on_on_another_number_of_ranks) {
    static const int ranks[][2] = {{1, 4}, {4, 1}, {4, 2}, {2, 4}, {1, 2}};
    name_files();
    const JobOptions o = options_of(20, NULL, 4);
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
        check_resumed(&o, ranks[i][0], ranks[i][1], (CommKind)(i % COMM_KINDS));
}
END_TEST

START_TEST(each_update_rule_goes_on_with_its_state) {
    name_files();
    JobOptions adam = options_of(20, NULL, 2);  // averages, and the number of updates
    adam.spec.optimizer.kind = OPTIMIZER_ADAMW;
    adam.spec.optimizer.weight_decay = 0.1;
    adam.spec.learning_rate = 0.003;
    check_resumed(&adam, 2, 1, COMM_SERIAL);
    for (int i = 0; i < 4; i++) {
        JobOptions o = options_of(20, NULL, 2);
        o.spec.optimizer.momentum = i == 0 ? 0 : 0.9;
        o.spec.optimizer.nesterov = i == 2;
        o.spec.optimizer.weight_decay = i == 3 ? 0.01 : 0;
        o.spec.warm_up_steps = i == 3 ? 15 : 0;
        o.spec.micro_batches = i == 3 ? 2 : 1;
        o.tail = i == 1 ? TAIL_DROP : i == 2 ? TAIL_PAD : TAIL_KEEP;
        check_resumed(&o, 2, 2, COMM_SERIAL);
    }
}
END_TEST

// They are no parameters: what is trained does not show whether they were restored, evaluations do.
START_TEST(running_statistics_go_on) {
    char model[PATH];
    Arena a = {0};
    Safetensors s;
    name_files();
    snprintf(model, PATH, "%s/norm.model", test_directory());
    FILE *f = fopen(model, "w");
    ck_assert_ptr_nonnull(f);
    fputs("model norm\ninput 1 28 28\nclasses 10\nconv2d conv out=3 kernel=7 stride=3\n"
          "batch_norm bn\nrelu\nflatten\nlinear fc out=10\n",
          f);
    ck_assert_int_eq(fclose(f), 0);
    JobOptions o = options_of(20, NULL, 2);
    o.spec.model = model;
    check_resumed(&o, 2, 1, COMM_SHM);
    check_resumed(&o, 1, 2, COMM_THREAD);
    ck_assert_ok(safetensors_read(&s, &a, part));
    ck_assert(safetensors_find(&s, "bn.running_mean") && safetensors_find(&s, "bn.running_var"));
    arena_finish(&a);
}
END_TEST

// A checkpoint after every step, each resumed: borders of epochs are at 3, 6 and 9.
START_TEST(every_step_of_an_epoch_is_a_place_to_go_on) {
    name_files();
    JobOptions o = options_of(10, whole, 2);
    o.spec.ranks = 2;
    o.save_every = 1;
    o.keep = 20;
    run(&o);
    o.save_every = o.keep = 0;
    for (int step = 1; step < 10; step++) {
        ck_assert_ok(checkpoint_files_name(part, PATH, whole, step));
        o.resume = part;
        o.save = resumed;
        run(&o);
        assert_same_bytes(whole, resumed, part);
    }
}
END_TEST

// Saving on the way changes nothing, and the file of a step is that of a run so long.
START_TEST(saving_changes_no_bit) {
    name_files();
    for (int comm = 0; comm < COMM_KINDS; comm++) {
        JobOptions o = options_of(20, part, 3);
        o.spec.ranks = 3;
        o.comm = (CommKind)comm;
        run(&o);
        o.save = whole;
        o.save_every = 4;
        o.keep = 2;
        run(&o);
        assert_same_bytes(part, whole, comm_kind_name(o.comm));
        o.save_every = o.keep = 0;
        o.steps = 16;
        o.save = part;
        run(&o);
        ck_assert_ok(checkpoint_files_name(scratch, PATH, whole, 16));
        assert_same_bytes(part, scratch, comm_kind_name(o.comm));
    }
}
END_TEST

// --- other programs

// ZeRO 3 over `ranks`, as a plan file; the path is valid until the next call.
static const char *zero3_plan(const JobOptions *o, int ranks, int block) {
    static char path[PATH];
    const StepSpec step = {.dtype = o->spec.dtype,
                           .batch = o->spec.batch,
                           .shards = ranks,
                           .local_shards = 1,
                           .micro_batches = 1,
                           .evaluation_rows = EVALUATION_ROWS,
                           .optimizer = o->spec.optimizer,
                           .mesh.data = ranks};
    Arena a = {0};
    Model m;
    Program p;
    ck_assert_ok(model_read(&m, &a, o->spec.model));
    ck_assert_ok(zero3_program(&p, &m, &step, block));
    snprintf(path, sizeof path, "%s/zero3-%d-%d.plan", test_directory(), ranks, block);
    const ProgramSet set = program_set_of_one(&p);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_ok(plan_text_print(&set, NONE, f));
    ck_assert_int_eq(fclose(f), 0);
    program_finish(&p);
    arena_finish(&a);
    return path;
}

static double largest_difference(const char *a, const char *b) {
    Arena arena = {0};
    Safetensors x, y;
    double most = 0;
    ck_assert_ok(safetensors_read(&x, &arena, a));
    ck_assert_ok(safetensors_read(&y, &arena, b));
    ck_assert_int_eq(x.count, y.count);
    for (int i = 0; i < x.count; i++) {
        const SafetensorsEntry *e = &x.entries[i], *f = safetensors_find(&y, e->name);
        ck_assert(f && safetensors_bytes(e) == safetensors_bytes(f));
        for (int64_t k = 0; k < safetensors_bytes(e) / 4; k++)
            most = fmax(most, fabs((double)((const float *)e->data)[k] -
                                   (double)((const float *)f->data)[k]));
    }
    arena_finish(&arena);
    return most;
}

// Shards of flat pieces, small and large, take what replicas saved, and the other way.
START_TEST(shards_and_replicas_go_on_from_each_other) {
    static const int blocks[] = {2, 64};
    name_files();
    for (int ranks = 2; ranks <= 4; ranks++)
        for (int way = 0; way < 2; way++) {
            JobOptions o = options_of(20, whole, ranks);
            o.tail = TAIL_DROP;
            const char *plan = zero3_plan(&o, ranks, blocks[ranks % 2]);
            run(&o);
            o.spec.ranks = ranks;
            o.comm = ranks == 3 ? COMM_SHM : COMM_THREAD;
            o.steps = 10;
            o.save = part;
            o.spec.plan_file = way == 0 ? plan : NULL;
            run(&o);
            o.steps = 20;
            o.resume = part;
            o.save = resumed;
            o.spec.plan_file = way == 0 ? NULL : plan;
            run(&o);
            double most = largest_difference(whole, resumed);
            ck_assert_msg(most == 0, "%d ranks, way %d: %g apart", ranks, way, most);
        }
}
END_TEST

// Every stage of ZeRO is gone on from and to, on another number of ranks.
START_TEST(stages_of_zero_go_on_from_each_other) {
    static const int stages[][2] = {{0, 3}, {3, 0}, {1, 2}, {2, 1}, {3, 3}, {1, 3}};
    name_files();
    JobOptions o = options_of(20, whole, 6);
    run(&o);
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        int from = stages[i][0], to = stages[i][1];
        char what[64];
        snprintf(what, sizeof what, "zero %d, then %d", from, to);
        o.spec.ranks = from % 2 ? 2 : 3;
        o.spec.strategy.zero = from;
        o.comm = to % 2 ? COMM_THREAD : COMM_SERIAL;
        o.steps = 10;
        o.save = part;
        o.resume = NULL;
        run(&o);
        o.spec.ranks = to % 2 ? 3 : 2;
        o.spec.strategy.zero = to;
        o.steps = 20;
        o.save = resumed;
        o.resume = part;
        run(&o);
        assert_same_bytes(whole, resumed, what);
    }
}
END_TEST

// From shards over 4 ranks to shards over 2, which hold two of them each.
START_TEST(shards_go_on_over_fewer_ranks) {
    name_files();
    JobOptions o = options_of(10, whole, 4);
    o.tail = TAIL_DROP;
    o.spec.ranks = 4;
    o.spec.plan_file = zero3_plan(&o, 4, 2);
    run(&o);
    char plan[PATH];
    snprintf(plan, PATH, "%s", zero3_plan(&o, 2, 64));
    o.spec.plan_file = plan;
    o.spec.ranks = o.spec.shards = 2;
    o.resume = whole;
    o.save = part;
    o.steps = 11;
    run(&o);
    o.spec.plan_file = NULL;
    o.spec.ranks = 1;
    o.save = resumed;
    run(&o);
    ck_assert(largest_difference(part, resumed) == 0);
    ck_assert(largest_difference(whole, resumed) > 0);
}
END_TEST

// --- files of ranks

// What they are consolidated to is the file that rank 0 writes, and either can be gone on from.
static void check_shards(int zero, int ranks, CommKind comm) {
    char index[PATH + 16], what[64];
    JobOptions o = options_of(20, whole, 6);
    Arena a = {0};
    Safetensors s;
    snprintf(index, sizeof index, "%s.index.json", part);
    snprintf(what, sizeof what, "zero %d, %d ranks, %s", zero, ranks, comm_kind_name(comm));
    run(&o);
    o.steps = 10;
    o.save = resumed;
    run(&o);
    o.save = part;
    o.save_shards = true;
    o.save_every = 3;
    o.comm = comm;
    o.spec.ranks = ranks;
    o.spec.strategy.zero = zero;
    run(&o);
    ck_assert_ok(safetensors_read_index(&s, &a, index));
    ck_assert_ok(safetensors_write(scratch, s.entries, s.count, s.texts, s.text_count));
    assert_same_bytes(scratch, resumed, what);
    o.steps = 20;
    o.save_every = 0;
    o.resume = index;
    o.spec.ranks = ranks == 3 ? 2 : 3;
    run(&o);
    arena_finish(&a);
    ck_assert_ok(safetensors_read_index(&s, &a, index));
    ck_assert_ok(safetensors_write(scratch, s.entries, s.count, s.texts, s.text_count));
    assert_same_bytes(scratch, whole, what);
    arena_finish(&a);
}

START_TEST(every_rank_may_write_its_own_pieces) {
    name_files();
    check_shards(0, 1, COMM_SERIAL);
    check_shards(1, 3, COMM_THREAD);
    check_shards(2, 2, COMM_SERIAL);
    check_shards(3, 3, COMM_SHM);
}
END_TEST

SUITE("checkpoint", a_resumed_run_equals_one_that_was_not_stopped,
      it_may_go_on_on_another_number_of_ranks, each_update_rule_goes_on_with_its_state,
      running_statistics_go_on, every_step_of_an_epoch_is_a_place_to_go_on, saving_changes_no_bit,
      shards_and_replicas_go_on_from_each_other, stages_of_zero_go_on_from_each_other,
      shards_go_on_over_fewer_ranks, every_rank_may_write_its_own_pieces)
