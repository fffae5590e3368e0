// SPDX-License-Identifier: MIT
// One body of tests over serial, thread and shm. Results are compared bit by bit with folds written
// here; whole pools are compared, so that a byte too many is seen as well.
#include "core/base/clock.h"
#include "parallel/comm/comm.h"
#include "tests/allocations.h"
#include "tests/testing.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_RANKS = 7, MAX_PARTS = 3, MAX_SEGMENTS = 3, POOL = 1 << 20, LANES = 4, MANY = 20011 };

// --- a case: a collective and its layout

typedef struct {
    CollectiveKind kind;
    ScheduleKind schedule;
    Dtype dtype;
    Reduce reduce;
    int ranks, root, parts, segments, lane;
    bool in_place;
    int64_t elements, base;  // base: where the layout begins in the pool
    uint32_t seed;
} Case;

typedef union {
    float f32;
    double f64;
    int32_t i32;
    int64_t i64;
    uint8_t u8;
} Value;

static const struct {
    CollectiveKind kind;
    ScheduleKind schedule;
} defined[] = {
    {COLLECTIVE_ALL_REDUCE, SCHEDULE_DIRECT}, {COLLECTIVE_ALL_REDUCE, SCHEDULE_CHAIN}, {COLLECTIVE_ALL_REDUCE, SCHEDULE_RING},
    {COLLECTIVE_REDUCE_SCATTER, SCHEDULE_DIRECT}, {COLLECTIVE_REDUCE_SCATTER, SCHEDULE_RING},
    {COLLECTIVE_ALL_GATHER, SCHEDULE_DIRECT}, {COLLECTIVE_ALL_GATHER, SCHEDULE_RING},
    {COLLECTIVE_BROADCAST, SCHEDULE_DIRECT}, {COLLECTIVE_BROADCAST, SCHEDULE_CHAIN}, {COLLECTIVE_BROADCAST, SCHEDULE_RING},
    {COLLECTIVE_REDUCE, SCHEDULE_DIRECT}, {COLLECTIVE_REDUCE, SCHEDULE_CHAIN},
    {COLLECTIVE_ALL_TO_ALL, SCHEDULE_DIRECT}, {COLLECTIVE_BARRIER, SCHEDULE_DIRECT},
};
enum { DEFINED = sizeof defined / sizeof *defined };

static bool reduces(const Case *t) {
    return t->kind == COLLECTIVE_ALL_REDUCE || t->kind == COLLECTIVE_REDUCE_SCATTER || t->kind == COLLECTIVE_REDUCE;
}

// Member r's share of n elements is [begin(r), begin(r + 1)).
static int64_t begin(const Case *t, int r) { return r * t->elements / t->ranks; }
static int64_t share(const Case *t, int r) { return begin(t, r + 1) - begin(t, r); }

static int64_t input_elements(const Case *t, int r) {
    return t->kind == COLLECTIVE_ALL_GATHER ? share(t, r) : t->elements;
}
static int64_t output_elements(const Case *t, int r) {
    if (t->kind == COLLECTIVE_REDUCE_SCATTER) return share(t, r);
    return t->kind == COLLECTIVE_ALL_TO_ALL ? share(t, r) * t->ranks : t->elements;
}

static uint32_t hash(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    uint64_t x = (uint64_t)a * 0x9E3779B97F4A7C15 + (uint64_t)b * 0xBF58476D1CE4E5B9 + (uint64_t)c * 0x94D049BB133111EB + d;
    x = (x ^ x >> 32) * 0xD6E8FEB86659FD93;
    x = (x ^ x >> 32) * 0xD6E8FEB86659FD93;
    return (uint32_t)(x >> 32);
}

// What member r brings as element e of part p: of very different sizes, so that the order of a sum shows.
static Value brought(const Case *t, int r, int p, int64_t e) {
    uint32_t h = hash(t->seed, (uint32_t)r, (uint32_t)p, (uint32_t)e);
    double real = ldexp((double)(h % 200001) - 100000, (int)(h >> 20 & 15) - 8);  // exact in f32
    Value v = {0};
    switch (t->dtype) {
    case DTYPE_F32: v.f32 = (float)real; break;
    case DTYPE_F64: v.f64 = real / 3; break;
    case DTYPE_I32: v.i32 = (int32_t)h; break;
    case DTYPE_I64: v.i64 = (int64_t)((uint64_t)h << 32 | ~h); break;
    default: v.u8 = (uint8_t)h;
    }
    return v;
}

static Value join(const Case *t, Value a, Value b) {
    bool max = t->reduce == REDUCE_MAX;
    switch (t->dtype) {
    case DTYPE_F32: a.f32 = max ? fmaxf(a.f32, b.f32) : a.f32 + b.f32; break;
    case DTYPE_F64: a.f64 = max ? fmax(a.f64, b.f64) : a.f64 + b.f64; break;
    case DTYPE_I32: a.i32 = max ? (a.i32 < b.i32 ? b.i32 : a.i32) : (int32_t)((uint32_t)a.i32 + (uint32_t)b.i32); break;
    default: a.i64 = max ? (a.i64 < b.i64 ? b.i64 : a.i64) : (int64_t)((uint64_t)a.i64 + (uint64_t)b.i64);
    }
    return a;
}

// ((g0+g1)+g2)+… over members, a member's parts in order.
static Value fold(const Case *t, int64_t e) {
    Value sum = brought(t, 0, 0, e);
    for (int r = 0; r < t->ranks; r++)
        for (int p = r == 0; p < t->parts; p++) sum = join(t, sum, brought(t, r, p, e));
    return sum;
}

static Value parts_of(const Case *t, int r, int64_t e) {
    Value sum = brought(t, r, 0, e);
    for (int p = 1; p < t->parts; p++) sum = join(t, sum, brought(t, r, p, e));
    return sum;
}

// The ring: chunk c starts at member c+1 and collects one member after the other until member c.
static Value ring(const Case *t, int64_t e) {
    int c = 0;
    while (e >= begin(t, c + 1)) c++;
    Value sum = parts_of(t, (c + 1) % t->ranks, e);
    for (int i = 2; i <= t->ranks; i++) sum = join(t, sum, parts_of(t, (c + i) % t->ranks, e));
    return sum;
}

static Value reduced(const Case *t, int64_t e) {
    return t->schedule == SCHEDULE_RING && t->ranks > 2 ? ring(t, e) : fold(t, e);
}

