// SPDX-License-Identifier: MIT
#include "tests/support/adversary.h"

#include "core/base/hash.h"
#include "core/base/rng.h"
#include "tests/support/testing.h"

#include <stdio.h>

enum { LINE = 64 };
static const uint64_t JUNK = 0xdeaddeaddeaddeadu;

typedef enum { WAITS, RUNS, EXCHANGED, ENDED } State;

typedef struct {
    Adversary *a;
    const Program *p;
    const Plan *plan;
    int64_t *offset, bytes;  // [tensor] in memory of one rank
    uint64_t *memory;        // [rank * lines + line]
    uint8_t *state;          // [(rank * steps + step) * op_count + op]
    int32_t *lane_before, *lane_last;
    uint32_t *patience;  // [rank * lanes + lane]
    Rng random;
    bool overlap, records;
    const char *wrong;
} Run;

static size_t at(const Run *r, int rank, int step, int op) {
    return ((size_t)rank * (size_t)r->a->steps + (size_t)step) * (size_t)r->plan->op_count +
           (size_t)op;
}

static uint64_t *lines_of(const Run *r, int rank, int tensor, int64_t *count) {
    tensor = program_root(r->p, tensor);
    *count = (r->p->tensors[tensor].bytes + LINE - 1) / LINE;
    return &r->memory[(rank * r->bytes + r->offset[tensor]) / LINE];
}

static void write(Run *r, int rank, int tensor, uint64_t value) {
    int64_t count;
    uint64_t *line = lines_of(r, rank, tensor, &count);
    for (int64_t i = 0; i < count; i++) line[i] = value;
}

static uint64_t read(const Run *r, int rank, int tensor) {
    int64_t count;
    const uint64_t *line = lines_of(r, rank, tensor, &count);
    for (int64_t i = 1; i < count; i++)
        if (line[i] != line[0]) return JUNK;
    return line[0];
}

static bool is_output(const Run *r, const Op *op, int tensor) {
    for (int i = 0; i < op->outputs; i++)
        if (program_root(r->p, op_outputs(r->plan, op)[i]) == program_root(r->p, tensor))
            return true;
    return false;
}

// What it reads: its inputs, and outputs that it adds to.
static uint64_t read_inputs(const Run *r, int rank, const Op *op) {
    uint64_t hash = HASH_START;
    for (int i = 0; i < op->inputs; i++)
        hash = hash_u64(hash, read(r, rank, op_inputs(r->plan, op)[i]));
    for (int i = 0; i < op->outputs && op->flags & OP_ACCUMULATE; i++)
        hash = hash_u64(hash, read(r, rank, op_outputs(r->plan, op)[i]));
    return hash;
}

static bool reads_output(const Run *r, const Op *op) {
    for (int i = 0; i < op->inputs; i++)
        if (is_output(r, op, op_inputs(r->plan, op)[i])) return true;
    return op->flags & OP_ACCUMULATE;
}

// What operation `op` of a rank reads or leaves must be what it did in the order of the plan.
static void compare(Run *r, int rank, int step, int op, int which, uint64_t hash) {
    uint64_t *meant = &r->a->meant[2 * at(r, rank, step, op) + (size_t)which];
    if (r->records) *meant = hash;
    if (*meant == hash || r->wrong) return;
    char *text = ARENA_NEW(&r->a->arena, char, 128);
    snprintf(text, 128, "rank %d, step %d: %s (%d) %s what it should not", rank, step,
             op_name(r->p, &r->plan->ops[op]), op, which ? "leaves" : "reads");
    r->wrong = text;
}

static bool lane_allows(const Run *r, int rank, int step, int i) {
    int before = r->lane_before[i];
    if (before != NONE) return r->state[at(r, rank, step, before)] == ENDED;
    if (step == 0) return true;
    if (r->overlap)
        return r->state[at(r, rank, step - 1, r->lane_last[r->plan->ops[i].lane])] == ENDED;
    for (int k = 0; k < r->plan->op_count; k++)
        if (r->state[at(r, rank, step - 1, k)] != ENDED) return false;
    return true;
}

static bool may_begin(const Run *r, int rank, int step, int i) {
    const Op *op = &r->plan->ops[i];
    if (!lane_allows(r, rank, step, i)) return false;
    for (int d = 0; d < op->dep_count; d++) {
        const Dep *dep = &r->plan->deps[op->dep_first + d];
        if (step - dep->distance >= 0 &&
            r->state[at(r, rank, step - dep->distance, dep->op)] != ENDED)
            return false;
    }
    return true;
}

