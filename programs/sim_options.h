// SPDX-License-Identifier: MIT
// The command line of `sim`.
#ifndef PROGRAMS_SIM_OPTIONS_H
#define PROGRAMS_SIM_OPTIONS_H

#include "programs/job_options.h"

// A mark of options beside those of job_rows.h: on which machine; with it, a trace is not replayed.
enum { SIM_PLACE = 1 << 16 };

// How a host launches a device's operations; the words of --launch.
typedef enum {
    SIM_LAUNCH_PLATFORM,
    SIM_LAUNCH_EAGER,
    SIM_LAUNCH_AHEAD,
    SIM_LAUNCH_WAIT,
    SIM_LAUNCH_GRAPH
} SimLaunch;

// The words of --collective; the first: none is asked for.
#define SIM_COLLECTIVE_WORDS "no|all_reduce|all_gather|reduce_scatter|broadcast|all_to_all"

// Values as the table in sim_options.c fills them.
typedef struct {
    JobSpec job;
    const char *trace, *platform, *link, *compare, *report, *plot, *predictions, *log;
    const char *print_class;
    int64_t batch_per_rank, memory;  // memory: bytes; 0: the platform's
    double dilate;
    double mtbf, checkpoint_s, restart_s;  // hours; 0: not given
    int64_t steps;                         // 0: not given
    IntList ranks, gpus;
    const char *sizes, *fit, *out;   // of --collective; of --fit
    const char *what_if;             // KEY=VALUE,..
    const char *straggler, *jitter;  // RANK=FACTOR,..; CV or recorded
    const char *sweep;               // KEY=A,B,..
    const char *topology;            // of NCCL, in XML
    int collective, network, nccl_algorithm, nccl_protocol, print_plan, color, verbose;
    int launch;   // SimLaunch
    int threads;  // 0: as many as cores
    bool hierarchical;
    bool print_memory, print_mesh, explain, point, critical_path, sensitivity, advise, json, csv,
        plain, preview, require_plot;
    bool quiet, version, no_view;
} SimOptions;

extern const OptionTable sim_options;

#endif
