// SPDX-License-Identifier: MIT
// What the files of --collective share: sim_collective.c prints, sim_collective_plot.c draws.
#ifndef PROGRAMS_SIM_COLLECTIVE_INTERNAL_H
#define PROGRAMS_SIM_COLLECTIVE_INTERNAL_H

#include "programs/sim_collective.h"
#include "sim/nccl_model.h"
#include "sim/nccl_table.h"

// One table. Everything is borrowed.
typedef struct {
    const Machine *machine;
    NcclCall call;              // of any size
    const IntList *sizes;       // in bytes
    const NcclTable *measured;  // NULL: none; else its sizes count
} CollectivePlot;

// The figure of --plot. ERR_USAGE as nccl_price(); ERR_IO, ERR_MEMORY.
Status sim_collective_plot(const Sim *s, const CollectivePlot *p) MUST_USE;

#endif
