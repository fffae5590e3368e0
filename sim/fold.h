// SPDX-License-Identifier: MIT
// Ranks that are alike are simulated once. Two ranks are alike if at any instant they do the same:
// they execute one program with the same costs, and each communication brings them together with
// ranks that are alike in turn, over as many nodes. Colours are refined until they say just that:
// ranks of different costs get different ones at first; then a colour is divided wherever the
// colours of members or the nodes of a group differ, or those of a message's other end, until
// nothing is divided any more (McKay, "Practical graph isomorphism", 1981: an equitable partition).
//
// One rank of each colour then stands for all. Where a collective is one flow over the ports of all
// its members, and each port carries one flow for each communication under way, the shares of
// flows of representatives are those of all flows, so that a folded simulation gives the same
// times, to the picosecond. Collectives that are simulated message by message are not folded: what
// a port then carries differs from member to member.
#ifndef SIM_FOLD_H
#define SIM_FOLD_H

#include "core/base/arena.h"
#include "sim/costs.h"
#include "sim/noise.h"
#include "sim/topology.h"

// The colours of a group's members, ascending.
typedef struct {
    const int32_t *colours;
    int count;
} FoldMembers;

// Arrays are in the arena.
typedef struct {
    int ranks, count;          // count: colours
    int32_t *colours;          // [ranks] numbered by their lowest rank
    int32_t *representatives;  // [count] the lowest rank of each colour
    int32_t *multiplicities;   // [count] its ranks
    FoldMembers *members;      // [colour * groups + group] where the plan has a collective
    int groups;
} Fold;

// What ranks are refined from. Ranks with equal pointers to costs are of one class.
typedef struct {
    const Costs *const *costs;  // per rank, of programs of one set
    int plan, ranks;
    int devices_per_node;  // rank r is on node r / devices_per_node; 0: nodes do not matter
    const Noise *noise;    // with which no two ranks are alike; NULL: none
} FoldInput;

// Takes time and a few bytes of scratch for each rank and its groups, not for each pair of ranks.
// Fails with ERR_MEMORY.
Status fold_init(Fold *f, Arena *a, const FoldInput *in) MUST_USE;

// Fold the ranks of a simulation on this network, in the arena, if that gives the same times. *out
// is NULL where all have to be simulated, and *why says why, to follow a colon; NULL: one rank.
Status fold_choose(const Fold **out, const char **why, Arena *a, const FoldInput *in,
                   const TopologyOptions *network) MUST_USE;

// Simulated ranks, which of them stands for a rank, and which rank the i-th is. Without a fold
// (NULL) each rank is simulated.
static inline int fold_count(const Fold *f, int ranks) { return f ? f->count : ranks; }
static inline int fold_index(const Fold *f, int rank) { return f ? f->colours[rank] : rank; }
static inline int fold_rank(const Fold *f, int i) { return f ? f->representatives[i] : i; }
static inline int fold_multiplicity(const Fold *f, int i) { return f ? f->multiplicities[i] : 1; }

// Those of the group that ranks of a colour are in: a group of members with these colours is the
// same to each of them.
static inline FoldMembers fold_members(const Fold *f, int colour, int group) {
    return f->members[(int64_t)colour * f->groups + group];
}

#endif
