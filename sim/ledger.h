// SPDX-License-Identifier: MIT
// The ledger of predictions: a file of lines, one JSON object each, to which every prediction is
// appended when it is made, with a hash of all it depends on. So it can be told afterwards whether
// a prediction was there before the run that it predicts. Format: docs/formats.md, "Predictions".
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include "sim/predict.h"

// Append a line. ERR_IO when the file cannot be written: path and reason.
Status ledger_append(const char *path, const Prediction *p, const char *platform, int argc,
                     const char *const argv[]) MUST_USE;

// When a prediction of these inputs first stood in the file, UTC in ISO 8601 as CLOCK_TEXT holds
// it; empty when it does not, or when there is no file. ERR_FORMAT for a line that is none, ERR_IO
// when it cannot be read.
Status ledger_find(char made[CLOCK_TEXT], const char *path, uint64_t inputs) MUST_USE;

#endif
