// SPDX-License-Identifier: MIT
// Ctrl-C while a search goes on: what was found until then is printed, and the program ends without
// waiting for plans that are being made. A thread looks out for it.
#ifndef PROGRAMS_ADVISE_GUARD_H
#define PROGRAMS_ADVISE_GUARD_H

#include "core/cli/log.h"
#include "programs/advise_print.h"

#include <pthread.h>

// The caller fills in what stands before `lock`; the lock is held while the searches change.
typedef struct {
    AdvisePrint *print;  // its searches up to the count, the last of which goes on
    bool json;
    Log *log;
    bool (*interrupted)(void);
    pthread_mutex_t lock;
    pthread_t thread;
    bool ended;
} AdviseGuard;

Status advise_guard_start(AdviseGuard *g) MUST_USE;

// The searches have ended, and are the caller's to print. Does not return after Ctrl-C.
void advise_guard_end(AdviseGuard *g);

#endif
