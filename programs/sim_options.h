// SPDX-License-Identifier: MIT
// The command line of `sim`.
#ifndef PROGRAMS_SIM_OPTIONS_H
#define PROGRAMS_SIM_OPTIONS_H

#include "programs/job_options.h"

// Values as the table in sim_options.c fills them.
typedef struct {
    JobValues job;
    const char *trace, *platform, *link, *compare, *report, *plot, *predictions, *log;
    double dilate;
    IntList ranks, gpus;
    int print_plan, color, verbose;
    bool point, json, csv, plain, preview, require_plot, quiet, version, no_view;
} SimOptions;

extern const OptionTable sim_options;

#endif