// What member r must have as element e of its output; false when anything may be there.
static bool expected(const Case *t, int r, int64_t e, Value *v) {
    int s = 0;
    switch (t->kind) {
    case COLLECTIVE_ALL_REDUCE: *v = reduced(t, e); return true;
    case COLLECTIVE_REDUCE_SCATTER: *v = reduced(t, begin(t, r) + e); return true;
    case COLLECTIVE_REDUCE: *v = reduced(t, e); return r == t->root;
    case COLLECTIVE_BROADCAST: *v = brought(t, t->root, 0, e); return true;
    case COLLECTIVE_ALL_GATHER:
        while (e >= begin(t, s + 1)) s++;
        *v = brought(t, s, 0, e - begin(t, s));
        return true;
    case COLLECTIVE_ALL_TO_ALL: *v = brought(t, (int)(e / share(t, r)), 0, begin(t, r) + e % share(t, r)); return true;
    default: return false;
    }
}

// --- one rank's part in it

typedef struct {
    Case t;
    int rank;
    CommSegment input[MAX_PARTS * MAX_SEGMENTS], output[MAX_SEGMENTS], work;
    int members[MAX_RANKS];
    CommCall call;
    CommRequest request;
    int64_t end;  // of the layout
    char *before;  // the pool from base to end as it was
    bool done;
} Part;

// Cut `own` elements into segments with gaps between; offsets must not depend on the member, hence all
// but the last have the size that the smallest share allows, and the last has room for the largest.
static void lay_out(Part *x, CommSegment *s, int64_t own, int64_t least, int64_t most) {
    int64_t bytes = dtype_bytes(x->t.dtype), each = least / x->t.segments;
    for (int i = 0; i < x->t.segments; i++) {
        bool last = i == x->t.segments - 1;
        s[i] = (CommSegment){x->end + 8 * (i + 1), last ? own - each * i : each};
        x->end = s[i].offset + ((last ? most - each * i : each) * bytes + 7) / 8 * 8;
    }
}

static char *element(void *pool, const CommSegment *s, int64_t e, int64_t bytes) {
    while (e >= s->elements) e -= (s++)->elements;
    return (char *)pool + s->offset + e * bytes;
}

static void prepare(Part *x, const Case *t, int rank, char *pool) {
    *x = (Part){.t = *t, .rank = rank, .end = t->base};
    for (int r = 0; r < t->ranks; r++) x->members[r] = r;
    int64_t n = t->elements, P = t->ranks, bytes = dtype_bytes(t->dtype);
    bool gather = t->kind == COLLECTIVE_ALL_GATHER, scatter = t->kind == COLLECTIVE_REDUCE_SCATTER, all = t->kind == COLLECTIVE_ALL_TO_ALL;
    int64_t least = n / P, most = (n + P - 1) / P;
    for (int p = 0; p < t->parts; p++)
        lay_out(x, x->input + p * t->segments, input_elements(t, rank), gather ? least : n, gather ? most : n);
    if (t->in_place) memcpy(x->output, x->input, sizeof x->output);
    else lay_out(x, x->output, output_elements(t, rank), scatter ? least : all ? least * P : n, scatter ? most : all ? most * P : n);
    x->work = (CommSegment){x->end + 8, n};
    x->end += n * bytes / 8 * 8 + 32;
    x->call = (CommCall){.kind = t->kind, .schedule = t->schedule, .reduce = t->reduce, .dtype = t->dtype, .lane = t->lane, .root = t->root,
                         .parts = t->parts, .segment_count = t->segments, .input = x->input, .output = x->output, .work = &x->work,
                         .ranks = x->members, .ranks_count = t->ranks, .position = rank, .name = "case"};
    memset(pool + t->base, 0xA5, (size_t)(x->end - t->base));
    for (int p = 0; p < t->parts; p++)
        for (int64_t e = 0; e < input_elements(t, rank); e++) {
            Value v = brought(t, rank, p, e);
            memcpy(element(pool, x->input + p * t->segments, e, bytes), &v, (size_t)bytes);
        }
    x->before = malloc((size_t)(x->end - t->base));
    memcpy(x->before, pool + t->base, (size_t)(x->end - t->base));
}

static void describe(char *out, size_t size, const Part *x, const char *what, int64_t where) {
    const Case *t = &x->t;
    snprintf(out, size, "%s %s, rank %d of %d, root %d, %d parts of %lld %s in %d segments%s%s: %s at %lld", collective_name(t->kind),
             schedule_name(t->schedule), x->rank, t->ranks, t->root, t->parts, (long long)t->elements, dtype_name(t->dtype), t->segments,
             t->in_place ? ", in place" : "", t->reduce == REDUCE_MAX ? ", maximum" : "", what, (long long)where);
}

// |ring - fold| <= 2(P-1) 2^-24 sum |g|: rule 4 of the contract on numbers; 2^-53 for f64.
static bool within_bound(const Case *t, int64_t e, Value got) {
    double unit = t->dtype == DTYPE_F32 ? 0x1p-24 : 0x1p-53, size = 0;
    int terms = t->ranks * t->parts;
    for (int r = 0; r < t->ranks; r++)
        for (int p = 0; p < t->parts; p++) size += fabs(t->dtype == DTYPE_F32 ? (double)brought(t, r, p, e).f32 : brought(t, r, p, e).f64);
    Value want = fold(t, e);
    double distance = t->dtype == DTYPE_F32 ? fabs((double)got.f32 - (double)want.f32) : fabs(got.f64 - want.f64);
    return distance <= 2 * (terms - 1) * unit * size;
}

// Compare the pool with what it was, the expected output in it. Frees what prepare() took. True if right.
static bool verify(Part *x, const char *pool, char *out, size_t size) {
    const Case *t = &x->t;
    int64_t bytes = dtype_bytes(t->dtype), length = x->end - t->base;
    char *image = x->before - t->base;
    bool right = true;
    for (int64_t e = 0; e < output_elements(t, x->rank) && right; e++) {
        Value v = {0};
        char *at = element(image, x->output, e, bytes);
        const char *got = pool + (at - image);
        if (!expected(t, x->rank, e, &v)) memcpy(&v, got, (size_t)bytes);
        memcpy(at, &v, (size_t)bytes);
        if (memcmp(at, got, (size_t)bytes) != 0) describe(out, size, x, "wrong element", e), right = false;
        bool real = t->dtype == DTYPE_F32 || t->dtype == DTYPE_F64;
        if (right && t->kind == COLLECTIVE_ALL_REDUCE && real && t->reduce == REDUCE_SUM && !within_bound(t, e, v))
            describe(out, size, x, "outside of the bound", e), right = false;
    }
    if (t->kind == COLLECTIVE_REDUCE_SCATTER && t->schedule == SCHEDULE_RING)
        memcpy(image + x->work.offset, pool + x->work.offset, (size_t)(t->elements * bytes));
    for (int64_t i = 0; i < length && right; i++)
        if (x->before[i] != pool[t->base + i]) describe(out, size, x, "changed byte", i), right = false;
    free(x->before);
    return right;
}

