// SPDX-License-Identifier: MIT
// sim: completed messages per second of CPU time for an all-reduce and for an all-to-all that are
// simulated message by message, and the memory it takes; executions of operations per second for a
// pipeline of which every rank is simulated; events per second of the engine alone, with some
// number of them pending; and what bounds these: how long a load takes that the one before it
// decides, from so much memory. The figures, and what they say, are in docs/validation.md.
#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/base/statistics.h"
#include "core/base/table.h"
#include "core/cli/option.h"
#include "core/platform/machine.h"
#include "sim/job.h"
#include "sim/network_internal.h"
#include "sim/rank_progress.h"
#include "sim/transfer.h"

#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>

typedef struct {
    IntList ranks, exchanging, piped, pending;
    int64_t bytes, per_node, rounds, messages, events;
    int algorithm;
} BenchOptions;

#define AT(field) .at = offsetof(BenchOptions, field)
static const Option options[] = {
    {.name = "ranks",
     .kind = OPTION_LIST,
     AT(ranks),
     .value = "N,…",
     .initial = "64,512,4096",
     .brief = true,
     .help = "members of the all-reduce, on so many devices"},
    {.name = "bytes",
     .kind = OPTION_SIZE,
     AT(bytes),
     .value = "SIZE",
     .initial = "100MB",
     .brief = true,
     .help = "all-reduced, in elements of 4 bytes"},
    {.name = "all-reduce",
     .kind = OPTION_CHOICE,
     AT(algorithm),
     .value = ALGORITHM_WORDS,
     .initial = "ring",
     .brief = true,
     .help = "its algorithm"},
    {.name = "all-to-all",
     .kind = OPTION_LIST,
     AT(exchanging),
     .value = "N,…",
     .initial = "8,64",
     .min = 2,
     .max = 4096,
     .brief = true,
     .help = "members of the all-to-all"},
    {.name = "pipeline",
     .kind = OPTION_LIST,
     AT(piped),
     .value = "N,…",
     .initial = "16,64",
     .min = 16,
     .max = 4096,
     .brief = true,
     .help = "ranks of pipelines of 16 stages"},
    {.name = "per-node",
     .kind = OPTION_INT,
     AT(per_node),
     .value = "N",
     .initial = "8",
     .min = 1,
     .max = 1e6,
     .brief = true,
     .help = "devices of a node"},
    {.name = "rounds",
     .kind = OPTION_INT,
     AT(rounds),
     .value = "N",
     .initial = "5",
     .min = 1,
     .max = 1e4,
     .brief = true,
     .help = "measurements of each"},
    {.name = "messages",
     .kind = OPTION_INT,
     AT(messages),
     .value = "N",
     .initial = "2M",
     .min = 1,
     .max = 1e12,
     .brief = true,
     .help = "at least so many in a measurement"},
    {.name = "pending",
     .kind = OPTION_LIST,
     AT(pending),
     .value = "N,…",
     .initial = "1k,64k,1M",
     .brief = true,
     .help = "events pending while the engine alone is measured"},
    {.name = "events",
     .kind = OPTION_INT,
     AT(events),
     .value = "N",
     .initial = "5M",
     .min = 1,
     .max = 1e12,
     .brief = true,
     .help = "in a measurement of the engine"},
};
static const OptionTable option_table = {
    .program = "sim",
    .summary = "how fast the simulator is: messages, operations and events per second",
    .options = options,
    .option_count = sizeof options / sizeof *options,
};

// On the CPU clock of the thread, which other processes disturb little.
static double seconds_since(int64_t start_ns) {
    return (double)(clock_thread_cpu_ns() - start_ns) / 1e9;
}

static double peak_mib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

static Status ignore(void *context, Event event) { return OK; }

// Links of 300 GB/s within nodes and 25 GB/s between them, as in a machine of eight A100 a node.
typedef struct {
    Engine engine;
    Network network;
    Topology topology;
    Transfers transfers;
    TransferCall call;
} World;

static Status world_init(World *w, const BenchOptions *o, CollectiveKind kind, int ranks) {
    TopologyOptions topology = {
        .nodes = (int32_t)((ranks + o->per_node - 1) / o->per_node),
        .devices_per_node = (int32_t)o->per_node,
        .link = {300 * INT64_C(1000000000), PS_PER_US},
        .rail = {25 * INT64_C(1000000000), 5 * PS_PER_US},
    };
    *w = (World){0};
    TRY(engine_init(&w->engine));
    TRY(network_init(&w->network, &w->engine));
    TRY(topology_init(&w->topology, &w->network, &topology));
    TRY(transfers_init(&w->transfers, &w->engine, &w->network, &w->topology));
    bool reduces = kind == COLLECTIVE_ALL_REDUCE;
    Algorithm algorithm = reduces ? (Algorithm)o->algorithm : ALGORITHM_DIRECT;
    w->call = (TransferCall){.what = {kind, algorithm, ranks, 0, o->bytes / 4}, .element_bytes = 4};
    return engine_add_actor(&w->engine, &w->call.done.actor, w, ignore, NULL);
}

