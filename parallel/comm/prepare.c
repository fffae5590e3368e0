// SPDX-License-Identifier: MIT
// What is done once, before the first step: groups are made, calls checked and published.
#include "parallel/comm/comm_internal.h"

#include <stdlib.h>
#include <string.h>

// --- groups

Status comm_group(Comm *c, int group, const int *ranks, int count) {
    if (group < 0 || group >= COMM_GROUPS)
        FAIL(ERR_PLAN, "group %d; a communicator has %d", group, COMM_GROUPS);
    if (count < 1 || count > COMM_RANKS)
        FAIL(ERR_PLAN, "group %d has %d members, not 1 to %d", group, count, COMM_RANKS);
    CommGroup *g = &c->groups[group];
    *g = (CommGroup){.position = NONE};
    uint64_t seen = 0;
    for (int i = 0; i < count; i++) {
        if (ranks[i] < 0 || ranks[i] >= c->ranks)
            FAIL(ERR_PLAN, "group %d: rank %d is not one of %d", group, ranks[i], c->ranks);
        if (seen >> ranks[i] & 1)
            FAIL(ERR_PLAN, "group %d: rank %d is in it twice", group, ranks[i]);
        seen |= UINT64_C(1) << ranks[i];
        g->ranks[i] = ranks[i];
        if (ranks[i] == c->rank) g->position = i;
    }
    g->count = count;
    return OK;
}

// --- comm_check

static Status check_segments(const Comm *c, const CommCall *call, const CommSegment *s, int count,
                             Dtype dtype, int64_t elements, const char *what) {
    char name[CALL_TEXT];
    int64_t bytes = dtype_bytes(dtype), sum = 0, pool = c->world->of[c->rank].room.pool_bytes;
    if (count > 0 && !s) FAIL(ERR_PLAN, "%s: it has no %s", call_text(name, call), what);
    for (int i = 0; i < count; i++) {
        if (s[i].elements < 0 || s[i].offset < 0 || s[i].offset % bytes != 0 ||
            s[i].elements > (pool - s[i].offset) / bytes)
            FAIL(ERR_PLAN,
                 "%s: %s of %lld elements at offset %lld is not inside the pool of %lld bytes, or "
                 "not aligned",
                 call_text(name, call), what, (long long)s[i].elements, (long long)s[i].offset,
                 (long long)pool);
        sum += s[i].elements;
    }
    if (elements >= 0 && sum != elements)
        FAIL(ERR_PLAN, "%s: its %s has %lld elements, not %lld", call_text(name, call), what,
             (long long)sum, (long long)elements);
    return OK;
}

// A segment by its bytes; input, index: for messages.
typedef struct {
    int64_t begin, end;
    int32_t input, index;
} Stretch;

