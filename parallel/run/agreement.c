// SPDX-License-Identifier: MIT
// Comparing what ranks issue. Every rank sees what all bring, so that all come to the same
// conclusion and take the same next step. First fingerprints, a group at a time: of collectives,
// equal at all members; and of messages, what all members send less what all receive, each mixed
// with who sends to whom, which adds up to nothing. When that fails operations are compared one by
// one, until the first that differs.
#include "parallel/run/agreement.h"

#include "core/base/hash.h"
#include "core/plan/group.h"
#include "core/plan/sequence.h"

#include <stdio.h>
#include <string.h>

void agreement_init(Agreement *a, Comm *comm, const Program *p) {
    *a = (Agreement){.comm = comm, .program = p, .phase = AGREEMENT_TABLES};
}

// The mesh, and how many groups, lanes and plans: those are the same in all programs of a set.
static uint64_t tables_hash(const Program *p) {
    uint64_t hash = HASH_START;
    for (int i = 0; i < p->axis_count; i++) hash = hash_u64(hash, (uint64_t)p->axes[i].size);
    for (int g = 0; g < p->group_count; g++) hash = hash_u64(hash, (uint64_t)p->groups[g].size);
    hash = hash_u64(hash_u64(hash, (uint64_t)p->group_count), (uint64_t)p->lane_count);
    return hash_u64(hash, (uint64_t)p->plan_count);
}

static uint64_t mixed(int from, int to, uint64_t fingerprint) {
    if (!fingerprint) return 0;
    return hash_u64(hash_u64(hash_u64(HASH_START, (uint64_t)from), (uint64_t)to), fingerprint);
}

static bool sends_messages(const Program *p, int group) {
    for (int i = 0; i < p->work_count; i++)
        if (work_is_message(&p->works[i]) && p->works[i].group == group) return true;
    return false;
}

static Status bring_distance(const Agreement *a, int distance, uint64_t out[2]) {
    const Sequence sent = {a->group, distance, false},
                   received = {a->group, group_size(a->program, a->group) - distance, true};
    TRY(sequence_fingerprint(a->program, sent, &out[0]));
    return sequence_fingerprint(a->program, received, &out[1]);
}

static Status bring_group(const Agreement *a, AgreementWord *out) {
    const Program *p = a->program;
    int size = group_size(p, a->group), at = group_position(p, a->group, a->comm->rank);
    TRY(sequence_fingerprint(p, (Sequence){a->group, 0, false}, &out->hash[0]));
    for (int d = 1; d < size && sends_messages(p, a->group); d++) {
        uint64_t two[2];
        TRY(bring_distance(a, d, two));
        out->hash[1] += mixed(at, (at + d) % size, two[0]);
        out->hash[1] -= mixed((at - d + size) % size, at, two[1]);
    }
    return OK;
}

// Item a->item of a sequence and its text; hash 0 and "nothing more" behind the last.
static Status bring_item(const Agreement *a, Sequence s, uint64_t *hash, char text[96]) {
    const Program *p = a->program;
    Arena scratch = {0};
    SequenceItem *items = NULL;
    int count = 0;
    Status status = sequence_list(p, s, &scratch, &items, &count);
    *hash = 0;
    snprintf(text, 96, "nothing more");
    if (status == OK && a->item < count) {
        const SequenceItem *i = &items[a->item];
        const Work *w = op_work(p, &p->plans[i->plan].ops[i->op]);
        *hash = i->hash;
        snprintf(text, 96, "%s %.32s (%lld bytes of %s) in plan %.20s", kind_name(work_kind(w)),
                 program_name(p, w->name), (long long)w->payload_bytes, dtype_name((Dtype)w->dtype),
                 program_name(p, p->plans[i->plan].name));
    }
    arena_finish(&scratch);
    return status;
}

static Status bring_member(const Agreement *a, AgreementWord *out) {
    int size = group_size(a->program, a->group);
    switch (a->phase) {
    case AGREEMENT_GROUP: return bring_group(a, out);
    case AGREEMENT_COLLECTIVE:
        return bring_item(a, (Sequence){a->group, 0, false}, &out->hash[0], out->text[0]);
    case AGREEMENT_DISTANCE: return bring_distance(a, a->distance, out->hash);
    case AGREEMENT_MESSAGE:
        TRY(bring_item(a, (Sequence){a->group, a->distance, false}, &out->hash[0], out->text[0]));
        return bring_item(a, (Sequence){a->group, size - a->distance, true}, &out->hash[1],
                          out->text[1]);
    case AGREEMENT_TABLES: break;
    }
    out->hash[0] = tables_hash(a->program);
    return OK;
}