// --- ranks as threads, processes or in turn

typedef struct {
    CommWorld *world;
    void *context;
    void (*body)(Comm *c, void *context, char *failure);
    char (*failures)[STATUS_TEXT];  // [rank]; empty: fine. In shared memory
} Job;

typedef struct {
    Job *job;
    int rank;
} JobRank;

static void *run_rank(void *argument) {
    JobRank *me = argument;
    Comm c;
    char *failure = me->job->failures[me->rank];
    if (comm_join(&c, me->job->world, me->rank) != OK) snprintf(failure, STATUS_TEXT, "join: %s", status_message());
    else me->job->body(&c, me->job->context, failure);
    return NULL;
}

static void *shared_memory(size_t size) {
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    return p;
}

static void job_start(Job *job, JobRank me[], pthread_t threads[], pid_t pids[], CommKind kind, int ranks) {
    job->failures = shared_memory(MAX_RANKS * STATUS_TEXT);
    for (int r = 0; r < ranks; r++) {
        me[r] = (JobRank){job, r};
        if (kind == COMM_THREAD) ck_assert_int_eq(pthread_create(&threads[r], NULL, run_rank, &me[r]), 0);
        if (kind == COMM_SHM && (pids[r] = fork()) == 0) {
            run_rank(&me[r]);
            _exit(0);
        }
    }
}

static void job_join(Job *job, pthread_t threads[], pid_t pids[], CommKind kind, int ranks) {
    for (int r = 0; r < ranks; r++) {
        int status = 0;
        if (kind == COMM_THREAD) ck_assert_int_eq(pthread_join(threads[r], NULL), 0);
        if (kind == COMM_SHM) ck_assert_int_eq(waitpid(pids[r], &status, 0), pids[r]);
        ck_assert_msg(status == 0, "rank %d ended with status %d", r, status);
    }
    for (int r = 0; r < ranks; r++) ck_assert_msg(!job->failures[r][0], "rank %d: %s", r, job->failures[r]);
    munmap(job->failures, MAX_RANKS * STATUS_TEXT);
}

static void run_job(CommWorld *w, void (*body)(Comm *, void *, char *), void *context, CommKind kind, int ranks) {
    Job job = {.world = w, .body = body, .context = context};
    JobRank me[MAX_RANKS];
    pthread_t threads[MAX_RANKS];
    pid_t pids[MAX_RANKS];
    job_start(&job, me, threads, pids, kind, ranks);
    job_join(&job, threads, pids, kind, ranks);
}

static CommWorld *new_world(CommKind kind, int ranks, int64_t timeout_ms) {
    CommWorld *w;
    ck_assert_ok(comm_world_create(&w, kind, ranks, POOL, &(CommOptions){.timeout_ns = timeout_ms * 1000000}));
    return w;
}

// Until one call is complete.
static Status complete(Comm *c, CommRequest *r) {
    for (;;) {
        bool done;
        TRY(comm_test(c, r, &done));
        if (done) return OK;
        TRY(comm_idle(c, &(const CommRequest *){r}, 1));
    }
}

static Status run_call(Comm *c, const CommCall *call, CommRequest *r) {
    TRY(comm_start(c, call, r));
    return complete(c, r);
}

// --- the sweep

enum { CASES = DEFINED * 8 * 2 };

// Every collective and size; the rest of a case is drawn, twice.
static void draw_case(Case *t, int i, int ranks, uint32_t salt) {
    const int64_t sizes[] = {0, 1, 2, ranks - 1, ranks, ranks + 1, 1000, MANY};
    static const Dtype dtypes[] = {DTYPE_F32, DTYPE_F64, DTYPE_I32, DTYPE_I64, DTYPE_U8};
    uint32_t h = hash(salt, (uint32_t)i, (uint32_t)ranks, 1);
    *t = (Case){.kind = defined[i / 16].kind, .schedule = defined[i / 16].schedule, .ranks = ranks, .elements = sizes[i % 8],
                .seed = h, .root = (int)(h % (uint32_t)ranks), .segments = 1 + (int)(h >> 3 & 3) % MAX_SEGMENTS, .lane = (int)(h >> 5 & 3)};
    t->dtype = dtypes[(h >> 7) % (reduces(t) ? 4 : 5)];
    t->parts = reduces(t) ? 1 + (int)(h >> 13 & 3) % MAX_PARTS : 1;
    t->reduce = h >> 15 & 1 && h >> 16 & 1 ? REDUCE_MAX : REDUCE_SUM;
    bool may = t->kind == COLLECTIVE_ALL_REDUCE || t->kind == COLLECTIVE_BROADCAST || t->kind == COLLECTIVE_REDUCE;
    t->in_place = may && h >> 17 & 1;
    if (t->kind == COLLECTIVE_BARRIER) t->elements = 0;
}

typedef struct {
    int ranks, delays;
    uint32_t salt;
} Sweep;

static void delay(const Sweep *s, int rank, int i, int where) {
    uint32_t h = hash(s->salt, (uint32_t)rank, (uint32_t)i, (uint32_t)(100 + where));
    if (s->delays && h % 4 == 0) clock_sleep_ns(h % 400000);
}