static void world_finish(World *w) {
    transfers_finish(&w->transfers);
    network_finish(&w->network);
    engine_finish(&w->engine);
}

static Status perform(World *w) {
    int32_t id;
    TRY(transfer_begin(&w->transfers, &id, &w->call));
    for (int r = 0; r < w->call.what.ranks; r++) TRY(transfer_arrive(&w->transfers, id, r, 0));
    return engine_run(&w->engine);
}

// What is kept of each member, whatever it does; without the heads of the engine's lists.
static double bytes_per_rank(const World *w) {
    const Network *n = &w->network;
    double flow = sizeof *n->flows + sizeof *n->flow_sharing + 2 * sizeof(int32_t);
    double link = sizeof *n->links + sizeof *n->link_sharing + 2 * sizeof(int32_t);
    double event = sizeof *w->engine.nodes;
    int ranks = w->call.what.ranks;
    return sizeof *w->transfers.items->members + (n->flow_count * flow + n->link_count * link +
                                                  (w->engine.node_count - ENGINE_LISTS) * event) /
                                                     ranks;
}

static Status measure_collective(Table *t, World *w, const BenchOptions *o, double *seconds) {
    int64_t repeats = 0, messages = 0;
    for (int64_t round = 0; round < o->rounds; round++) {
        int64_t start = clock_thread_cpu_ns(), before = w->network.messages;
        for (repeats = 0, messages = 0; messages < o->messages; repeats++) {
            TRY(perform(w));
            messages = w->network.messages - before;
        }
        seconds[round] = seconds_since(start);
    }
    double median = statistics_spread(seconds, (int)o->rounds).median;
    table_cell(t, "%d", w->call.what.ranks);
    table_cell(t, "%lld", (long long)(messages / repeats));
    table_cell(t, "%lld", (long long)repeats);
    table_cell(t, "%.2f", median);
    table_cell(t, "%.2f", (double)messages / median / 1e6);
    table_cell(t, "%.2f", (double)messages / seconds[o->rounds - 1] / 1e6);
    table_cell(t, "%.2f", (double)messages / seconds[0] / 1e6);
    table_cell(t, "%.0f", median / (double)messages * 1e9);
    table_cell(t, "%.0f", bytes_per_rank(w));
    table_cell(t, "%.1f", peak_mib());
    return OK;
}

static Status bench_collectives(const BenchOptions *o, CollectiveKind kind, const IntList *ranks,
                                double *seconds, Arena *a) {
    const TableColumn columns[] = {{collective_name(kind), true},
                                   {"messages", true},
                                   {"times", true},
                                   {"s", true},
                                   {"M messages/s", true},
                                   {"least", true},
                                   {"most", true},
                                   {"ns each", true},
                                   {"B a rank", true},
                                   {"peak MiB", true}};
    Table t;
    table_init(&t, a, columns, sizeof columns / sizeof *columns);
    for (int i = 0; i < ranks->count; i++) {
        World w;
        Status s = world_init(&w, o, kind, (int)ranks->items[i]);
        if (s == OK) s = measure_collective(&t, &w, o, seconds);
        world_finish(&w);
        if (s != OK) return s;
    }
    return table_print(stdout, &t, TABLE_TEXT);
}

// Every rank of a pipeline of 16 stages with 64 micro-batches, whose other ranks are data parallel.
typedef struct {
    ProgramSet set;
    const Costs **cost_of;  // [ranks]
    TopologyOptions topology;
    int ranks, plan;
} Pipeline;

enum { STAGES = 16, MICRO_BATCHES = 64 };

