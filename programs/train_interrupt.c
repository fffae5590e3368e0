// SPDX-License-Identifier: MIT
// A signal handler has nothing to write to but variables of the program, and may run while ranks
// that are threads read them: both are lock-free atomics.
#include "programs/train_interrupt.h"

#include "core/base/status.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler may use lock-free atomics only");

static atomic_int signals_seen, signals_before, phase;

static const char *const answers[] = {
    [TRAIN_PREPARES] = "interrupted before training began\n",
    [TRAIN_TRAINS] = "stopping after this step; Ctrl-C again stops at once\n",
    [TRAIN_GENERATES] = "stopping after this token; Ctrl-C again stops at once\n",
    [TRAIN_DRAWS] = "stopping the drawing; Ctrl-C again stops at once\n",
    [TRAIN_CALIBRATES] = "stopping the calibration; Ctrl-C again stops at once\n",
    [TRAIN_ADVISES] = NULL};

// The progress line, and the terminal's ^C, leave a line open. Nobody may be there to be told.
static void answer(const char *text) {
    char line[128] = "";
    if (isatty(STDERR_FILENO)) strcat(line, "\n");
    if (text) strcat(strcat(line, "train: "), text);
    if (write(STDERR_FILENO, line, strlen(line)) < 0) {
    }
}

// The ranks die with this process where it does not wait for them.
static void on_interrupt(int signal_number) {
    int error = errno, before = atomic_fetch_add(&signals_seen, 1);
    answer(before ? NULL : answers[phase]);
    if (before || phase == TRAIN_PREPARES) _exit(status_exit(ERR_INTERRUPTED));
    errno = error;
}

void train_interrupt_catch(void) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (int i = 0; i < 3; i++) {
        struct sigaction action = {.sa_handler = on_interrupt}, before;
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

void train_interrupt_phase(TrainPhase p) {
    signals_before = atomic_load(&signals_seen);
    phase = p;
}

const atomic_int *train_interrupt_count(void) { return &signals_seen; }

bool train_interrupt_now(void) { return signals_seen > signals_before; }