// Nothing but the collectives themselves keeps the ranks together: a rank prepares the next case, in
// the same memory, while others may be in the middle of this one.
static void sweep_body(Comm *c, void *context, char *failure) {
    const Sweep *s = context;
    for (int i = 0; i < CASES && !*failure; i++) {
        Case t;
        Part x;
        draw_case(&t, i, s->ranks, s->salt);
        delay(s, c->rank, i, 0);
        prepare(&x, &t, c->rank, c->pool);
        Status status = comm_check(c, &x.call);
        if (status == OK) status = comm_start(c, &x.call, &x.request);
        delay(s, c->rank, i, 1);
        if (status == OK) status = complete(c, &x.request);
        if (status != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
        if (!verify(&x, c->pool, failure, STATUS_TEXT) || status != OK) comm_abandon(c, ERR_FAILED, failure);
    }
}

// The serial communicator, ranks starting in another order each time.
static void sweep_serial(Sweep *s) {
    CommWorld *w = new_world(COMM_SERIAL, s->ranks, 0);
    Comm c[MAX_RANKS];
    for (int r = 0; r < s->ranks; r++) ck_assert_ok(comm_join(&c[r], w, r));
    for (int i = 0; i < CASES; i++) {
        Case t;
        Part x[MAX_RANKS];
        draw_case(&t, i, s->ranks, s->salt);
        for (int r = 0; r < s->ranks; r++) prepare(&x[r], &t, r, c[r].pool);
        for (int k = 0; k < s->ranks; k++) {
            int r = (k * (i % 2 ? 1 : s->ranks - 1) + i) % s->ranks;
            if (s->ranks == 1) r = 0;
            ck_assert_ok(comm_check(&c[r], &x[r].call));
            ck_assert_ok(comm_start(&c[r], &x[r].call, &x[r].request));
            ck_assert_ok(comm_test(&c[r], &x[r].request, &x[r].done));
            ck_assert_int_eq(x[r].done, k == s->ranks - 1);
        }
        for (int r = 0; r < s->ranks; r++) {
            char failure[STATUS_TEXT];
            ck_assert_ok(comm_test(&c[r], &x[r].request, &x[r].done));
            ck_assert(x[r].done);
            ck_assert_msg(verify(&x[r], c[r].pool, failure, sizeof failure), "%s", failure);
        }
    }
    comm_world_destroy(w);
}

static void sweep(CommKind kind, int delays, uint32_t salt) {
    static const int ranks[] = {1, 2, 3, 4, 7};
    for (int i = 0; i < 5; i++) {
        Sweep s = {.ranks = ranks[i], .delays = delays, .salt = salt};
        if (kind == COMM_SERIAL) {
            sweep_serial(&s);
            continue;
        }
        CommWorld *w = new_world(kind, s.ranks, 0);
        run_job(w, sweep_body, &s, kind, s.ranks);
        comm_world_destroy(w);
    }
}

START_TEST(every_collective_is_right_in_serial) {
    sweep(COMM_SERIAL, 0, 1);
    sweep(COMM_SERIAL, 0, 2);
}
END_TEST

START_TEST(every_collective_is_right_between_threads) {
    sweep(COMM_THREAD, 0, 1);
    sweep(COMM_THREAD, 0, 2);
}
END_TEST

START_TEST(every_collective_is_right_between_processes) {
    sweep(COMM_SHM, 0, 1);
    sweep(COMM_SHM, 0, 2);
}
END_TEST

START_TEST(delays_change_nothing_between_threads) { sweep(COMM_THREAD, 1, 3); }
END_TEST

START_TEST(delays_change_nothing_between_processes) { sweep(COMM_SHM, 1, 4); }
END_TEST

// --- lanes, groups, order

// Four collectives in flight on four lanes, in an order of testing that differs between ranks.
static void lanes_body(Comm *c, void *context, char *failure) {
    for (int round = 0; round < 50 && !*failure; round++) {
        Part x[LANES];
        int64_t base = 0;
        for (int l = 0; l < LANES; l++) {
            Case t;
            draw_case(&t, (int)(hash((uint32_t)round, (uint32_t)l, 0, 5) % CASES), c->ranks, 9);
            if (t.elements == MANY) t.elements = 2000;
            t.lane = l;
            t.base = base;
            prepare(&x[l], &t, c->rank, c->pool);
            base = x[l].end;
        }
        Status status = OK;
        for (int l = 0; l < LANES && status == OK; l++) status = comm_start(c, &x[l].call, &x[l].request);
        for (int left = LANES; left > 0 && status == OK;) {
            const CommRequest *waiting[LANES];
            int count = 0;
            for (int k = 0; k < LANES && status == OK; k++) {
                int l = (k + c->rank) % LANES;
                if (x[l].done) continue;
                status = comm_test(c, &x[l].request, &x[l].done);
                if (x[l].done) left--;
                else waiting[count++] = &x[l].request;
            }
            if (count && status == OK) status = comm_idle(c, waiting, count);
        }
        if (status != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
        for (int l = 0; l < LANES; l++)
            if (!verify(&x[l], c->pool, failure, STATUS_TEXT)) break;
        if (*failure) comm_abandon(c, ERR_FAILED, failure);
    }
}

START_TEST(several_lanes_are_in_flight_at_once) {
    for (int ranks = 2; ranks <= 4; ranks++)
        for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
            CommWorld *w = new_world(kind, ranks, 0);
            run_job(w, lanes_body, NULL, kind, ranks);
            comm_world_destroy(w);
        }
}
END_TEST

// An all-reduce of one f64 at the beginning of the pool.
typedef struct {
    CommSegment segment;
    CommCall call;
} Scalar;

static const CommCall *scalar_call(Scalar *s, const int *ranks, int count, int position, const char *name) {
    s->segment = (CommSegment){0, 1};
    s->call = (CommCall){.dtype = DTYPE_F64, .parts = 1, .segment_count = 1, .input = &s->segment, .output = &s->segment,
                         .ranks = ranks, .ranks_count = count, .position = position, .name = name};
    return &s->call;
}

// Even and odd ranks each by themselves, on one lane; the two groups do different numbers of rounds.
static void groups_body(Comm *c, void *context, char *failure) {
    const int members[2][2] = {{0, 2}, {3, 1}};  // position 0 is rank 3: an order of its own
    int odd = c->rank & 1, position = members[odd][1] == c->rank;
    Scalar s;
    CommRequest r;
    const CommCall *call = scalar_call(&s, members[odd], 2, position, "group");
    double *x = c->pool;
    for (int i = 0; i < 100 + 50 * odd; i++) {
        *x = c->rank + 10;
        if (run_call(c, call, &r) != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
        if (*x != (odd ? 24 : 22)) snprintf(failure, STATUS_TEXT, "sum %g", *x);
    }
}

START_TEST(groups_on_one_lane_do_not_meet) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = new_world(kind, 4, 0);
        run_job(w, groups_body, NULL, kind, 4);
        comm_world_destroy(w);
    }
}
END_TEST

// One rank comes 30 ms late: everyone sees its arrival as the last.
typedef struct {
    int late;
    int64_t start_ns[3], arrival_ns[3];
} Arrivals;

static void arrival_body(Comm *c, void *context, char *failure) {
    const int ranks[] = {0, 1, 2};
    Arrivals *a = context;
    Scalar s;
    CommRequest r;
    if (c->rank == a->late) clock_sleep_ns(30000000);
    if (run_call(c, scalar_call(&s, ranks, 3, c->rank, "x"), &r) != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
    a->start_ns[c->rank] = r.start_ns;
    a->arrival_ns[c->rank] = r.arrival_ns;
}

START_TEST(the_last_arrival_is_known_to_all) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++)
        for (int late = 0; late < 3; late++) {
            CommWorld *w = new_world(kind, 3, 0);
            Arrivals *a = shared_memory(sizeof *a);
            a->late = late;
            run_job(w, arrival_body, a, kind, 3);
            for (int r = 0; r < 3; r++) {
                ck_assert_int_le(a->start_ns[r], a->start_ns[late]);
                ck_assert_int_eq(a->arrival_ns[r], a->start_ns[late]);
            }
            munmap(a, sizeof *a);
            comm_world_destroy(w);
        }
}
END_TEST

