// SPDX-License-Identifier: MIT
// Watches a sweep that takes long: a line of progress on a terminal, with time left, and Ctrl-C,
// which ends the simulation but not the program, so that rows that are done are kept.
#ifndef PROGRAMS_SIM_WATCH_H
#define PROGRAMS_SIM_WATCH_H

#include "core/cli/log.h"
#include "sim/simulate.h"

#include <pthread.h>

// At most one may be in use. The sizes of a sweep weigh as the messages of their collectives.
typedef struct {
    Progress progress;
    Log *log;        // borrowed; its other lines clear the progress line first
    double all;      // weight of all rows
    double before;   // of the rows that have ended
    double current;  // of the row that is simulated
    int64_t start_ns;
    SimulateWatch simulation;  // for SimSetting
    // A plan is made without a word to the watch: a thread shows that, on a terminal.
    pthread_t thread;
    pthread_cond_t end;
    pthread_mutex_t lock;  // guards what follows, `before`, `current`, and all shown in a row
    bool threaded, ended;
    bool plans;  // no operation of the row was simulated yet
} SimWatch;

// From now on SIGINT and SIGTERM stop a watched simulation; the second one ends the program, and so
// does the first before anything was simulated. With `count` 0 the work has no sizes.
void sim_watch_start(SimWatch *w, Log *log, bool quiet, const int64_t *sizes, int count);

void sim_watch_row(SimWatch *w,
                   int64_t ranks);  // the row of this size begins; the one before ended
// Of work without sizes: what it does now; and from now on Ctrl-C does not end the program at once,
// whoever asks sim_watch_interrupted() does.
void sim_watch_note(SimWatch *w, const char *note);
void sim_watch_keeps(SimWatch *w);
void sim_watch_share(SimWatch *w, double share);  // of work without sizes: so much is done
void sim_watch_clear(SimWatch *w);                // before a row is printed
bool sim_watch_interrupted(void);

// Progress and signals are as before.
void sim_watch_end(SimWatch *w);

#endif
