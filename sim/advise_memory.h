// SPDX-License-Identifier: MIT
// About how much memory a divided job takes on a device. What the cut model takes for one row is
// planned, for as few ranks as the cuts need; how stages, micro-batches and ZeRO change that is a
// closed form. Good for an order in which to simulate, not for an answer.
#ifndef SIM_ADVISE_MEMORY_H
#define SIM_ADVISE_MEMORY_H

#include "sim/advise_estimate.h"
#include "sim/advise_short.h"
#include "sim/job.h"

// One way to cut the model: degrees, and whether ranks along context share experts.
typedef struct {
    int tensor, context, experts;
    bool wide;
} AdviseCut;

// What is left of it.
typedef struct {
    bool wanted;                              // the caller's
    bool divides;                             // can the model be cut so at all?
    char why[STATUS_TEXT];                    // if not
    double parameters, gradients, optimiser;  // bytes of a rank
    double row_bytes[RECOMPUTE_COUNT];        // all else, of one row; 0: not planned
} AdvisePiece;

// The job on as few ranks as the cut needs, with a row each and no pipeline. Bit r of `recomputes`:
// plan Recompute r. Of many equal `blocks` a few are planned, since each takes the same. Errors
// that come from cutting are put down in out->why; ERR_MEMORY is returned.
Status advise_piece_plan(AdvisePiece *out, const SimJob *job, const AdviseCut *cut,
                         uint32_t recomputes, const ShortBlocks *blocks) MUST_USE;

// On the device that needs most.
double advise_piece_bytes(const AdvisePiece *p, const EstimateModel *m, const JobSpec *s);

#endif
