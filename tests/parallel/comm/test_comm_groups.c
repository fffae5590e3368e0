// SPDX-License-Identifier: MIT
// Every collective of every size from 0 to 1025 elements over groups of every shape, in worlds of 1
// to 8 ranks. A rank is in several groups at once, each with a lane of its own, and meets them in
// one order; those whose groups do not meet drift apart. Results are compared as in test_comm.c.
#include "core/base/clock.h"
#include "tests/support/comm_case.h"
#include "tests/support/comm_delays.h"
#include "tests/support/comm_job.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

// The thread sanitizer takes ten times as long, and looks at accesses rather than at sizes.
#ifdef __SANITIZE_THREAD__
enum { STEP = 5 };
#else
enum { STEP = 1 };
#endif
enum { MOST = 1025 };

// Ranks as on a mesh of pipe × data × tensor, the last innermost: the ranks of a group are those
// that have our coordinates along the axes that it does not span. Then lists in any order.
enum {
    EVERYONE,
    TENSOR,        // neighbours
    DATA,          // strided
    PIPE,          // strided
    DATA_TENSOR,   // a stage: the groups above are inside it
    PIPE_TENSOR,   // blocks with a stride
    PIPE_DATA,     // strided, inside the world
    SHUFFLED,      // everyone, in another order
    EXPLICIT,      // some ranks in some order: the others are in no such group
    EXPLICIT_TOO,  // and some of them again
    GROUPS
};

typedef struct {
    int count, position;  // position: of the rank that asked; NONE: it is no member
    int ranks[JOB_RANKS];
} Members;

static void add(Members *m, int member, int rank) {
    if (member == rank) m->position = m->count;
    m->ranks[m->count++] = member;
}

// A permutation of the ranks (Fisher and Yates), or its beginning.
static void shuffle(Members *m, int count, int ranks, int rank, uint32_t seed) {
    int order[JOB_RANKS];
    for (int r = 0; r < ranks; r++) order[r] = r;
    for (int r = 0; r < count; r++) {
        int other =
            r + (int)(case_hash(seed, (uint32_t)r, (uint32_t)ranks, 8) % (uint32_t)(ranks - r));
        add(m, order[other], rank);
        order[other] = order[r];
    }
}

static Members members_of(int group, int ranks, int rank) {
    static const int degrees[JOB_RANKS + 1][2] = {[4] = {2, 2}, [6] = {2, 3}, [8] = {2, 2}};
    static const bool spans[GROUPS][3] = {
        [EVERYONE] = {1, 1, 1}, [TENSOR] = {1, 0, 0},      [DATA] = {0, 1, 0},
        [PIPE] = {0, 0, 1},     [DATA_TENSOR] = {1, 1, 0}, [PIPE_TENSOR] = {1, 0, 1},
        [PIPE_DATA] = {0, 1, 1}};
    int tensor = degrees[ranks][0] ? degrees[ranks][0] : ranks,
        data = degrees[ranks][1] ? degrees[ranks][1] : 1;
    Members m = {.position = NONE};
    uint32_t h = case_hash((uint32_t)group, (uint32_t)ranks, 0, 7);
    if (group >= SHUFFLED) {
        shuffle(&m, group == SHUFFLED ? ranks : 1 + (int)(h % (uint32_t)ranks), ranks, rank, h);
        return m;
    }
    for (int r = 0; r < ranks; r++)
        if ((spans[group][0] || r % tensor == rank % tensor) &&
            (spans[group][1] || r / tensor % data == rank / tensor % data) &&
            (spans[group][2] || r / tensor / data == rank / tensor / data))
            add(&m, r, rank);
    return m;
}

// --- cases

typedef struct {
    int ranks;
    uint32_t salt, delays;  // one in how many hand-overs is delayed; 0: none
    int64_t step;           // sizes are so far apart
} Sweep;

// Is this collective of this size for a world of so many ranks? Each is for one of 1 to 8.
static bool is_here(const Sweep *s, int kind, int64_t elements) {
    int64_t turn = elements / s->step;
    return (turn + 3 * kind + s->salt) % JOB_RANKS == (uint32_t)(s->ranks - 1);
}

static int group_of(const Sweep *s, int kind, int64_t elements) {
    return (int)(case_hash(s->salt, (uint32_t)kind, (uint32_t)elements, 9) % GROUPS);
}

