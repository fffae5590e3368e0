// SPDX-License-Identifier: MIT
// What the files share that print a sweep: sim_sweep.c has the title and the table of steps,
// sim_parts.c where the steps go, sim_rows.c what programs read.
#ifndef PROGRAMS_SIM_SWEEP_INTERNAL_H
#define PROGRAMS_SIM_SWEEP_INTERNAL_H

#include "core/base/status.h"
#include "programs/sim_sweep.h"
#include "programs/sweep_phrases.h"

// Of row i, and against the first row.
double sweep_samples_per_s(const Prediction *p);
double sweep_speed_up(const Sweep *s, int i);
double sweep_efficiency(const Sweep *s, int i);

// An efficiency below this is not that of steps of equal length; and the part of the step that it
// was lost to, or NONE.
#define SWEEP_WHOLE (1 - 1e-6)
int sweep_lost_part(const Sweep *s, int i);

// Decimals for all times, so that the first row's step shows four digits or more.
int sweep_decimals(const Sweep *s);

// What a part of a step is called in the tables: a TimeCategory or REPORT_LAUNCH.
const char *sweep_part_name(const Sweep *s, int part);

// Does any row communicate?
bool sweep_communicates(const Sweep *s);

// The table of where the steps go; -v: the operations of the last row's step. ERR_MEMORY.
Status sweep_print_parts(const Sweep *s, Arena *a) MUST_USE;
Status sweep_print_operations(const Sweep *s, Arena *a) MUST_USE;

// -v: the links, of the last row, where messages go one by one. ERR_MEMORY.
Status sweep_print_links(const Sweep *s, Arena *a) MUST_USE;

// --csv and --plain: what comes first, and row i.
void sweep_print_csv_heads(void);
void sweep_print_csv_row(const Sweep *s, int i);
void sweep_print_plain_heads(void);
void sweep_print_plain_row(const Sweep *s, int i);

#endif
