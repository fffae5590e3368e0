// SPDX-License-Identifier: MIT
// Ctrl-C, SIGTERM, and the end of a terminal (SIGHUP): each asks train to stop and to keep what was
// done until then.
#ifndef PROGRAMS_TRAIN_INTERRUPT_H
#define PROGRAMS_TRAIN_INTERRUPT_H

#include <stdatomic.h>
#include <stdbool.h>

// What train is doing, for what it answers. Before training there is nothing to keep: the first
// signal ends it at once. Afterwards the first asks and the second does not wait.
typedef enum {
    TRAIN_PREPARES,
    TRAIN_TRAINS,
    TRAIN_GENERATES,
    TRAIN_DRAWS,
    TRAIN_CALIBRATES,
    TRAIN_ADVISES
} TrainPhase;
void train_interrupt_phase(TrainPhase p);

// From now on. A signal that was ignored when train started (nohup, a background job) stays so.
void train_interrupt_catch(void);

// How many signals there were; written by the handler.
const atomic_int *train_interrupt_count(void);

// Was there one in this phase?
bool train_interrupt_now(void);

#endif
