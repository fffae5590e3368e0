// SPDX-License-Identifier: MIT
// The ledger of predictions: a file of lines, one JSON object each. Every prediction is appended
// when it is made, with a hash of all that it depends on, so that it can be told afterwards whether
// the prediction was there before the run that it predicts. Format: docs/formats.md, "Predictions".
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include "sim/predict.h"

// What a ledger says about one prediction, and which of its lines could not be read.
typedef struct {
    char made[CLOCK_TEXT];   // when it was first made, UTC in ISO 8601; empty: it is not there
    int skipped;             // lines that are no JSON object, such as one cut off by a full disk
    int first_skipped_line;  // counted from 1; 0: none
} LedgerEntry;

// Append a line, on a line of its own even where the last one was cut off. ERR_IO when the file
// cannot be written: path and reason.
Status ledger_append(const char *path, const Prediction *p, const char *platform, int argc,
                     const char *const argv[]) MUST_USE;

// Look for the first prediction of these inputs. A file that does not exist, or is a device or a
// pipe, holds nothing; lines of other schemas are passed over. ERR_FORMAT for a prediction with a
// member missing or malformed: file, line, member; ERR_IO when the file cannot be read.
Status ledger_find(LedgerEntry *out, const char *path, uint64_t inputs) MUST_USE;

#endif
