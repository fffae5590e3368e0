// SPDX-License-Identifier: MIT
// Collectives between ranks that see each other's memory. Everyone pulls: a rank reads its peers'
// pools, where each has published that its arrays lie, and writes its own, round after round of the
// schedule, waiting before each step until its source has arrived and ended the rounds before (see
// collective.h why that is enough).
//
// The direct all-reduce does both of its rounds at once (collective_pushes()).
#include "parallel/comm/comm_internal.h"

enum { STAGE_RUN, STAGE_END };

// Two, for even and odd sequence numbers.
static const Arrival *arrival_of(const Comm *c, const CommRequest *r, int member) {
    return &shared_lane(c, r, member)->arrival[r->sequence & 1];
}

const Published *perform_published(const Comm *c, const CommRequest *r, int member) {
    return world_published(c->world, r->group->ranks[member], arrival_of(c, r, member)->handle);
}

static Array array_of(const Comm *c, const CommRequest *r, int member, int first, int count) {
    const RankMemory *m = &c->world->of[r->group->ranks[member]];
    return (Array){m->pool, &m->segments[first], count};
}

Array perform_input(const Comm *c, const CommRequest *r, int member) {
    const Published *p = perform_published(c, r, member);
    return array_of(c, r, member, p->input, p->inputs);
}

Array perform_output(const Comm *c, const CommRequest *r, int member) {
    const Published *p = perform_published(c, r, member);
    return array_of(c, r, member, p->output, p->outputs);
}

static Array work_of(const Comm *c, const CommRequest *r, int member) {
    return array_of(c, r, member, perform_published(c, r, member)->work, 1);
}

Status perform_await(Comm *c, CommRequest *r, int member, int64_t rounds, bool *there) {
    SharedLane *l = shared_lane(c, r, member);
    *there = request_await(r, &l->progress, (r->sequence << 32) + 1 + (uint64_t)rounds);
    if (!*there) return OK;
    uint64_t ours = arrival_of(c, r, r->group->position)->signature;
    return ours == arrival_of(c, r, member)->signature
               ? OK
               : call_disagree(c, r, member, perform_published(c, r, member));
}

// Publish that this member has ended so many rounds, unless that is published already.
static void publish(Comm *c, CommRequest *r, int64_t rounds) {
    const CommGroup *g = r->group;
    SharedLane *mine = shared_lane(c, r, g->position);
    uint64_t value = (r->sequence << 32) + 1 + (uint64_t)rounds;
    if (atomic_load_explicit(&mine->progress, memory_order_relaxed) == value) return;
    atomic_store(&mine->progress, value);
    for (int m = 0; m < g->count; m++)
        if (m != g->position) world_ring(c->world, g->ranks[m]);
}

void perform_note_arrival(Comm *c, CommRequest *r) {
    const Published *p = world_published(c->world, c->rank, r->call->handle);
    r->sequence = ++c->sequence[r->call->lane];
    shared_lane(c, r, r->group->position)->arrival[r->sequence & 1] =
        (Arrival){p->signature, r->start_ns, r->call->handle};
}

void perform_arrive(Comm *c, CommRequest *r) {
    perform_note_arrival(c, r);
    publish(c, r, 0);
}

static Term input_term(const Comm *c, const CommRequest *r, int member, int64_t chunk) {
    return (Term){perform_input(c, r, member), collective_input_place(&r->what, chunk),
                  r->call->parts};
}

// In the member's result, or in its working memory where the result has no place for the chunk.
static Term result_term(const Comm *c, const CommRequest *r, int member, int64_t chunk) {
    int64_t count, at = collective_result_place(&r->what, member, chunk);
    if (at >= 0) return (Term){perform_output(c, r, member), at, 1};
    collective_chunk(&r->what, chunk, &at, &count);
    return (Term){work_of(c, r, member), at, 1};
}