Status agreement_bring(Agreement *a) {
    AgreementWord mine = {{0}, {""}};
    bool takes_part =
        a->phase == AGREEMENT_TABLES || group_position(a->program, a->group, a->comm->rank) != NONE;
    if (takes_part) TRY(bring_member(a, &mine));
    return comm_exchange(a->comm, &mine, sizeof mine, a->all);
}

// --- looking

static Status look_tables(const Agreement *a) {
    for (int r = 1; r < a->comm->ranks; r++)
        if (a->all[r].hash[0] != a->all[0].hash[0])
            FAIL(ERR_PLAN,
                 "rank %d has another mesh, other groups, lanes or plans than rank 0: all ranks "
                 "must run one model and strategy",
                 r);
    return OK;
}

// The next group, or the search for what differs in this one.
static void look_group(Agreement *a, bool *more) {
    const Program *p = a->program;
    uint64_t sum[COMM_RANKS] = {0};  // at the first member of each group
    for (int r = 0; r < a->comm->ranks; r++) {
        if (group_position(p, a->group, r) == NONE) continue;
        int first = group_member(p, a->group, r, 0);
        sum[first] += a->all[r].hash[1];
        if (a->all[r].hash[0] == a->all[first].hash[0]) continue;
        a->phase = AGREEMENT_COLLECTIVE;
        a->one = r;
        a->other = first;
        return;
    }
    for (int r = 0; r < a->comm->ranks; r++)
        if (sum[r]) {
            a->phase = AGREEMENT_DISTANCE;
            a->distance = 1;
            return;
        }
    *more = ++a->group < p->group_count;
}

static const char *group_text(const Agreement *a) {
    return program_name(a->program, a->program->groups[a->group].name);
}

static Status look_collective(Agreement *a) {
    const AgreementWord *one = &a->all[a->one], *other = &a->all[a->other];
    if (one->hash[0] == other->hash[0] && one->hash[0]) {
        a->item++;
        return OK;
    }
    FAIL(ERR_PLAN,
         "rank %d would communicate otherwise than rank %d in group %s: its collective %d is %s, "
         "that of rank %d %s",
         a->one, a->other, group_text(a), a->item, one->text[0], a->other, other->text[0]);
}

static Status look_distance(Agreement *a) {
    const Program *p = a->program;
    int size = group_size(p, a->group);
    for (int r = 0; r < a->comm->ranks; r++) {
        int at = group_position(p, a->group, r);
        if (at == NONE) continue;
        int to = group_member(p, a->group, r, (at + a->distance) % size);
        if (a->all[r].hash[0] == a->all[to].hash[1]) continue;
        a->phase = AGREEMENT_MESSAGE;
        a->one = r;
        a->other = to;
        return OK;
    }
    if (++a->distance < size) return OK;
    FAIL(ERR_PLAN, "group %s: ranks send other messages than are received", group_text(a));
}

static Status look_message(Agreement *a) {
    const AgreementWord *one = &a->all[a->one], *other = &a->all[a->other];
    if (one->hash[0] == other->hash[1] && one->hash[0]) {
        a->item++;
        return OK;
    }
    FAIL(ERR_PLAN,
         "rank %d would send to rank %d otherwise than that receives in group %s: message %d is "
         "%s, there %s",
         a->one, a->other, group_text(a), a->item, one->text[0], other->text[1]);
}

Status agreement_look(Agreement *a, bool *more) {
    *more = true;
    switch (a->phase) {
    case AGREEMENT_TABLES:
        TRY(look_tables(a));
        a->phase = AGREEMENT_GROUP;
        *more = a->program->group_count > 0;
        return OK;
    case AGREEMENT_GROUP: look_group(a, more); return OK;
    case AGREEMENT_COLLECTIVE: return look_collective(a);
    case AGREEMENT_DISTANCE: return look_distance(a);
    case AGREEMENT_MESSAGE: return look_message(a);
    }
    return OK;
}
