// SPDX-License-Identifier: MIT
// Calibrations in machine files, and a real one of this host. What comes out of it depends on the
// host; that it is there, ordered and of the right operations does not.
#include "core/base/file.h"
#include "parallel/calibrate/calibrate.h"
#include "parallel/run/process.h"
#include "tests/support/command.h"
#include "tests/support/machine_case.h"
#include "tests/support/training.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static Command it;

// --- files

#define SPREAD(x) \
    { (x) + 1, (x), (x) + 1002, true }

static OperationTime operations[] = {
    {0xdeadbeef00000001, "conv1+relu1.forward", 64, 36864000, 1124384, SPREAD(646210000),
     SPREAD(INT64_C(999999999999990000)), SPREAD(671050000)},
    {3, "load: all", 16, 0, 1, {0, 0, 0, true}, {0}},
};
static MemoryRate copies[] = {{4096, SPREAD(273066666667), SPREAD(7)},
                              {3 << 20, SPREAD(1000), {0}}};
static MemoryRate sums[] = {{5000, SPREAD(99), SPREAD(98)}};

static Machine sample_machine(void) {
    Machine m = {.name = "2 x \"odd\" CPU",
                 .is_host = true,
                 .nodes = 1,
                 .devices_per_node = 2,
                 .device = {.name = "core",
                            .flops_per_s = {[DTYPE_F32] = 117464869515},
                            .memory_bytes = 12637735937,
                            .memory_bytes_per_s = 42669989951,
                            .flops_permille = 632,
                            .memory_permille = 1000},
                 .host = {2, 9091, 50000000, 24741, 12182500, 3054500, 1168910, 12527616, 110500,
                          83912932138, 1128, 1301},
                 .is_calibrated = true};
    m.calibration = (Calibration){.model = "mlp:hidden=64",
                                  .device = "cpu",
                                  .dtype = "f32",
                                  .cpu = "no: such",
                                  .when = "2026-01-02T03:04:05Z",
                                  .quick = true,
                                  .rows = 64,
                                  .operations = operations,
                                  .operation_count = 2,
                                  .copy = copies,
                                  .copy_count = 2,
                                  .reduce = sums,
                                  .reduce_count = 1};
    Measured *const times[] = {
        &m.calibration.step_ps,   &m.calibration.turn_ps,  &m.calibration.dispatch_ps,
        &m.calibration.span_ps,   &m.calibration.clock_ps, &m.calibration.cpu_clock_ps,
        &m.calibration.ping_ps,   &m.calibration.wake_ps,  &m.calibration.wake_same_core_ps,
        &m.calibration.switch_ps, &m.calibration.yield_ps, &m.calibration.collective_ps};
    for (int i = 0; i < 12; i++) *times[i] = (Measured)SPREAD(1000003 * i + 7);
    return m;
}

static void ck_same(const Measured *a, const Measured *b) {
    ck_assert_int_eq(a->known, b->known);
    ck_assert_int_eq(a->median, b->median);
    ck_assert_int_eq(a->low, b->low);
    ck_assert_int_eq(a->high, b->high);
}

static void ck_same_rates(const MemoryRate *a, int count, const MemoryRate *b, int other_count) {
    ck_assert_int_eq(count, other_count);
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(a[i].bytes, b[i].bytes);
        ck_same(&a[i].own, &b[i].own);
        ck_same(&a[i].peer, &b[i].peer);
    }
}

