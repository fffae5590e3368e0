// SPDX-License-Identifier: MIT
// The schedules. Each is one function that knows, for every round t and member r, the steps of r.
//
// direct: everyone reads everyone's memory; rank order comes for free. What shared memory wants.
//         An all-reduce of fewer elements than members is a star around each that has a share: its
//         messages are 2 (P-1) an element, not 2 P (P-1).
// chain:  along a line 0, 1, … P-1, cut into pieces that follow each other; rank order.
// ring:   Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of
//         workstations", 2009: P chunks go round, P-1 rounds adding up, P-1 rounds spreading out.
//
// The ring all-reduce of four members. Each cell is the chunk that a member takes from the member
// before it: "+" adds its own input to the partial sum that comes, "=" copies what is complete.
//
//   round   member 0   member 1   member 2   member 3
//   0         +2         +3         +0         +1       each chunk k starts at member k + 1
//   1         +1         +2         +3         +0
//   2         +0         +1         +2         +3       member k has the sum of chunk k
//   3         =3         =0         =1         =2       and passes it on
//   4         =2         =3         =0         =1
//   5         =1         =2         =3         =0
#include "parallel/collective/walk.h"

#include "core/plan/share.h"

#include <assert.h>

enum { PIECE = 8192 };  // elements of a pipelined piece: 32 KiB of f32, half of a first-level cache

// The steps of member r in round t: returns how many there are; writes the i-th to *s unless s is
// NULL (its action, origin, source and chunk).
typedef int Schedule(const Collective *c, int64_t t, int r, int i, CollectiveStep *s);

// Around the group, of numbers from -P to 2P - 1: simulations ask for a hundred million steps, and
// dividing would take a good part of their time.
static inline int64_t around(int64_t i, int P) { return i < 0 ? i + P : i >= P ? i - P : i; }

static void take(CollectiveStep *s, StepAction action, int source, StepOrigin from, int64_t chunk) {
    if (!s) return;
    s->action = action;
    s->source = source;
    s->from = from;
    s->chunk = chunk;
}

// Member r adds up a chunk of all members' inputs, in rank order.
static int fold_inputs(const Collective *c, int64_t chunk, int i, CollectiveStep *s) {
    take(s, i == 0 ? STEP_COPY : STEP_REDUCE, i, FROM_INPUT, chunk);
    return c->ranks;
}

static int direct_reduce_scatter(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    return fold_inputs(c, r, i, s);
}

// Members whose share of the array is not empty: the j-th of them is ceil((j+1) P / owners) - 1, so
// (r+1) owners / P of them, rounded down, are not behind member r.
static int share_owners(const Collective *c) {
    int64_t units =
        share_units((Shares){.elements = c->elements, .unit = c->unit, .count = c->ranks});
    return units < c->ranks ? (int)units : c->ranks;
}
static int share_owner(const Collective *c, int owners, int64_t j) {
    return (int)(((j + 1) * c->ranks + owners - 1) / owners) - 1;
}

// Nobody sends an empty chunk. In the second round a member starts beside itself, so that not all
// ask the same one first.
static int direct_all_reduce(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    int owners = share_owners(c);
    int64_t up_to = (r + 1) * (int64_t)owners / c->ranks,
            own = up_to - r * (int64_t)owners / c->ranks;
    if (t == 0) return own ? fold_inputs(c, r, i, s) : 0;
    if (i < owners - own) {
        int other = share_owner(c, owners, (up_to + i) % owners);
        take(s, STEP_COPY, other, FROM_RESULT, other);
    }
    return owners - (int)own;
}

static int direct_reduce(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    return r == c->root ? fold_inputs(c, 0, i, s) : 0;
}

static int direct_all_gather(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    int source = (int)around((int64_t)r + i, c->ranks);
    take(s, STEP_COPY, source, FROM_INPUT, source);
    return c->ranks;
}

static int direct_scatter(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    take(s, STEP_COPY, c->root, FROM_INPUT, r);
    return 1;
}

static int direct_gather(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    return r == c->root ? direct_all_gather(c, t, r, i, s) : 0;
}

static int direct_all_to_all(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    int source = (int)around((int64_t)r + i, c->ranks);
    take(s, STEP_COPY, source, FROM_INPUT, (int64_t)source * c->ranks + r);
    return c->ranks;
}

static int direct_broadcast(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    take(s, STEP_COPY, c->root, FROM_INPUT, 0);
    return 1;
}

// Piece k is at member r in round k + r - 1: what came from below, then our own.
static int chain_up(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    int64_t piece = t - (r - 1);
    if (r == 0 || piece < 0 || piece >= collective_chunks(c)) return 0;
    if (i == 0)
        take(s, STEP_COPY, r - 1, r == 1 ? FROM_INPUT : FROM_RESULT, piece);
    else
        take(s, STEP_REDUCE, r, FROM_INPUT, piece);
    return 2;
}

