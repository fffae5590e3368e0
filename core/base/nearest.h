// SPDX-License-Identifier: MIT
// The known word that a mistyped one was probably meant to be: the smallest number of letters
// inserted, removed, replaced or swapped with their neighbour (optimal string alignment).
#ifndef CORE_BASE_NEAREST_H
#define CORE_BASE_NEAREST_H

// Set `word`, leave the rest zero, offer every known word, read `best`.
typedef struct {
    const char *word;  // borrowed, as the words offered
    const char *best;  // NULL when nothing offered is near
    int distance;      // of best
} Nearest;

// A word is near when at most one letter in three is wrong, or when it begins with all of `word`
// (three letters or more). Of equally near ones the first offered stays.
void nearest_offer(Nearest *n, const char *candidate);

#endif