static void ck_same_calibration(const Calibration *a, const Calibration *b) {
    ck_assert_str_eq(a->model, b->model);
    ck_assert_str_eq(a->device, b->device);
    ck_assert_str_eq(a->dtype, b->dtype);
    ck_assert_str_eq(a->cpu, b->cpu);
    ck_assert_str_eq(a->when, b->when);
    ck_assert_int_eq(a->quick, b->quick);
    ck_assert_int_eq(a->rows, b->rows);
    ck_same(&a->step_ps, &b->step_ps);
    ck_same(&a->turn_ps, &b->turn_ps);
    ck_same(&a->dispatch_ps, &b->dispatch_ps);
    ck_same(&a->span_ps, &b->span_ps);
    ck_same(&a->clock_ps, &b->clock_ps);
    ck_same(&a->cpu_clock_ps, &b->cpu_clock_ps);
    ck_same(&a->ping_ps, &b->ping_ps);
    ck_same(&a->wake_ps, &b->wake_ps);
    ck_same(&a->wake_same_core_ps, &b->wake_same_core_ps);
    ck_same(&a->switch_ps, &b->switch_ps);
    ck_same(&a->yield_ps, &b->yield_ps);
    ck_same(&a->collective_ps, &b->collective_ps);
    ck_same_rates(a->copy, a->copy_count, b->copy, b->copy_count);
    ck_same_rates(a->reduce, a->reduce_count, b->reduce, b->reduce_count);
    ck_assert_int_eq(a->operation_count, b->operation_count);
    for (int i = 0; i < a->operation_count; i++) {
        const OperationTime *x = &a->operations[i], *y = &b->operations[i];
        ck_assert(x->cost_key == y->cost_key && x->rows == y->rows && x->flops == y->flops);
        ck_assert_int_eq(x->bytes, y->bytes);
        ck_assert_str_eq(x->name, y->name);
        ck_same(&x->solo_ps, &y->solo_ps);
        ck_same(&x->co_run_ps, &y->co_run_ps);
        ck_same(&x->oversubscribed_ps, &y->oversubscribed_ps);
    }
}

static void write_and_read(Machine *out, Arena *a, const Machine *m) {
    char path[128];
    snprintf(path, sizeof path, "%s/machine.yaml", test_directory());
    ck_assert_ok(machine_write(m, path));
    ck_assert_ok(machine_read(out, a, arena_string(a, path)));
}

static void ck_same_machine(const Machine *a, const Machine *b) {
    machine_same(a, b);
    ck_same_calibration(&a->calibration, &b->calibration);
}

START_TEST(a_calibration_reads_back_equal_to_the_last_digit) {
    Arena a = {0};
    Machine m = sample_machine(), again;
    write_and_read(&again, &a, &m);
    ck_same_machine(&m, &again);
    ck_assert_ptr_eq(calibration_find(&again.calibration, 3), &again.calibration.operations[1]);
    ck_assert_ptr_null(calibration_find(&again.calibration, 4));
    arena_finish(&a);
}
END_TEST

START_TEST(what_was_not_measured_is_not_in_the_file) {
    Arena a = {0};
    Machine m = sample_machine(), again;
    m.calibration.ping_ps = m.calibration.wake_ps = m.calibration.collective_ps = (Measured){0};
    m.calibration.quick = false;
    m.calibration.copy_count = m.calibration.reduce_count = m.calibration.operation_count = 0;
    write_and_read(&again, &a, &m);
    ck_same_machine(&m, &again);
    char *text;
    size_t length;
    ck_assert_ok(file_read(&text, &length, &a, again.source));
    const char *const gone[] = {"ping", "wake: {", "collective", "quick", "copy", "operations"};
    for (int i = 0; i < 6; i++) ck_assert_msg(!strstr(text, gone[i]), "%s in\n%s", gone[i], text);
    arena_finish(&a);
}
END_TEST

START_TEST(a_machine_without_one_is_not_calibrated) {
    Arena a = {0};
    Machine m;
    ck_assert_ok(machine_read(&m, &a, "laptop"));
    ck_assert(!m.is_calibrated && !m.calibration.operation_count && !m.calibration.step_ps.known);
    arena_finish(&a);
}
END_TEST

#define HEAD                                                                      \
    "tandem: machine 1\nname: x\n"                                                \
    "device: {name: d, flops: {f32: 1T}, memory: 1GB, memory_bandwidth: 1GB/s}\n" \
    "host: {cores: 2, fold_bandwidth: 1GB/s}\ncalibration:\n"
#define JOB "  model: net\n  device: cpu\n  dtype: f32\n  rows: 64\n  when: now\n"
#define OPERATION "key: 0000000000000001, name: a, rows: 1, flops: 0, bytes: 0"
#define TIME "{median: 1us, low: 1us, high: 1us}"