static Status pipeline_init(Pipeline *p, Arena *a, const BenchOptions *o, int ranks) {
    Machine machine;
    SimJob job = {.spec = job_spec_default()};
    job.spec.model = "gpt:layers=16";
    job.spec.device = "timed:dgx-a100";
    job.spec.mesh = (Mesh){.pipe = STAGES, .data = ranks / STAGES};
    job.spec.ranks = p->ranks = ranks / STAGES * STAGES;
    job.spec.micro_batches = MICRO_BATCHES;
    job.spec.batch = MICRO_BATCHES * (ranks / STAGES);
    TRY(machine_read(&machine, a, "dgx-a100"));
    TRY(sim_job_step(&p->set, a, &job));
    p->plan = program_find_when(&p->set.programs[0], WHEN_EACH_STEP, 0);
    p->topology = (TopologyOptions){(ranks + (int)o->per_node - 1) / (int)o->per_node,
                                    (int32_t)o->per_node, machine.link, machine.rail};
    Costs *costs = ARENA_NEW(a, Costs, p->set.count);
    p->cost_of = ARENA_NEW(a, const Costs *, p->ranks);
    if (!costs || !p->cost_of) FAIL(ERR_MEMORY, "out of memory for %d ranks", ranks);
    for (int c = 0; c < p->set.count; c++) {
        TRY(costs_init(&costs[c], a, &p->set.programs[c]));
        TRY(costs_from_roofline(&costs[c], &machine.device));
        costs_of_network(&costs[c]);
    }
    for (int r = 0; r < p->ranks; r++) p->cost_of[r] = &costs[program_set_class(&p->set, r)];
    return OK;
}

static Status simulate_pipeline(const Pipeline *p, Arena *a, double *seconds, int64_t *operations) {
    const SimulateOptions o = {.costs = p->cost_of, .plan = p->plan, .ranks = p->ranks, .steps = 3};
    Timeline *lines = ARENA_NEW(a, Timeline, p->ranks);
    Timeline **line_of = ARENA_NEW(a, Timeline *, p->ranks);
    if (!lines || !line_of) FAIL(ERR_MEMORY, "out of memory for %d ranks", p->ranks);
    Status s = OK;
    for (int r = 0; r < p->ranks && s == OK; r++) {
        int ops = p->cost_of[r]->program->plans[p->plan].op_count;
        s = timeline_create(&lines[r], r, o.steps, o.steps * ops + 1);
        line_of[r] = &lines[r];
    }
    int64_t start = clock_thread_cpu_ns();
    if (s == OK) s = simulate_devices(line_of, &o, &p->topology);
    *seconds = seconds_since(start);
    *operations = simulate_executions(&o);
    for (int r = 0; r < p->ranks; r++) timeline_destroy(&lines[r]);
    return s;
}

static Status measure_pipeline(Table *t, Arena *a, const BenchOptions *o, int ranks,
                               double *seconds) {
    Pipeline p = {.plan = 0};
    int64_t operations = 0;
    Status s = pipeline_init(&p, a, o, ranks);
    for (int64_t k = 0; k < o->rounds && s == OK; k++)
        s = simulate_pipeline(&p, a, &seconds[k], &operations);
    program_set_finish(&p.set);
    TRY(s);
    double median = statistics_spread(seconds, (int)o->rounds).median;
    table_cell(t, "%d", p.ranks);
    table_cell(t, "%lld", (long long)operations);
    table_cell(t, "%.3f", median);
    table_cell(t, "%.2f", (double)operations / median / 1e6);
    table_cell(t, "%.2f", (double)operations / seconds[o->rounds - 1] / 1e6);
    table_cell(t, "%.2f", (double)operations / seconds[0] / 1e6);
    return OK;
}

static Status bench_pipelines(const BenchOptions *o, double *seconds, Arena *a) {
    static const TableColumn columns[] = {{"pipeline", true}, {"operations", true},
                                          {"s", true},        {"M operations/s", true},
                                          {"least", true},    {"most", true}};
    Table t;
    table_init(&t, a, columns, sizeof columns / sizeof *columns);
    for (int i = 0; i < o->piped.count; i++)
        TRY(measure_pipeline(&t, a, o, (int)o->piped.items[i], seconds));
    return table_print(stdout, &t, TABLE_TEXT);
}

// The hold model (Jones, CACM 1986): each event that comes out puts one in, at a random delay.
typedef struct {
    Engine engine;
    Rng rng;
    int64_t left;
    int16_t actor;
} Hold;

static Status hold(void *context, Event event) {
    Hold *h = context;
    if (h->left-- <= 0) return OK;
    return engine_push(&h->engine, NULL, rng_u32(&h->rng), event);
}

