// SPDX-License-Identifier: MIT
// Executing a schedule on symbols. An array's chunk holds, instead of numbers, the list of members
// whose contributions it has summed, in order; and remembers who read it and when.
//
// Members run apart: one only waits, before a round, until the sources of that round have ended the
// rounds before it. known[m][x] is how many rounds of x have surely ended when m is where it is (a
// vector clock: Mattern 1989). Overwriting is safe if every earlier read is known to have ended.
#include "parallel/collective/collective.h"

#include <string.h>

typedef struct {
    int64_t written;  // round of the last write, -1: what the member brought
    int32_t terms;    // how many contributions
    int32_t *term;    // [ranks]: whose, in order of addition
    int64_t *read;    // [ranks]: the last round in which that member read it, -1: none
} Chunk;

typedef struct {
    const Collective *c;
    Arena *arena;
    bool in_place;  // input and result share memory
    int64_t chunks;
    Chunk **held;            // [origin][member][chunk], made when first touched
    int64_t *known, *ended;  // [member][member]: now, and at the end of the previous round
} Symbols;

static Status chunk_of(Chunk **out, Symbols *s, StepOrigin from, int member, int64_t index) {
    int P = s->c->ranks;
    if (s->in_place) from = FROM_INPUT;
    Chunk **place = &s->held[((int64_t)from * P + member) * s->chunks + index];
    if (!*place) {
        Chunk *k = ARENA_NEW(s->arena, Chunk, 1);
        if (k) k->term = ARENA_NEW(s->arena, int32_t, P);
        if (k) k->read = ARENA_NEW(s->arena, int64_t, P);
        if (!k || !k->term || !k->read)
            FAIL(ERR_MEMORY, "no memory to check a schedule of %d ranks", P);
        for (int m = 0; m < P; m++) k->read[m] = -1;
        k->written = -1;
        bool holds = from == FROM_INPUT;
        if (s->c->kind == COLLECTIVE_SCATTER) holds &= member == s->c->root;
        if (s->c->kind == COLLECTIVE_ALL_GATHER || s->c->kind == COLLECTIVE_GATHER ||
            s->c->kind == COLLECTIVE_BARRIER)
            holds &= index == member;
        if (s->c->kind == COLLECTIVE_ALL_TO_ALL) holds &= index / P == member;
        if (holds) k->term[k->terms++] = member;
        *place = k;
    }
    *out = *place;
    return OK;
}

#define FAIL_STEP(s, fmt, ...)                                                                     \
    FAIL(ERR_FAILED,                                                                               \
         "%s of %lld elements over %d ranks, %s: round %lld, rank %d, chunk %lld from rank "       \
         "%d: " fmt,                                                                               \
         collective_name(c->kind), (long long)c->elements, c->ranks, algorithm_name(c->algorithm), \
         (long long)(s)->round, (s)->destination, (long long)(s)->chunk, (s)->source, __VA_ARGS__)

static Status check_step(const Collective *c, const CollectiveStep *s,
                         const CollectiveStep *before) {
    if (s->source < 0 || s->source >= c->ranks || s->destination < 0 ||
        s->destination >= c->ranks || s->chunk < 0 || s->chunk >= collective_chunks(c) ||
        s->round < 0 || s->round >= collective_rounds(c))
        FAIL_STEP(s, "outside of the schedule (%lld chunks, %lld rounds)",
                  (long long)collective_chunks(c), (long long)collective_rounds(c));
    if (before && (s->round < before->round ||
                   (s->round == before->round && s->destination < before->destination)))
        FAIL_STEP(s, "listed after round %lld of rank %d", (long long)before->round,
                  before->destination);
    if (s->action == STEP_REDUCE &&
        (!before || before->round != s->round || before->destination != s->destination ||
         before->chunk != s->chunk))
        FAIL_STEP(s, "%s", "adds to nothing: no copy of the chunk precedes it");
    return OK;
}

