// SPDX-License-Identifier: MIT
// The figures of sim's tables that have no reports: what a figure needs of line, job and machine.
#ifndef PROGRAMS_SIM_FIGURES_H
#define PROGRAMS_SIM_FIGURES_H

#include "programs/sim_internal.h"
#include "viz/figures.h"

// The options of --plot, of devices of that machine, which is borrowed.
FigureOptions sim_figures_options(const Sim *s, const Machine *m);

// A job as a figure names it: a report that knows what is run on which machine and, of its times,
// the median step. In the arena, borrowing from both. ERR_MEMORY.
Status sim_figures_run(Report *out, Arena *a, const SimJob *job, const Machine *m,
                       double step_ms) MUST_USE;

// The directory of --plot, before the work: ERR_IO says that it cannot be written. OK without it.
Status sim_figures_check(const Sim *s) MUST_USE;

// The roofline of the last row, of devices; nothing for other rows. ERR_IO; ERR_MEMORY.
Status sim_figures_roofline(const Sim *s, const FigureOptions *o, FigureNotes *notes) MUST_USE;

// After the last figure, of which `status` came: what earlier runs left is removed, and the notes
// are shown. `status`, or ERR_IO.
Status sim_figures_end(const Sim *s, const FigureOptions *o, FigureNotes *n,
                       Status status) MUST_USE;

#endif
