// SPDX-License-Identifier: MIT
// A command line of sim with something changed: options of the job or the machine, as one more word
// of the line each, or numbers of the platform by a factor. What it asks for is read by the code
// that reads any other line.
#ifndef PROGRAMS_SIM_CHANGE_H
#define PROGRAMS_SIM_CHANGE_H

#include "programs/sim_internal.h"

enum { SIM_CHANGE_VALUES = 8 };  // that one line may change

// One of them: "bandwidth" and "x2", or "dtype" and "bf16". Borrowed.
typedef struct {
    const char *key, *value;
} SimValue;

// The line that results. Everything is in the arena that it is made with.
typedef struct {
    SimOptions o;
    OptionLine line;
    Sim sim;
    SimJob job;  // on its one number of devices
} SimChange;

// Is there such an option of the job or the machine, or such a number, and can it have this value?
// ERR_USAGE, with `option` ("--what-if") in front, says what may be given.
Status sim_change_check(const Sim *s, Arena *a, const char *option, const SimValue *v) MUST_USE;

// The line of `s` with the values, and with --point where `point`, which must be one number of
// devices: its job, its machine, and the setting for predict_job(), without a hash of its inputs.
// Several threads that have an arena each may call it. ERR_USAGE, also where the job does not suit
// the devices; ERR_INPUT, ERR_FORMAT.
typedef struct {
    const SimValue *values;
    int count;
    bool point;
    const char *option;  // that asks for it, for messages
} SimChangeAsk;
Status sim_change_make(SimChange *out, Arena *a, const Sim *s, const SimChangeAsk *ask) MUST_USE;

// The option, but for "overlap" of --no-overlap; NULL: there is none, or it is no option of the job
// or the machine.
const Option *sim_change_option(const char *key);

#endif
