// SPDX-License-Identifier: MIT
// Before the first step ranks compare what they are about to issue to each other: the collectives
// of every group, and the messages of every pair. Ranks of different programs pass as long as they
// fit; what does not is refused by rank, group and operation.
//
//     for (bool more = true; more;) {
//         TRY(agreement_bring(&a));         // in serial: of all ranks, before any looks
//         TRY(agreement_look(&a, &more));
//     }
#ifndef PARALLEL_RUN_AGREEMENT_H
#define PARALLEL_RUN_AGREEMENT_H

#include "core/plan/program.h"
#include "parallel/comm/comm.h"

// What a rank brings to one exchange.
typedef struct {
    uint64_t hash[2];
    char text[2][96];
} AgreementWord;

// What is compared, of a group at a time; the last three find what differs, and between whom.
typedef enum {
    AGREEMENT_TABLES,
    AGREEMENT_GROUP,
    AGREEMENT_COLLECTIVE,
    AGREEMENT_DISTANCE,
    AGREEMENT_MESSAGE
} AgreementPhase;

typedef struct {
    Comm *comm;
    const Program *program;
    AgreementPhase phase;
    int group, distance, item;
    int one, other;  // ranks that differ; of messages: who sends, who receives
    AgreementWord all[COMM_RANKS];
} Agreement;

void agreement_init(Agreement *a, Comm *comm, const Program *p);
Status agreement_bring(Agreement *a) MUST_USE;  // one exchange between all ranks
// ERR_PLAN when two ranks differ; *more: there is more to compare.
Status agreement_look(Agreement *a, bool *more) MUST_USE;

#endif
