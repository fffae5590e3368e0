// SPDX-License-Identifier: MIT
// An all-to-all whose pieces are of any size (MPI_Alltoallv): how many units a member has for each
// other one is known when the call starts, and nobody else knows it before. Member r's input has
// counts[0] units for member 0, then counts[1] for member 1, …; its output receives the pieces of
// member 0, of member 1, …, as many as they are. pieces_pull() is the shared engine's part, which
// reads the counts of its peers where these lie.
#include "parallel/comm/comm_internal.h"

#include <stdio.h>

static int64_t unit_of(const CommRequest *r) { return r->call->unit > 1 ? r->call->unit : 1; }

static Status fail(Comm *c, const CommRequest *r, const char *reason) {
    char name[CALL_TEXT], text[STATUS_TEXT];
    snprintf(text, sizeof text, "%s: %s", call_text(name, r->call), reason);
    world_fail(c->world, ERR_PLAN, c->rank, c->rank, text);
    FAIL(ERR_PLAN, "%s", text);
}

Status pieces_check(Comm *c, const CommRequest *r, const int64_t *counts) {
    char text[192];
    int64_t sum = 0, room = r->what.elements / unit_of(r);
    for (int m = 0; m < r->group->count; m++) {
        if (counts[m] < 0 || counts[m] > room - sum) {
            snprintf(text, sizeof text,
                     "rank %d has %lld units of %lld for rank %d after %lld for those before it, "
                     "but its input has room for %lld",
                     c->rank, (long long)counts[m], (long long)unit_of(r), r->group->ranks[m],
                     (long long)sum, (long long)room);
            return fail(c, r, text);
        }
        sum += counts[m];
    }
    return OK;
}

Status pieces_check_room(Comm *c, const CommRequest *r, int member, const int64_t *const counts[],
                         int64_t room) {
    char text[192];
    int64_t sum = 0;  // each count was checked by its sender, so that 64 of them do not overflow
    for (int m = 0; m < r->group->count; m++) {
        sum += counts[m][member];
        if (sum * unit_of(r) <= room) continue;
        snprintf(text, sizeof text,
                 "rank %d receives %lld units of %lld from the ranks up to %d, but its output has "
                 "room for %lld",
                 r->group->ranks[member], (long long)sum, (long long)unit_of(r), r->group->ranks[m],
                 (long long)(room / unit_of(r)));
        return fail(c, r, text);
    }
    return OK;
}

const int64_t *pieces_counts(const Comm *c, const CommRequest *r, int member) {
    const RankMemory *m = &c->world->of[r->group->ranks[member]];
    const Published *p = perform_published(c, r, member);
    return (const int64_t *)(const void *)(m->pool + m->segments[p->counts].offset);
}

int64_t pieces_sent(const Comm *c, const CommRequest *r) {
    const int64_t *counts = pieces_counts(c, r, r->group->position);
    int64_t units = 0;
    for (int m = 0; m < r->group->count; m++)
        if (m != r->group->position) units += counts[m];
    return units * unit_of(r);
}

int64_t pieces_received(const Comm *c, const CommRequest *r, int source) {
    return pieces_counts(c, r, source)[r->group->position] * unit_of(r);
}

Status pieces_pull(Comm *c, CommRequest *r, bool *ended) {
    const CommCall *call = r->call;
    int members = r->group->count, position = r->group->position;
    const int64_t *counts[COMM_RANKS];
    for (; r->step < members; r->step++) {
        TRY(perform_await(c, r, r->step, 0, ended));
        if (!*ended) return OK;
    }
    for (int m = 0; m < members; m++) counts[m] = pieces_counts(c, r, m);
    TRY(pieces_check_room(c, r, position, counts,
                          call_segments_elements(call->output, call->output_count)));
    int64_t *received = (int64_t *)(void *)((char *)c->pool + call->received->offset);
    Term to = {perform_output(c, r, position), 0, 1};
    for (int m = 0; m < members; m++) {
        Term from = {perform_input(c, r, m), 0, 1};
        for (int i = 0; i < position; i++) from.at += counts[m][i] * unit_of(r);
        int64_t elements = counts[m][position] * unit_of(r);
        fold_terms(call->dtype, REDUCE_SUM, false, &to, 1, &from, 1, elements);
        if (m != position) call_note_taken(c, call, elements);
        to.at += elements;
        received[m] = counts[m][position];
    }
    *ended = true;
    r->step = 0;
    return OK;
}
