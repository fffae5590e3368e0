// SPDX-License-Identifier: MIT
// The handful of constants of NCCL's model that a machine file may set, found from measured tables:
// those that make the mean error of some rows least. The other rows say what the result is worth.
#ifndef SIM_NCCL_FIT_H
#define SIM_NCCL_FIT_H

#include "core/platform/machine.h"
#include "sim/nccl_model.h"
#include "sim/nccl_table.h"

// One table, and what was measured.
typedef struct {
    CollectiveKind kind;
    int32_t ranks, nodes;
    NcclTable table;
} NcclFitTable;

// Mean of |simulated / measured - 1| over rows; NaN for none.
typedef struct {
    double mean;
    int rows;
} NcclFitError;

typedef struct {
    NcclConstants constants;
    int free;                     // constants that were fitted
    NcclFitError fitted, others;  // of all tables, rows that were fitted and others
} NcclFit;

// Is row i fitted? Powers of two are; where a table has no other sizes, every second row.
bool nccl_fit_takes(const NcclTable *t, int i);

// Of rows of a table that were fitted, or of the others.
Status nccl_fit_error(NcclFitError *out, const NcclConstants *c, const NcclFitTable *t,
                      bool fitted) MUST_USE;

// The machine's own constants are where the search begins. It sets a latency, hops within nodes and
// the bandwidth of their bus from tables of one node, what small groups lose of it from tables of
// several group sizes, the ramp where all tables are of one node, hops and bandwidth across from
// tables of several nodes; never a bus faster than the machine's links. ERR_USAGE for a machine
// without constants, or tables of one rank.
Status nccl_fit(NcclFit *out, const Machine *m, const NcclFitTable *tables, int count) MUST_USE;

#endif
