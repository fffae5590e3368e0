// SPDX-License-Identifier: MIT
// What can be known of a call before it starts.
#include "core/base/hash.h"
#include "core/base/text.h"
#include "parallel/comm/comm_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

int64_t call_segments_elements(const CommSegment *s, int count) {
    int64_t sum = 0;
    for (int i = 0; s && i < count; i++) sum += s[i].elements;
    return sum;
}

char *call_array_at(Array a, int64_t element, int64_t element_bytes, int64_t *run) {
    const CommSegment *s = a.segments, *last = s + a.count - 1;
    while (s < last && element >= s->elements) element -= (s++)->elements;
    *run = (s == last ? INT64_MAX : s->elements) - element;
    return a.pool + s->offset + element * element_bytes;
}

static const char *call_verb(const CommCall *call) {
    if (!call->point_to_point) return collective_name(call->kind);
    return call->receive ? "receive" : "send";
}

const char *call_text(char out[CALL_TEXT], const CommCall *call) {
    snprintf(out, CALL_TEXT, "%s %s", call_verb(call), call->name ? call->name : "");
    return out;
}

const char *call_ranks_text(char out[RANKS_TEXT], uint64_t set) {
    const char *between = " ";
    *out = '\0';
    text_append(out, RANKS_TEXT, "%s", set & (set - 1) ? "ranks" : "rank");
    for (int r = 0, last; r < COMM_RANKS; r = last + 1) {
        for (last = r; last + 1 < COMM_RANKS && (set >> r & 1) && (set >> (last + 1) & 1);) last++;
        if (!(set >> r & 1)) continue;
        text_append(out, RANKS_TEXT, "%s%d", between, r);
        if (last > r) text_append(out, RANKS_TEXT, "%s%d", last == r + 1 ? ", " : "-", last);
        between = ", ";
    }
    return out;
}

// The whole array is the longer of the two; of an all-to-all the input says it. Of a scatter and a
// gather most members have one of its equal pieces only.
Collective call_collective(const CommCall *call, int members) {
    int64_t input = call_segments_elements(call->input, call->input_count);
    int64_t output = call_segments_elements(call->output, call->output_count);
    bool in = call->kind == COLLECTIVE_REDUCE_SCATTER || call->kind == COLLECTIVE_ALL_TO_ALL;
    return (Collective){.kind = call->kind,
                        .algorithm = call->algorithm,
                        .ranks = members,
                        .root = call->root,
                        .elements = call->kind == COLLECTIVE_SCATTER  ? output * members
                                    : call->kind == COLLECTIVE_GATHER ? input * members
                                    : in                              ? input
                                                                      : output,
                        .unit = call->unit,
                        .sizes = call->sizes,
                        .size_count = call->size_count};
}

// Members may have room for different numbers of pieces.
uint64_t call_signature(const CommCall *call, const CommGroup *g) {
    Collective what = call_collective(call, g->count);
    const uint64_t facts[] = {what.kind,           what.algorithm,
                              (uint64_t)what.root, (uint64_t)(call->counts ? 0 : what.elements),
                              (uint64_t)what.unit, call->reduce,
                              call->dtype,         (uint64_t)call->parts,
                              call->counts != NULL};
    uint64_t hash = HASH_START;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) hash = hash_u64(hash, facts[i]);
    for (int m = 0; m < g->count; m++) hash = hash_u64(hash, (uint64_t)g->ranks[m]);
    for (int i = 0; i < call->size_count; i++) hash = hash_u64(hash, (uint64_t)call->sizes[i]);
    return hash;
}

static void published_text(char *out, size_t size, const Published *p) {
    char unit[40] = "";
    if (p->what.unit > 1) snprintf(unit, sizeof unit, ", unit %lld", (long long)p->what.unit);
    snprintf(out, size, "%s (%s, %d part(s) of %lld %s, root %d%s%s)",
             collective_name(p->what.kind), algorithm_name(p->what.algorithm), (int)p->parts,
             (long long)p->what.elements, dtype_name(p->dtype), p->what.root,
             p->reduce == REDUCE_MAX ? ", maximum" : "", unit);
}

