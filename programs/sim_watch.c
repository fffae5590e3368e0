// SPDX-License-Identifier: MIT
// The simulator calls go_on() every few thousand events. Progress appears after a second only: most
// sweeps are done by then.
#include "programs/sim_watch.h"

#include "core/base/clock.h"
#include "core/cli/terminal.h"

#include <signal.h>
#include <stdatomic.h>

enum { THOUSAND = 1000 };
static const int64_t PATIENCE_NS = 1000000000;

static atomic_int interrupts;  // lock-free: the only thing that the handler touches

static void on_interrupt(int number) {
    (void)number;
    atomic_fetch_add(&interrupts, 1);
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
    if (now_ns - w->start_ns > PATIENCE_NS)
        progress_update(&w->progress, (int64_t)(share * THOUSAND), now_ns, "");
}

static bool go_on(void *context, double share) {
    SimWatch *w = context;
    sim_watch_share(w, (w->before + share * w->current) / w->all);
    return !sim_watch_interrupted();
}

// Direct and ring all-reduces send 2 P (P - 1) messages; the rest of a step grows with P.
static double weight(int64_t ranks) { return (double)ranks * (double)(ranks + 16); }

void sim_watch_start(SimWatch *w, Log *log, bool quiet, const int64_t *sizes, int count) {
    *w = (SimWatch){.log = log, .start_ns = clock_ns(), .simulation = {w, go_on}};
    for (int i = 0; i < count; i++) w->all += weight(sizes[i]);
    progress_init(&w->progress, stderr, "sim", NULL, THOUSAND, quiet || !terminal_smart(stderr),
                  w->start_ns);
    w->progress.tenth = log_progress;
    w->progress.context = log;
    log->progress = &w->progress;
    catch_signals();
}

void sim_watch_row(SimWatch *w, int64_t ranks) {
    w->before += w->current;
    w->current = weight(ranks);
}

void sim_watch_clear(SimWatch *w) { progress_clear(&w->progress); }

void sim_watch_end(SimWatch *w) {
    progress_clear(&w->progress);
    w->log->progress = NULL;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (caught[i]) signal(signals[i], SIG_DFL);
}
