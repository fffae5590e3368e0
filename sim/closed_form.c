// SPDX-License-Identifier: MIT
// A collective is so many equal rounds; path_time() and round_time() have the formula of one.
#include "sim/closed_form.h"

#include "parallel/collective/walk.h"

#include "core/base/units.h"
#include "sim/levels.h"
#include "sim/network.h"

// Messages that a member sends, or that come to it, in a round.
typedef struct {
    int64_t within, across, bytes;
} Round;

static Status add(int64_t *ps, int64_t more) {
    if (more > INT64_MAX - *ps) FAIL(ERR_FAILED, "simulated time ends after 106 days");
    *ps += more;
    return OK;
}

static Status path_time(int64_t *ps, const ClosedForm *f, const LinkModel *path, int64_t messages,
                        int64_t bytes) {
    int64_t carried_ps = 0, rate = path->bytes_per_s;
    bool loggp = f->model == CLOSED_LOGGP;
    if (!loggp) rate /= messages;
    if (rate < 1)
        FAIL(ERR_USAGE, "a link with less than 1 byte/s for each of %lld messages",
             (long long)messages);
    Carried all = loggp && bytes ? (Carried)messages * (Carried)(bytes - 1) : (Carried)bytes;
    TRY(network_carried_time(&carried_ps, all * PS_PER_S, rate));
    *ps = path->latency_ps;
    return add(ps, carried_ps);
}

static Status round_time(int64_t *ps, const ClosedForm *f, const Round *r) {
    int64_t within_ps = 0, across_ps = 0;
    if (r->within) TRY(path_time(&within_ps, f, &f->within, r->within, r->bytes));
    if (r->across) TRY(path_time(&across_ps, f, &f->across, r->across, r->bytes));
    *ps = within_ps > across_ps ? within_ps : across_ps;
    if (f->model != CLOSED_LOGGP || r->within + r->across == 0) return OK;
    __int128 more =
        2 * (__int128)f->overhead_ps + (r->within + r->across - 1) * (__int128)f->gap_ps;
    return add(ps, more > INT64_MAX ? INT64_MAX : (int64_t)more);
}

// Around a ring the slowest pair of neighbours makes all wait.
static Status ring_round_time(int64_t *ps, const ClosedForm *f, int64_t bytes,
                              const GroupSpread *spread) {
    int64_t across_ps = 0;
    *ps = 0;
    if (spread->most > 1) TRY(round_time(ps, f, &(Round){.within = 1, .bytes = bytes}));
    if (spread->nodes > 1) TRY(round_time(&across_ps, f, &(Round){.across = 1, .bytes = bytes}));
    if (across_ps > *ps) *ps = across_ps;
    return OK;
}

static Status rounds_time(int64_t *ps, int64_t rounds) {
    __int128 all = (__int128)*ps * rounds;
    if (all > INT64_MAX) FAIL(ERR_FAILED, "simulated time ends after 106 days");
    *ps = (int64_t)all;
    return OK;
}

// Pieces pass from member to member, node by node: the first over all pairs, the others behind it
// as fast as the slowest pair lets them.
static Status pipeline_time(int64_t *ps, const ClosedForm *f, const Collective *c, int64_t bytes,
                            const GroupSpread *spread) {
    const GroupSpread one = {1, 2, 2}, each = {2, 1, 1};
    int64_t within_ps = 0, across_ps = 0, slowest_ps;
    if (spread->most > 1) TRY(ring_round_time(&within_ps, f, bytes, &one));
    if (spread->nodes > 1) TRY(ring_round_time(&across_ps, f, bytes, &each));
    TRY(ring_round_time(&slowest_ps, f, bytes, spread));
    TRY(rounds_time(&within_ps, c->ranks - spread->nodes));
    TRY(rounds_time(&across_ps, spread->nodes - 1));
    TRY(rounds_time(&slowest_ps, collective_chunks(c) - 1));
    *ps = 0;
    TRY(add(ps, within_ps));
    TRY(add(ps, across_ps));
    return add(ps, slowest_ps);
}

static Status flat_time(int64_t *ps, const ClosedForm *f, const Collective *c,
                        int64_t element_bytes, const GroupSpread *spread) {
    int64_t bytes = collective_largest_chunk(c) * element_bytes;
    *ps = 0;
    if (c->ranks < 2) return OK;
    if (c->algorithm == ALGORITHM_CHAIN)
        FAIL(ERR_USAGE, "a chain has no closed form, since sums and results pass each other on it; "
                        "give --all-reduce direct or ring, or --network flow");
    if (c->algorithm == ALGORITHM_RING && c->kind == COLLECTIVE_BROADCAST)
        return pipeline_time(ps, f, c, bytes, spread);
    if (c->algorithm == ALGORITHM_RING) {
        TRY(ring_round_time(ps, f, bytes, spread));
        return rounds_time(ps, collective_rounds(c));
    }
    const Round r = {spread->most - 1, c->ranks - spread->least, bytes};
    const Round within = {spread->most - 1, 0, bytes};
    TRY(round_time(ps, f, spread->nodes > 1 ? &r : &within));
    return rounds_time(ps, collective_rounds(c));
}

Status closed_form_collective(int64_t *ps, const ClosedForm *f, const Collective *c,
                              int64_t element_bytes, const GroupSpread *spread) {
    Level levels[LEVELS_MOST];
    int count = 0;
    if (f->levels && spread->most == spread->least)
        count = levels_of(levels, c, spread->nodes, spread->most);
    if (!count) return flat_time(ps, f, c, element_bytes, spread);
    *ps = 0;
    for (int i = 0; i < count; i++) {
        int64_t level_ps;
        const int32_t ranks = levels[i].what.ranks;
        const GroupSpread one = {1, ranks, ranks}, each = {ranks, 1, 1};
        TRY(flat_time(&level_ps, f, &levels[i].what, element_bytes,
                      levels[i].across ? &each : &one));
        TRY(add(ps, level_ps));
    }
    return OK;
}

Status closed_form_message(int64_t *ps, const ClosedForm *f, int64_t bytes, bool across) {
    return round_time(ps, f, &(Round){!across, across, bytes});
}
