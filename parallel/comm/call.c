// SPDX-License-Identifier: MIT
// What can be known of a call before it starts.
#include "core/base/text.h"
#include "parallel/comm/comm_internal.h"

#include <stdio.h>

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

// The whole array is the longer of the two; of an all-to-all the input says it.
Collective call_collective(const CommCall *call) {
    int64_t input = call_segments_elements(call->input, call->segment_count);
    int64_t output = call_segments_elements(call->output, call->segment_count);
    bool in = call->kind == COLLECTIVE_REDUCE_SCATTER || call->kind == COLLECTIVE_ALL_TO_ALL;
    return (Collective){.kind = call->kind,
                        .algorithm = call->algorithm,
                        .ranks = call->ranks_count,
                        .root = call->root,
                        .elements = in ? input : output};
}

// From the high bits: kind 4, schedule 4, reduce 2, type 4, parts 10, root 6, elements 34.
uint64_t call_signature(const CommCall *call) {
    uint64_t s = (uint64_t)call->kind;
    s = s << 4 | (uint64_t)call->algorithm;
    s = s << 2 | (uint64_t)call->reduce;
    s = s << 4 | (uint64_t)call->dtype;
    s = s << 10 | (uint64_t)(call->parts & 1023);
    s = s << 6 | (uint64_t)call->root;
    return s << 34 | ((uint64_t)call_collective(call).elements & ((UINT64_C(1) << 34) - 1));
}

static void signature_text(char *out, size_t size, uint64_t s) {
    const char *kind = collective_name((CollectiveKind)(s >> 60));
    snprintf(out, size, "%s (%s, %d part(s) of %llu %s, root %d%s)", kind,
             algorithm_name((Algorithm)(s >> 56 & 15)), (int)(s >> 40 & 1023),
             (unsigned long long)(s & ((UINT64_C(1) << 34) - 1)), dtype_name((Dtype)(s >> 50 & 15)),
             (int)(s >> 34 & 63), (s >> 54 & 3) == REDUCE_MAX ? ", maximum" : "");
}

Status call_disagree(Comm *c, const CommCall *call, int position, uint64_t theirs) {
    char name[CALL_TEXT], ours[96], other[96], text[STATUS_TEXT];
    signature_text(ours, sizeof ours, call_signature(call));
    signature_text(other, sizeof other, theirs);
    snprintf(text, sizeof text,
             "%s: rank %d brings %s, rank %d brings %s; members must issue the same collectives in "
             "the same order",
             call_text(name, call), c->rank, ours, call->ranks[position], other);
    world_fail(c->world, ERR_PLAN, c->rank, c->rank, text);
    FAIL(ERR_PLAN, "%s", text);
}

Status call_message_disagree(Comm *c, const CommCall *receive, int sender, Dtype dtype,
                             int64_t elements) {
    char name[CALL_TEXT], text[STATUS_TEXT];
    int64_t here = call_segments_elements(receive->output, receive->segment_count);
    if (here == elements && receive->dtype == dtype) return OK;
    snprintf(text, sizeof text, "%s: rank %d sends %lld %s with tag %d, rank %d receives %lld %s",
             call_text(name, receive), sender, (long long)elements, dtype_name(dtype), receive->tag,
             receive->ranks[receive->position], (long long)here, dtype_name(receive->dtype));
    world_fail(c->world, ERR_PLAN, c->rank, c->rank, text);
    FAIL(ERR_PLAN, "%s", text);
}

Status call_agree_fail(int rank, uint64_t theirs, uint64_t first) {
    FAIL(ERR_PLAN,
         "rank %d would communicate otherwise than rank 0 (%016llx, not %016llx): all ranks must "
         "run one program, model and strategy",
         rank, (unsigned long long)theirs, (unsigned long long)first);
}

// --- comm_check

static Status check_segments(const Comm *c, const CommCall *call, const CommSegment *s, int count,
                             int64_t elements, const char *what) {
    char name[CALL_TEXT];
    int64_t bytes = dtype_bytes(call->dtype), sum = 0;
    if (count > 0 && !s) FAIL(ERR_PLAN, "%s: it has no %s", call_text(name, call), what);
    for (int i = 0; i < count; i++) {
        if (s[i].elements < 0 || s[i].offset < 0 || s[i].offset % bytes != 0 ||
            s[i].elements > (c->world->pool_bytes - s[i].offset) / bytes)
            FAIL(ERR_PLAN,
                 "%s: %s of %lld elements at offset %lld is not inside the pool of %lld bytes, or "
                 "not aligned",
                 call_text(name, call), what, (long long)s[i].elements, (long long)s[i].offset,
                 (long long)c->world->pool_bytes);
        sum += s[i].elements;
    }
    if (elements >= 0 && sum != elements)
        FAIL(ERR_PLAN, "%s: its %s has %lld elements, not %lld", call_text(name, call), what,
             (long long)sum, (long long)elements);
    return OK;
}

