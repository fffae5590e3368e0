// SPDX-License-Identifier: MIT
// kernels: what each operation of a training step, or of the first plan of a file, costs on one
// core. Steps are executed as train executes them, on synthetic samples; at its turn an operation
// is repeated and timed on the CPU clock of the thread, which other processes disturb little. The
// last line is whole steps, nothing repeated: caches are then as cold as in a run. "of copy" is the
// rate at which an operation reads and writes its operands, as a share of that of a large copy:
// what memory alone would allow, more where operands stay in the cache.
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/rng.h"
#include "core/base/statistics.h"
#include "core/base/table.h"
#include "core/cli/option.h"
#include "core/plan/check.h"
#include "core/plan/moved.h"
#include "core/plan_text/plan_text.h"
#include "parallel/run/executor_internal.h"
#include "parallel/run/job.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *model, *device, *plan;
    int dtype, form;
    int64_t batch, rounds, repeat_ps;
} BenchOptions;

#define AT(field) .at = offsetof(BenchOptions, field)
// clang-format off
static const Option options[] = {
    {.name = "model", .kind = OPTION_STRING, AT(model), .value = "NAME|FILE", .initial = "net",
     .brief = true, .help = "built-in model or model file"},
    {.name = "plan", .kind = OPTION_STRING, AT(plan), .value = "FILE", .brief = true,
     .help = "time the operations of this plan instead, on random operands"},
    {.name = "device", .kind = OPTION_STRING, AT(device), .value = "NAME", .initial = "cpu",
     .brief = true, .help = "reference or cpu"},
    {.name = "dtype", .kind = OPTION_CHOICE, AT(dtype), .value = "f32|f64", .initial = "f32",
     .brief = true, .help = "type of the arithmetic"},
    {.name = "batch", .kind = OPTION_INT, AT(batch), .value = "B", .initial = "64", .min = 1,
     .max = 1e6, .brief = true, .help = "samples a step"},
    {.name = "rounds", .kind = OPTION_INT, AT(rounds), .value = "N", .initial = "15", .min = 1,
     .max = 1e4, .brief = true, .help = "measurements of every operation"},
    {.name = "repeat", .kind = OPTION_DURATION, AT(repeat_ps), .value = "TIME", .initial = "2ms",
     .brief = true, .help = "how long an operation is repeated per measurement"},
    {.name = "form", .kind = OPTION_CHOICE, AT(form), .value = "text|csv", .initial = "text",
     .brief = true, .help = "of the table"},
};
// clang-format on
static const OptionTable option_table = {
    .program = "kernels",
    .summary = "times every operation of a training step on one core",
    .options = options,
    .option_count = sizeof options / sizeof *options,
};

typedef struct {
    const BenchOptions *options;
    ProgramSet set;
    Executor executor;
    int plan;
    int64_t round;
    bool repeats;              // operations are repeated and timed at their turn
    double *op_ns;             // [op][round], in the arena
    double *step_ns;           // [round]
    int64_t load_ns;           // spent loading, which is not measured
    double copy_bytes_per_ns;  // read and written, of memory beyond the caches
} Bench;

static void load(void *context, const LoadCall *call) {
    Bench *b = context;
    int64_t start = clock_thread_cpu_ns();
    Rng r;
    rng_init(&r, 1, RNG_TEST, 0, 0);
    int64_t sample = 1;
    for (int i = 1; i < call->x.dims; i++) sample *= call->x.shape[i];
    for (int64_t i = 0; i < call->rows * sample; i++) {
        if (b->options->dtype)
            ((double *)call->x.data)[i] = (double)rng_float(&r) * 2 - 1;
        else
            ((float *)call->x.data)[i] = (double)rng_float(&r) * 2 - 1;
    }
    for (int64_t i = 0; i < call->rows; i++)
        ((int32_t *)call->labels.data)[i] = (int32_t)rng_below(&r, 10);
    b->load_ns += clock_thread_cpu_ns() - start;
}

static bool is_timed(const Bench *b, int op) {
    return b->executor.plans[b->plan].ops[op].class == CLASS_COMPUTE;
}

static void before(void *context, int rank, int plan, int op) {
    Bench *b = context;
    if (!b->repeats || !is_timed(b, op)) return;
    const KernelCall *call = &b->executor.plans[plan].ops[op].call;
    int64_t start = clock_thread_cpu_ns(), end = start, count = 0;
    while (end - start < b->options->repeat_ps / PS_PER_NS || !count) {
        for (int i = 0; i < 4; i++) device_run(b->executor.device, call);
        count += 4;
        end = clock_thread_cpu_ns();
    }
    b->op_ns[op * b->options->rounds + b->round] = (double)(end - start) / (double)count;
}

