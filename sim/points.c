// SPDX-License-Identifier: MIT
// Threads take the next point from a counter, and make it in an arena of their own; the thread that
// called waits for them and tells how far they are. Read points_run() last.
#include "sim/points.h"

#include "core/base/team.h"
#include "sim/answers.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 256, FOLLOW_NS = 50000000 };

typedef struct {
    Point *points;
    const PointWork *work;
    int count;
    atomic_bool stop;
    SimulateWatch watch;
    pthread_mutex_t lock;  // guards what follows, and all states of points
    pthread_cond_t changed;
    int next, ended, running;  // points, points, threads
    int failed;                // the first point that failed, or `count`,
    Status status;             // how,
    char why[STATUS_TEXT];     // and why
} PointPool;

bool point_fits(const Point *p) { return !p->device_bytes || p->memory_bytes <= p->device_bytes; }

bool point_is_refused(Status s) { return s == ERR_USAGE || s == ERR_SHAPE || s == ERR_PLAN; }

// --- one point

static bool go_on(void *context, double share) {
    PointPool *pool = context;
    (void)share;
    if (pool->work->go_on && !pool->work->go_on(pool->work->context))
        atomic_store(&pool->stop, true);
    return !atomic_load(&pool->stop);
}

void point_take(Point *out, const Prediction *p) {
    *out = (Point){.state = POINT_DONE};
    out->ranks = p->report.run.ranks;
    out->batch = p->report.run.batch;
    out->step_ms = p->step_ms;
    out->samples_per_s = (double)p->report.run.batch / p->step_ms * 1e3;
    out->tokens_per_s = p->answers ? p->answers->tokens_per_s : (double)NAN;
    out->mfu = p->answers ? p->answers->mfu : (double)NAN;
    out->comm_ms = p->comm_ms;
    for (int part = 0; part < REPORT_PARTS; part++) out->parts_ms[part] = answers_part_ms(p, part);
    out->memory_bytes = p->memory_bytes;
    out->device_bytes = p->report.device_bytes;
    for (int m = 0; m < MEMORY_COUNT && p->answers; m++)
        out->class_bytes[m] = p->answers->memory_bytes[m];
    const char *dp = job_spec_setting(&p->report.run, "dp");
    out->data_ranks = dp ? atoi(dp) : 1;
    for (int k = 0; k < SOURCE_COUNT; k++) out->operations += p->operations[k];
    out->estimated = p->operations[SOURCE_ROOFLINE] + p->operations[SOURCE_SCALED];
}

static Status make_numbers(PointPool *pool, Point *out, Arena *a, int i) {
    PointInput in = {0};
    Prediction p;
    if (pool->work->measure)
        return pool->work->measure(pool->work->context, out, a, i, &pool->watch);
    TRY(pool->work->make(pool->work->context, &in, a, i));
    in.setting.watch = &pool->watch;
    in.setting.unkept = in.setting.brief = true;
    TRY(predict_job(&p, a, in.job, &in.setting));
    point_take(out, &p);
    return OK;
}

static Status make_point(PointPool *pool, Point *out, int i) {
    Arena a = {0};
    *out = (Point){.state = POINT_DONE};
    Status s = make_numbers(pool, out, &a, i);
    arena_finish(&a);
    if (!point_is_refused(s)) return s;
    *out = (Point){.state = POINT_REFUSED};
    snprintf(out->why, sizeof out->why, "%s", status_message());
    return OK;
}

// --- threads

static void note_failure(PointPool *pool, int i, Status s) {
    atomic_store(&pool->stop, true);
    if (i >= pool->failed) return;
    pool->failed = i;
    pool->status = s;
    snprintf(pool->why, sizeof pool->why, "%s", status_message());
}

// Called, and returns, with the lock held.
static void take_points(PointPool *pool) {
    Point made;
    while (pool->next < pool->count && go_on(pool, 0)) {
        int i = pool->next++;
        pthread_mutex_unlock(&pool->lock);
        Status s = make_point(pool, &made, i);
        pthread_mutex_lock(&pool->lock);
        if (s != OK) {
            if (s != ERR_INTERRUPTED) note_failure(pool, i, s);
            return;
        }
        pool->points[i] = made;
        pool->ended++;
        pthread_cond_signal(&pool->changed);
    }
}

static void *thread_main(void *context) {
    PointPool *pool = context;
    team_keep_alone();
    pthread_mutex_lock(&pool->lock);
    take_points(pool);
    pool->running--;
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void tell(const PointPool *pool, int *before) {
    while (*before < pool->count && pool->points[*before].state != POINT_OPEN) ++*before;
    if (pool->work->follow) pool->work->follow(pool->work->context, *before, pool->ended);
}

// Until all threads have ended, with the lock held.
static void wait_for_all(PointPool *pool) {
    int before = 0;
    while (pool->running) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += FOLLOW_NS;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
        tell(pool, &before);
    }
    tell(pool, &before);
}

Status points_run(Point *points, int count, int threads, const PointWork *work) {
    pthread_t ids[THREADS];
    PointPool pool = {.points = points,
                      .work = work,
                      .count = count,
                      .failed = count,
                      .lock = PTHREAD_MUTEX_INITIALIZER,
                      .changed = PTHREAD_COND_INITIALIZER};
    pool.watch = (SimulateWatch){&pool, go_on};
    memset(points, 0, (size_t)count * sizeof *points);
    int wanted = threads < 1 ? 1 : threads > THREADS ? THREADS : threads, started = 0;
    if (wanted > count) wanted = count;
    pthread_mutex_lock(&pool.lock);
    pool.running = wanted;
    while (started < wanted && !pthread_create(&ids[started], NULL, thread_main, &pool)) started++;
    pool.running -= wanted - started;
    wait_for_all(&pool);
    pthread_mutex_unlock(&pool.lock);
    for (int i = 0; i < started; i++) pthread_join(ids[i], NULL);
    if (count && !started) FAIL(ERR_FAILED, "no thread could be started");
    if (pool.failed < count) FAIL(pool.status, "%s", pool.why);
    if (pool.ended < count) FAIL(ERR_INTERRUPTED, "interrupted");
    return OK;
}