START_TEST(what_is_wrong_in_a_calibration_is_named_with_its_place) {
    machine_refused(HEAD "  - 3\n",
                    "m.yaml:6:3: \"calibration\": expected a mapping, found a list");
    machine_refused(HEAD JOB "  stepp: " TIME "\n",
                    "m.yaml:11:3: unknown key \"stepp\" (did you mean step?)");
    machine_refused(HEAD "  model: net\n", "the key \"device\" is missing here");
    machine_refused(HEAD JOB "  step: 3us\n", "\"step\": expected a mapping, found \"3us\"");
    machine_refused(HEAD JOB "  step: {median: 3us, low: 1us}\n",
                    "m.yaml:11:9: the key \"high\" is missing");
    machine_refused(HEAD JOB "  step: {median: 3us, low: 4us, high: 5us}\n",
                    "m.yaml:11:9: \"step\": expected low <= median <= high, found 4us, 3us, 5us");
    machine_refused(HEAD JOB "  step: {median: 3us, low: 2us, high: 1us}\n", "found 2us, 3us, 1us");
    machine_refused(HEAD JOB "  step: {median: -3us, low: 2us, high: 1us}\n",
                    "m.yaml:11:18: median: \"-3us\" is not a duration");
    machine_refused(HEAD JOB "  step: {median: 3, low: 2us, high: 4us}\n",
                    "median: \"3\" is not a duration");
    machine_refused(HEAD JOB "  step: {median: 99999999h, low: 2us, high: 4us}\n", "too large");
    machine_refused(HEAD JOB "  copy: {}\n",
                    "m.yaml:11:9: \"copy\": expected a list, found a mapping");
    machine_refused(HEAD JOB "  copy: [{bytes: 0, own: " TIME "}]\n",
                    "m.yaml:11:18: \"bytes\": expected more than 0, found 0");
    machine_refused(HEAD JOB "  copy: [{bytes: 1KiB, own: " TIME "}]\n",
                    "\"1us\" is not a bandwidth");
    machine_refused(HEAD JOB
                    "  copy: [{bytes: 1KiB, own: {median: 1B/s, low: 0B/s, high: 1B/s}}]\n",
                    "\"own\": expected more than 0, found 0B/s");
    machine_refused(HEAD JOB "  reduce: [{bytes: 2, own: {median: 1B/s, low: 1B/s, high: 1B/s}},\n"
                             "           {bytes: 2, own: {median: 1B/s, low: 1B/s, high: 1B/s}}]\n",
                    "m.yaml:12:20: \"bytes\": expected a larger size than the one before, found 2");
    machine_refused(HEAD JOB
                    "  operations: [{key: 12, name: a, rows: 1, flops: 0, bytes: 0, solo: " TIME
                    "}]\n",
                    "\"key\": expected 16 hexadecimal digits, found \"12\"");
    machine_refused(HEAD JOB
                    "  operations: [{key: 000000000000000g, name: a, rows: 1, flops: 0, bytes: 0,"
                    " solo: " TIME "}]\n",
                    "expected 16 hexadecimal digits");
    machine_refused(HEAD JOB "  operations: [{" OPERATION "}]\n",
                    "the key \"solo\" is missing here");
    machine_refused(HEAD JOB "  operations: [{" OPERATION ", solo: " TIME "}, {" OPERATION
                             ", solo: " TIME "}]\n",
                    "\"key\": 0000000000000001 occurs twice");
    machine_refused(HEAD JOB
                    "  operations:\n    - {key: 0000000000000001, name: a, rows: 0, flops: 0, "
                    "bytes: 0, solo: " TIME "}\n",
                    "\"rows\": expected a whole number of at least 1, found \"0\"");
    machine_refused(HEAD JOB
                    "  operations:\n    - {key: 0000000000000001, name: a, rows: 1, flops: -1, "
                    "bytes: 0, solo: " TIME "}\n",
                    "\"flops\": expected a whole number of at least 0, found \"-1\"");
    machine_refused(HEAD JOB "  quick: 1\n", "\"quick\": expected true or false, found \"1\"");
}
END_TEST

