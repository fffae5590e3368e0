// SPDX-License-Identifier: MIT
// Pieces of work that do not depend on each other, spread over the cores that the process may use.
// The result is that of doing one after the other.
//
//     static Status lower_one(void *context, int i) { ... }
//     TRY(team_each(set->count, lower_one, set));
#ifndef CORE_BASE_TEAM_H
#define CORE_BASE_TEAM_H

#include "core/base/status.h"

// Piece i; called from several threads at once.
typedef Status (*TeamWork)(void *context, int i);

// Do pieces 0 .. count - 1 and return when all have ended. Of several errors that of the lowest
// piece is reported, as if those behind it had not begun. In a thread of a team, or after
// team_keep_alone(), the calling thread does everything.
Status team_each(int count, TeamWork work, void *context) MUST_USE;

// The calling thread is one of several that keep the cores busy already: it gets no helpers.
void team_keep_alone(void);

#endif