// Read one term of a fold: its contributions join `terms`.
static Status read_term(Symbols *y, const CollectiveStep *s, int32_t *term, int32_t *terms) {
    const Collective *c = y->c;
    Chunk *k;
    TRY(chunk_of(&k, y, s->from, s->source, s->chunk));
    if (k->terms == 0) FAIL_STEP(s, "%s", "reads what nobody has written");
    if (k->written == s->round && s->source != s->destination)
        FAIL_STEP(s, "%s", "reads what is written in the same round");
    for (int i = 0; i < k->terms; i++) {
        for (int j = 0; j < *terms; j++)
            if (term[j] == k->term[i])
                FAIL_STEP(s, "adds the contribution of rank %d twice", term[j]);
        term[(*terms)++] = k->term[i];
    }
    k->read[s->destination] = s->round;
    return OK;
}

static Status write_fold(Symbols *y, const CollectiveStep *s, const int32_t *term, int32_t terms) {
    const Collective *c = y->c;
    int P = c->ranks, me = s->destination;
    Chunk *k;
    TRY(chunk_of(&k, y, FROM_RESULT, me, s->chunk));
    for (int m = 0; m < P; m++)
        if (m != me && k->read[m] >= y->known[(int64_t)me * P + m])
            FAIL_STEP(s, "overwrites what rank %d may still be reading for round %lld", m,
                      (long long)k->read[m]);
    memcpy(k->term, term, (size_t)terms * sizeof *term);
    k->terms = terms;
    k->written = s->round;
    return OK;
}

// The steps [first, end) are those of one member in one round.
static Status run_round(Symbols *y, const CollectiveStep *steps, int64_t first, int64_t end,
                        int32_t *term) {
    int P = y->c->ranks, me = steps[first].destination;
    int64_t *known = y->known + (int64_t)me * P;
    for (int64_t i = first; i < end; i++)  // wait for the sources
        for (int m = 0; m < P && steps[i].source != me; m++) {
            int64_t theirs =
                m == steps[i].source ? steps[i].round : y->ended[(int64_t)steps[i].source * P + m];
            if (known[m] < theirs) known[m] = theirs;
        }
    for (int64_t i = first; i < end;) {
        const CollectiveStep *copy = &steps[i];
        int64_t past = i + 1;
        while (past < end && steps[past].action == STEP_REDUCE) past++;
        bool onto_itself = y->in_place && copy->source == me && past == i + 1;
        int32_t terms = 0;
        for (; i < past && !onto_itself; i++) TRY(read_term(y, &steps[i], term, &terms));
        if (!onto_itself) TRY(write_fold(y, copy, term, terms));
        i = past;
    }
    return OK;
}

// What member `rank` must hold of a chunk in the end: nothing, one contribution
// (*whose) or all (-1).
static bool must_hold(const Collective *c, int rank, int64_t chunk, int *whose) {
    *whose = -1;
    switch (c->kind) {
    case COLLECTIVE_ALL_REDUCE: return true;
    case COLLECTIVE_REDUCE_SCATTER: return chunk == rank;
    case COLLECTIVE_REDUCE: return rank == c->root;
    case COLLECTIVE_BROADCAST: *whose = c->root; return true;
    case COLLECTIVE_SCATTER: *whose = c->root; return chunk == rank;
    case COLLECTIVE_GATHER: *whose = (int)chunk; return rank == c->root;
    case COLLECTIVE_ALL_GATHER:
    case COLLECTIVE_BARRIER: *whose = (int)chunk; return true;
    case COLLECTIVE_ALL_TO_ALL: *whose = (int)(chunk / c->ranks); return chunk % c->ranks == rank;
    case COLLECTIVE_COUNT: break;
    }
    return false;
}

// An all-reduce may leave out a chunk without elements, and a direct one does.
static bool is_left_out(const Collective *c, int64_t chunk) {
    int64_t begin, count;
    collective_chunk(c, chunk, &begin, &count);
    return c->kind == COLLECTIVE_ALL_REDUCE && count == 0;
}

