// SPDX-License-Identifier: MIT
// Collectives of the shared-memory communicator, in the columns of nccl-tests
// (github.com/NVIDIA/nccl-tests, doc/PERFORMANCE.md): sizes, time, and bandwidth of the algorithm
// and of the bus, out of place and in place, after a call whose every element was checked. Ranks
// are processes, pinned to cores in turn. bench/collectives runs this beside other libraries.
#include "core/base/clock.h"
#include "core/base/statistics.h"
#include "core/cli/option.h"
#include "parallel/comm/comm_world.h"
#include "parallel/run/process.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS_MOST = 99, ELEMENT = 4 };
#define ROUND_NS INT64_C(20000000)  // about so long are calls repeated in one measurement
#define SPACE 4096                  // between arrays, so that none shares a page with another

typedef struct {
    IntList ranks;
    int64_t least, most, factor, rounds;
    int op, algorithm;
    bool raw;
} BenchOptions;

#define AT(field) .at = offsetof(BenchOptions, field)
// clang-format off
static const Option options[] = {
    {.name = "op", .kind = OPTION_CHOICE, AT(op), .brief = true,
     .value = "all_reduce|reduce_scatter|all_gather|broadcast|reduce|all_to_all",
     .initial = "all_reduce", .help = "the collective"},
    {.name = "algorithm", .kind = OPTION_CHOICE, AT(algorithm), .value = ALGORITHM_WORDS,
     .initial = "direct", .brief = true, .help = "its algorithm"},
    {.name = "ranks", .kind = OPTION_LIST, AT(ranks), .value = "N,...", .initial = "2",
     .min = 1, .max = COMM_RANKS, .brief = true, .help = "ranks, all on this host"},
    {.name = "least", .kind = OPTION_SIZE, AT(least), .value = "SIZE", .initial = "8B",
     .min = 4, .max = 1e10, .brief = true, .help = "the first size"},
    {.name = "most", .kind = OPTION_SIZE, AT(most), .value = "SIZE", .initial = "64MiB",
     .min = 4, .max = 1e10, .brief = true, .help = "the last size"},
    {.name = "factor", .kind = OPTION_INT, AT(factor), .value = "N", .initial = "8",
     .min = 2, .max = 1024, .brief = true, .help = "from one size to the next"},
    {.name = "rounds", .kind = OPTION_INT, AT(rounds), .value = "N", .initial = "5",
     .min = 1, .max = ROUNDS_MOST, .brief = true, .help = "measurements; the median counts"},
    {.name = "raw", .kind = OPTION_FLAG, AT(raw), .brief = true,
     .help = "a line per size: bytes, us out of place, us in place (-1: not defined), wrong"},
};
// clang-format on
static const OptionTable option_table = {
    .program = "bench_collectives",
    .summary = "Collectives of the shared-memory communicator, as nccl-tests measures them.",
    .options = options,
    .option_count = sizeof options / sizeof *options};

// Memory that all ranks share. Rank 0 decides how often a call is repeated.
typedef struct {
    _Atomic int64_t repeats, wrong;
    double us[ROUNDS_MOST];
    char failure[STATUS_TEXT];
} Shared;

typedef struct {
    const BenchOptions *o;
    Collective what;
    CommWorld *world;
    Shared *shared;
    int64_t input_at, output_at, work_at, pool_bytes;
    bool in_place;
} Case;

// --- what a collective brings and makes

// Small whole numbers: sums are exact in any order.
static float brought(int rank, int64_t element) {
    return (float)((rank * 7 + element * 3) % 17 - 8);
}

// Element i of what rank `rank` ends with, of the whole array from `begin` on.
static float expected(const Collective *c, int rank, int64_t i) {
    int64_t begin = 0, count = 0, piece = c->elements / c->ranks;
    float sum = 0;
    switch (c->kind) {
    case COLLECTIVE_ALL_GATHER: return brought((int)(i / piece), i % piece);
    case COLLECTIVE_BROADCAST: return brought(c->root, i);
    case COLLECTIVE_ALL_TO_ALL: return brought((int)(i / piece), rank * piece + i % piece);
    case COLLECTIVE_REDUCE_SCATTER: begin = rank * piece; break;
    default: break;
    }
    for (count = 0; count < c->ranks; count++) sum += brought((int)count, begin + i);
    return sum;
}

// Bytes on the wire of the busiest rank in the best algorithm, over the size: nccl-tests' factor.
static double bus_factor(const Collective *c) {
    double n = c->ranks;
    switch (c->kind) {
    case COLLECTIVE_ALL_REDUCE: return 2 * (n - 1) / n;
    case COLLECTIVE_BROADCAST:
    case COLLECTIVE_REDUCE: return 1;
    default: return (n - 1) / n;
    }
}

static bool has_in_place(CollectiveKind k) {
    return k == COLLECTIVE_ALL_REDUCE || k == COLLECTIVE_BROADCAST || k == COLLECTIVE_REDUCE;
}

// --- one rank

typedef struct {
    const Case *c;
    Comm comm;
    int members[COMM_RANKS];
    CommSegment input, output, work;
    CommCall call, barrier;
    CommSegment nothing;
} Rank;