// Ranks that sleep at once. Were a wake-up lost, the sleep would end by itself 20 ms later, and 1,000
// exchanges would take 20 s; with wake-ups they take some 60 ms.
static void sleep_body(Comm *c, void *context, char *failure) {
    const int ranks[] = {0, 1};
    Scalar s;
    CommRequest r;
    scalar_call(&s, ranks, 2, c->rank, "x");
    for (int i = 0; i < 1000; i++)
        if (run_call(c, &s.call, &r) != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
}

START_TEST(sleepers_are_woken) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w;
        ck_assert_ok(comm_world_create(&w, kind, 2, POOL, &(CommOptions){.spin_ns = 1, .cores = 2}));
        int64_t start = clock_ns();
        run_job(w, sleep_body, NULL, kind, 2);
        ck_assert_int_lt(clock_ns() - start, INT64_C(10000000000));
        comm_world_destroy(w);
    }
}
END_TEST

// Between a NaN and a number the maximum is the NaN, wherever it stands.
static void nan_body(Comm *c, void *context, char *failure) {
    const int ranks[] = {0, 1, 2};
    for (int where = 0; where < 3; where++) {
        Scalar s;
        CommRequest r;
        scalar_call(&s, ranks, 3, c->rank, "x");
        s.call.reduce = REDUCE_MAX;
        *(double *)c->pool = c->rank == where ? (double)NAN : 1.0;
        if (run_call(c, &s.call, &r) != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
        if (!isnan(*(double *)c->pool)) snprintf(failure, STATUS_TEXT, "the NaN of rank %d is lost", where);
    }
}

START_TEST(a_maximum_keeps_a_nan) {
    CommWorld *w = new_world(COMM_THREAD, 3, 0);
    run_job(w, nan_body, NULL, COMM_THREAD, 3);
    comm_world_destroy(w);
}
END_TEST

// --- messages

typedef struct {
    CommSegment segment[2];
    CommCall call;
    CommRequest request;
    int ranks[2];
} Message;

// `count` i32 at `offset` of the pool, in two pieces 4 elements apart.
static const CommCall *message(Message *m, Comm *c, int peer, bool receive, int lane, int tag, int64_t offset, int64_t count) {
    *m = (Message){.ranks = {c->rank, peer}};
    m->segment[0] = (CommSegment){offset, count / 2};
    m->segment[1] = (CommSegment){offset + 4 * (count / 2 + 4), count - count / 2};
    m->call = (CommCall){.point_to_point = true, .receive = receive, .dtype = DTYPE_I32, .lane = lane, .tag = tag, .root = 1, .parts = 1,
                         .segment_count = 2, .input = m->segment, .output = m->segment, .ranks = m->ranks, .ranks_count = 2, .name = "message"};
    return &m->call;
}

static void write_message(const Comm *c, const Message *m, int32_t value) {
    for (int i = 0; i < 2; i++)
        for (int64_t e = 0; e < m->segment[i].elements; e++) ((int32_t *)((char *)c->pool + m->segment[i].offset))[e] = value++;
}

static bool is_message(const Comm *c, const Message *m, int32_t value) {
    for (int i = 0; i < 2; i++)
        for (int64_t e = 0; e < m->segment[i].elements; e++)
            if (((int32_t *)((char *)c->pool + m->segment[i].offset))[e] != value++) return false;
    return true;
}

// Everyone sends to the next and receives from the one before, a hundred times.
static void shift_body(Comm *c, void *context, char *failure) {
    int P = c->ranks, next = (c->rank + 1) % P, before = (c->rank + P - 1) % P;
    for (int i = 0; i < 100 && !*failure; i++) {
        Message out, in;
        message(&out, c, next, false, 0, 5, 0, 1001);
        message(&in, c, before, true, 1, 5, 65536, 1001);
        write_message(c, &out, 10000 * c->rank + i);
        Status s = comm_check(c, &out.call);
        if (s == OK) s = comm_check(c, &in.call);
        if (s == OK) s = comm_start(c, &out.call, &out.request);
        if (s == OK) s = comm_start(c, &in.call, &in.request);
        if (s == OK) s = complete(c, &in.request);
        if (s == OK) s = complete(c, &out.request);
        if (s != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
        else if (!is_message(c, &in, 10000 * before + i)) snprintf(failure, STATUS_TEXT, "wrong message %d", i);
        else if (in.request.arrival_ns < in.request.start_ns) snprintf(failure, STATUS_TEXT, "no arrival");
    }
}

// Three messages of one tag, and one of another: the n-th receive takes the n-th send of its tag,
// whatever lanes they use and whichever is tested first.
static void order_body(Comm *c, void *context, char *failure) {
    static const int lanes[] = {3, 1, 2, 0}, tags[] = {7, 7, 7, 8};
    for (int round = 0; round < 50 && !*failure; round++) {
        Message m[4];
        Status s = OK;
        for (int i = 0; i < 4 && s == OK; i++) {
            message(&m[i], c, !c->rank, c->rank == 1, c->rank == 0 ? lanes[i] : i, tags[i], 4096 * i, 9);
            if (c->rank == 0) write_message(c, &m[i], 1000 * i + round);
            s = comm_start(c, &m[i].call, &m[i].request);
        }
        for (int i = 3; i >= 0 && s == OK; i--) s = complete(c, &m[i].request);
        if (s != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
        for (int i = 0; i < 4 && c->rank == 1; i++)
            if (!is_message(c, &m[i], 1000 * i + round)) snprintf(failure, STATUS_TEXT, "round %d: wrong message %d", round, i);
    }
}

START_TEST(messages_go_round_a_ring) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++)
        for (int ranks = 2; ranks <= 4; ranks++) {
            CommWorld *w = new_world(kind, ranks, 0);
            run_job(w, shift_body, NULL, kind, ranks);
            comm_world_destroy(w);
        }
}
END_TEST

START_TEST(messages_of_one_tag_arrive_in_order) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = new_world(kind, 2, 0);
        run_job(w, order_body, NULL, kind, 2);
        comm_world_destroy(w);
    }
}
END_TEST

