// SPDX-License-Identifier: MIT
// Ranks of a group and ends of a message, as the plan names them: by position, never by number.
#include "sim/members.h"

#include "core/plan/group.h"

void members_find(Members *m, const Program *p, const Work *w, int rank) {
    m->count = group_size(p, w->group);
    m->position = group_position(p, w->group, rank);
    for (int i = 0; i < m->count; i++) m->ranks[i] = group_member(p, w->group, rank, i);
    m->peer = work_is_message(w)
                  ? m->ranks[((m->position + w->peer) % m->count + m->count) % m->count]
                  : NONE;
}

bool members_are_ends(const Program *p, const Work *a, const Work *b) {
    return work_is_message(a) && work_is_message(b) && a->kind != b->kind &&
           work_attr(p, a, 0) == work_attr(p, b, 0);
}

int members_message_count_at(const Program *p, const Work *w, int peer) {
    return peer * MESSAGE_COUNTS + (int)(work_attr(p, w, 0) % MESSAGE_TAGS) * 2 + work_is_send(w);
}