static float *array_at(const Rank *r, int64_t offset) {
    return (float *)((char *)r->comm.pool + offset);
}

static Status perform(Rank *r, const CommCall *call) {
    CommRequest request;
    bool done = false;
    TRY(comm_start(&r->comm, call, &request, clock_ns()));
    for (;;) {
        TRY(comm_test(&r->comm, &request, &done));
        if (done) return OK;
        TRY(comm_idle(&r->comm, &(const CommRequest *){&request}, 1, INT64_MAX));
    }
}

static Status prepare(Rank *r, const Case *c, int rank) {
    const Collective *w = &c->what;
    *r = (Rank){.c = c};
    TRY(comm_join(&r->comm, c->world, rank));
    for (int i = 0; i < w->ranks; i++) r->members[i] = i;
    r->input = (CommSegment){c->input_at, collective_input_elements(w, rank)};
    r->output = (CommSegment){c->in_place ? c->input_at : c->output_at,
                              collective_result_elements(w, rank)};
    r->work = (CommSegment){c->work_at, collective_work_elements(w)};
    r->call = (CommCall){.kind = w->kind,
                         .algorithm = w->algorithm,
                         .reduce = REDUCE_SUM,
                         .dtype = DTYPE_F32,
                         .root = w->root,
                         .parts = 1,
                         .input_count = 1,
                         .output_count = 1,
                         .input = &r->input,
                         .output = &r->output,
                         .work = &r->work,
                         .name = collective_name(w->kind)};
    r->barrier = r->call;
    r->barrier.kind = COLLECTIVE_BARRIER;
    r->barrier.algorithm = ALGORITHM_DIRECT;
    r->barrier.input = r->barrier.output = &r->nothing;
    TRY(comm_group(&r->comm, 0, r->members, w->ranks));
    TRY(comm_prepare(&r->comm, &r->call));
    return comm_prepare(&r->comm, &r->barrier);
}

static Status check(Rank *r) {
    const Collective *w = &r->c->what;
    bool result = w->kind != COLLECTIVE_REDUCE || r->comm.rank == w->root;
    float *input = array_at(r, r->input.offset), *output = array_at(r, r->output.offset);
    for (int64_t i = 0; i < r->output.elements; i++) output[i] = -1e6F;
    for (int64_t i = 0; i < r->input.elements; i++) input[i] = brought(r->comm.rank, i);
    TRY(perform(r, &r->barrier));
    TRY(perform(r, &r->call));
    int64_t wrong = 0;
    for (int64_t i = 0; result && i < r->output.elements; i++)
        wrong += !(output[i] == expected(w, r->comm.rank, i));
    atomic_fetch_add(&r->c->shared->wrong, wrong);
    return perform(r, &r->barrier);
}

// So many calls, one after the other, in microseconds each.
static Status repeat(Rank *r, int64_t count, double *us) {
    TRY(perform(r, &r->barrier));
    int64_t start_ns = clock_ns();
    for (int64_t i = 0; i < count; i++) TRY(perform(r, &r->call));
    *us = (double)(clock_ns() - start_ns) * 1e-3 / (double)count;
    return OK;
}

static Status measure(Rank *r) {
    const BenchOptions *o = r->c->o;
    Shared *s = r->c->shared;
    double us;
    memset(array_at(r, r->input.offset), 0, (size_t)r->input.elements * ELEMENT);  // stays 0
    TRY(repeat(r, 2, &us));
    TRY(repeat(r, 3, &us));
    if (r->comm.rank == 0)
        atomic_store(&s->repeats, 1 + (int64_t)((double)ROUND_NS * 1e-3 / (us + 0.01)));
    for (int k = 0; k < o->rounds; k++) {
        TRY(perform(r, &r->barrier));
        TRY(repeat(r, atomic_load(&s->repeats), &us));
        if (r->comm.rank == 0) s->us[k] = us;
    }
    return perform(r, &r->barrier);
}

static Status run_rank(const Case *c, int rank) {
    Rank r;
    cpu_set_t cores;
    process_cores(&cores);
    process_pin(&cores, rank);
    TRY(prepare(&r, c, rank));
    TRY(check(&r));
    return measure(&r);
}

// --- all ranks

static Status wait_for(const Case *c, const pid_t *pids) {
    for (int rank = 0; rank < c->what.ranks; rank++) {
        int status;
        if (waitpid(pids[rank], &status, 0) != pids[rank] || status)
            FAIL(ERR_PEER, "rank %d: %s", rank,
                 *c->shared->failure ? c->shared->failure : "it was lost");
    }
    return OK;
}

static Status run_ranks(const Case *c) {
    pid_t pids[COMM_RANKS];
    for (int rank = 0; rank < c->what.ranks; rank++) {
        pids[rank] = fork();
        if (pids[rank] < 0) FAIL(ERR_PEER, "rank %d could not be started", rank);
        if (pids[rank]) continue;
        Status s = run_rank(c, rank);
        if (s != OK) {
            snprintf(c->shared->failure, STATUS_TEXT, "%s", status_message());
            comm_world_lost(c->world, rank, status_message());
        }
        _exit(s != OK);
    }
    return wait_for(c, pids);
}

