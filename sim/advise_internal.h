// SPDX-License-Identifier: MIT
// What the files of a search share: advise.c lists candidates, advise_search.c looks for the best.
#ifndef SIM_ADVISE_INTERNAL_H
#define SIM_ADVISE_INTERNAL_H

#include "sim/advise.h"
#include "sim/advise_estimate.h"
#include "sim/advise_short.h"

typedef struct {
    Advice *out;
    const AdviseAsk *ask;
    Arena *arena;
    EstimateModel model;
    ShortBlocks blocks;
    struct AdviseUnit *units;  // in the arena
    const int *round;          // candidates that are simulated now,
    bool whole;                // each by its own plan?
} Search;

// Bounds, short plans, and simulations of those that may be the best.
Status advise_search(Search *search) MUST_USE;

// Whoever reads *out meanwhile waits.
void advise_hold(const Search *search);
void advise_let_go(const Search *search);

void advise_note_why(Advice *v, AdviseFate fate, const char *why);

#endif
