// SPDX-License-Identifier: MIT
// One invocation of sim, shared by the files that it is made of.
#ifndef PROGRAMS_SIM_INTERNAL_H
#define PROGRAMS_SIM_INTERNAL_H

#include "core/cli/log.h"
#include "programs/sim_options.h"
#include "programs/sim_watch.h"
#include "programs/spread.h"
#include "sim/predict.h"

typedef struct SimWhatIf SimWhatIf;  // a column of --what-if (programs/sim_what_if.c)

// One invocation.
typedef struct {
    const SimOptions *o;
    const OptionLine *line;
    Arena *arena;
    Log *log;
    int argc;
    const char *const *argv;
    Recording recording;
    bool recorded;
    const char *platform, *link;  // of devices: as given, or as recorded; link NULL: the platform's
    double dilate, jitter;        // jitter: of devices; 0: none
    bool draws, apart;            // a replay's steps are drawn from the recorded ones; by each rank
    StepDraws step_draws;
    Machine machine;
    SimSetting setting;
    SimJob job;  // on its own number of ranks
    SimJob recorded_job;
    IntList sizes;  // numbers of ranks to simulate
    bool replay, strong;
    const Report *measured;  // to compare with
    int measured_count;
    SimJob *asked;         // of all sizes that can be made
    const char **refused;  // one a size: why there is no row; NULL: none is known
    SimJob *jobs;          // one a row
    Prediction *rows;      // the first `done` are there
    int done;
    SimWhatIf *changes;  // in the arena
    int change_count;
    bool ledger_noted;  // that it cannot be used
    SimWatch watch;
    MpiProcesses spread;
} Sim;

static inline bool sim_given(const Sim *s, const char *name) { return option_given(s->line, name); }

// Where no devices, ranks or recording are given: 8 devices, or those of the mesh.
void sim_request_default(SimOptions *o);

// What the command line asks for: recording, job, sizes, reports to compare with. `o` is what
// s->o points to, of which a plan file may set the ranks. ERR_USAGE, ERR_INPUT, ERR_FORMAT.
Status sim_request_read(Sim *s, SimOptions *o) MUST_USE;

// The reports of --compare alone. ERR_USAGE, ERR_INPUT, ERR_FORMAT.
Status sim_request_reports(Sim *s) MUST_USE;

// Is nothing asked for but the recorded run itself?
bool sim_request_is_replay(const Sim *s);

// The machine to simulate, and how ranks use it. ERR_USAGE, ERR_FORMAT.
Status sim_request_machine(Sim *s) MUST_USE;

// The job on `ranks`, by the options' word for the batch, or keeping the batch per rank. ERR_USAGE.
Status sim_request_job(SimJob *out, const Sim *s, int ranks) MUST_USE;

// The rows that are done as JSON: one report, or of a sweep a list. ERR_MEMORY.
Status sim_output_json(const Sim *s, FILE *out) MUST_USE;

// --report FILE. ERR_IO.
Status sim_output_report(const Sim *s) MUST_USE;

// The figures of --plot and --preview. ERR_IO; ERR_UNAVAILABLE without gnuplot, if it is required.
Status sim_output_figures(const Sim *s) MUST_USE;

// What to do next, for a person at a terminal.
void sim_output_suggest(const Sim *s);

#endif
