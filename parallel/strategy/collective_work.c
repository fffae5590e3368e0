// SPDX-License-Identifier: MIT
// Kind, algorithm, members and elements of the collective that a communication asks for.
#include "parallel/strategy/collective_work.h"

static const CollectiveKind kinds[KIND_COUNT] = {
    [KIND_ALL_REDUCE] = COLLECTIVE_ALL_REDUCE, [KIND_REDUCE_SCATTER] = COLLECTIVE_REDUCE_SCATTER,
    [KIND_ALL_GATHER] = COLLECTIVE_ALL_GATHER, [KIND_BROADCAST] = COLLECTIVE_BROADCAST,
    [KIND_REDUCE] = COLLECTIVE_REDUCE,         [KIND_SCATTER] = COLLECTIVE_SCATTER,
    [KIND_GATHER] = COLLECTIVE_GATHER,         [KIND_ALL_TO_ALL] = COLLECTIVE_ALL_TO_ALL,
    [KIND_BARRIER] = COLLECTIVE_BARRIER,       [KIND_ALL_TO_ALL_V] = COLLECTIVE_ALL_TO_ALL,
};

Collective collective_work_collective(const Program *p, const Work *w) {
    int64_t bytes = w->kind == KIND_ALL_GATHER ? w->write_bytes : w->payload_bytes;
    if (w->kind == KIND_SCATTER || w->kind == KIND_GATHER) bytes *= p->groups[w->group].size;
    const bool several = kind_cuts(work_kind(w)) && w->attr_count;
    return (Collective){.kind = kinds[w->kind],
                        .algorithm = (Algorithm)w->algorithm,
                        .ranks = p->groups[w->group].size,
                        .root = w->peer,
                        .elements = bytes / dtype_bytes((Dtype)w->dtype),
                        .unit = w->unit,
                        .sizes = several ? &p->attrs[w->attr_first] : NULL,
                        .size_count = several ? w->attr_count : 0};
}

Status collective_work_lower(ProgramSet *s, const DeviceTraits *traits) {
    for (int k = 0; k < s->count; k++) {
        Program *p = &s->programs[k];
        for (int i = 0; i < p->work_count; i++) {
            Work *w = &p->works[i];
            if (!work_communicates(w) || work_is_message(w)) continue;
            const Collective c = collective_work_collective(p, w);
            if (collective_validate(&c) != OK)
                FAIL(ERR_PLAN, "%s: %s", program_name(p, w->name), status_message());
            w->work_bytes = collective_work_elements(&c) * dtype_bytes((Dtype)w->dtype);
        }
    }
    return program_set_lower(s, traits);
}