Status call_disagree(Comm *c, const CommRequest *r, int position, const Published *theirs) {
    char name[CALL_TEXT], ours[128], other[128], text[STATUS_TEXT];
    const char *rule = "members must issue the same collectives in the same order";
    published_text(ours, sizeof ours, world_published(c->world, c->rank, r->call->handle));
    published_text(other, sizeof other, theirs);
    if (!strcmp(ours, other)) rule = "they differ in members of the group or sizes of arrays";
    snprintf(text, sizeof text, "%s: rank %d brings %s, rank %d brings %s; %s",
             call_text(name, r->call), c->rank, ours, r->group->ranks[position], other, rule);
    world_fail(c->world, ERR_PLAN, c->rank, c->rank, text);
    FAIL(ERR_PLAN, "%s", text);
}

Status call_message_disagree(Comm *c, const CommRequest *receive, int sender, Dtype dtype,
                             int64_t elements) {
    const CommCall *call = receive->call;
    char name[CALL_TEXT], text[STATUS_TEXT];
    int64_t here = call_segments_elements(call->output, call->output_count);
    if (here == elements && call->dtype == dtype) return OK;
    snprintf(text, sizeof text, "%s: rank %d sends %lld %s with tag %d, rank %d receives %lld %s",
             call_text(name, call), sender, (long long)elements, dtype_name(dtype), call->tag,
             receive->group->ranks[receive->group->position], (long long)here,
             dtype_name(call->dtype));
    world_fail(c->world, ERR_PLAN, c->rank, c->rank, text);
    FAIL(ERR_PLAN, "%s", text);
}

Status call_exchange_disagree(Comm *c, int rank, uint64_t theirs, uint64_t ours) {
    char text[STATUS_TEXT];
    if (theirs == ours) return OK;
    snprintf(text, sizeof text, EXCHANGE ": rank %d brings %llu bytes, rank %d %llu", c->rank,
             (unsigned long long)ours, rank, (unsigned long long)theirs);
    world_fail(c->world, ERR_PLAN, c->rank, c->rank, text);
    FAIL(ERR_PLAN, "%s", text);
}

CommCount *call_count(Comm *c, const CommCall *call) {
    int operation = call->point_to_point ? (call->receive ? COMM_RECEIVE : COMM_SEND)
                    : call->counts       ? COMM_ALL_TO_ALL_V
                                         : (int)call->kind;
    return &c->counts[call->group][operation];
}

void call_note_taken(Comm *c, const CommCall *call, int64_t elements) {
    call_count(c, call)->bytes += elements * dtype_bytes(call->dtype);
}

int64_t call_schedule_taken(const Collective *what, int member) {
    int64_t sum = 0, begin, count;
    for (int64_t round = 0; round < collective_rounds(what); round++) {
        int steps = collective_steps(what, round, member);
        for (int i = 0; i < steps; i++) {
            CollectiveStep s = collective_step(what, round, member, i);
            if (s.source == member) continue;
            collective_chunk(what, s.chunk, &begin, &count);
            sum += count;
        }
    }
    return sum;
}

Status call_begin(Comm *c, const CommCall *call, CommRequest *r, int64_t start_ns) {
    TRY(world_check(c->world));
    assert(call->handle && !c->pending[call->lane]);
    *r = (CommRequest){.call = call,
                       .group = &c->groups[call->group],
                       .what = world_published(c->world, c->rank, call->handle)->what,
                       .start_ns = start_ns};
    if (call->counts)
        TRY(pieces_check(c, r, (const void *)((const char *)c->pool + call->counts->offset)));
    c->pending[call->lane] = r;
    call_count(c, call)->calls++;
    return OK;
}
