// SPDX-License-Identifier: MIT
// Points are dealt out in turn, so that each process has cheap ones and expensive ones. Read
// spread_run() last, at the end.
#include "programs/spread.h"

#include "programs/launcher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Status spread_begin(MpiProcesses *out) {
    const char *launcher;
    long copies = launcher_mpi_copies(&launcher);
    *out = (MpiProcesses){.count = 1, .local = 1};
    if (copies <= 1) return OK;
    TRY(mpi_processes_join(out, "sim", copies, launcher));
    if (!out->rank) return OK;
    bool silent = freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr);
    if (!silent) FAIL(ERR_IO, "/dev/null cannot be written");
    return OK;
}

void spread_end(const MpiProcesses *s) {
    if (s->count > 1) mpi_processes_leave();
}

Status spread_check_alone(const MpiProcesses *s) {
    if (s->count < 2) return OK;
    FAIL(ERR_USAGE,
         "mpirun started %d copies of sim, among which only the rows of a --sweep are divided: "
         "start "
         "one copy, or give --sweep",
         s->count);
}

// --- the points of a process

typedef struct {
    const MpiProcesses *spread;
    const PointWork *work;
} Deal;

static int dealt(const MpiProcesses *s, int rank, int count) {
    return (count - rank + s->count - 1) / s->count;
}

static Status make(void *context, PointInput *out, Arena *a, int i) {
    const Deal *d = context;
    return d->work->make(d->work->context, out, a, i * d->spread->count + d->spread->rank);
}

// The others are about as far.
static void follow(void *context, int ended, int all_ended) {
    const Deal *d = context;
    (void)ended;
    if (d->work->follow) d->work->follow(d->work->context, 0, all_ended * d->spread->count);
}

static bool go_on(void *context) {
    const Deal *d = context;
    return !d->work->go_on || d->work->go_on(d->work->context);
}

// --- to the first process

// How a process ended, before its points.
typedef struct {
    Status status;
    char why[STATUS_TEXT];
} Ending;

static void send(const Point *own, int count, Status status) {
    Ending ending = {.status = status};
    if (status != OK) snprintf(ending.why, sizeof ending.why, "%s", status_message());
    mpi_processes_send(0, &ending, sizeof ending);
    mpi_processes_send(0, own, (size_t)count * sizeof *own);
}

// What failed counts before what was interrupted by that.
static void take_ending(Ending *all, const Ending *one) {
    bool worse = all->status == OK || (all->status == ERR_INTERRUPTED && one->status != OK);
    if (worse) *all = *one;
}

static Status gather(const MpiProcesses *s, Point *points, int count, Point *part, Status own) {
    Ending all = {.status = own}, one;
    if (own != OK) snprintf(all.why, sizeof all.why, "%s", status_message());
    for (int r = 0; r < s->count; r++) {
        int of_it = dealt(s, r, count);
        if (r) {
            mpi_processes_receive(r, &one, sizeof one);
            mpi_processes_receive(r, part, (size_t)of_it * sizeof *part);
            take_ending(&all, &one);
        }
        for (int i = 0; i < of_it; i++) points[i * s->count + r] = part[i];
    }
    if (all.status != OK) FAIL(all.status, "%s", all.why);
    return OK;
}

Status spread_run(const MpiProcesses *s, Point *points, int count, int threads,
                  const PointWork *work) {
    if (s->count < 2) return points_run(points, count, threads, work);
    Deal deal = {s, work};
    int own = dealt(s, s->rank, count);
    Point *part = calloc((size_t)dealt(s, 0, count) + 1, sizeof *part);
    if (!part) FAIL(ERR_MEMORY, "out of memory for %d points", own);
    memset(points, 0, (size_t)count * sizeof *points);
    Status status = points_run(part, own, threads, &(PointWork){&deal, make, follow, go_on});
    if (s->rank)
        send(part, own, status);
    else
        status = gather(s, points, count, part, status);
    free(part);
    return status;
}
