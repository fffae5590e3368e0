// SPDX-License-Identifier: MIT
// The threads that search go on until the process ends: nothing that they use is freed before.
#include "programs/advise_guard.h"

#include "programs/ending.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_NS = 20000000 };

// A search that has not listed its combinations has nothing to tell.
static void count_listed(AdvisePrint *p) {
    int count = 0;
    while (count < p->count && p->searches[count].listed) count++;
    p->count = count;
    p->partial = true;
}

static Status print_found(AdviseGuard *g) {
    Arena a = {0};
    count_listed(g->print);
    if (advise_print_best(g->print).of) TRY(advise_print(g->print, &a, g->json));
    return advise_print_interrupted(g->print);
}

static void *watch(void *context) {
    AdviseGuard *g = context;
    const struct timespec pause = {0, LOOK_NS};
    pthread_mutex_lock(&g->lock);
    while (!g->ended && !g->interrupted()) {
        pthread_mutex_unlock(&g->lock);
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&g->lock);
    }
    if (!g->ended) {
        if (g->log->progress) progress_clear(g->log->progress);
        Status status = print_found(g);
        (void)!fflush(stdout);
        _exit(ending_status(g->log, status));
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

Status advise_guard_start(AdviseGuard *g) {
    g->ended = false;
    pthread_mutex_init(&g->lock, NULL);
    if (pthread_create(&g->thread, NULL, watch, g) != 0)
        FAIL(ERR_FAILED, "no thread could be started");
    return OK;
}

void advise_guard_end(AdviseGuard *g) {
    pthread_mutex_lock(&g->lock);
    g->ended = !g->interrupted();
    pthread_mutex_unlock(&g->lock);
    pthread_join(g->thread, NULL);
    pthread_mutex_destroy(&g->lock);
}