START_TEST(serial_messages_arrive_in_order) {
    static const int lanes[] = {3, 1, 2, 0}, tags[] = {7, 7, 7, 8};
    CommWorld *w = new_world(COMM_SERIAL, 2, 0);
    Comm c[2];
    for (int r = 0; r < 2; r++) ck_assert_ok(comm_join(&c[r], w, r));
    Message out[4], in[4];
    bool done;
    for (int i = 0; i < 4; i++) {
        message(&out[i], &c[0], 1, false, lanes[i], tags[i], 4096 * i, 9);
        message(&in[i], &c[1], 0, true, i, tags[i], 4096 * i, 9);
        write_message(&c[0], &out[i], 1000 * i);
    }
    for (int i = 0; i < 2; i++) ck_assert_ok(comm_start(&c[0], &out[i].call, &out[i].request));
    for (int i = 0; i < 4; i++) ck_assert_ok(comm_start(&c[1], &in[i].call, &in[i].request));
    for (int i = 2; i < 4; i++) ck_assert_ok(comm_start(&c[0], &out[i].call, &out[i].request));
    for (int i = 0; i < 4; i++) {
        ck_assert_ok(comm_test(&c[1], &in[i].request, &done));
        ck_assert(done);
        ck_assert_ok(comm_test(&c[0], &out[i].request, &done));
        ck_assert(done);
        ck_assert(is_message(&c[1], &in[i], 1000 * i));
    }
    comm_world_destroy(w);
}
END_TEST

static void size_body(Comm *c, void *context, char *failure) {
    Message m;
    Status s = run_call(c, message(&m, c, !c->rank, c->rank == 1, 0, 3, 0, c->rank ? 10 : 12), &m.request);
    if (s == OK || !strstr(status_message(), "receive message: rank 0 sends 12 i32 with tag 3, rank 1 receives 10 i32"))
        snprintf(failure, STATUS_TEXT, "unexpected: %s", status_message());
}

START_TEST(messages_of_different_sizes_are_an_error_of_both) {
    CommWorld *w = new_world(COMM_THREAD, 2, 0);
    run_job(w, size_body, NULL, COMM_THREAD, 2);
    int rank;
    const char *text;
    ck_assert_int_eq(comm_world_failure(w, &rank, &text), ERR_PLAN);
    comm_world_destroy(w);
}
END_TEST

// --- failures

typedef struct {
    unsigned absent;   // bit r: rank r takes part in `rounds` all-reduces only
    int rounds;
    const char *says;  // what the others must be told
} Accident;

static void accident_body(Comm *c, void *context, char *failure) {
    const Accident *a = context;
    int ranks[MAX_RANKS];
    Scalar s;
    CommRequest r;
    for (int i = 0; i < c->ranks; i++) ranks[i] = i;
    scalar_call(&s, ranks, c->ranks, c->rank, "bucket0");
    Status status = OK;
    for (int i = 0; status == OK && i < 1000000; i++) {
        if (a->absent >> c->rank & 1 && i == a->rounds) return;
        status = run_call(c, &s.call, &r);
    }
    if (status != ERR_PEER || !strstr(status_message(), a->says))
        snprintf(failure, STATUS_TEXT, "unexpected: %s, \"%s\"", status_name(status), status_message());
}

static void desert(unsigned absent, int rounds, const char *says) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = new_world(kind, 4, 200);
        Accident a = {.absent = absent, .rounds = rounds, .says = says};
        run_job(w, accident_body, &a, kind, 4);
        int rank = -1;
        const char *text = NULL;
        ck_assert_int_eq(comm_world_failure(w, &rank, &text), ERR_PEER);
        ck_assert_int_eq(rank, 1);
        ck_assert_ptr_nonnull(strstr(text, says));
        comm_world_destroy(w);
    }
}

START_TEST(a_rank_that_never_arrives_is_named) {
    desert(1 << 1, 0, "rank 1 did not arrive at all_reduce bucket0 within 0.2 s (rank ");
}
END_TEST

START_TEST(all_ranks_that_do_not_arrive_are_named) {
    desert(1 << 1 | 1 << 3, 3, "ranks 1, 3 did not arrive at all_reduce bucket0 within 0.2 s (rank ");
}
END_TEST

// Rank 2 of 3 is killed or stopped in the middle of a million all-reduces. lost: somebody watches and
// says so, long before the time-out.
static void strike(int signal, bool lost) {
    CommWorld *w = new_world(COMM_SHM, 3, lost ? 600000 : 300);
    Accident a = {.says = lost ? "rank 2 was killed" : "rank 2 did not "};
    Job job = {.world = w, .body = accident_body, .context = &a};
    JobRank me[3];
    pid_t pids[3];
    job_start(&job, me, NULL, pids, COMM_SHM, 3);
    clock_sleep_ns(20000000);
    ck_assert_int_eq(kill(pids[2], signal), 0);
    if (lost) {
        ck_assert_int_eq(waitpid(pids[2], NULL, 0), pids[2]);
        comm_world_lost(w, 2, "rank 2 was killed");
    }
    for (int r = 0; r < 2; r++) ck_assert_int_eq(waitpid(pids[r], NULL, 0), pids[r]);
    for (int r = 0; r < 2; r++) ck_assert_msg(!job.failures[r][0], "rank %d: %s", r, job.failures[r]);
    int rank = -1;
    const char *text = NULL;
    ck_assert_int_eq(comm_world_failure(w, &rank, &text), ERR_PEER);
    ck_assert_int_eq(rank, 2);
    if (!lost) {
        kill(pids[2], SIGKILL);
        waitpid(pids[2], NULL, 0);
    }
    comm_world_destroy(w);
}

START_TEST(a_killed_process_ends_the_others_after_the_time_out) { strike(SIGKILL, false); }
END_TEST
START_TEST(a_stopped_process_ends_the_others_after_the_time_out) { strike(SIGSTOP, false); }
END_TEST
START_TEST(a_lost_process_ends_the_others_at_once) { strike(SIGKILL, true); }
END_TEST

static void abandon_body(Comm *c, void *context, char *failure) {
    const int ranks[] = {0, 1};
    Scalar s;
    CommRequest r;
    if (c->rank == 1) {
        clock_sleep_ns(5000000);
        comm_abandon(c, ERR_FAILED, "loss is not a number at step 3");
        comm_abandon(c, ERR_IO, "a second thought");
        return;
    }
    Status status = run_call(c, scalar_call(&s, ranks, 2, 0, "x"), &r);
    if (status != ERR_PEER || strcmp(status_message(), "loss is not a number at step 3"))
        snprintf(failure, STATUS_TEXT, "unexpected: %s, \"%s\"", status_name(status), status_message());
}

