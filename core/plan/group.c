// SPDX-License-Identifier: MIT
// The members of a group along axes are numbers with one digit per axis that they vary along, the
// lowest axis first, which is rank order: strides grow with the axes.
#include "core/plan/group.h"

// Digits along an axis: all its positions, or those where the group lies.
static int digits(const Program *p, const Group *g, int axis) {
    return axis == g->at_axis ? g->at_count : p->axes[axis].size;
}

static int digit_position(const Program *p, const Group *g, int axis, int digit) {
    return axis == g->at_axis ? p->members[g->first + digit] : digit;
}

// The digit that stands for a position; NONE if the group does not lie there.
static int position_digit(const Program *p, const Group *g, int axis, int position) {
    if (axis != g->at_axis) return position;
    int low = 0, high = g->at_count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (p->members[g->first + middle] < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < g->at_count && p->members[g->first + low] == position ? low : NONE;
}

int group_size(const Program *p, int group) { return p->groups[group].size; }

int group_position(const Program *p, int group, int rank) {
    const Group *g = &p->groups[group];
    for (int i = 0; !g->axes && i < g->size; i++)
        if (p->members[g->first + i] == rank) return i;
    int position = 0, weight = 1;
    if (!g->axes) return NONE;
    for (int a = 0; a < p->axis_count; a++) {
        bool varies = g->axes >> a & 1;
        if (!varies && a != g->at_axis) continue;
        int digit = position_digit(p, g, a, axis_coordinate(&p->axes[a], rank));
        if (digit == NONE) return NONE;
        if (!varies) continue;
        position += digit * weight;
        weight *= digits(p, g, a);
    }
    return position;
}

int group_member(const Program *p, int group, int rank, int i) {
    const Group *g = &p->groups[group];
    if (!g->axes) return p->members[g->first + i];
    for (int a = 0; a < p->axis_count; a++) {
        if (!(g->axes >> a & 1)) continue;
        int count = digits(p, g, a), position = digit_position(p, g, a, i % count);
        rank += (position - axis_coordinate(&p->axes[a], rank)) * p->axes[a].stride;
        i /= count;
    }
    return rank;
}

int group_peer(const Program *p, int group, int rank, int distance) {
    int64_t size = group_size(p, group);
    int64_t across = ((int64_t)group_position(p, group, rank) + distance) % size;
    return group_member(p, group, rank, (int)(across < 0 ? across + size : across));
}
