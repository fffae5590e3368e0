// SPDX-License-Identifier: MIT
// plans: milliseconds that it takes to build, check, print, read, lower, check again and simulate
// plans that grow: more layers, more micro-batches, longer chains of all-reduces as tensor
// parallelism makes them. Each must take twice as long for a plan of twice the size: the last
// column is the worst of their times per operation, as a multiple of that of the row before. Reuse
// counts the dependencies that lowering adds for memory that is shared.
#include "core/base/clock.h"
#include "core/base/table.h"
#include "core/cli/option.h"
#include "core/plan/build.h"
#include "core/plan/check.h"
#include "core/plan_text/plan_text.h"
#include "parallel/run/job.h"
#include "sim/simulate.h"

#include <stdlib.h>

typedef enum { FAMILY_LAYERS, FAMILY_MICRO_BATCHES, FAMILY_CHAIN, FAMILIES } Family;
static const char *const family_names[FAMILIES] = {"layers", "micro-batches", "chain"};

typedef struct {
    const char *device;
    int family;
    int64_t doublings, runs;
} BenchOptions;

#define AT(field) .at = offsetof(BenchOptions, field)
// clang-format off
static const Option options[] = {
    {.name = "family", .kind = OPTION_CHOICE, AT(family), .value = "layers|micro-batches|chain|all",
     .initial = "all", .brief = true,
     .help = "layers: mlp:hidden=8,layers=625 and more; micro-batches: 2 and more of 100 layers; "
             "chain: 24 all-reduces of as many micro-batches"},
    {.name = "device", .kind = OPTION_STRING, AT(device), .value = "NAME", .initial = "cpu",
     .brief = true, .help = "reference or cpu"},
    {.name = "doublings", .kind = OPTION_INT, AT(doublings), .value = "N", .initial = "4",
     .min = 0, .max = 8, .brief = true, .help = "how often the plan becomes twice as large"},
    {.name = "runs", .kind = OPTION_INT, AT(runs), .value = "N", .initial = "3",
     .min = 1, .max = 100, .brief = true, .help = "each time is the least of so many"},
};
// clang-format on
static const OptionTable option_table = {
    .program = "plans",
    .summary = "times what is done with plans that grow",
    .options = options,
    .option_count = sizeof options / sizeof *options,
};

enum { RANKS = 2, HIDDEN = 8 };
typedef enum { BUILD, CHECK, PRINT, PARSE, LOWER, AGAIN, SIMULATE, STAGES } Stage;

static Status add_layers(ProgramSet *set, Arena *a, int layers, int micro_batches) {
    char name[64];
    Model model;
    JobSpec job = job_spec_default();
    snprintf(name, sizeof name, "mlp:hidden=%d,layers=%d", HIDDEN, layers);
    job.ranks = RANKS;
    job.micro_batches = micro_batches;
    job.batch = RANKS * micro_batches;
    TRY(model_read(&model, a, name));
    return job_spec_programs(set, &job, &model);
}