START_TEST(the_first_rank_that_gives_up_is_heard_by_all) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = new_world(kind, 2, 0);
        run_job(w, abandon_body, NULL, kind, 2);
        int rank = -1;
        const char *text = NULL;
        ck_assert_int_eq(comm_world_failure(w, &rank, &text), ERR_FAILED);
        ck_assert_int_eq(rank, 1);
        ck_assert_str_eq(text, "loss is not a number at step 3");
        comm_world_destroy(w);
    }
}
END_TEST

static void disagree_body(Comm *c, void *context, char *failure) {
    Status first = comm_agree(c, 5), second = comm_agree(c, c->rank == 2 ? 7 : 6);
    if (first != OK || second != ERR_PLAN || !strstr(status_message(), "rank 2 would communicate otherwise than rank 0"))
        snprintf(failure, STATUS_TEXT, "unexpected: %s, \"%s\"", status_name(second), status_message());
}

START_TEST(fingerprints_that_differ_are_an_error_naming_the_rank) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = new_world(kind, 4, 0);
        run_job(w, disagree_body, NULL, kind, 4);
        comm_world_destroy(w);
    }
    CommWorld *w = new_world(COMM_SERIAL, 3, 0);
    Comm c[3];
    for (int r = 0; r < 3; r++) ck_assert_ok(comm_join(&c[r], w, r));
    for (int r = 0; r < 3; r++) ck_assert_ok(comm_agree(&c[r], 5));
    for (int r = 0; r < 2; r++) ck_assert_ok(comm_agree(&c[r], 6));
    ck_assert_fails(comm_agree(&c[2], 7), ERR_PLAN, "rank 2 would communicate otherwise than rank 0");
    comm_world_destroy(w);
}
END_TEST

static void absent_body(Comm *c, void *context, char *failure) {
    if (c->rank == 1) return;
    if (comm_agree(c, 1) != ERR_PEER || !strstr(status_message(), "rank 1 did not arrive at the comparison of plans within 0.2 s"))
        snprintf(failure, STATUS_TEXT, "unexpected: \"%s\"", status_message());
}

START_TEST(an_agreement_with_nobody_times_out) {
    CommWorld *w = new_world(COMM_THREAD, 2, 200);
    run_job(w, absent_body, NULL, COMM_THREAD, 2);
    comm_world_destroy(w);
}
END_TEST

static void mismatch_body(Comm *c, void *context, char *failure) {
    const int ranks[] = {0, 1};
    Scalar s;
    CommRequest r;
    scalar_call(&s, ranks, 2, c->rank, "bucket0");
    if (c->rank) s.call.kind = COLLECTIVE_BROADCAST;
    Status status = run_call(c, &s.call, &r);
    if (status == OK || !strstr(status_message(), "brings all_reduce (direct, 1 part(s) of 1 f64, root 0)") ||
        !strstr(status_message(), "brings broadcast (direct, 1 part(s) of 1 f64, root 0)"))
        snprintf(failure, STATUS_TEXT, "unexpected: \"%s\"", status_message());
}

START_TEST(different_collectives_on_one_lane_are_an_error) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = new_world(kind, 2, 0);
        run_job(w, mismatch_body, NULL, kind, 2);
        int rank;
        const char *text;
        ck_assert_int_eq(comm_world_failure(w, &rank, &text), ERR_PLAN);
        comm_world_destroy(w);
    }
}
END_TEST

START_TEST(the_serial_communicator_says_who_waits_for_whom) {
    const int ranks[] = {0, 1, 2};
    CommWorld *w = new_world(COMM_SERIAL, 3, 0);
    Comm c[3];
    Scalar s[3];
    CommRequest r[3];
    char text[512];
    for (int i = 0; i < 3; i++) {
        ck_assert_ok(comm_join(&c[i], w, i));
        scalar_call(&s[i], ranks, 3, i, i == 2 ? "bucket1" : "bucket0");
        s[i].call.lane = i == 2;
        if (i != 1) ck_assert_ok(comm_start(&c[i], &s[i].call, &r[i]));
    }
    comm_world_explain(w, text, sizeof text);
    ck_assert_str_eq(text, "rank 0 waits at all_reduce bucket0 for ranks 1, 2; rank 2 waits at all_reduce bucket1 for ranks 0, 1");
    comm_world_explain(w, text, 10);
    ck_assert_str_eq(text, "rank 0 wa");
    comm_world_destroy(w);
}
END_TEST

// --- the world

START_TEST(positions_are_read_by_whoever_watches) {
    CommWorld *w = new_world(COMM_SHM, 2, 0);
    Comm c;
    int plan, op;
    int64_t step;
    ck_assert_ok(comm_join(&c, w, 1));
    comm_note_position(&c, 1, 17, 123456789012);
    comm_world_position(w, 1, &plan, &op, &step);
    ck_assert_int_eq(plan, 1);
    ck_assert_int_eq(op, 17);
    ck_assert_int_eq(step, 123456789012);
    comm_world_destroy(w);
}
END_TEST

START_TEST(no_room_in_shared_memory_is_an_error_with_figures) {
    struct statfs fs;
    if (statfs("/dev/shm", &fs) || fs.f_blocks == 0) SKIP("/dev/shm has no limit");
    CommWorld *w;
    int64_t room = (int64_t)fs.f_blocks * fs.f_bsize;
    ck_assert_fails(comm_world_create(&w, COMM_SHM, 2, room, NULL), ERR_MEMORY, "no room in shared memory: the ranks need ");
    ck_assert_ptr_nonnull(strstr(status_message(), "/dev/shm has "));
    ck_assert_ptr_nonnull(strstr(status_message(), "enlarge it"));
    ck_assert_ptr_null(w);
}
END_TEST

START_TEST(shared_memory_never_has_a_name) {
    CommWorld *w = new_world(COMM_SHM, 2, 0);
    char line[512];
    int maps = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        if (!strstr(line, "/dev/shm/")) continue;
        maps++;
        ck_assert_msg(strstr(line, "(deleted)") != NULL, "%s", line);
    }
    fclose(f);
    ck_assert_int_eq(maps, 1);
    comm_world_destroy(w);
}
END_TEST

START_TEST(pools_are_aligned_and_apart) {
    CommWorld *w;
    Comm a, b;
    ck_assert_ok(comm_world_create(&w, COMM_THREAD, 2, 100, NULL));
    ck_assert_ok(comm_join(&a, w, 0));
    ck_assert_ok(comm_join(&b, w, 1));
    ck_assert_uint_eq((uintptr_t)a.pool % 4096 + (uintptr_t)b.pool % 4096, 0);
    ck_assert_int_ge((char *)b.pool - (char *)a.pool, 100);
    ck_assert_fails(comm_join(&a, w, 2), ERR_USAGE, "rank 2 is not one of 2");
    comm_world_destroy(w);
    ck_assert_fails(comm_world_create(&w, COMM_THREAD, 65, 100, NULL), ERR_USAGE, "65 ranks: --comm thread takes 1 to 64");
    ck_assert_fails(comm_world_create(&w, COMM_THREAD, 64, INT64_MAX / 64, NULL), ERR_MEMORY, "no memory");
    ck_assert_int_eq(comm_kind_find("shm"), COMM_SHM);
    ck_assert_int_eq(comm_kind_find("carrier pigeon"), -1);
    comm_world_destroy(NULL);
}
END_TEST