// --- this host

static int cores(void) {
    cpu_set_t set;
    return process_cores(&set);
}

static void ck_measured(const Measured *m, int64_t least, const char *what) {
    ck_assert_msg(m->known, "%s was not measured", what);
    ck_assert_msg(least <= m->low && m->low <= m->median && m->median <= m->high,
                  "%s: %lld, %lld, %lld", what, (long long)m->low, (long long)m->median,
                  (long long)m->high);
}

static void ck_rates(const MemoryRate *rates, int count, bool peer) {
    ck_assert_int_gt(count, 1);
    for (int i = 0; i < count; i++) {
        ck_measured(&rates[i].own, 1, "a rate");
        if (peer) ck_measured(&rates[i].peer, 1, "a peer's rate");
        ck_assert(i == 0 || rates[i].bytes > rates[i - 1].bytes);
    }
}

// What is the same on every host with two cores.
static void ck_plausible(const Machine *m) {
    const Calibration *c = &m->calibration;
    bool two = cores() > 1;
    ck_measured(&c->step_ps, 1, "step");
    ck_measured(&c->turn_ps, 0, "turn");
    ck_measured(&c->dispatch_ps, 0, "dispatch");
    ck_measured(&c->span_ps, 0, "span");
    ck_measured(&c->clock_ps, 1, "clock");
    ck_measured(&c->cpu_clock_ps, 1, "cpu_clock");
    ck_measured(&c->wake_same_core_ps, 1, "wake_same_core");
    ck_measured(&c->switch_ps, 1, "switch");
    ck_measured(&c->yield_ps, 1, "yield");
    ck_assert_int_eq(c->ping_ps.known && c->wake_ps.known && c->collective_ps.known, two);
    if (two) ck_measured(&c->ping_ps, 1, "ping");
    if (two) ck_measured(&c->wake_ps, 1, "wake");
    if (two) ck_measured(&c->collective_ps, 0, "collective");
    ck_rates(c->copy, c->copy_count - 1, two);
    ck_rates(c->reduce, c->reduce_count, two);
    ck_assert_int_gt(c->copy[c->copy_count - 1].bytes, c->copy[c->copy_count - 2].bytes);
    ck_assert(m->is_host && m->host.cores == cores() && m->host.fold_bytes_per_s > 0);
    ck_assert_int_gt(m->device.flops_per_s[DTYPE_F32], 0);
    ck_assert_int_gt(m->device.memory_bytes, 0);
    ck_assert(m->host.co_run_permille > 0 && m->device.flops_permille > 0);
}

// Every operation of the step that a rank executes itself was measured; nothing else was.
static void ck_operations(const Calibration *c, const Job *job, bool co_run) {
    const Plan *plan = &job->set.programs[0].plans[job->plan_step];
    int64_t sum = 0;
    int known = 0;
    for (int i = 0; i < plan->op_count; i++) {
        const Work *w = op_work(&job->set.programs[0], &plan->ops[i]);
        const OperationTime *o = calibration_find(c, w->cost_key);
        if (work_communicates(w)) {
            ck_assert_ptr_null(o);
            continue;
        }
        ck_assert_msg(o != NULL, "%s was not measured",
                      op_name(&job->set.programs[0], &plan->ops[i]));
        ck_assert(o->flops == w->flops && o->bytes == w->read_bytes + w->write_bytes);
        ck_measured(&o->solo_ps, 0, o->name);
        if (co_run) ck_measured(&o->co_run_ps, 0, o->name);
        if (co_run) ck_measured(&o->oversubscribed_ps, 0, o->name);
        ck_assert_int_eq(o->rows, c->rows);
        sum += o->solo_ps.median;
    }
    for (int k = 0; k < c->operation_count; k++)
        for (int i = 0; i < plan->op_count; i++)
            if (op_work(&job->set.programs[0], &plan->ops[i])->cost_key ==
                c->operations[k].cost_key) {
                known++;
                break;
            }
    ck_assert_int_eq(known, c->operation_count);
    ck_assert_int_gt(sum, 0);
}