// Pairs of linear layers as tensor parallelism cuts them, the first by columns, the second by rows:
// an all-reduce adds up what the ranks have.
static void write_chain(FILE *f, int layers, int micro_batches) {
    fprintf(f, "tandem plan 2\nmesh tensor=%d\ngroup tensor axes=tensor\n", RANKS);
    fprintf(f, "lane compute compute\nlane net communication group=tensor\n");
    fprintf(f, "logical x f32 8x8 parameter\n");
    for (int l = 0; l < layers; l++)
        fprintf(f,
                "logical a%d f32 16x8 parameter\nlogical b%d f32 8x16 parameter\n"
                "logical y%d f32 8x16 activation\nlogical z%d f32 8x8 activation\n",
                l, l, l, l);
    fprintf(f, "tensor x f32 8x8 parameter\n");
    for (int l = 0; l < layers; l++)
        fprintf(f, "tensor a%d f32 8x8 parameter place=S0\ntensor b%d f32 8x8 parameter place=S1\n",
                l, l);
    for (int m = 0; m < micro_batches; m++)
        for (int l = 0; l < layers; l++)
            fprintf(f,
                    "tensor y%d/%d f32 8x8 activation of=y%d place=S1 slice=0.%d\n"
                    "tensor z%d/%d f32 8x8 activation of=z%d place=P+ slice=0.%d\n",
                    l, m, l, m, l, m, l, m);
    fprintf(f, "plan step\n");
    for (int m = 0; m < micro_batches; m++)
        for (int l = 0; l < layers; l++) {
            char x[32] = "x";
            if (l) snprintf(x, sizeof x, "z%d/%d", l - 1, m);
            fprintf(f,
                    "f%d linear @compute y%d/%d <- %s a%d phase=forward slice=0.%d\n"
                    "g%d linear @compute z%d/%d <- y%d/%d b%d phase=forward slice=0.%d\n"
                    "h%d all_reduce @net z%d/%d <- z%d/%d phase=forward slice=0.%d\n",
                    l, l, m, x, l, m, l, l, m, l, m, l, m, l, l, m, l, m, m);
        }
}

typedef struct {
    char *text;
    size_t length;
} Text;

static Status open_text(FILE **f, Text *t) {
    *t = (Text){0};
    *f = open_memstream(&t->text, &t->length);
    if (!*f) FAIL(ERR_MEMORY, "out of memory for a plan");
    return OK;
}

static Status add_chain(ProgramSet *set, int layers, int micro_batches) {
    FILE *f;
    Text t;
    TRY(open_text(&f, &t));
    write_chain(f, layers, micro_batches);
    fclose(f);
    Status s = plan_text_parse(set, t.text, t.length, "chain");
    free(t.text);
    return s;
}

// The size of a family's first plan; each of the following is twice as large.
static const int first_size[FAMILIES] = {625, 2, 32};

static Status build(ProgramSet *set, Arena *a, Family family, int doubling) {
    const int size = first_size[family] << doubling;
    switch (family) {
    case FAMILY_LAYERS: return add_layers(set, a, size, 1);
    case FAMILY_MICRO_BATCHES: return add_layers(set, a, 100, size);
    case FAMILY_CHAIN: return add_chain(set, 24, size);
    case FAMILIES: break;
    }
    return OK;
}

static Status print(const ProgramSet *set, Text *t) {
    FILE *f;
    TRY(open_text(&f, t));
    Status s = plan_text_print(set, NONE, f);
    fclose(f);
    return s;
}

static Status parse(const Text *t) {
    ProgramSet set = {0};
    Status s = plan_text_parse(&set, t->text, t->length, "plan");
    program_set_finish(&set);
    return s;
}

// Two devices that are linked; every computation takes a microsecond.
static Status simulate(const Program *p, Arena *a) {
    const TopologyOptions topology = {.nodes = 1,
                                      .devices_per_node = RANKS,
                                      .link = {.bytes_per_s = 1000000000, .latency_ps = 1000000}};
    int plan = program_find_plan(p, "step");
    Costs costs;
    Timeline lines[RANKS] = {0}, *line_of[RANKS];
    const Costs *cost_of[RANKS];
    TRY(costs_init(&costs, a, p));
    costs_of_network(&costs);
    for (int i = 0; i < p->plans[plan].op_count; i++)
        if (!costs.ops[plan][i].known)
            costs.ops[plan][i] = (OpCost){.ps = 1000000, .source = SOURCE_ROOFLINE, .known = true};
    Status s = OK;
    for (int r = 0; r < RANKS && s == OK; r++) {
        line_of[r] = &lines[r];
        cost_of[r] = &costs;
        s = timeline_create(&lines[r], r, 1, p->plans[plan].op_count + 1);
    }
    const SimulateOptions o = {.costs = cost_of, .plan = plan, .ranks = RANKS, .steps = 1};
    if (s == OK) s = simulate_devices(line_of, &o, &topology);
    for (int r = 0; r < RANKS; r++) timeline_destroy(&lines[r]);
    return s;
}