static Status push_chunk(Comm *c, CommRequest *r, bool *ended) {
    const CommCall *call = r->call;
    int members = r->group->count, position = r->group->position;
    int64_t begin, count;
    bool there;
    for (; r->step < members; r->step++) {
        TRY(perform_await(c, r, r->step, 0, &there));
        if (!there) return OK;
    }
    Term inputs[COMM_RANKS], outputs[COMM_RANKS];
    collective_chunk(&r->what, position, &begin, &count);  // at one place in inputs and outputs
    for (int m = 0; m < members; m++) {
        inputs[m] = (Term){perform_input(c, r, m), begin, call->parts};
        outputs[m] = (Term){perform_output(c, r, m), begin, 1};
    }
    fold_terms(call->dtype, call->reduce, false, outputs, members, inputs, members, count);
    // Of its chunk what the others bring; of the other chunks the sums, which they store here.
    call_note_taken(c, call, (members - 1) * count + r->what.elements - count);
    *ended = true;
    publish(c, r, 1);
    return OK;
}

// One fold of the current round, steps r->step and what follows with STEP_REDUCE.
static Status pull_fold(Comm *c, CommRequest *r, int steps, bool *there) {
    const CommCall *call = r->call;
    Term terms[COMM_RANKS];
    int count = 0, remote = 0;
    int64_t chunk = -1, begin, elements;
    for (int i = r->step; i < steps; i++) {
        CollectiveStep s = collective_step(&r->what, r->round, r->group->position, i);
        if (count > 0 && s.action == STEP_COPY) break;
        TRY(perform_await(c, r, s.source, r->round, there));
        if (!*there) return OK;
        chunk = s.chunk;
        remote += s.source != r->group->position;
        terms[count++] = s.from == FROM_INPUT ? input_term(c, r, s.source, chunk)
                                              : result_term(c, r, s.source, chunk);
    }
    Term out = result_term(c, r, r->group->position, chunk);
    collective_chunk(&r->what, chunk, &begin, &elements);
    fold_terms(call->dtype, call->reduce, !collective_in_rank_order(&r->what), &out, 1, terms,
               count, elements);
    call_note_taken(c, call, remote * elements);
    r->step += count;
    return OK;
}

Status perform_pull(Comm *c, CommRequest *r, int steps, bool *ended) {
    if (r->call->counts) return pieces_pull(c, r, ended);
    for (*ended = false; r->step < steps;) {
        bool there;
        TRY(pull_fold(c, r, steps, &there));
        if (!there) return OK;
    }
    *ended = true;
    r->step = 0;
    return OK;
}

// Go on with the rounds. Those in which this rank does nothing end at once.
static Status pull_rounds(Comm *c, CommRequest *r, bool *ended) {
    int64_t rounds = collective_rounds(&r->what);
    for (;;) {
        int steps = 0;
        while (r->round < rounds &&
               (steps = collective_steps(&r->what, r->round, r->group->position)) == 0)
            r->round++;
        publish(c, r, r->round);
        *ended = r->round == rounds;
        if (*ended) return OK;
        TRY(perform_pull(c, r, steps, ended));
        if (!*ended) return OK;
        r->round++;
    }
}

// Once every member has ended its last round, nobody reads our inputs or writes our outputs.
static Status meet_end(Comm *c, CommRequest *r, bool *done) {
    int64_t rounds = collective_pushes(&r->what) ? 1 : collective_rounds(&r->what);
    bool there;
    for (; r->step < r->group->count; r->step++) {
        TRY(perform_await(c, r, r->step, rounds, &there));
        if (!there) return OK;
        int64_t start = arrival_of(c, r, r->step)->start_ns;
        if (r->arrival_ns < start) r->arrival_ns = start;
    }
    *done = true;
    return OK;
}

Status perform_advance(Comm *c, CommRequest *r, bool *done) {
    if (r->stage == STAGE_RUN) {
        bool ended = false;
        TRY(collective_pushes(&r->what) ? push_chunk(c, r, &ended) : pull_rounds(c, r, &ended));
        if (!ended) return OK;
        r->stage = STAGE_END;
        r->step = 0;
    }
    return meet_end(c, r, done);
}
