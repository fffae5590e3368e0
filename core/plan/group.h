// SPDX-License-Identifier: MIT
// Who communicates, as a rank sees it: size, own position and members of a group, each by formula
// from the strides of the mesh, with no list over all ranks.
#ifndef CORE_PLAN_GROUP_H
#define CORE_PLAN_GROUP_H

#include "core/plan/program.h"

// Number of members; the same for all ranks.
int group_size(const Program *p, int group);

// Position of `rank` among the members of its group, or NONE if it is in none: the list leaves it
// out, or it is not at one of the positions where the group lies.
int group_position(const Program *p, int group, int rank);

// The absolute rank of member i, 0 <= i < size, of the group that `rank` is in.
int group_member(const Program *p, int group, int rank, int i);

// The member at the other end of a send or receive, `distance` places along the group from
// `rank` and around its end.
int group_peer(const Program *p, int group, int rank, int distance);

#endif
