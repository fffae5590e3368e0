// SPDX-License-Identifier: MIT
// sim --advise: how to divide a job over its devices (sim/advise.h), for a person or as JSON.
#ifndef PROGRAMS_SIM_ADVISE_H
#define PROGRAMS_SIM_ADVISE_H

#include "programs/sim_internal.h"

// Search and print. ERR_USAGE, where nothing fits, too, with the closest. After Ctrl-C the program
// ends here (programs/advise_guard.h).
Status sim_advise_print(Sim *s) MUST_USE;

#endif
