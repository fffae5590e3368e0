// SPDX-License-Identifier: MIT
// Samples, and the processes that play the other ranks.
#include "parallel/calibrate/calibrate_internal.h"

#include "core/base/clock.h"
#include "core/report/report.h"
#include "parallel/run/process.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int64_t PATIENCE_NS = 60000000000,  // for an answer
    GRACE_NS = 1000000000,                       // to end when asked to
    NAP_NS = 20000000;                           // longest sleep of a peer

Status bench_check(const Bench *b) {
    const atomic_int *interrupt = b->job->options.interrupt;
    if (interrupt && *interrupt) FAIL(ERR_INTERRUPTED, "calibration interrupted");
    return OK;
}

// --- samples

Status samples_init(Samples *s, Arena *a, int capacity) {
    *s = (Samples){.values = ARENA_NEW(a, double, capacity + 1), .capacity = capacity};
    if (!s->values) FAIL(ERR_MEMORY, "out of memory for %d samples", capacity);
    return OK;
}

void samples_add(Samples *s, double value) {
    if (s->count < s->capacity) s->values[s->count++] = value;
}

static int64_t whole(double x) { return x > 0 ? llround(x) : 0; }

Measured samples_measured(Samples *s, double scale) {
    if (!s->count) return (Measured){0};
    Spread x = statistics_spread(s->values, s->count);
    return (Measured){whole(x.median * scale), whole(x.p10 * scale), whole(x.p90 * scale), true};
}

// --- our side

static void ring(SharedPeer *w) {
    atomic_fetch_add(&w->bell, 1);
    syscall(SYS_futex, &w->bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

Status peer_start(Peer *p, const Bench *b, int turn, PeerMain main, const void *context) {
    *p = (Peer){.words = &b->words[turn], .bench = b};
    memset(p->words, 0, sizeof *p->words);
    fflush(NULL);  // or the child would write it again
    p->pid = process_fork("train-peer");
    if (p->pid < 0) {
        p->pid = 0;
        FAIL(ERR_PEER, "a process to calibrate with could not be started: %s", strerror(errno));
    }
    if (p->pid) return OK;
    process_pin(&b->cores, turn);
    Status s = main(p->words, b, context);
    if (s != OK) snprintf(p->words->message, sizeof p->words->message, "%s", status_message());
    _exit(status_exit(s));
}

static Status lost(Peer *p, int status) {
    p->pid = 0;
    if (*p->words->message) FAIL(ERR_PEER, "%s", p->words->message);
    if (WIFSIGNALED(status))
        FAIL(ERR_PEER, "a process to calibrate with was killed by signal %d", WTERMSIG(status));
    FAIL(ERR_PEER, "a process to calibrate with ended with status %d", WEXITSTATUS(status));
}

// Checks that take too long for every iteration of a loop that waits.
static Status look_after(Peer *p, int64_t since_ns) {
    int status = 0;
    TRY(bench_check(p->bench));
    if (waitpid(p->pid, &status, WNOHANG) == p->pid) return lost(p, status);
    if (clock_ns() - since_ns > PATIENCE_NS)
        FAIL(ERR_PEER, "a process to calibrate with does not answer; is this host overloaded?");
    return OK;
}

void peer_ask(Peer *p, uint64_t ask) {
    atomic_store(&p->words->ask, ask);
    if (atomic_load(&p->words->asleep)) ring(p->words);
}

Status peer_await(Peer *p, uint64_t answer, bool yield) {
    enum { TURNS = 1 << 14 };  // between two longer looks
    int64_t since_ns = 0;
    for (uint32_t i = 1; atomic_load(&p->words->answer) != answer; i++) {
        if (yield || since_ns)  // a peer this late may want for a core
            sched_yield();
        else
            clock_pause();
        if (i % TURNS) continue;
        if (!since_ns) since_ns = clock_ns();
        TRY(look_after(p, since_ns));
    }
    return OK;
}

Status peer_stop(Peer *p) {
    if (!p->pid) return OK;
    int status = 0;
    pid_t ended = 0;
    atomic_store(&p->words->stop, 1);
    ring(p->words);
    for (int64_t end = clock_ns() + GRACE_NS; !ended && clock_ns() < end; clock_sleep_ns(200000))
        ended = waitpid(p->pid, &status, WNOHANG);
    if (!ended) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
    }
    bool well = ended < 0 || (ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (ended && !well) return lost(p, status);
    p->pid = 0;
    return OK;
}

// --- the peer's side

uint64_t peer_next(SharedPeer *w, uint64_t seen) {
    while (atomic_load(&w->ask) == seen && !atomic_load(&w->stop)) clock_pause();
    return atomic_load(&w->ask);
}

// As a rank sleeps (parallel/comm/shared.c), with the argument there that no wake-up is lost.
uint64_t peer_next_asleep(SharedPeer *w, uint64_t seen) {
    while (atomic_load(&w->ask) == seen && !atomic_load(&w->stop)) {
        struct timespec nap = {.tv_nsec = NAP_NS};
        uint32_t bell = atomic_load(&w->bell);
        atomic_store(&w->asleep, 1);
        if (atomic_load(&w->ask) == seen && !atomic_load(&w->stop))
            syscall(SYS_futex, &w->bell, FUTEX_WAIT, bell, &nap, NULL, 0);
        atomic_store(&w->woke_ns, clock_ns());
        atomic_store(&w->asleep, 0);
    }
    return atomic_load(&w->ask);
}
