// SPDX-License-Identifier: MIT
// The simulator calls go_on() every few thousand events; while plans are made, follow_plan() has a
// thread. Progress appears after a second only: most sweeps are done by then.
#include "programs/sim_watch.h"

#include "core/base/clock.h"
#include "core/cli/terminal.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THOUSAND = 1000, LOOK_NS = 100000000 };
static const int64_t PATIENCE_NS = 1000000000, SECOND_NS = 1000000000;

// Lock-free: all that the handler touches.
static atomic_int interrupts;
static atomic_bool nothing_done;

// A plan may take long and cannot be stopped on the way, but there is nothing to keep before the
// first. The progress line, and the terminal's ^C, leave a line open.
static void on_interrupt(int number) {
    static const char text[] = "\nsim: interrupted before anything was simulated\n";
    (void)number;
    atomic_fetch_add(&interrupts, 1);
    if (!atomic_load(&nothing_done)) return;
    const char *line = isatty(STDERR_FILENO) ? text : text + 1;
    if (write(STDERR_FILENO, line, strlen(line)) < 0) {
    }
    _exit(status_exit(ERR_INTERRUPTED));
}

static const int signals[] = {SIGINT, SIGTERM};
static bool caught[2];  // as in `signals`; one that is ignored, as under nohup, stays so

static void catch_signals(void) {
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND},
                         before;
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            caught[i] = sigaction(signals[i], &action, NULL) == 0;
    }
}

bool sim_watch_interrupted(void) { return atomic_load(&interrupts) > 0; }

void sim_watch_share(SimWatch *w, double share) {
    int64_t now_ns = clock_ns();
    if (share > 0) atomic_store(&nothing_done, false);
    if (now_ns - w->start_ns > PATIENCE_NS)
        progress_update(&w->progress, (int64_t)(share * THOUSAND), now_ns, "");
}

void sim_watch_note(SimWatch *w, const char *note) {
    int64_t now_ns = clock_ns();
    w->progress.total = 0;
    if (now_ns - w->start_ns > PATIENCE_NS) progress_update(&w->progress, 0, now_ns, note);
}

void sim_watch_keeps(SimWatch *w) {
    (void)w;
    atomic_store(&nothing_done, false);
}

static bool go_on(void *context, double share) {
    SimWatch *w = context;
    pthread_mutex_lock(&w->lock);
    w->plans = false;
    atomic_store(&nothing_done, false);
    sim_watch_share(w, (w->before + share * w->current) / w->all);
    pthread_mutex_unlock(&w->lock);
    return !sim_watch_interrupted();
}

static void show_plan(SimWatch *w) {
    char note[64];
    int64_t now_ns = clock_ns(), passed_ns = now_ns - w->start_ns;
    if (!w->plans || passed_ns < PATIENCE_NS) return;
    snprintf(note, sizeof note, "making the plan, %lld s", (long long)(passed_ns / SECOND_NS));
    progress_update(&w->progress, (int64_t)(w->before / w->all * THOUSAND), now_ns, note);
}

static void *follow_plan(void *context) {
    SimWatch *w = context;
    pthread_mutex_lock(&w->lock);
    while (!w->ended) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_NS;
        until.tv_sec += until.tv_nsec / SECOND_NS;
        until.tv_nsec %= SECOND_NS;
        pthread_cond_timedwait(&w->end, &w->lock, &until);
        show_plan(w);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

// Direct and ring all-reduces send 2 P (P - 1) messages; the rest of a step grows with P.
static double weight(int64_t ranks) { return (double)ranks * (double)(ranks + 16); }

void sim_watch_start(SimWatch *w, Log *log, bool quiet, const int64_t *sizes, int count) {
    *w = (SimWatch){.log = log,
                    .start_ns = clock_ns(),
                    .simulation = {w, go_on},
                    .end = PTHREAD_COND_INITIALIZER,
                    .lock = PTHREAD_MUTEX_INITIALIZER};
    for (int i = 0; i < count; i++) w->all += weight(sizes[i]);
    progress_init(&w->progress, stderr, "sim", NULL, THOUSAND, quiet || !terminal_smart(stderr),
                  w->start_ns);
    w->progress.tenth = log_progress;
    w->progress.context = log;
    log->progress = &w->progress;
    atomic_store(&nothing_done, !count);
    catch_signals();
    w->threaded = count && !w->progress.quiet && !pthread_create(&w->thread, NULL, follow_plan, w);
}

void sim_watch_row(SimWatch *w, int64_t ranks) {
    pthread_mutex_lock(&w->lock);
    atomic_store(&nothing_done, w->current == 0);
    w->before += w->current;
    w->current = weight(ranks);
    w->plans = true;
    pthread_mutex_unlock(&w->lock);
}

void sim_watch_clear(SimWatch *w) {
    pthread_mutex_lock(&w->lock);
    w->plans = false;
    progress_clear(&w->progress);
    pthread_mutex_unlock(&w->lock);
}

void sim_watch_end(SimWatch *w) {
    atomic_store(&nothing_done, false);
    sim_watch_clear(w);
    pthread_mutex_lock(&w->lock);
    w->ended = true;
    pthread_cond_signal(&w->end);
    pthread_mutex_unlock(&w->lock);
    if (w->threaded) pthread_join(w->thread, NULL);
    w->log->progress = NULL;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (caught[i]) signal(signals[i], SIG_DFL);
}
