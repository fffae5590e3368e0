// SPDX-License-Identifier: MIT
// The communicator of ranks that see each other's memory, threads or processes: start, test, wait.
#include "parallel/comm/comm_internal.h"

#include "core/base/clock.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const int64_t SECOND_NS = 1000000000;

enum {
    PAUSES = 32,        // between two looks at the clock
    NAP_NS = 20000000,  // longest sleep: a rank that is killed between its store and its ring wakes
                        // nobody
    GAP_NS = 5 * NAP_NS,  // longest time between two looks that counts as waiting
};

static Status shared_start(Comm *c, const CommCall *call, CommRequest *r, int64_t start_ns) {
    TRY(call_begin(c, call, r, start_ns));
    r->looked_ns = c->world->links ? clock_ns() : start_ns;
    if (!call->point_to_point)
        c->world->links ? link_arrive(c, r) : perform_arrive(c, r);
    else if (call->receive)
        r->sequence = p2p_number(c, r);
    else
        p2p_post(c, r);
    return OK;
}

// --- time-outs

// Of the peers, those that have not arrived; if all have, those that have not ended the collective.
static uint64_t missing_members(const Comm *c, const CommRequest *r, bool *arrived) {
    const CommGroup *g = r->group;
    bool pushes = !c->world->links && collective_pushes(&r->what);
    uint64_t end = 1 + (uint64_t)(pushes ? 1 : collective_rounds(&r->what));
    uint64_t away = 0, behind = 0, begin = r->sequence << 32;
    for (int m = 0; m < g->count; m++) {
        uint64_t progress = atomic_load(&shared_lane(c, r, m)->progress);
        uint64_t rank = UINT64_C(1) << g->ranks[m];
        if (m == g->position) continue;
        if (progress < begin + end) behind |= rank;
        if (progress <= begin) away |= rank;  // still elsewhere
    }
    *arrived = !away;
    return away ? away : behind;
}

static uint64_t missing_peers(const Comm *c, const CommRequest *r, bool *arrived) {
    *arrived = false;
    if (r->call->point_to_point) return UINT64_C(1) << r->group->ranks[r->call->root];
    return missing_members(c, r, arrived);
}

// Of a set, the ranks that do not wait: that have looked for no peer within the time-out.
static uint64_t silent_ranks(const Comm *c, uint64_t set) {
    int64_t since_ns = clock_ns() - c->world->timeout_ns;
    for (int rank = 0; rank < c->ranks; rank++)
        if (atomic_load(&shared_rank(c, rank)->waits_ns) > since_ns) set &= ~(UINT64_C(1) << rank);
    return set;
}

// The silent ranks that a set of waiting ranks waits for in the end; 0: they wait for each other.
static uint64_t silent_behind(const Comm *c, uint64_t set) {
    uint64_t seen = UINT64_C(1) << c->rank, silent = 0;
    while (set && !silent) {
        uint64_t next = 0;
        seen |= set;
        for (int rank = 0; rank < c->ranks; rank++)
            if (set >> rank & 1) next |= atomic_load(&shared_rank(c, rank)->waits_for);
        set = next & ~seen;
        silent = silent_ranks(c, set);
    }
    return silent;
}

static int first_rank(uint64_t set) {
    int first = 0;
    while (!(set >> first & 1)) first++;
    return first;
}

// A peer that waits itself is rarely the one that is away: it times out by itself, since its wait
// began before or soon after ours, and knows better whom it misses. So it has twice the time; the
// rank that is named then is the last of the chain.
static Status time_out(Comm *c, const CommRequest *r, uint64_t missing, const char *what) {
    char text[STATUS_TEXT], ranks[RANKS_TEXT], last[RANKS_TEXT];
    int64_t timeout_ns = c->world->timeout_ns;
    uint64_t silent = silent_ranks(c, missing), behind = 0;
    if (silent)
        missing = silent;
    else if (r->waited_ns <= 2 * timeout_ns)
        return OK;
    else {
        timeout_ns *= 2;
        behind = silent_behind(c, missing);
    }
    int n = snprintf(text, sizeof text, "%s %s within %g s (rank %d waits)",
                     call_ranks_text(ranks, missing), what, (double)timeout_ns / 1e9, c->rank);
    if (behind)
        snprintf(text + n, sizeof text - (size_t)n, " but waits itself, in the end for %s",
                 call_ranks_text(last, behind));
    world_fail(c->world, ERR_PEER, c->rank, first_rank(behind ? behind : missing), text);
    FAIL(ERR_PEER, "%s", text);
}

// Who waits while somebody is away begins anew. Whoever waits briefly need not look at all ranks.
static bool waits_briefly(const Comm *c, const CommRequest *r) {
    return r->waited_ns < c->world->timeout_ns / 4;
}

