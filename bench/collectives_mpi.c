// SPDX-License-Identifier: MIT
// The same collectives of an MPI library, measured as collectives.c measures ours. Compiled and
// started by bench/collectives, with each MPI that is installed.
// usage: mpirun -n RANKS collectives_mpi OP LEAST MOST FACTOR ROUNDS
// Prints lines: bytes, us out of place, us in place (-1: not measured), wrong elements.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_MOST = 99, ELEMENT = 4 };
static const double ROUND_S = 20e-3;

static int rank, ranks;

typedef struct {
    const char *op;
    long elements;
    int in_place;
    float *in, *out;
} Case;

static int is(const Case *c, const char *op) { return !strcmp(c->op, op); }

static void perform(const Case *c) {
    int whole = (int)c->elements, piece = whole / ranks;
    const void *in = c->in_place ? MPI_IN_PLACE : c->in;
    MPI_Comm world = MPI_COMM_WORLD;
    if (is(c, "all_reduce"))
        MPI_Allreduce(in, c->out, whole, MPI_FLOAT, MPI_SUM, world);
    else if (is(c, "reduce_scatter"))
        MPI_Reduce_scatter_block(c->in, c->out, piece, MPI_FLOAT, MPI_SUM, world);
    else if (is(c, "all_gather"))
        MPI_Allgather(c->in, piece, MPI_FLOAT, c->out, piece, MPI_FLOAT, world);
    else if (is(c, "broadcast"))
        MPI_Bcast(c->out, whole, MPI_FLOAT, 0, world);
    else if (is(c, "reduce"))
        MPI_Reduce(rank ? (c->in_place ? c->out : c->in) : in, c->out, whole, MPI_FLOAT, MPI_SUM, 0,
                   world);
    else
        MPI_Alltoall(c->in, piece, MPI_FLOAT, c->out, piece, MPI_FLOAT, world);
}

static float brought(long r, long element) { return (float)((r * 7 + element * 3) % 17 - 8); }

static float expected(const Case *c, long i) {
    long piece = c->elements / ranks, begin = is(c, "reduce_scatter") ? rank * piece : 0;
    float sum = 0;
    if (is(c, "all_gather")) return brought(i / piece, i % piece);
    if (is(c, "broadcast")) return brought(0, i);
    if (is(c, "all_to_all")) return brought(i / piece, rank * piece + i % piece);
    for (int r = 0; r < ranks; r++) sum += brought(r, begin + i);
    return sum;
}

static long check(const Case *c) {
    long results = is(c, "reduce_scatter") ? c->elements / ranks : c->elements, wrong = 0, all;
    int in_out = c->in_place || is(c, "broadcast");
    for (long i = 0; i < c->elements; i++) {
        c->in[i] = brought(rank, i);
        c->out[i] = in_out ? brought(rank, i) : -1e6F;
    }
    perform(c);
    for (long i = 0; i < results && !(is(c, "reduce") && rank); i++)
        wrong += !(c->out[i] == expected(c, i));
    MPI_Allreduce(&wrong, &all, 1, MPI_LONG, MPI_SUM, MPI_COMM_WORLD);
    return all;
}

static double repeat(const Case *c, long count) {
    MPI_Barrier(MPI_COMM_WORLD);
    double start = MPI_Wtime();
    for (long i = 0; i < count; i++) perform(c);
    return (MPI_Wtime() - start) / (double)count;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_us(const Case *c, int rounds) {
    double seconds[ROUNDS_MOST];
    memset(c->in, 0, (size_t)c->elements * ELEMENT);
    memset(c->out, 0, (size_t)c->elements * ELEMENT);
    repeat(c, 2);
    long count = 1 + (long)(ROUND_S / (repeat(c, 3) + 1e-8));
    MPI_Bcast(&count, 1, MPI_LONG, 0, MPI_COMM_WORLD);
    for (int k = 0; k < rounds; k++) seconds[k] = repeat(c, count);
    qsort(seconds, (size_t)rounds, sizeof *seconds, ascending);
    return 1e6 * (seconds[(rounds - 1) / 2] + seconds[rounds / 2]) / 2;
}

int main(int argc, char *argv[]) {
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (argc != 6) return 2;
    long least = atol(argv[2]), most = atol(argv[3]), factor = atol(argv[4]);
    int rounds = atoi(argv[5]);
    if (least < ELEMENT || factor < 2 || rounds < 1 || rounds > ROUNDS_MOST) return 2;
    for (long bytes = least; bytes <= most; bytes *= factor) {
        long elements = (bytes / ELEMENT + ranks - 1) / ranks * ranks, wrong = 0;
        Case c = {.op = argv[1], .elements = elements};
        double us[2] = {-1, -1};
        c.in = malloc((size_t)elements * ELEMENT);
        c.out = malloc((size_t)elements * ELEMENT);
        if (!c.in || !c.out) return 1;
        int places = is(&c, "all_reduce") || is(&c, "reduce") ? 2 : 1;
        for (c.in_place = 0; c.in_place < places; c.in_place++) {
            wrong += check(&c);
            us[c.in_place] = median_us(&c, rounds);
        }
        if (rank == 0) printf("%ld %.3f %.3f %ld\n", elements * ELEMENT, us[0], us[1], wrong);
        fflush(stdout);
        free(c.in);
        free(c.out);
    }
    MPI_Finalize();
    return 0;
}