static bool overlap(const CommSegment *a, const CommSegment *b, int64_t bytes) {
    return a->elements > 0 && b->elements > 0 && a->offset < b->offset + b->elements * bytes &&
           b->offset < a->offset + a->elements * bytes;
}

// Apart, or (where the kind allows it) segment by segment the same memory as the first input.
static Status check_overlap(const CommCall *call) {
    char name[CALL_TEXT];
    int64_t bytes = dtype_bytes(call->dtype);
    bool may_share = call->kind == COLLECTIVE_ALL_REDUCE || call->kind == COLLECTIVE_BROADCAST ||
                     call->kind == COLLECTIVE_REDUCE;
    for (int i = 0; i < call->segment_count; i++) {
        const CommSegment *out = &call->output[i];
        for (int j = 0; j < call->parts * call->segment_count; j++) {
            const CommSegment *in = &call->input[j];
            bool same =
                may_share && i == j && in->offset == out->offset && in->elements == out->elements;
            if (!same && overlap(in, out, bytes))
                FAIL(ERR_PLAN, "%s: output %d and input %d overlap at offset %lld",
                     call_text(name, call), i, j, (long long)out->offset);
        }
        for (int j = 0; j < i; j++)
            if (overlap(&call->output[j], out, bytes))
                FAIL(ERR_PLAN, "%s: outputs %d and %d overlap at offset %lld",
                     call_text(name, call), j, i, (long long)out->offset);
    }
    return OK;
}

static Status check_group(const Comm *c, const CommCall *call) {
    char name[CALL_TEXT];
    if (call->lane < 0 || call->lane >= COMM_LANES)
        FAIL(ERR_PLAN, "%s: lane %d; there are %d", call_text(name, call), call->lane, COMM_LANES);
    if (call->ranks_count < 1 || call->ranks_count > COMM_RANKS || call->position < 0 ||
        call->position >= call->ranks_count || call->ranks[call->position] != c->rank)
        FAIL(ERR_PLAN, "%s: rank %d is not member %d of its group of %d", call_text(name, call),
             c->rank, call->position, call->ranks_count);
    if (call->root < 0 || call->root >= call->ranks_count)
        FAIL(ERR_PLAN, "%s: member %d is not one of %d", call_text(name, call), call->root,
             call->ranks_count);
    for (int i = 0; i < call->ranks_count; i++)
        if (call->ranks[i] < 0 || call->ranks[i] >= c->ranks)
            FAIL(ERR_PLAN, "%s: rank %d of its group is not one of %d ranks", call_text(name, call),
                 call->ranks[i], c->ranks);
    if (call->segment_count < 0 || call->parts < 1 || call->parts > 1023)
        FAIL(ERR_PLAN, "%s: %d segments, %d parts (1 to 1023)", call_text(name, call),
             call->segment_count, call->parts);
    return OK;
}

static Status check_message(const Comm *c, const CommCall *call) {
    char name[CALL_TEXT];
    if (call->root == call->position)
        FAIL(ERR_PLAN, "%s: rank %d is its own peer", call_text(name, call), c->rank);
    if (call->tag < 0 || call->tag >= COMM_TAGS)
        FAIL(ERR_PLAN, "%s: tag %d; tags are 0 to %d", call_text(name, call), call->tag,
             COMM_TAGS - 1);
    if (call->segment_count > COMM_MESSAGE_SEGMENTS || call->parts != 1)
        FAIL(ERR_PLAN, "%s: %d parts of %d segments; at most 1 of %d", call_text(name, call),
             call->parts, call->segment_count, COMM_MESSAGE_SEGMENTS);
    return check_segments(c, call, call->receive ? call->output : call->input, call->segment_count,
                          -1, call->receive ? "output" : "input");
}

Status comm_check(const Comm *c, const CommCall *call) {
    char name[CALL_TEXT];
    TRY(check_group(c, call));
    if (call->point_to_point) return check_message(c, call);
    Collective what = call_collective(call);
    if (collective_validate(&what) != OK)
        FAIL(ERR_PLAN, "%s: %s", call_text(name, call), status_message());
    bool reduces = call->kind == COLLECTIVE_ALL_REDUCE || call->kind == COLLECTIVE_REDUCE_SCATTER ||
                   call->kind == COLLECTIVE_REDUCE;
    if (reduces ? call->dtype == DTYPE_U8 || call->dtype == DTYPE_BF16 : call->parts > 1)
        FAIL(ERR_PLAN, "%s: cannot fold %d parts of %s", call_text(name, call), call->parts,
             dtype_name(call->dtype));
    for (int p = 0; p < call->parts; p++)
        TRY(check_segments(c, call, call->input ? call->input + p * call->segment_count : NULL,
                           call->segment_count, collective_input_elements(&what, call->position),
                           "input"));
    TRY(check_segments(c, call, call->output, call->segment_count,
                       collective_result_elements(&what, call->position), "output"));
    if (collective_work_elements(&what) > 0)
        TRY(check_segments(c, call, call->work, 1, collective_work_elements(&what),
                           "working memory"));
    return check_overlap(call);
}