static bool somebody_is_away(const Comm *c, const CommRequest *r) {
    if (waits_briefly(c, r)) return false;
    for (int rank = 0; rank < c->ranks; rank++)
        if (atomic_load_explicit(&shared_rank(c, rank)->away, memory_order_relaxed)) return true;
    return false;
}

// Time in which this rank was stopped itself (Ctrl-Z stops all) says nothing about its peers.
static bool waited_long(const Comm *c, CommRequest *r) {
    int64_t now = clock_ns(), gap = now - r->looked_ns;
    r->looked_ns = now;
    atomic_store_explicit(&shared_rank(c, c->rank)->waits_ns, now, memory_order_relaxed);
    r->waited_ns += gap < GAP_NS ? gap : GAP_NS;
    if (somebody_is_away(c, r)) r->waited_ns = 0;
    return r->waited_ns > c->world->timeout_ns;
}

// Data that an emulated link has not delivered yet keep a rank where it is, and with it whoever
// waits for it: that is the link's time, not an absence.
static bool was_in_transit(const Comm *c) {
    int64_t since_ns = clock_ns() - c->world->timeout_ns;
    for (int rank = 0; rank < c->ranks && c->world->links; rank++)
        if (atomic_load(&shared_rank(c, rank)->in_transit_ns) > since_ns) return true;
    return false;
}

// What this rank waits for on all lanes, for those that wait for it.
static void note_missing(const Comm *c) {
    uint64_t set = 0;
    bool arrived;
    for (int lane = 0; lane < COMM_LANES; lane++)
        if (c->pending[lane] && !c->pending[lane]->complete)
            set |= missing_peers(c, c->pending[lane], &arrived);
    atomic_store(&shared_rank(c, c->rank)->waits_for, set);
}

static Status check_time(Comm *c, CommRequest *r) {
    bool late = waited_long(c, r);
    if (!waits_briefly(c, r)) note_missing(c);
    if (!late || was_in_transit(c)) return OK;
    const CommCall *call = r->call;
    char name[CALL_TEXT], what[CALL_TEXT + 64];
    bool arrived;
    uint64_t missing = missing_peers(c, r, &arrived);
    if (call->point_to_point)
        snprintf(what, sizeof what, "did not answer %s", call_text(name, call));
    else
        snprintf(what, sizeof what, arrived ? "did not end %s" : "did not arrive at %s",
                 call_text(name, call));
    return missing ? time_out(c, r, missing, what) : OK;  // 0: it has come since
}

static Status advance(Comm *c, CommRequest *r) {
    if (r->call->point_to_point) return p2p_advance(c, r, &r->complete);
    return c->world->links ? link_advance(c, r, &r->complete) : perform_advance(c, r, &r->complete);
}

static void note_transit(Comm *c, const CommRequest *r) {
    _Atomic int64_t *until_ns = &shared_rank(c, c->rank)->in_transit_ns;
    if (atomic_load_explicit(until_ns, memory_order_relaxed) < r->end_ns)
        atomic_store(until_ns, r->end_ns);
}

static Status shared_test(Comm *c, CommRequest *r, bool *done) {
    *done = false;
    TRY(world_check(c->world));
    r->awaited = NULL;
    if (!r->complete) TRY(advance(c, r));
    if (!r->complete) return check_time(c, r);
    if (r->end_ns && clock_ns() < r->end_ns) {
        note_transit(c, r);
        return OK;
    }
    *done = true;
    c->pending[r->call->lane] = NULL;
    return OK;
}

// --- waiting

static bool may_go_on(const Comm *c, const CommRequest *const r[], int count) {
    if (atomic_load(&c->world->control->failure)) return true;
    for (int i = 0; i < count; i++)
        if (!r[i]->complete &&
            (!r[i]->awaited ||
             atomic_load((const _Atomic uint64_t *)r[i]->awaited) >= r[i]->awaited_value))
            return true;
    return false;
}

// What there is to wait for, besides peers' failures.
typedef struct {
    int64_t until_ns;  // the clock, or INT64_MAX
    int peers;         // requests that wait for a peer's word
    const void *word;  // of the last of them
} Awaited;

static Awaited awaited_by(const CommRequest *const r[], int count, int64_t until_ns) {
    Awaited a = {.until_ns = until_ns};
    for (int i = 0; i < count; i++) {
        if (!r[i]->complete) {
            a.peers++;
            a.word = r[i]->awaited;
        } else if (r[i]->end_ns < a.until_ns)
            a.until_ns = r[i]->end_ns;
    }
    return a;
}

static bool spin(const Comm *c, const CommRequest *const r[], int count, int64_t until_ns) {
    int64_t end = clock_ns() + c->world->spin_ns;
    if (end > until_ns) end = until_ns;
    while (clock_ns() < end)
        for (int i = 0; i < PAUSES; i++) {
            if (may_go_on(c, r, count)) return true;
            clock_pause();
        }
    bool yields = c->world->oversubscribed && !c->world->links;
    for (int i = 0; i < COMM_YIELDS && yields; i++) {
        if (may_go_on(c, r, count)) return true;
        sched_yield();
    }
    return may_go_on(c, r, count);
}