// What the members of a group do, and groups that do not meet, each with values of their own.
static void draw(Case *t, const Sweep *s, int kind, int64_t elements, int group, const Members *m) {
    case_draw_sized(t, kind, elements, m->count, s->salt);
    t->seed = case_hash(t->seed, (uint32_t)m->ranks[0], 0, 0);
    t->group = t->lane = group;
}

static void join_groups(Comm *c, Members of[GROUPS]) {
    for (int g = 0; g < GROUPS; g++) {
        of[g] = members_of(g, c->ranks, c->rank);
        if (of[g].position != NONE) ck_assert_ok(comm_group(c, g, of[g].ranks, of[g].count));
    }
}

static void describe(char *out, int group, const Comm *c) {
    size_t used = strlen(out);
    snprintf(out + used, STATUS_TEXT - used, " (group %d of %d ranks, rank %d)", group, c->ranks,
             c->rank);
}

static bool take_part(Comm *c, const Case *t, int position, char *failure) {
    Part x;
    part_prepare(&x, t, position, c->pool);
    Status status = comm_prepare(c, &x.call);
    if (status == OK) status = job_call(c, &x.call, &x.request);
    job_release(c, &x.call);
    if (status != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
    if (part_verify(&x, c->pool, failure, STATUS_TEXT) && status == OK) return true;
    describe(failure, t->group, c);
    comm_abandon(c, ERR_FAILED, failure);
    return false;
}

static void sweep_body(Comm *c, void *context, char *failure) {
    const Sweep *s = context;
    Members of[GROUPS];
    join_groups(c, of);
    comm_delays_set(s->delays, (uint32_t)c->rank + s->salt);
    for (int64_t n = 0; n <= MOST; n += s->step)
        for (int kind = 0; kind < CASE_KINDS; kind++) {
            int g = group_of(s, kind, n);
            Case t;
            if (!is_here(s, kind, n) || of[g].position == NONE) continue;
            draw(&t, s, kind, n, g, &of[g]);
            if (!take_part(c, &t, of[g].position, failure)) return;
        }
    if (s->delays && s->ranks > 1 && !comm_delays_count())
        snprintf(failure, STATUS_TEXT, "nothing was delayed");
    comm_delays_set(0, 0);
}

static void sweep(CommKind kind, Sweep s) {
    for (s.ranks = 1; s.ranks <= JOB_RANKS; s.ranks++) {
        CommWorld *w = job_world(kind, s.ranks, 0);
        job_run(w, kind, s.ranks, sweep_body, &s);
        comm_world_destroy(w);
    }
}

// Ranks arrive in another order each time; only the last member's arrival completes anything.
static void meet_serially(Comm c[], Members of[][GROUPS], const Sweep *s, int kind, int64_t n) {
    Part x[JOB_RANKS];
    int g = group_of(s, kind, n), first = (int)((n + kind) % s->ranks);
    for (int k = 0; k < s->ranks; k++) {
        int r = (k + first) % s->ranks;
        Case t;
        const Members *m = &of[r][g];
        if (m->position == NONE) continue;
        draw(&t, s, kind, n, g, m);
        part_prepare(&x[r], &t, m->position, c[r].pool);
        ck_assert_ok(comm_prepare(&c[r], &x[r].call));
        ck_assert_ok(comm_start(&c[r], &x[r].call, &x[r].request, 0));
    }
    for (int r = 0; r < s->ranks; r++) {
        char failure[STATUS_TEXT] = "";
        if (of[r][g].position == NONE) continue;
        ck_assert_ok(comm_test(&c[r], &x[r].request, &x[r].done));
        bool right = part_verify(&x[r], c[r].pool, failure, sizeof failure);
        describe(failure, g, &c[r]);
        ck_assert_msg(x[r].done && right, "%s", failure);
        job_release(&c[r], &x[r].call);
    }
}

static void sweep_serial(Sweep s) {
    for (s.ranks = 1; s.ranks <= JOB_RANKS; s.ranks++) {
        CommWorld *w = job_world(COMM_SERIAL, s.ranks, 0);
        Comm c[JOB_RANKS];
        Members of[JOB_RANKS][GROUPS];
        for (int r = 0; r < s.ranks; r++) {
            ck_assert_ok(comm_join(&c[r], w, r));
            join_groups(&c[r], of[r]);
        }
        for (int64_t n = 0; n <= MOST; n += s.step)
            for (int kind = 0; kind < CASE_KINDS; kind++)
                if (is_here(&s, kind, n)) meet_serially(c, of, &s, kind, n);
        comm_world_destroy(w);
    }
}

START_TEST(every_size_over_every_group_is_right_in_serial) {
    sweep_serial((Sweep){.salt = 1, .step = STEP});
}
END_TEST

START_TEST(every_size_over_every_group_is_right_between_threads) {
    sweep(COMM_THREAD, (Sweep){.salt = 2, .step = STEP});
}
END_TEST

START_TEST(every_size_over_every_group_is_right_between_processes) {
    sweep(COMM_SHM, (Sweep){.salt = 3, .step = STEP});
}
END_TEST

START_TEST(a_delay_at_any_hand_over_changes_nothing_between_threads) {
    sweep(COMM_THREAD, (Sweep){.salt = 4, .step = 29, .delays = 8});
}
END_TEST

START_TEST(a_delay_at_any_hand_over_changes_nothing_between_processes) {
    sweep(COMM_SHM, (Sweep){.salt = 5, .step = 29, .delays = 8});
}
END_TEST

// --- what is drawn

static int types_taken(const Case *t) {
    bool reduces = t->kind == COLLECTIVE_ALL_REDUCE || t->kind == COLLECTIVE_REDUCE_SCATTER ||
                   t->kind == COLLECTIVE_REDUCE;
    if (!reduces) return DTYPE_COUNT;
    return t->algorithm == ALGORITHM_DIRECT ? 6 : 4;  // no bytes; halves are rounded once
}

// Every collective in every type that it takes, and over every shape of group, several times.
START_TEST(the_sweep_has_every_type_and_every_group) {
    for (int kind = 0; kind < CASE_KINDS; kind++) {
        int types[DTYPE_COUNT] = {0}, groups[GROUPS] = {0}, sizes = 0, taken = 0;
        Case t;
        for (Sweep s = {.ranks = 1, .salt = 2, .step = 1}; s.ranks <= JOB_RANKS; s.ranks++)
            for (int64_t n = 0; n <= MOST; n++) {
                int g = group_of(&s, kind, n);
                Members m = members_of(g, s.ranks, 0);
                if (!is_here(&s, kind, n)) continue;
                draw(&t, &s, kind, n, g, &m);
                types[t.dtype] += m.count > 1;
                groups[g] += m.count > 1;
                sizes++;
            }
        for (int d = 0; d < DTYPE_COUNT; d++) taken += types[d] >= 20;
        ck_assert_int_eq(taken, types_taken(&t));
        for (int g = 0; g < GROUPS; g++) ck_assert_int_ge(groups[g], 5);
        ck_assert_int_eq(sizes, MOST + 1);
    }
}
END_TEST

START_TEST(groups_have_the_shapes_that_they_say) {
    static const struct {
        int group, count, ranks[8];
    } shapes[] = {{EVERYONE, 8, {0, 1, 2, 3, 4, 5, 6, 7}},
                  {TENSOR, 2, {4, 5}},
                  {DATA, 2, {5, 7}},
                  {PIPE, 2, {1, 5}},
                  {DATA_TENSOR, 4, {4, 5, 6, 7}},
                  {PIPE_TENSOR, 4, {0, 1, 4, 5}},
                  {PIPE_DATA, 4, {1, 3, 5, 7}}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        Members m = members_of(shapes[i].group, 8, 5);  // pipe 1, data 0, tensor 1
        ck_assert_int_eq(m.count, shapes[i].count);
        ck_assert_mem_eq(m.ranks, shapes[i].ranks, (size_t)m.count * sizeof *m.ranks);
        ck_assert_int_eq(m.ranks[m.position], 5);
    }
    for (int ranks = 1; ranks <= JOB_RANKS; ranks++)
        for (int g = SHUFFLED; g < GROUPS; g++) {
            Members m = members_of(g, ranks, 0);
            uint32_t seen = 0;
            for (int i = 0; i < m.count; i++) seen |= 1U << m.ranks[i];
            ck_assert_int_eq(__builtin_popcount(seen), m.count);
        }
}
END_TEST

SUITE_SECONDS("comm_groups", 120, every_size_over_every_group_is_right_in_serial,
              every_size_over_every_group_is_right_between_threads,
              every_size_over_every_group_is_right_between_processes,
              a_delay_at_any_hand_over_changes_nothing_between_threads,
              a_delay_at_any_hand_over_changes_nothing_between_processes,
              the_sweep_has_every_type_and_every_group, groups_have_the_shapes_that_they_say)