typedef struct {
    int ops, deps, reuse;
    double ms[STAGES];
} Timing;

static void lap(Timing *r, Stage stage, int64_t *ns) {
    int64_t now = clock_thread_cpu_ns();
    double ms = (double)(now - *ns) / 1e6;
    if (r->ms[stage] == 0 || ms < r->ms[stage]) r->ms[stage] = ms;
    *ns = clock_thread_cpu_ns();
}

static void count(const Program *p, Timing *r) {
    r->deps = r->reuse = 0;
    for (int k = 0; k < p->plan_count; k++) {
        r->deps += p->plans[k].dep_count;
        for (int d = 0; d < p->plans[k].dep_count; d++)
            r->reuse += p->plans[k].deps[d].kind == DEP_REUSE;
    }
}

static Status stages(Timing *r, ProgramSet *set, Arena *a, Text *text, const Device *device,
                     Family family, int doubling) {
    int64_t ns = clock_thread_cpu_ns();
    TRY(build(set, a, family, doubling));
    lap(r, BUILD, &ns);
    TRY(plan_check(set));
    lap(r, CHECK, &ns);
    Program *p = &set->programs[0];
    r->ops = 0;
    for (int k = 0; k < p->plan_count; k++) r->ops += p->plans[k].op_count;
    TRY(print(set, text));
    lap(r, PRINT, &ns);
    TRY(parse(text));
    lap(r, PARSE, &ns);
    TRY(program_lower(p, device->traits));
    lap(r, LOWER, &ns);
    TRY(plan_check(set));
    lap(r, AGAIN, &ns);
    TRY(simulate(p, a));
    lap(r, SIMULATE, &ns);
    count(p, r);
    return OK;
}

static Status measure(Timing *r, const Device *device, Family family, int doubling, int64_t runs) {
    *r = (Timing){0};
    Status s = OK;
    for (int64_t i = 0; i < runs && s == OK; i++) {
        ProgramSet set = {0};
        Arena a = {0};
        Text text = {0};
        s = stages(r, &set, &a, &text, device, family, doubling);
        free(text.text);
        program_set_finish(&set);
        arena_finish(&a);
    }
    return s;
}

static void add_row(Table *t, Family family, int doubling, const Timing *r, const Timing *before) {
    double worst = 0;
    table_cell(t, "%s", doubling ? "" : family_names[family]);
    table_cell(t, "%d", first_size[family] << doubling);
    table_cell(t, "%d", r->ops);
    table_cell(t, "%d", r->deps);
    table_cell(t, "%d", r->reuse);
    for (int i = 0; i < STAGES; i++) {
        table_cell(t, "%.1f", r->ms[i]);
        double grown = before ? r->ms[i] / r->ops / (before->ms[i] / before->ops) : 0;
        if (grown > worst) worst = grown;
    }
    if (before)
        table_cell(t, "%.2f", worst);
    else
        table_cell(t, "%s", "");
}

static Status bench(const BenchOptions *o, Arena *a) {
    static const TableColumn columns[] = {{"plans", false}, {"size", true},  {"operations", true},
                                          {"deps", true},   {"reuse", true}, {"build", true},
                                          {"check", true},  {"print", true}, {"parse", true},
                                          {"lower", true},  {"again", true}, {"simulate", true},
                                          {"worst", true}};
    const Device *device;
    Table t;
    TRY(device_find(&device, o->device));
    table_init(&t, a, columns, sizeof columns / sizeof *columns);
    for (int f = 0; f < FAMILIES; f++) {
        Timing r[2];
        if (o->family != FAMILIES && o->family != f) continue;
        for (int d = 0; d <= o->doublings; d++) {
            TRY(measure(&r[d % 2], device, (Family)f, d, o->runs));
            add_row(&t, (Family)f, d, &r[d % 2], d ? &r[1 - d % 2] : NULL);
        }
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
    if (s != OK) fprintf(stderr, "plans: %s\n", status_message());
    arena_finish(&arena);
    return status_exit(s);
}