// Live rows, inverse of their number, learning rate: as in a step of one rank. A rate of zero keeps
// the weights however often the update is repeated.
static void set_scalars(Bench *b) {
    const Program *p = &b->set.programs[0];
    for (int t = 0; t < p->tensor_count; t++) {
        uint8_t source = p->tensors[t].source;
        if (!executor_data(&b->executor, t)) continue;
        if (source == SCALAR_ROWS) executor_set_i64(&b->executor, t, b->options->batch);
        if (source == SCALAR_INVERSE_COUNT)
            executor_set_f64(&b->executor, t, 1.0 / (double)b->options->batch);
    }
}

enum { CLASSES = 64 };  // of random labels and tokens

// Numbers in [-1, 1), classes, small counts; an optimiser's state is 0, as at a run's begin.
static void randomise(const Tensor *t, void *data) {
    Rng r;
    rng_init(&r, 1, RNG_TEST, 1, 0);
    for (int64_t i = 0; i < tensor_elements(t) && t->role != ROLE_OPTIMISER; i++) {
        double value = (double)rng_float(&r) * 2 - 1;
        switch (t->dtype) {
        case DTYPE_F32: ((float *)data)[i] = (float)value; break;
        case DTYPE_F64: ((double *)data)[i] = t->role == ROLE_SCALAR ? 0 : value; break;
        case DTYPE_I32: ((int32_t *)data)[i] = (int32_t)rng_below(&r, CLASSES); break;
        case DTYPE_I64: ((int64_t *)data)[i] = 1; break;
        default: break;
        }
    }
}

static void initialise(Bench *b) {
    for (int t = 0; t < b->set.programs[0].tensor_count; t++) {
        const Tensor *tensor = &b->set.programs[0].tensors[t];
        void *data = executor_data(&b->executor, t);
        if (b->options->plan && data && tensor->alias == NONE && role_persists((Role)tensor->role))
            randomise(tensor, data);
        if (b->options->plan || tensor->role != ROLE_PARAMETER || tensor->logical == NONE) continue;
        model_initialise(&b->set.programs[0], tensor->logical, 1, (Dtype)tensor->dtype, data);
    }
}

enum { COPY_BYTES = 64 << 20, COPIES = 5 };

static Status measure_copy(Bench *b) {
    char *from = malloc(COPY_BYTES), *to = malloc(COPY_BYTES);
    double ns[COPIES];
    for (int i = -1; i < COPIES && from && to; i++) {
        if (i < 0) memset(from, 1, COPY_BYTES);
        int64_t start = clock_thread_cpu_ns();
        memcpy(to, from, COPY_BYTES);
        if (i >= 0) ns[i] = (double)(clock_thread_cpu_ns() - start);
    }
    bool room = from && to;
    free(from);
    free(to);
    if (!room) FAIL(ERR_MEMORY, "no memory for a copy of %d bytes", COPY_BYTES);
    b->copy_bytes_per_ns = 2.0 * COPY_BYTES / statistics_spread(ns, COPIES).median;
    return OK;
}

static Status make_programs(Bench *b, Arena *a) {
    const BenchOptions *o = b->options;
    Model model;
    char *text;
    size_t length;
    JobSpec job = job_spec_default();
    job.batch = o->batch;
    job.dtype = o->dtype ? DTYPE_F64 : DTYPE_F32;
    if (o->plan) {
        TRY(file_read(&text, &length, a, o->plan));
        TRY(plan_text_parse(&b->set, text, length, o->plan));
    } else {
        TRY(model_read(&model, a, o->model));
        TRY(job_spec_programs(&b->set, &job, &model));
        b->plan = program_find_when(&b->set.programs[0], WHEN_EACH_STEP, 0);
    }
    return plan_check(&b->set);
}

static Status make(Bench *b, Arena *a) {
    const BenchOptions *o = b->options;
    const Device *device;
    TRY(device_find(&device, o->device));
    TRY(make_programs(b, a));
    TRY(program_set_lower(&b->set, device->traits));
    TRY(executor_create(&b->executor, a, &b->set.programs[0], 0, device, NULL,
                        &(ExecutorHooks){.context = b, .load = load, .before = before}));
    b->op_ns = ARENA_NEW(a, double, b->set.programs[0].plans[b->plan].op_count * o->rounds);
    b->step_ns = ARENA_NEW(a, double, o->rounds);
    if (!b->op_ns || !b->step_ns)
        FAIL(ERR_MEMORY, "out of memory for %lld rounds", (long long)o->rounds);
    initialise(b);
    set_scalars(b);
    return OK;
}