// Pieces that are complete at the last member after round P-2 + k return, one member a round.
static int chain_all_reduce(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    int up = chain_up(c, t, r, i, i < 2 ? s : NULL);
    int64_t piece = t - (c->ranks - 1) - (c->ranks - 2 - r);
    if (r == c->ranks - 1 || piece < 0 || piece >= collective_chunks(c)) return up;
    if (i == up) take(s, STEP_COPY, r + 1, FROM_RESULT, piece);
    return up + 1;
}

// The last member ends with the sum; a root elsewhere fetches each piece in the round after.
static int chain_reduce(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    int up = chain_up(c, t, r, i, i < 2 ? s : NULL);
    int64_t piece = t - (c->ranks - 1);
    if (r != c->root || r == c->ranks - 1 || piece < 0 || piece >= collective_chunks(c)) return up;
    if (i == up) take(s, STEP_COPY, c->ranks - 1, FROM_RESULT, piece);
    return up + 1;
}

// Piece k reaches the member at `distance` from the root, over its neighbour,
// in round k + distance - 1.
static int relay(const Collective *c, int64_t t, int r, int distance, int neighbour,
                 CollectiveStep *s) {
    int64_t piece = r == c->root ? t : t - (distance - 1);
    if (piece < 0 || piece >= collective_chunks(c)) return 0;
    bool first_hand = r == c->root || neighbour == c->root;
    take(s, STEP_COPY, r == c->root ? r : neighbour, first_hand ? FROM_INPUT : FROM_RESULT, piece);
    return 1;
}

static int chain_broadcast(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    return r > c->root ? relay(c, t, r, r - c->root, r - 1, s)
                       : relay(c, t, r, c->root - r, r + 1, s);
}

static int ring_broadcast(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    int P = c->ranks;
    return relay(c, t, r, (int)around(r - c->root, P), (int)around(r - 1, P), s);
}

// Chunk k starts at member k+1 and comes round to member k; each adds its own. Two members only
// exchange inputs, and may do so in rank order.
static int ring_reduce_scatter(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    int P = c->ranks, before = (int)around(r - 1, P);
    int64_t chunk = around(r - 2 - t, P);
    bool own_first = P == 2 && r == 0;
    StepAction action = i == 0 ? STEP_COPY : STEP_REDUCE;
    if ((i == 0) == own_first)
        take(s, action, r, FROM_INPUT, chunk);
    else
        take(s, action, before, t == 0 ? FROM_INPUT : FROM_RESULT, chunk);
    return 2;
}

// In round t the member before us passes on the chunk of the member t places before it.
static int ring_spread(const Collective *c, int64_t t, int r, StepOrigin first, CollectiveStep *s) {
    int P = c->ranks, before = (int)around(r - 1, P);
    take(s, STEP_COPY, before, t == 0 ? first : FROM_RESULT, around(before - t, P));
    return 1;
}

static int ring_all_gather(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    if (t > 0 || i == 1) return ring_spread(c, t, r, FROM_INPUT, s) + (t == 0);
    take(s, STEP_COPY, r, FROM_INPUT, r);
    return 2;
}

static int ring_all_reduce(const Collective *c, int64_t t, int r, int i, CollectiveStep *s) {
    int half = c->ranks - 1;
    return t < half ? ring_reduce_scatter(c, t, r, i, s)
                    : ring_spread(c, t - half, r, FROM_RESULT, s);
}

// Which collective has which algorithm; NULL: it has not.
static Schedule *const schedules[COLLECTIVE_COUNT][ALGORITHM_COUNT] = {
    [COLLECTIVE_ALL_REDUCE] = {[ALGORITHM_DIRECT] = direct_all_reduce,
                               [ALGORITHM_CHAIN] = chain_all_reduce,
                               [ALGORITHM_RING] = ring_all_reduce},
    [COLLECTIVE_REDUCE_SCATTER] =
        {[ALGORITHM_DIRECT] = direct_reduce_scatter, [ALGORITHM_RING] = ring_reduce_scatter},
    [COLLECTIVE_ALL_GATHER] =
        {[ALGORITHM_DIRECT] = direct_all_gather, [ALGORITHM_RING] = ring_all_gather},
    [COLLECTIVE_BROADCAST] = {[ALGORITHM_DIRECT] = direct_broadcast,
                              [ALGORITHM_CHAIN] = chain_broadcast,
                              [ALGORITHM_RING] = ring_broadcast},
    [COLLECTIVE_REDUCE] = {[ALGORITHM_DIRECT] = direct_reduce, [ALGORITHM_CHAIN] = chain_reduce},
    [COLLECTIVE_SCATTER] = {[ALGORITHM_DIRECT] = direct_scatter},
    [COLLECTIVE_GATHER] = {[ALGORITHM_DIRECT] = direct_gather},
    [COLLECTIVE_ALL_TO_ALL] = {[ALGORITHM_DIRECT] = direct_all_to_all},
    // An all-gather of nothing: everyone has heard of everyone.
    [COLLECTIVE_BARRIER] = {[ALGORITHM_DIRECT] = direct_all_gather},
};

// One member alone has no neighbours: whatever it asks for is the direct schedule.
static Algorithm algorithm_of(const Collective *c) {
    return c->ranks == 1 ? ALGORITHM_DIRECT : c->algorithm;
}

