// SPDX-License-Identifier: MIT
// What the files of --advise share: sim_advise.c searches and prints, sim_advise_plot.c draws.
#ifndef PROGRAMS_SIM_ADVISE_INTERNAL_H
#define PROGRAMS_SIM_ADVISE_INTERNAL_H

#include "programs/sim_change.h"
#include "sim/advise.h"

// The figure of --plot, if it is asked for: `line` is what was asked. ERR_IO; ERR_MEMORY.
Status sim_advise_plot(const Sim *s, const SimChange *line, const Advice *v) MUST_USE;

#endif