static int by_begin(const void *left, const void *right) {
    const Stretch *a = left, *b = right;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

static int collect(Stretch *out, const CommSegment *s, int count, bool input, int64_t bytes) {
    int n = 0;
    for (int i = 0; i < count; i++)
        if (s[i].elements > 0)
            out[n++] =
                (Stretch){s[i].offset, s[i].offset + s[i].elements * bytes, input, (int32_t)i};
    return n;
}

// May this input and this output be in one place? Segment by segment in what reduces or passes on
// the whole; of an all-gather and a reduce-scatter, this member's share in the whole.
static bool may_share(const CommCall *call, const Collective *what, int position, int in, int out) {
    const CommSegment *i = &call->input[in], *o = &call->output[out];
    bool whole = call->kind == COLLECTIVE_ALL_REDUCE || call->kind == COLLECTIVE_BROADCAST ||
                 call->kind == COLLECTIVE_REDUCE;
    if (whole) return in == out && i->offset == o->offset && i->elements == o->elements;
    bool gathers = call->kind == COLLECTIVE_ALL_GATHER;
    if (!gathers && call->kind != COLLECTIVE_REDUCE_SCATTER) return false;
    if (in >= call->input_count) return false;  // of the first part
    int64_t begin, count, bytes = dtype_bytes(call->dtype);
    collective_chunk(what, position, &begin, &count);
    // The elements before each, of the whole and of the share.
    int64_t before_i = call_segments_elements(call->input, in),
            before_o = call_segments_elements(call->output, out);
    int64_t ahead = gathers ? begin + before_i - before_o : begin + before_o - before_i;
    const CommSegment *share = gathers ? i : o, *of = gathers ? o : i;
    return share->offset == of->offset + ahead * bytes;
}

static Status check_pair(const CommCall *call, const Collective *what, int position,
                         const Stretch *a, const Stretch *b) {
    char name[CALL_TEXT];
    if (a->input && b->input) return OK;
    int low = a->index < b->index ? a->index : b->index, high = a->index + b->index - low;
    if (!a->input && !b->input)
        FAIL(ERR_PLAN, "%s: outputs %d and %d overlap at offset %lld", call_text(name, call), low,
             high, (long long)b->begin);
    const Stretch *in = a->input ? a : b, *out = a->input ? b : a;
    if (may_share(call, what, position, in->index, out->index)) return OK;
    FAIL(ERR_PLAN, "%s: output %d and input %d overlap at offset %lld", call_text(name, call),
         out->index, in->index, (long long)out->begin);
}

// Outputs apart from each other and, but for what may_share(), from inputs: all in one order, each
// is compared with those that begin before it ends.
static Status check_overlap(const CommCall *call, const Collective *what, int position) {
    int inputs = call->parts * call->input_count;
    Stretch *all = calloc((size_t)(inputs + call->output_count + 1), sizeof *all);
    if (!all) FAIL(ERR_MEMORY, "out of memory for checking a communication");
    int64_t bytes = dtype_bytes(call->dtype);
    int count = collect(all, call->input, inputs, true, bytes);
    count += collect(all + count, call->output, call->output_count, false, bytes);
    qsort(all, (size_t)count, sizeof *all, by_begin);
    Status s = OK;
    for (int i = 0; i < count && s == OK; i++)
        for (int j = i + 1; j < count && all[j].begin < all[i].end && s == OK; j++)
            s = check_pair(call, what, position, &all[i], &all[j]);
    free(all);
    return s;
}

static Status check_group(const Comm *c, const CommCall *call) {
    char name[CALL_TEXT];
    if (call->lane < 0 || call->lane >= COMM_LANES)
        FAIL(ERR_PLAN, "%s: communication lane %d; there are %d", call_text(name, call), call->lane,
             COMM_LANES);
    if (call->group < 0 || call->group >= COMM_GROUPS || !c->groups[call->group].count)
        FAIL(ERR_PLAN, "%s: there is no group %d", call_text(name, call), call->group);
    const CommGroup *g = &c->groups[call->group];
    if (g->position == NONE)
        FAIL(ERR_PLAN, "%s: rank %d is no member of group %d", call_text(name, call), c->rank,
             call->group);
    if (c->lane_group[call->lane] != NONE && c->lane_group[call->lane] != call->group)
        FAIL(ERR_PLAN, "%s: communication lane %d is of group %d, not of %d", call_text(name, call),
             call->lane, c->lane_group[call->lane], call->group);
    if (call->root < 0 || call->root >= g->count)
        FAIL(ERR_PLAN, "%s: member %d is not one of %d", call_text(name, call), call->root,
             g->count);
    if (call->input_count < 0 || call->output_count < 0 || call->parts < 1 ||
        call->parts > UINT16_MAX)
        FAIL(ERR_PLAN, "%s: %d and %d segments, %d parts (1 to %d)", call_text(name, call),
             call->input_count, call->output_count, call->parts, UINT16_MAX);
    return OK;
}

static Status check_message(const Comm *c, const CommCall *call) {
    char name[CALL_TEXT];
    if (call->root == c->groups[call->group].position)
        FAIL(ERR_PLAN, "%s: rank %d is its own peer", call_text(name, call), c->rank);
    if (call->tag < 0 || call->tag >= COMM_TAGS)
        FAIL(ERR_PLAN, "%s: tag %d; tags are 0 to %d", call_text(name, call), call->tag,
             COMM_TAGS - 1);
    if (call->parts != 1) FAIL(ERR_PLAN, "%s: %d parts", call_text(name, call), call->parts);
    if (call->receive)
        return check_segments(c, call, call->output, call->output_count, call->dtype, -1, "output");
    return check_segments(c, call, call->input, call->input_count, call->dtype, -1, "input");
}

// Pieces of any size: both counts are there, and apart from each other.
static Status check_counts(const Comm *c, const CommCall *call, int members) {
    char name[CALL_TEXT];
    if (call->kind != COLLECTIVE_ALL_TO_ALL || call->algorithm != ALGORITHM_DIRECT)
        FAIL(ERR_PLAN, "%s: counts are of a direct all_to_all", call_text(name, call));
    TRY(check_segments(c, call, call->counts, 1, DTYPE_I64, members, "counts"));
    TRY(check_segments(c, call, call->received, 1, DTYPE_I64, members, "received counts"));
    TRY(check_segments(c, call, call->output, call->output_count, call->dtype, -1, "output"));
    const CommCall both = {.dtype = DTYPE_I64,
                           .kind = COLLECTIVE_ALL_TO_ALL,
                           .parts = 1,
                           .input_count = 1,
                           .output_count = 1,
                           .input = call->counts,
                           .output = call->received,
                           .name = call->name};
    return check_overlap(&both, NULL, 0);
}

static Status check_arrays(const Comm *c, const CommCall *call, const Collective *what) {
    int position = c->groups[call->group].position;
    int64_t brought = call->counts ? -1 : collective_input_elements(what, position);
    for (int p = 0; p < call->parts; p++)
        TRY(check_segments(c, call, call->input ? call->input + p * call->input_count : NULL,
                           call->input_count, call->dtype, brought, "input"));
    if (call->counts)
        TRY(check_counts(c, call, what->ranks));
    else
        TRY(check_segments(c, call, call->output, call->output_count, call->dtype,
                           collective_result_elements(what, position), "output"));
    int64_t work = collective_work_elements(what);
    if (work > 0) TRY(check_segments(c, call, call->work, 1, call->dtype, work, "working memory"));
    return check_overlap(call, what, position);
}

Status comm_check(const Comm *c, const CommCall *call) {
    char name[CALL_TEXT];
    TRY(check_group(c, call));
    if (call->point_to_point) return check_message(c, call);
    Collective what = call_collective(call, c->groups[call->group].count);
    if (collective_validate(&what) != OK)
        FAIL(ERR_PLAN, "%s: %s", call_text(name, call), status_message());
    bool reduces = call->kind == COLLECTIVE_ALL_REDUCE || call->kind == COLLECTIVE_REDUCE_SCATTER ||
                   call->kind == COLLECTIVE_REDUCE;
    if (reduces ? call->dtype == DTYPE_U8 : call->parts > 1)
        FAIL(ERR_PLAN, "%s: cannot fold %d parts of %s", call_text(name, call), call->parts,
             dtype_name(call->dtype));
    if (reduces && dtype_is_half(call->dtype) && what.ranks > 1 &&
        call->algorithm != ALGORITHM_DIRECT)
        FAIL(ERR_PLAN, "%s: %s would round %s sums at every rank; direct rounds them once",
             call_text(name, call), algorithm_name(call->algorithm), dtype_name(call->dtype));
    return check_arrays(c, call, &what);
}

// --- comm_prepare

// Copies segments to the end of the rank's, and returns where they lie.
static int32_t put(Comm *c, const CommSegment *s, int count) {
    int32_t at = c->segments;
    if (!s || count <= 0) return at;
    memcpy(&c->world->of[c->rank].segments[at], s, (size_t)count * sizeof *s);
    c->segments += count;
    return at;
}

Status comm_prepare(Comm *c, CommCall *call) {
    TRY(comm_check(c, call));
    char name[CALL_TEXT];
    const RankMemory *mine = &c->world->of[c->rank];
    const CommGroup *g = &c->groups[call->group];
    bool receives = call->point_to_point && call->receive;
    bool sends = call->point_to_point && !call->receive;
    int inputs = receives ? 0 : call->input_count, outputs = sends ? 0 : call->output_count;
    int64_t needs = (int64_t)call->parts * inputs + outputs + COMM_OWN_SEGMENTS;
    if (c->calls == mine->room.calls || needs > mine->room.segments - c->segments)
        FAIL(ERR_PLAN, "%s: the communicator has room for %d calls and %d segments of rank %d",
             call_text(name, call), mine->room.calls, mine->room.segments, c->rank);
    Published *p = &mine->calls[c->calls];
    *p = (Published){.signature = call_signature(call, g),
                     .parts = call->parts,
                     .inputs = inputs,
                     .outputs = outputs,
                     .dtype = call->dtype,
                     .reduce = call->reduce,
                     .what = call_collective(call, g->count)};
    p->input = put(c, call->input, call->parts * inputs);
    p->output = put(c, call->output, outputs);
    p->work = put(c, call->work, 1);
    p->counts = put(c, call->counts, 1);
    call->handle = ++c->calls;
    c->lane_group[call->lane] = call->group;
    SharedRank *words = shared_rank(c, c->rank);
    if (atomic_load(&words->lanes_used) <= call->lane)
        atomic_store(&words->lanes_used, call->lane + 1);
    return OK;
}
