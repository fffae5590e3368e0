// SPDX-License-Identifier: MIT
// Sets of IDX files: one pair of images and labels, or two, of which the second tests.
#ifndef CORE_DATA_IDX_SET_H
#define CORE_DATA_IDX_SET_H

#include "core/data/dataset.h"

// A directory, a directory and the first part of its files' names, or an images file
// (docs/formats.md, "Data sets"). What is open then is closed by dataset_finish(), after an error
// too. ERR_INPUT when missing; ERR_FORMAT with file, byte offset, expected and found.
Status idx_set_open(Dataset *out, Arena *a, const char *spec) MUST_USE;

#endif
