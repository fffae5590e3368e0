// SPDX-License-Identifier: MIT
// What the files of a search share: advise.c lists candidates, advise_search.c looks for the best.
#ifndef SIM_ADVISE_INTERNAL_H
#define SIM_ADVISE_INTERNAL_H

#include "sim/advise.h"
#include "sim/advise_memory.h"

typedef struct {
    Advice *out;
    const AdviseAsk *ask;
    int most;  // points
    EstimateModel model;
    ShortBlocks blocks;
    AdvisePiece *pieces;  // in the arena, as piece_of() has them
    // The round that is simulated: points from `first` on, or finalists by their whole plans.
    int first;
    const int *finalists;  // candidates; NULL: the former
    int improved;          // the best when its neighbours were simulated
    int rounds;            // of estimated candidates
    int confirmed;         // whole plans of finalists
} Search;

// Simulate those that are estimated to be the best, and what is near the best of these.
Status advise_search(Search *search) MUST_USE;

// Whoever reads *out meanwhile waits.
void advise_hold(const Search *search);
void advise_let_go(const Search *search);

void advise_note_why(Advice *v, AdviseFate fate, const char *why);

#endif