static Status measure_engine(double *seconds, int64_t pending, int64_t events) {
    Hold h = {.left = events};
    rng_init(&h.rng, 1, RNG_TEST, 0, 0);
    Status s = engine_init(&h.engine);
    if (s == OK) s = engine_add_actor(&h.engine, &h.actor, &h, hold, NULL);
    for (int64_t i = 0; i < pending && s == OK; i++)
        s = engine_push(&h.engine, NULL, rng_u32(&h.rng), (Event){.actor = h.actor});
    int64_t start = clock_thread_cpu_ns();
    if (s == OK) s = engine_run(&h.engine);
    *seconds = seconds_since(start);
    engine_finish(&h.engine);
    return s;
}

static Status bench_engine(const BenchOptions *o, double *seconds, Arena *a) {
    static const TableColumn columns[] = {
        {"pending", true}, {"M events/s", true}, {"least", true}, {"most", true}};
    Table t;
    table_init(&t, a, columns, sizeof columns / sizeof *columns);
    for (int i = 0; i < o->pending.count; i++) {
        double events = (double)(o->events + o->pending.items[i]);
        for (int64_t r = 0; r < o->rounds; r++)
            TRY(measure_engine(&seconds[r], o->pending.items[i], o->events));
        double median = statistics_spread(seconds, (int)o->rounds).median;
        table_cell(&t, "%lld", (long long)o->pending.items[i]);
        table_cell(&t, "%.1f", events / median / 1e6);
        table_cell(&t, "%.1f", events / seconds[o->rounds - 1] / 1e6);
        table_cell(&t, "%.1f", events / seconds[0] / 1e6);
    }
    return table_print(stdout, &t, TABLE_TEXT);
}

// Lines of a cache in one random cycle (Sattolo): each says which is the next.
typedef struct {
    int64_t next;
    char rest[56];
} Line;
enum { LOADS = 4000000 };

static Status measure_loads(double *seconds, int64_t rounds, int64_t lines) {
    Rng rng;
    Line *all = malloc((size_t)lines * sizeof *all);
    if (!all) FAIL(ERR_MEMORY, "out of memory for %lld lines", (long long)lines);
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    for (int64_t i = 0; i < lines; i++) all[i].next = i;
    for (int64_t i = lines - 1; i > 0; i--) {
        int64_t other = rng_below(&rng, (uint32_t)i), next = all[i].next;
        all[i].next = all[other].next;
        all[other].next = next;
    }
    int64_t at = 0;
    for (int64_t r = 0; r < rounds; r++) {
        int64_t start = clock_thread_cpu_ns();
        for (int i = 0; i < LOADS; i++) at = all[at].next;
        seconds[r] = seconds_since(start);
    }
    free(all);
    if (at < 0) FAIL(ERR_FAILED, "a line that is not there");  // the loads are needed
    return OK;
}

static Status bench_loads(const BenchOptions *o, double *seconds, Arena *a) {
    static const TableColumn columns[] = {
        {"memory KiB", true}, {"ns a load", true}, {"least", true}, {"most", true}};
    Table t;
    table_init(&t, a, columns, sizeof columns / sizeof *columns);
    for (int64_t kib = 16; kib <= 16384; kib *= 4) {
        TRY(measure_loads(seconds, o->rounds, kib * 1024 / (int64_t)sizeof(Line)));
        double median = statistics_spread(seconds, (int)o->rounds).median;
        table_cell(&t, "%lld", (long long)kib);
        table_cell(&t, "%.1f", median / LOADS * 1e9);
        table_cell(&t, "%.1f", seconds[0] / LOADS * 1e9);
        table_cell(&t, "%.1f", seconds[o->rounds - 1] / LOADS * 1e9);
    }
    return table_print(stdout, &t, TABLE_TEXT);
}

static Status bench(const BenchOptions *o, Arena *a) {
    double *seconds = ARENA_NEW(a, double, o->rounds);
    if (!seconds) FAIL(ERR_MEMORY, "out of memory for %lld rounds", (long long)o->rounds);
    TRY(bench_collectives(o, COLLECTIVE_ALL_REDUCE, &o->ranks, seconds, a));
    printf("\n");
    TRY(bench_collectives(o, COLLECTIVE_ALL_TO_ALL, &o->exchanging, seconds, a));
    printf("\n");
    TRY(bench_pipelines(o, seconds, a));
    printf("\n");
    TRY(bench_engine(o, seconds, a));
    printf("\n");
    TRY(bench_loads(o, seconds, a));
    printf("\nmedian, least and most of %lld measurements; times: collectives in one measurement\n",
           (long long)o->rounds);
    return OK;
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
    if (s != OK) fprintf(stderr, "sim: %s\n", status_message());
    arena_finish(&arena);
    return status_exit(s);
}