static void calibrate_job(Machine *m, Arena *a, Job *job, const JobOptions *options) {
    ck_assert_ok(job_create(job, options));
    cpu_set_t before, after;
    process_cores(&before);
    ck_assert_ok(calibrate(m, a, job, &(CalibrateOptions){.quick = true}));
    process_cores(&after);
    ck_assert(CPU_EQUAL(&before, &after));
    ck_assert(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);  // no peer is left
}

START_TEST(a_quick_calibration_measures_the_operations_of_the_step) {
    Arena a = {0};
    Job job;
    Machine m, again;
    const JobOptions o = training_options();
    calibrate_job(&m, &a, &job, &o);
    ck_plausible(&m);
    ck_assert(m.calibration.quick);
    ck_assert_int_eq(m.calibration.rows, 61);
    ck_operations(&m.calibration, &job, cores() > 1);
    write_and_read(&again, &a, &m);
    ck_same_machine(&m, &again);
    job_destroy(&job);
    arena_finish(&a);
}
END_TEST

// 61 rows over 3 ranks of two shards: 11 rows a shard at most, so that a rank has room for 22.
START_TEST(of_several_ranks_it_measures_what_each_of_them_does) {
    Arena a = {0};
    Job job;
    Machine m;
    JobOptions o = training_options();
    o.spec.ranks = 3;
    o.spec.shards = 6;
    calibrate_job(&m, &a, &job, &o);
    ck_plausible(&m);
    ck_assert_int_eq(m.calibration.rows, 22);
    const Plan *plan = &job.set.programs[0].plans[job.plan_step];
    for (int i = 0; i < plan->op_count; i++) {
        const Work *w = op_work(&job.set.programs[0], &plan->ops[i]);
        bool ours = !work_communicates(w);
        ck_assert_int_eq(calibration_find(&m.calibration, w->cost_key) != NULL, ours);
    }
    job_destroy(&job);
    arena_finish(&a);
}
END_TEST

