// SPDX-License-Identifier: MIT
// The calling thread and its helpers take the next piece from a counter. Read team_each() last.
#include "core/base/team.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

enum { THREADS = 16 };

static _Thread_local bool alone;

void team_keep_alone(void) { alone = true; }

typedef struct {
    TeamWork work;
    void *context;
    int count;
    atomic_int next;
    pthread_mutex_t lock;   // guards what follows
    int failed;             // the lowest piece that failed, or `count`,
    Status status;          // how,
    char why[STATUS_TEXT];  // and why
} Team;

static void note_failure(Team *t, int i, Status s) {
    atomic_store(&t->next, t->count);
    pthread_mutex_lock(&t->lock);
    if (i < t->failed) {
        t->failed = i;
        t->status = s;
        snprintf(t->why, sizeof t->why, "%s", status_message());
    }
    pthread_mutex_unlock(&t->lock);
}

// Pieces are taken in order, so that all below one that fails have been begun and will end.
static void take_pieces(Team *t) {
    for (int i; (i = atomic_fetch_add(&t->next, 1)) < t->count;) {
        Status s = t->work(t->context, i);
        if (s != OK) note_failure(t, i, s);
    }
}

static void *helper_main(void *context) {
    alone = true;
    take_pieces(context);
    return NULL;
}

static int count_cores(void) {
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

static Status each_alone(int count, TeamWork work, void *context) {
    for (int i = 0; i < count; i++) TRY(work(context, i));
    return OK;
}

Status team_each(int count, TeamWork work, void *context) {
    pthread_t helpers[THREADS];
    int wanted = alone || count < 2 ? 1 : count_cores(), started = 0;
    if (wanted > count) wanted = count;
    if (wanted > THREADS) wanted = THREADS;
    if (wanted < 2) return each_alone(count, work, context);
    Team t = {.work = work,
              .context = context,
              .count = count,
              .lock = PTHREAD_MUTEX_INITIALIZER,
              .failed = count};
    while (started < wanted - 1 && !pthread_create(&helpers[started], NULL, helper_main, &t))
        started++;
    alone = true;
    take_pieces(&t);
    alone = false;
    for (int i = 0; i < started; i++) pthread_join(helpers[i], NULL);
    if (t.failed < count) FAIL(t.status, "%s", t.why);
    return OK;
}