Status collective_validate(const Collective *c) {
    if ((unsigned)c->kind >= COLLECTIVE_COUNT || (unsigned)c->algorithm >= ALGORITHM_COUNT)
        FAIL(ERR_USAGE, "there is no collective %d with schedule %d", (int)c->kind,
             (int)c->algorithm);
    if (c->ranks < 1)
        FAIL(ERR_USAGE, "%s over %d ranks: there must be at least 1", collective_name(c->kind),
             c->ranks);
    if (c->elements < 0 || (c->kind == COLLECTIVE_BARRIER && c->elements > 0))
        FAIL(ERR_USAGE, "%s of %lld elements", collective_name(c->kind), (long long)c->elements);
    if (c->unit < 0)
        FAIL(ERR_USAGE, "%s: a unit of %lld elements", collective_name(c->kind),
             (long long)c->unit);
    int64_t sum = 0;
    for (int i = 0; i < c->size_count; i++) sum += c->sizes[i];
    bool cut = c->kind == COLLECTIVE_REDUCE_SCATTER || c->kind == COLLECTIVE_ALL_GATHER;
    if (c->size_count && (!cut || sum != c->elements))
        FAIL(ERR_USAGE, "%s: %d arrays of %lld elements together, %lld in all",
             collective_name(c->kind), c->size_count, (long long)sum, (long long)c->elements);
    if (c->root < 0 || c->root >= c->ranks)
        FAIL(ERR_USAGE, "%s: root %d is not one of %d ranks", collective_name(c->kind), c->root,
             c->ranks);
    if (!schedules[c->kind][c->algorithm])
        FAIL(ERR_USAGE, "%s has no schedule %s; every collective has direct",
             collective_name(c->kind), algorithm_name(c->algorithm));
    return OK;
}

static bool passes_whole(const Collective *c) {
    return c->kind == COLLECTIVE_BROADCAST || c->kind == COLLECTIVE_REDUCE;
}

bool collective_is_piecewise(const Collective *c) {
    return passes_whole(c) || algorithm_of(c) == ALGORITHM_CHAIN;
}

int64_t collective_chunks(const Collective *c) {
    bool pipelined = algorithm_of(c) == ALGORITHM_CHAIN ||
                     (passes_whole(c) && algorithm_of(c) == ALGORITHM_RING);
    if (pipelined) return c->elements <= PIECE ? 1 : (c->elements + PIECE - 1) / PIECE;
    if (c->kind == COLLECTIVE_ALL_TO_ALL) return (int64_t)c->ranks * c->ranks;
    return passes_whole(c) ? 1 : c->ranks;
}

static int64_t chain_rounds(const Collective *c) {
    int64_t P = c->ranks, following = collective_chunks(c) - 1;  // pieces behind the first
    switch (c->kind) {
    case COLLECTIVE_ALL_REDUCE: return 2 * (P - 1) + following;
    case COLLECTIVE_REDUCE: return P - 1 + (c->root != P - 1) + following;
    default: return (c->root > P - 1 - c->root ? c->root : P - 1 - c->root) + following;
    }
}

static int64_t ring_rounds(const Collective *c) {
    int64_t once = c->ranks - 1;
    switch (c->kind) {
    case COLLECTIVE_ALL_REDUCE: return 2 * once;
    case COLLECTIVE_BROADCAST: return once + collective_chunks(c) - 1;
    default: return once;
    }
}

int64_t collective_rounds(const Collective *c) {
    switch (algorithm_of(c)) {
    case ALGORITHM_CHAIN: return chain_rounds(c);
    case ALGORITHM_RING: return ring_rounds(c);
    default: return c->kind == COLLECTIVE_ALL_REDUCE && c->ranks > 1 ? 2 : 1;
    }
}

int collective_steps(const Collective *c, int64_t round, int rank) {
    return schedules[c->kind][algorithm_of(c)](c, round, rank, 0, NULL);
}

CollectiveStep collective_step(const Collective *c, int64_t round, int rank, int i) {
    CollectiveStep s = {.round = round, .destination = rank};
    int count = schedules[c->kind][algorithm_of(c)](c, round, rank, i, &s);
    assert(i >= 0 && i < count);
    (void)count;
    return s;
}

int collective_first_step(const Collective *c, int64_t round, int rank, CollectiveStep *first) {
    *first = (CollectiveStep){.round = round, .destination = rank};
    return schedules[c->kind][algorithm_of(c)](c, round, rank, 0, first);
}

// Where a member has a step for every source, these go up by one around the group; so the place of
// one follows from the first. Otherwise it has three steps at most, and all are looked at.
bool collective_step_from(const Collective *c, int64_t round, int source, int destination,
                          CollectiveStep *out) {
    int steps = collective_steps(c, round, destination);
    if (steps == 0 || source == destination) return false;
    int first = collective_step(c, round, destination, 0).source;
    int guess = (source - first + c->ranks) % c->ranks;
    for (int i = 0; i < steps; i++) {
        *out = collective_step(c, round, destination, (guess + i) % steps);
        if (out->source == source) return true;
    }
    return false;
}
