// SPDX-License-Identifier: MIT
// What a search for the best division says (sim/advise.h), for a person or as JSON: the best first,
// then what one option more or less would change, then why the others are not there.
#ifndef PROGRAMS_ADVISE_PRINT_H
#define PROGRAMS_ADVISE_PRINT_H

#include "sim/advise.h"

// Borrowed.
typedef struct {
    Advice *searches;  // each on another number of ranks
    int count;
    const char *machine;
    bool devices;          // ranks have devices; else they share the host
    int64_t memory_bytes;  // of a device, or of the host; 0: not known
    // The command that gives the job, to which the advised options belong; NULL: they stand alone.
    const char *const *words;
    int word_count;
    bool partial;  // the last search has not ended
} AdvisePrint;

// One candidate of one search; NULL: there is none.
typedef struct {
    const Advice *of;
    int candidate;
} AdviseChoice;

// Of all searches the fastest that fits.
AdviseChoice advise_print_best(const AdvisePrint *p);

// Combinations of all searches, and those with a fate, as last counted.
int advise_print_combinations(const AdvisePrint *p);
int advise_print_fates(const AdvisePrint *p, int fate);

// On standard output. ERR_MEMORY.
Status advise_print(const AdvisePrint *p, Arena *a, bool json) MUST_USE;

// Is there a best? If not, ERR_USAGE with what to try.
Status advise_print_end(const AdvisePrint *p) MUST_USE;

// ERR_INTERRUPTED, with how far the searches came.
Status advise_print_interrupted(const AdvisePrint *p) MUST_USE;

// "short plans, 32 of 410; best 23.4 ms": a line of progress.
void advise_print_progress(char *out, size_t size, const AdviseProgress *p);

#endif