// No wake-up is lost. All of the following are sequentially consistent, hence in one order. A peer
// stores what we wait for (S), then reads `asleep` (A). We read `bell` (B), set `asleep` (F), then
// look for what we wait for (L), then sleep if the bell is as in B. If A comes before F, then S
// before L: we see it and do not sleep. Otherwise the peer sees the flag and rings after B: either
// the bell has changed when the kernel compares it, or we sleep already and are woken.
static void sleep_on_bell(Comm *c, const CommRequest *const r[], int count, int64_t nap_ns) {
    SharedRank *mine = shared_rank(c, c->rank);
    uint32_t bell = atomic_load(&mine->bell);
    atomic_store(&mine->asleep, 1);
    struct timespec nap = {.tv_sec = nap_ns / SECOND_NS, .tv_nsec = nap_ns % SECOND_NS};
    if (!may_go_on(c, r, count)) syscall(SYS_futex, &mine->bell, FUTEX_WAIT, bell, &nap, NULL, 0);
    atomic_store(&mine->asleep, 0);
}

// Where links are emulated many ranks share few cores: a rank says which word it sleeps for (its
// own bell: none), so that it is not woken for another, and it sleeps until the time is near.
static Status shared_idle(Comm *c, const CommRequest *const r[], int count, int64_t until_ns) {
    Awaited a = awaited_by(r, count, until_ns);
    int64_t spin_ns = c->world->spin_ns, nap_ns = NAP_NS;
    bool far = a.until_ns != INT64_MAX && a.until_ns - clock_ns() > spin_ns;
    if (!(far && a.peers == 0) && spin(c, r, count, a.until_ns)) return OK;
    if (a.until_ns != INT64_MAX) {
        int64_t left_ns = a.until_ns - spin_ns - clock_ns();
        if (left_ns <= 0) return OK;
        if (a.peers == 0 || left_ns < nap_ns) nap_ns = left_ns;
    }
    if (c->world->links) {
        SharedRank *mine = shared_rank(c, c->rank);
        const void *word = a.peers ? a.word : &mine->bell;
        atomic_store(&mine->awaits, a.peers > 1 ? 0 : (uintptr_t)word);
    }
    sleep_on_bell(c, r, count, nap_ns);
    return count ? OK : world_check(c->world);  // requests are tested, and say it then
}

// --- exchanges, in rounds of EXCHANGE_BYTES

static uint64_t missing_in_exchange(const Comm *c) {
    uint64_t set = 0;
    for (int m = 0; m < c->ranks; m++)
        if (atomic_load(&shared_rank(c, m)->exchanges) < c->exchanges) set |= UINT64_C(1) << m;
    return set;
}

static Status await_exchange(Comm *c, int rank, CommRequest *r) {
    while (!request_await(r, &shared_rank(c, rank)->exchanges, c->exchanges)) {
        TRY(world_check(c->world));
        bool late = waited_long(c, r);
        uint64_t missing = missing_in_exchange(c);  // 0: it has come since
        atomic_store(&shared_rank(c, c->rank)->waits_for, missing);
        if (late && missing && !was_in_transit(c))
            TRY(time_out(c, r, missing, "did not arrive at the " EXCHANGE));
        TRY(shared_idle(c, &(const CommRequest *){r}, 1, INT64_MAX));
    }
    return OK;
}

static Status shared_exchange(Comm *c, const void *mine, size_t size, void *all) {
    SharedRank *own = shared_rank(c, c->rank);
    size_t done = 0;
    do {
        CommRequest r = {.looked_ns = clock_ns()};  // each round has its time-out
        size_t n = size - done < EXCHANGE_BYTES ? size - done : EXCHANGE_BYTES;
        int place = (int)(++c->exchanges & 1);
        own->exchange_size[place] = size;
        memcpy(own->exchanged[place], (const char *)mine + done, n);
        atomic_store(&own->exchanges, c->exchanges);
        for (int m = 0; m < c->ranks; m++) world_ring(c->world, m);
        for (int m = 0; m < c->ranks; m++) TRY(await_exchange(c, m, &r));
        for (int m = 0; m < c->ranks; m++) {
            const SharedRank *theirs = shared_rank(c, m);
            TRY(call_exchange_disagree(c, m, theirs->exchange_size[place], size));
            memcpy((char *)all + (size_t)m * size + done, theirs->exchanged[place], n);
        }
        done += n;
    } while (done < size);
    return OK;
}

const CommMethods comm_thread_methods = {"thread", shared_start, shared_test, shared_idle,
                                         shared_exchange};
const CommMethods comm_shm_methods = {"shm", shared_start, shared_test, shared_idle,
                                      shared_exchange};