static Status run_steps(Bench *b, int steps, int64_t *used_ns) {
    int64_t start = clock_thread_cpu_ns();
    b->load_ns = 0;
    for (int i = 0; i < steps; i++) TRY(executor_run(&b->executor, b->plan, 0));
    *used_ns = clock_thread_cpu_ns() - start - b->load_ns;
    return OK;
}

// Rounds take turns between repeated operations and whole steps, so that a machine whose speed
// drifts treats them alike.
static Status measure(Bench *b) {
    int64_t used, steps = 1;
    TRY(run_steps(b, 2, &used));
    if (used > 0) steps = 1 + 20 * b->options->repeat_ps / PS_PER_NS / used;
    for (b->round = 0; b->round < b->options->rounds; b->round++) {
        b->repeats = true;
        TRY(run_steps(b, 1, &used));
        b->repeats = false;
        TRY(run_steps(b, (int)steps, &used));
        b->step_ns[b->round] = (double)used / (double)steps;
    }
    return OK;
}

// Sorts the times; returns their median.
static double add_row(Table *t, const Bench *b, const char *name, double *ns, int64_t flops,
                      int64_t bytes) {
    int64_t n = b->options->rounds;
    double median = statistics_spread(ns, (int)n).median;
    table_cell(t, "%s", name);
    table_cell(t, "%.1f", median / 1e3);
    table_cell(t, "%.1f", ns[0] / 1e3);
    table_cell(t, "%.1f", ns[n - 1] / 1e3);
    table_cell(t, "%.2f", median / 1e3 / (double)b->options->batch);
    table_cell(t, "%.1f", (double)flops / median);
    table_cell(t, "%.0f %%", 100 * (double)bytes / median / b->copy_bytes_per_ns);
    return median;
}

static Status print(Bench *b, Arena *a) {
    static const TableColumn columns[] = {
        {"operation", false}, {"us", true},      {"least", true},  {"most", true},
        {"us/sample", true},  {"GFLOP/s", true}, {"of copy", true}};
    const Plan *plan = &b->set.programs[0].plans[b->plan];
    Table t;
    double sum = 0;
    int64_t flops = 0, bytes = 0;
    table_init(&t, a, columns, sizeof columns / sizeof *columns);
    for (int op = 0; op < plan->op_count; op++) {
        if (!is_timed(b, op)) continue;
        const Program *p = &b->set.programs[0];
        const int64_t done = op_work(p, &plan->ops[op])->flops,
                      moved = moved_bytes(p, plan, &plan->ops[op]);
        sum += add_row(&t, b, op_name(p, &plan->ops[op]), &b->op_ns[op * b->options->rounds], done,
                       moved);
        flops += done;
        bytes += moved;
    }
    double step = add_row(&t, b, "whole step", b->step_ns, flops, bytes);
    TRY(table_print(stdout, &t, b->options->form ? TABLE_CSV : TABLE_TEXT));
    if (b->options->form) return OK;
    double batch = (double)b->options->batch;
    printf("\nsum of operations %.2f us a sample, %.0f samples/s; whole steps %.2f us, %.0f "
           "samples/s (medians of %lld); a copy %.1f GB/s\n",
           sum / 1e3 / batch, batch / sum * 1e9, step / 1e3 / batch, batch / step * 1e9,
           (long long)b->options->rounds, b->copy_bytes_per_ns);
    return OK;
}

static Status bench(const BenchOptions *o, Arena *a) {
    Bench b = {.options = o};
    Status s = make(&b, a);
    if (s == OK) s = measure_copy(&b);
    if (s == OK) s = measure(&b);
    if (s == OK) s = print(&b, a);
    executor_destroy(&b.executor);
    program_set_finish(&b.set);
    return s;
}

int main(int argc, char *argv[]) {
    Arena arena = {0};
    BenchOptions o = {0};
    OptionLine line;
    Status s = option_parse(&line, &o, &arena, &option_table, argc, argv);
    if (s == OK && line.help != HELP_NONE)
        option_print_help(stdout, &option_table, line.help);
    else if (s == OK)
        s = bench(&o, &arena);
    if (s != OK) fprintf(stderr, "kernels: %s\n", status_message());
    arena_finish(&arena);
    return status_exit(s);
}