static int64_t aligned(int64_t bytes) { return (bytes + SPACE - 1) / SPACE * SPACE; }

// The median of the rounds, in microseconds, and how many elements were wrong.
static Status run_case(double *us, int64_t *wrong, const BenchOptions *o, const Collective *what,
                       bool in_place) {
    Case c = {.o = o, .what = *what, .in_place = in_place};
    TRY(collective_validate(what));
    int64_t most = aligned(what->elements * ELEMENT);
    c.output_at = most;
    c.work_at = 2 * most;
    c.pool_bytes = 3 * most;
    c.shared =
        mmap(NULL, sizeof *c.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c.shared == MAP_FAILED) FAIL(ERR_MEMORY, "no memory for results");
    CommRoom rooms[COMM_RANKS];
    for (int r = 0; r < what->ranks; r++)
        rooms[r] = (CommRoom){c.pool_bytes, 2, 4 + 2 * COMM_OWN_SEGMENTS};
    Status s = comm_world_create(&c.world, COMM_SHM, what->ranks, rooms, &(CommOptions){0});
    if (s == OK) s = run_ranks(&c);
    *wrong = atomic_load(&c.shared->wrong);
    *us = statistics_spread(c.shared->us, (int)o->rounds).median;
    comm_world_destroy(c.world);
    munmap(c.shared, sizeof *c.shared);
    return s;
}

static void print_columns(const Collective *c, double us, int64_t wrong) {
    double bytes = (double)(c->elements * ELEMENT);
    if (us < 0)
        printf(" %9s %7s %7s %6s", "-", "-", "-", "-");
    else
        printf(" %9.2f %7.2f %7.2f %6lld", us, bytes / us * 1e-3, bytes / us * 1e-3 * bus_factor(c),
               (long long)wrong);
}

static void print_row(const BenchOptions *o, const Collective *c, const double us[2],
                      const int64_t wrong[2]) {
    bool reduces = c->kind == COLLECTIVE_ALL_REDUCE || c->kind == COLLECTIVE_REDUCE_SCATTER ||
                   c->kind == COLLECTIVE_REDUCE;
    bool per_rank = c->kind == COLLECTIVE_REDUCE_SCATTER || c->kind == COLLECTIVE_ALL_GATHER ||
                    c->kind == COLLECTIVE_ALL_TO_ALL;
    long long bytes = c->elements * ELEMENT, count = c->elements / (per_rank ? c->ranks : 1);
    if (o->raw) {
        printf("%lld %.3f %.3f %lld\n", bytes, us[0], us[1], (long long)(wrong[0] + wrong[1]));
        return;
    }
    printf("%10lld %10lld %6s %5s", bytes, count, "float", reduces ? "sum" : "none");
    for (int k = 0; k < 2; k++) print_columns(c, us[k], wrong[k]);
    printf("\n");
    fflush(stdout);
}

static void print_head(const BenchOptions *o, int ranks) {
    if (o->raw) return;
    printf("# %s, %s, %d ranks in shared memory; medians of %lld, in us and GB/s\n",
           collective_name((CollectiveKind)o->op), algorithm_name((Algorithm)o->algorithm), ranks,
           (long long)o->rounds);
    printf("#%42s %32s\n#    size      count   type redop", "out-of-place", "in-place");
    for (int k = 0; k < 2; k++) printf("      time   algbw   busbw #wrong");
    printf("\n");
}

static Status bench(const BenchOptions *o) {
    static const CollectiveKind ops[] = {COLLECTIVE_ALL_REDUCE, COLLECTIVE_REDUCE_SCATTER,
                                         COLLECTIVE_ALL_GATHER, COLLECTIVE_BROADCAST,
                                         COLLECTIVE_REDUCE,     COLLECTIVE_ALL_TO_ALL};
    int64_t all_wrong = 0;
    for (int k = 0; k < o->ranks.count; k++) {
        int ranks = (int)o->ranks.items[k];
        print_head(o, ranks);
        for (int64_t bytes = o->least; bytes <= o->most; bytes *= o->factor) {
            int64_t elements = (bytes / ELEMENT + ranks - 1) / ranks * ranks, wrong[2] = {0};
            Collective c = {.kind = ops[o->op],
                            .algorithm = (Algorithm)o->algorithm,
                            .ranks = ranks,
                            .elements = elements};
            double us[2] = {-1, -1};
            for (int in_place = 0; in_place <= has_in_place(c.kind); in_place++)
                TRY(run_case(&us[in_place], &wrong[in_place], o, &c, in_place));
            all_wrong += wrong[0] + wrong[1];
            print_row(o, &c, us, wrong);
        }
    }
    if (all_wrong) FAIL(ERR_FAILED, "%lld elements were wrong", (long long)all_wrong);
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
        s = bench(&o);
    if (s != OK) fprintf(stderr, "bench_collectives: %s\n", status_message());
    arena_finish(&arena);
    return status_exit(s);
}
