// SPDX-License-Identifier: MIT
// The command line of `sim`.
#ifndef PROGRAMS_SIM_OPTIONS_H
#define PROGRAMS_SIM_OPTIONS_H

#include "core/base/option.h"

// Values as the table in sim_options.c fills them.
typedef struct {
    const char *trace, *platform, *report;
    IntList ranks;
    bool print_plan, json, verbose, version, no_view;
} SimOptions;

extern const OptionTable sim_options;

#endif