// One line per thing that comm_check() must refuse.
START_TEST(calls_that_cannot_be_executed_are_refused) {
    const int ranks[] = {0, 1, 2};
    CommWorld *w = new_world(COMM_SERIAL, 3, 0);
    Comm c;
    CommSegment in[2] = {{0, 10}, {64, 10}}, out[2] = {{256, 10}, {320, 10}};
    ck_assert_ok(comm_join(&c, w, 0));
    CommCall good = {.kind = COLLECTIVE_ALL_REDUCE, .parts = 1, .segment_count = 2, .input = in, .output = out, .ranks = ranks, .ranks_count = 3, .name = "x"};
    ck_assert_ok(comm_check(&c, &good));
#define REFUSE(text, ...)                                       \
    do {                                                        \
        CommCall bad = good;                                    \
        __VA_ARGS__;                                            \
        ck_assert_fails(comm_check(&c, &bad), ERR_PLAN, text);  \
    } while (0)
    REFUSE("all_reduce x: lane 16; there are 16", bad.lane = 16);
    REFUSE("rank 0 is not member 1", bad.position = 1);
    REFUSE("member 3 is not one of 3", bad.root = 3);
    REFUSE("rank 9 of its group", bad.ranks = (const int[]){0, 9, 1});
    REFUSE("0 parts", bad.parts = 0);
    REFUSE("not inside the pool", bad.output = ((const CommSegment[]){{256, 10}, {POOL - 36, 10}}));
    REFUSE("not inside the pool", bad.output = ((const CommSegment[]){{256, 10}, {-8, 10}}));
    REFUSE("not aligned", bad.output = ((const CommSegment[]){{256, 10}, {322, 10}}));
    REFUSE("its input has 20 elements, not 19", bad.output = ((const CommSegment[]){{256, 10}, {320, 9}}));
    REFUSE("output 1 and input 0 overlap at offset 36", bad.output = ((const CommSegment[]){{256, 10}, {36, 10}}));
    REFUSE("output 0 and input 1 overlap at offset 64", bad.output = ((const CommSegment[]){{64, 10}, {0, 10}}));
    REFUSE("outputs 0 and 1 overlap", bad.output = ((const CommSegment[]){{256, 10}, {292, 10}}));
    REFUSE("cannot fold 1 parts of u8", bad.dtype = DTYPE_U8);
    REFUSE("cannot fold 2 parts of f32", bad.kind = COLLECTIVE_BROADCAST, bad.parts = 2);
    REFUSE("reduce has no schedule ring", bad.kind = COLLECTIVE_REDUCE, bad.schedule = SCHEDULE_RING);
    REFUSE("its output has 20 elements, not 6", bad.kind = COLLECTIVE_REDUCE_SCATTER);
    CommSegment sixth[2] = {{256, 3}, {320, 3}};
    REFUSE("it has no working memory", bad.kind = COLLECTIVE_REDUCE_SCATTER, bad.schedule = SCHEDULE_RING, bad.output = sixth);
    REFUSE("send x: tag 16; tags are 0 to 15", bad.point_to_point = true, bad.root = 1, bad.tag = 16);
    REFUSE("rank 0 is its own peer", bad.point_to_point = true);
    comm_world_destroy(w);
}
END_TEST

// Everything but comm_world_create() is free of allocations.
static void frugal_body(Comm *c, void *context, char *failure) {
    const int ranks[] = {0, 1};
    Message m;
    for (int schedule = 0; schedule < SCHEDULE_COUNT; schedule++) {
        Scalar s;
        CommRequest r;
        scalar_call(&s, ranks, 2, c->rank, "x");
        s.call.schedule = (ScheduleKind)schedule;
        if (comm_check(c, &s.call) || run_call(c, &s.call, &r)) snprintf(failure, STATUS_TEXT, "%s", status_message());
    }
    if (run_call(c, message(&m, c, !c->rank, c->rank, 0, 3, 0, 10), &m.request)) snprintf(failure, STATUS_TEXT, "%s", status_message());
    if (comm_agree(c, 1)) snprintf(failure, STATUS_TEXT, "%s", status_message());
}

static void counting_body(Comm *c, void *context, char *failure) {
    frugal_body(c, context, failure);  // whatever the C library does once
    if (comm_agree(c, 2)) snprintf(failure, STATUS_TEXT, "%s", status_message());
    int before = allocations();
    for (int i = 0; i < 100; i++) frugal_body(c, context, failure);
    if (allocations() != before) snprintf(failure, STATUS_TEXT, "%d allocations", allocations() - before);
}

START_TEST(communication_allocates_nothing) {
    CommWorld *w = new_world(COMM_SHM, 2, 0);
    run_job(w, counting_body, NULL, COMM_SHM, 2);
    comm_world_destroy(w);
}
END_TEST

SUITE_SECONDS("comm", 120, every_collective_is_right_in_serial, every_collective_is_right_between_threads,
              every_collective_is_right_between_processes, delays_change_nothing_between_threads,
              delays_change_nothing_between_processes, several_lanes_are_in_flight_at_once, groups_on_one_lane_do_not_meet,
              the_last_arrival_is_known_to_all, sleepers_are_woken, a_maximum_keeps_a_nan, messages_go_round_a_ring, messages_of_one_tag_arrive_in_order,
              serial_messages_arrive_in_order, messages_of_different_sizes_are_an_error_of_both, a_rank_that_never_arrives_is_named, all_ranks_that_do_not_arrive_are_named,
              a_killed_process_ends_the_others_after_the_time_out, a_stopped_process_ends_the_others_after_the_time_out,
              a_lost_process_ends_the_others_at_once, the_first_rank_that_gives_up_is_heard_by_all,
              fingerprints_that_differ_are_an_error_naming_the_rank, an_agreement_with_nobody_times_out,
              different_collectives_on_one_lane_are_an_error, the_serial_communicator_says_who_waits_for_whom,
              positions_are_read_by_whoever_watches, no_room_in_shared_memory_is_an_error_with_figures, shared_memory_never_has_a_name,
              pools_are_aligned_and_apart, calls_that_cannot_be_executed_are_refused, communication_allocates_nothing)