static int across(const Run *r, int rank, const Work *w) {
    return ((rank + w->peer) % r->a->ranks + r->a->ranks) % r->a->ranks;
}

// The receive that runs across from a send, or NONE.
static int find_receive(const Run *r, int rank, int step, int send) {
    const Work *mine = op_work(r->p, &r->plan->ops[send]);
    int other = across(r, rank, mine);
    for (int i = 0; i < r->plan->op_count; i++) {
        const Work *w = op_work(r->p, &r->plan->ops[i]);
        if (w->kind == KIND_RECEIVE && r->state[at(r, other, step, i)] == RUNS &&
            across(r, other, w) == rank && work_attr(r->p, w, 0) == work_attr(r->p, mine, 0))
            return i;
    }
    return NONE;
}

static bool all_run(const Run *r, int step, int i) {
    for (int rank = 0; rank < r->a->ranks; rank++)
        if (r->state[at(r, rank, step, i)] != RUNS) return false;
    return true;
}

static void begin(Run *r, int rank, int step, int i) {
    const Op *op = &r->plan->ops[i];
    compare(r, rank, step, i, 0, read_inputs(r, rank, op));
    r->state[at(r, rank, step, i)] = RUNS;
    for (int o = 0; o < op->outputs && !reads_output(r, op); o++)
        write(r, rank, op_outputs(r->plan, op)[o], JUNK);
}

static void leave(Run *r, int rank, int i, uint64_t hash) {
    const Op *op = &r->plan->ops[i];
    for (int o = 0; o < op->outputs; o++)
        write(r, rank, op_outputs(r->plan, op)[o], hash_u64(hash, (uint64_t)o));
}

// All members run: what each contributes is read, and what comes out is written.
static void exchange(Run *r, int rank, int step, int i) {
    const Op *op = &r->plan->ops[i];
    uint64_t hash = HASH_START;
    if (op_kind(r->p, op) == KIND_SEND) {
        int receive = find_receive(r, rank, step, i), other = across(r, rank, op_work(r->p, op));
        leave(r, other, receive, hash_u64(read_inputs(r, rank, op), 1));
        r->state[at(r, other, step, receive)] = r->state[at(r, rank, step, i)] = EXCHANGED;
        return;
    }
    for (int k = 0; k < r->a->ranks; k++) hash = hash_u64(hash, read_inputs(r, k, op));
    for (int k = 0; k < r->a->ranks; k++) {
        leave(r, k, i, hash);
        r->state[at(r, k, step, i)] = EXCHANGED;
    }
}

static uint64_t outputs_of(const Run *r, int rank, const Op *op) {
    uint64_t hash = HASH_START;
    for (int o = 0; o < op->outputs; o++)
        hash = hash_u64(hash, read(r, rank, op_outputs(r->plan, op)[o]));
    return hash;
}

static void end(Run *r, int rank, int step, int i) {
    const Op *op = &r->plan->ops[i];
    uint64_t inputs = read_inputs(r, rank, op);
    if (!op_communicates(r->p, op))
        leave(r, rank, i,
              hash_u64(hash_u64(inputs, (uint64_t)i),
                       op_kind(r->p, op) == KIND_LOAD ? (uint64_t)step : 0));
    if (!reads_output(r, op)) compare(r, rank, step, i, 0, inputs);
    compare(r, rank, step, i, 1, outputs_of(r, rank, op));
    r->state[at(r, rank, step, i)] = ENDED;
}

typedef void Event(Run *r, int rank, int step, int i);

static Event *possible(const Run *r, int rank, int step, int i) {
    const Op *op = &r->plan->ops[i];
    switch ((State)r->state[at(r, rank, step, i)]) {
    case WAITS: return may_begin(r, rank, step, i) ? begin : NULL;
    case EXCHANGED: return end;
    case ENDED: return NULL;
    case RUNS: break;
    }
    Kind k = op_kind(r->p, op);
    if (!kind_communicates(k)) return end;
    if (k == KIND_SEND) return find_receive(r, rank, step, i) == NONE ? NULL : exchange;
    return k != KIND_RECEIVE && all_run(r, step, i) ? exchange : NULL;
}

