// SPDX-License-Identifier: MIT
// What the files of --collective share: sim_collective.c asks the model, sim_collective_table.c
// prints, sim_collective_plot.c draws.
#ifndef PROGRAMS_SIM_COLLECTIVE_INTERNAL_H
#define PROGRAMS_SIM_COLLECTIVE_INTERNAL_H

#include "programs/sim_collective.h"
#include "sim/nccl_model.h"
#include "sim/nccl_table.h"

// One size of a table.
typedef struct {
    int64_t bytes, count;  // count: floats as nccl-tests counts them, of what one rank brings to an
                           // all-gather, gets of a reduce-scatter, or sends to each other rank
    NcclPrice price;
    double us, algbw, busbw;                    // us and GB/s
    double measured_us, measured_busbw, error;  // NaN where nothing was measured
} SheetRow;

// One table: a collective on so many devices.
typedef struct {
    const Machine *machine;
    CollectiveKind kind;
    int32_t ranks, nodes;
    const NcclTable *measured;  // NULL: none
    NcclAlgorithm algorithm;
    NcclProtocol protocol;
    const char *refused;  // why it has no rows; NULL: it has
    int row_count;
    SheetRow *rows;        // in the arena
    double errors, worst;  // sums over rows: absolute, and that which is furthest off
    int64_t worst_bytes;
} Sheet;

// The table as text, in lines of that width where its columns can be made to fit.
void sim_collective_table(const Sheet *s, int width);

// What a figure shows. Everything is borrowed.
typedef struct {
    const Machine *machine;
    NcclCall call;              // of any size
    const IntList *sizes;       // in bytes
    const NcclTable *measured;  // NULL: none; else its sizes count
} CollectivePlot;

// The figure of --plot. ERR_USAGE as nccl_price(); ERR_IO, ERR_MEMORY.
Status sim_collective_plot(const Sim *s, const CollectivePlot *p) MUST_USE;

#endif