// Contributions are distinct (read_term), so `ranks` of them are everybody's.
static Status check_end(Symbols *y) {
    const Collective *c = y->c;
    for (int64_t i = 0; i < y->chunks; i++) {
        Chunk *k, *first = NULL;
        if (is_left_out(c, i)) continue;
        for (int r = 0; r < c->ranks; r++) {
            int whose;
            if (!must_hold(c, r, i, &whose)) continue;
            CollectiveStep end = {
                .round = collective_rounds(c), .destination = r, .source = r, .chunk = i};
            TRY(chunk_of(&k, y, FROM_RESULT, r, i));
            if (whose >= 0 && (k->terms != 1 || k->term[0] != whose))
                FAIL_STEP(&end, "ends without the data of rank %d", whose);
            if (whose < 0 && k->terms != c->ranks)
                FAIL_STEP(&end, "ends with %d of %d contributions", k->terms, c->ranks);
            for (int m = 0; m < k->terms && whose < 0 && collective_in_rank_order(c); m++)
                if (k->term[m] != m) FAIL_STEP(&end, "rank %d is added in place %d", k->term[m], m);
            if (!first) first = k;
            if (memcmp(k->term, first->term, (size_t)k->terms * sizeof *k->term) != 0)
                FAIL_STEP(&end, "%s", "was added in another order than elsewhere");
        }
    }
    return OK;
}

static Status check_symbols(const Collective *c, const CollectiveStep *steps, int64_t count,
                            bool in_place, Arena *a) {
    size_t P = (size_t)c->ranks;
    Symbols y = {.c = c, .arena = a, .in_place = in_place, .chunks = collective_chunks(c)};
    y.held = ARENA_NEW(a, Chunk *, 2 * P * (size_t)y.chunks);
    y.known = ARENA_NEW(a, int64_t, P * P);
    y.ended = ARENA_NEW(a, int64_t, P * P);
    int32_t *term = ARENA_NEW(a, int32_t, P);
    if (!y.held || !y.known || !y.ended || !term)
        FAIL(ERR_MEMORY, "no memory to check a schedule of %d ranks", c->ranks);
    for (int64_t i = 0, end; i < count; i = end) {
        if (i > 0 && steps[i].round > steps[i - 1].round)
            memcpy(y.ended, y.known, P * P * sizeof *y.known);
        for (end = i; end < count; end++) {
            if (steps[end].round != steps[i].round ||
                steps[end].destination != steps[i].destination)
                break;
            TRY(check_step(c, &steps[end], end > 0 ? &steps[end - 1] : NULL));
        }
        TRY(run_round(&y, steps, i, end, term));
    }
    return check_end(&y);
}

Status collective_check_list(const Collective *c, const CollectiveStep *steps, int64_t count) {
    TRY(collective_validate(c));
    bool may_share = c->kind == COLLECTIVE_ALL_REDUCE || c->kind == COLLECTIVE_BROADCAST ||
                     c->kind == COLLECTIVE_REDUCE;
    for (int in_place = 0; in_place <= may_share; in_place++) {
        Arena a = {0};
        Status s = check_symbols(c, steps, count, in_place, &a);
        arena_finish(&a);
        if (s != OK) return s;
    }
    return OK;
}

Status collective_list(const Collective *c, CollectiveStep **out, int64_t *count, Arena *a) {
    TRY(collective_validate(c));
    int64_t total = 0;
    for (int64_t t = 0; t < collective_rounds(c); t++)
        for (int r = 0; r < c->ranks; r++) total += collective_steps(c, t, r);
    *out = ARENA_NEW(a, CollectiveStep, total);
    if (!*out && total > 0)
        FAIL(ERR_MEMORY, "no memory for a list of %lld steps", (long long)total);
    *count = 0;
    for (int64_t t = 0; t < collective_rounds(c); t++)
        for (int r = 0; r < c->ranks; r++)
            for (int i = 0; i < collective_steps(c, t, r); i++)
                (*out)[(*count)++] = collective_step(c, t, r, i);
    return OK;
}

Status collective_check(const Collective *c) {
    Arena a = {0};
    CollectiveStep *steps = NULL;
    int64_t count = 0;
    Status s = collective_list(c, &steps, &count, &a);
    if (s == OK) s = collective_check_list(c, steps, count);
    arena_finish(&a);
    return s;
}