// The next event: the one that is least patient, or now and then any. False: there is none.
static bool advance(Run *r) {
    Event *best = NULL;
    uint64_t least = 0;
    int of[3] = {0};
    for (int rank = 0; rank < r->a->ranks; rank++)
        for (int step = 0; step < r->a->steps; step++)
            for (int i = 0; i < r->plan->op_count; i++) {
                Event *e = possible(r, rank, step, i);
                int lane = r->plan->ops[i].lane;
                uint64_t roll = rng_below(&r->random, 1000);
                if (roll >= 50) roll += 1000 * r->patience[rank * r->p->lane_count + lane];
                if (!e || (best && roll >= least)) continue;
                best = e;
                least = roll;
                of[0] = rank;
                of[1] = step;
                of[2] = i;
            }
    if (best) best(r, of[0], of[1], of[2]);
    return best != NULL;
}

// Own memory for each tensor, or its place in the pools, which lie one after the other.
static void place_tensors(Run *r, bool own_memory) {
    const Program *p = r->p;
    for (int t = 0; t < p->tensor_count; t++) {
        const Tensor *tensor = &p->tensors[t];
        r->offset[t] = own_memory ? r->bytes : tensor->offset;
        for (int pool = 0; !own_memory && pool < tensor->pool; pool++)
            r->offset[t] += p->pool_bytes[pool];
        if (own_memory) r->bytes += (tensor->bytes + LINE - 1) / LINE * LINE;
    }
    for (int pool = 0; !own_memory && pool < POOL_COUNT; pool++) r->bytes += p->pool_bytes[pool];
}

static void run_init(Run *r, bool own_memory) {
    int n = r->plan->op_count, lanes = r->p->lane_count;
    Arena *arena = &r->a->arena;
    r->offset = ARENA_NEW(arena, int64_t, r->p->tensor_count);
    place_tensors(r, own_memory);
    size_t lines = (size_t)r->a->ranks * (size_t)(r->bytes / LINE);
    r->memory = ARENA_NEW(arena, uint64_t, lines);
    r->state = ARENA_NEW(arena, uint8_t, (size_t)(r->a->ranks * r->a->steps) * (size_t)n);
    r->lane_before = ARENA_NEW(arena, int32_t, n);
    r->lane_last = ARENA_NEW(arena, int32_t, lanes);
    r->patience = ARENA_NEW(arena, uint32_t, r->a->ranks * lanes);
    for (size_t i = 0; i < lines; i++) r->memory[i] = JUNK;
    for (int lane = 0; lane < lanes; lane++) r->lane_last[lane] = NONE;
    for (int i = 0; i < n; i++) {
        r->lane_before[i] = r->lane_last[r->plan->ops[i].lane];
        r->lane_last[r->plan->ops[i].lane] = i;
    }
    for (int rank = 0; rank < r->a->ranks; rank++) {
        for (int lane = 0; lane < lanes; lane++)
            r->patience[rank * lanes + lane] = rng_below(&r->random, 4);
        for (int t = 0; t < r->p->tensor_count; t++)
            if (role_keeps_place((Role)r->p->tensors[t].role) && r->p->tensors[t].alias == NONE)
                write(r, rank, t, hash_u64(hash_u64(HASH_START, (uint64_t)rank), (uint64_t)t));
    }
}

static const char *execute(Run *r, bool own_memory) {
    run_init(r, own_memory);
    while (!r->wrong && advance(r)) {
    }
    size_t count = at(r, r->a->ranks, 0, 0);
    for (size_t i = 0; i < count && !r->wrong; i++)
        if (r->state[i] != ENDED) r->wrong = "deadlock";
    return r->wrong;
}

bool adversary_init(Adversary *a, const Program *p, int steps) {
    *a = (Adversary){.p = p, .plan = &p->plans[0], .ranks = program_ranks(p), .steps = steps};
    size_t count = (size_t)(a->ranks * steps) * (size_t)a->plan->op_count;
    a->meant = ARENA_NEW(&a->arena, uint64_t, 2 * count);
    Run r = {.a = a, .p = p, .plan = a->plan, .records = true};
    rng_init(&r.random, 0, RNG_TEST, 0, 0);
    return execute(&r, true) == NULL;
}

void adversary_finish(Adversary *a) { arena_finish(&a->arena); }

const char *adversary_run(Adversary *a, const Program *p, bool own_memory, bool overlap,
                          uint64_t seed) {
    Run r = {.a = a, .p = p, .plan = &p->plans[0], .overlap = overlap};
    rng_init(&r.random, seed, RNG_TEST, 0, 0);
    return execute(&r, own_memory);
}
