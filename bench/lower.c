// SPDX-License-Identifier: MIT
// lower: what it takes to build, check and lower the program of a model with more and more
// micro-batches. Times a thousand operations must stay where they are as plans grow.
#include "core/plan/lower.h"
#include "core/base/clock.h"
#include "core/base/table.h"
#include "core/cli/option.h"
#include "core/plan/check.h"
#include "parallel/run/job.h"

typedef struct {
    const char *model, *device;
    int64_t ranks, most;
} BenchOptions;

#define AT(field) .at = offsetof(BenchOptions, field)
// clang-format off
static const Option options[] = {
    {.name = "model", .kind = OPTION_STRING, AT(model), .value = "NAME|FILE", .initial = "net",
     .brief = true, .help = "built-in model or model file"},
    {.name = "device", .kind = OPTION_STRING, AT(device), .value = "NAME", .initial = "cpu",
     .brief = true, .help = "reference or cpu"},
    {.name = "ranks", .kind = OPTION_INT, AT(ranks), .value = "N", .initial = "2", .min = 1,
     .max = 64, .brief = true, .help = "ranks of the plan"},
    {.name = "most", .kind = OPTION_INT, AT(most), .value = "N", .initial = "4096", .min = 1,
     .max = 65536, .brief = true, .help = "micro-batches to go up to, from 64 on by doubling"},
};
// clang-format on
static const OptionTable option_table = {
    .program = "lower",
    .summary = "times the lowering of plans that grow",
    .options = options,
    .option_count = sizeof options / sizeof *options,
};

static double ms_since(int64_t *ns) {
    int64_t now = clock_thread_cpu_ns();
    double ms = (double)(now - *ns) / 1e6;
    *ns = now;
    return ms;
}

static void count(const Program *p, int *ops, int *deps) {
    *ops = *deps = 0;
    for (int k = 0; k < p->plan_count; k++) {
        *ops += p->plans[k].op_count;
        *deps += p->plans[k].dep_count;
    }
}

static Status measure(ProgramSet *set, Table *t, const BenchOptions *o, const Model *model,
                      const Device *device, int micro_batches) {
    JobSpec job = job_spec_default();
    job.ranks = (int)o->ranks;
    job.micro_batches = micro_batches;
    job.batch = o->ranks * micro_batches;
    int ops, lowered, deps;
    int64_t ns = clock_thread_cpu_ns();
    TRY(job_spec_programs(set, &job, model));
    double build = ms_since(&ns);
    TRY(plan_check(set));
    double check = ms_since(&ns);
    count(&set->programs[0], &ops, &deps);
    ns = clock_thread_cpu_ns();
    TRY(program_lower(&set->programs[0], device->traits));
    double lower = ms_since(&ns);
    count(&set->programs[0], &lowered, &deps);
    table_cell(t, "%d", micro_batches);
    table_cell(t, "%d", ops);
    table_cell(t, "%d", lowered);
    table_cell(t, "%d", deps);
    table_cell(t, "%.1f", build);
    table_cell(t, "%.1f", check);
    table_cell(t, "%.1f", lower);
    table_cell(t, "%.2f", lower / ops * 1e3);
    return OK;
}

static Status bench(const BenchOptions *o, Arena *a) {
    static const TableColumn columns[] = {
        {"micro-batches", true}, {"operations", true}, {"lowered", true},  {"dependencies", true},
        {"build ms", true},      {"check ms", true},   {"lower ms", true}, {"us/operation", true}};
    const Device *device;
    Model model;
    Table t;
    TRY(device_find(&device, o->device));
    TRY(model_read(&model, a, o->model));
    table_init(&t, a, columns, sizeof columns / sizeof *columns);
    for (int n = 64; n <= o->most; n *= 2) {
        ProgramSet set = {0};
        Status s = measure(&set, &t, o, &model, device, n);
        program_set_finish(&set);
        TRY(s);
    }
    return table_print(stdout, &t, TABLE_TEXT);
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
    if (s != OK) fprintf(stderr, "lower: %s\n", status_message());
    arena_finish(&arena);
    return status_exit(s);
}