START_TEST(an_interrupt_ends_it_and_leaves_no_process) {
    Arena a = {0};
    Job job;
    Machine m;
    atomic_int interrupts = 1;
    JobOptions o = training_options();
    o.interrupt = &interrupts;
    ck_assert_ok(job_create(&job, &o));
    ck_assert_fails(calibrate(&m, &a, &job, &(CalibrateOptions){0}), ERR_INTERRUPTED,
                    "interrupted");
    ck_assert(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    job_destroy(&job);
    arena_finish(&a);
}
END_TEST

// --- the command line

#define SMALL " --model linear --data digits:count=300"

START_TEST(train_calibrate_writes_a_machine_and_a_table) {
    Arena a = {0};
    Machine m;
    ck_assert_msg(command_run(&it, "train --calibrate here.yaml --calibrate-rows 8,4" SMALL) == 0,
                  "%s", it.err);
    ck_assert_ok(machine_read(&m, &a, command_path(&it, "here.yaml")));
    ck_plausible(&m);
    ck_assert(!m.calibration.quick);
    ck_assert_str_eq(m.calibration.model, "linear");
    ck_assert_int_eq(m.calibration.rows, 8);
    bool eight = false, four = false;
    for (int i = 0; i < m.calibration.operation_count; i++) {
        eight = eight || m.calibration.operations[i].rows == 8;
        four = four || m.calibration.operations[i].rows == 4;
    }
    ck_assert(eight && four);
    int lines = 0;
    for (const char *at = it.out; *at; lines++) {
        size_t columns = strcspn(at, "\n");
        ck_assert_msg(columns <= 80, "%s", at);
        at += columns + (at[columns] != 0);
    }
    ck_assert_int_le(lines, 20);
    ck_assert(strstr(it.out, "step of one rank") && strstr(it.err, "calibrate"));
    command_finish(&it);
    arena_finish(&a);
}
END_TEST

START_TEST(a_trace_has_a_quick_calibration_beside_it) {
    Arena a = {0};
    Machine m;
    ck_assert_msg(command_run(&it, "train --trace run --steps 3 --ranks 2 -q" SMALL) == 0, "%s",
                  it.err);
    ck_assert_str_eq(it.err, "");
    ck_assert_ok(machine_read(&m, &a, command_path(&it, "run/machine.yaml")));
    ck_plausible(&m);
    ck_assert(m.calibration.quick);
    ck_assert_int_eq(m.calibration.rows, 32);
    command_finish(&it);
    arena_finish(&a);
}
END_TEST

// What they measure is one rank, which divides nothing with others.
START_TEST(strategies_that_need_ranks_have_a_calibration_beside_their_traces) {
    static const char *const commands[] = {
        "train --trace run --steps 2 --ranks 2 -q --zero 3" SMALL,
        "train --trace run --steps 2 --ranks 2 -q --data-parallel" SMALL,
        "train --trace run --steps 2 --tp 2 --sequence-parallel -q --batch 4 --data text "
        "--model gpt:layers=1,hidden=8,heads=2,seq=8 --test-fraction 0",
        "train --trace run --steps 2 --dp 2 --ep 2 -q --batch 4 --data text "
        "--model mixtral:layers=1,hidden=8,heads=2,seq=8 --test-fraction 0",
    };
    for (int i = 0; i < 4; i++) {
        Arena a = {0};
        Machine m;
        ck_assert_msg(command_run(&it, "%s", commands[i]) == 0, "%s", it.err);
        ck_assert_str_eq(it.err, "");
        ck_assert_ok(machine_read(&m, &a, command_path(&it, "run/machine.yaml")));
        ck_plausible(&m);
        command_finish(&it);
        arena_finish(&a);
    }
}
END_TEST

START_TEST(ctrl_c_ends_a_calibration_without_a_file) {
    command_start(&it, "train --calibrate here.yaml -q" SMALL);
    sleep_seconds(1);
    kill(it.pid, SIGINT);
    command_wait(&it, 20);
    ck_assert_int_eq(it.status, 130);
    ck_assert(strstr(it.err, "train: calibration interrupted\n"));
    ck_assert_int_eq(command_count_files(&it, ""), 0);
    command_finish(&it);
}
END_TEST

static void misuse(const char *line, const char *message) {
    ck_assert_int_eq(command_run(&it, "train %s" SMALL, line), 2);
    ck_assert_msg(strstr(it.err, message) != NULL, "%s: %s", line, it.err);
    ck_assert_int_eq(command_count_files(&it, ""), 0);
    command_finish(&it);
}

START_TEST(what_makes_no_sense_beside_a_calibration_is_refused) {
    misuse("--calibrate here.yaml --trace run", "--calibrate measures and does not train: leave "
                                                "out --trace");
    misuse("--calibrate here.yaml --steps 5", "leave out --steps");
    misuse("--calibrate here.yaml --plan x.plan", "leave out --plan");
    misuse("--calibrate here.json", "the name of a machine file must end in .yaml");
    misuse("--calibrate-rows 8", "--calibrate-rows says what --calibrate FILE measures");
    misuse("--calibrate here.yaml --calibrate-rows 1 --shards 2",
           "1 rows a rank are fewer than its 2 shards and micro-batches");
}
END_TEST

SUITE("calibration", a_calibration_reads_back_equal_to_the_last_digit,
      what_was_not_measured_is_not_in_the_file, a_machine_without_one_is_not_calibrated,
      what_is_wrong_in_a_calibration_is_named_with_its_place,
      a_quick_calibration_measures_the_operations_of_the_step,
      of_several_ranks_it_measures_what_each_of_them_does,
      an_interrupt_ends_it_and_leaves_no_process, train_calibrate_writes_a_machine_and_a_table,
      a_trace_has_a_quick_calibration_beside_it,
      strategies_that_need_ranks_have_a_calibration_beside_their_traces,
      ctrl_c_ends_a_calibration_without_a_file, what_makes_no_sense_beside_a_calibration_is_refused)
