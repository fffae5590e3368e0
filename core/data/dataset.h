// SPDX-License-Identifier: MIT
// Labelled images in memory, and where they come from.
#ifndef CORE_DATA_DATASET_H
#define CORE_DATA_DATASET_H

#include "core/base/arena.h"

#include <stdint.h>

// Images are bytes, row-major, one after the other; labels 0 … classes-1.
typedef struct {
    const uint8_t *images;  // in the arena: count * height * width
    const uint8_t *labels;  // in the arena: count
    int64_t count;
    int height, width, classes;
    int64_t train_count;  // of data that come split: the first so many train; 0: not split
    const char *source;   // "digits:count=12000,seed=1", or the directory
} Dataset;

// Read a dataset: "digits[:count=,seed=]" (made here), a directory with the MNIST files (IDX, plain
// or .gz: train-images-idx3-ubyte … and/or t10k-…), or an images file beside its labels file.
// ERR_INPUT when missing; ERR_FORMAT with file, byte offset, expected and found.
Status dataset_read(Dataset *out, Arena *a, const char *spec) MUST_USE;

// The same for who needs no pixels (a plan, a timed run): digits are not drawn, and have no images
// and labels (NULL). Files are read, and refused, as above.
Status dataset_describe(Dataset *out, Arena *a, const char *spec) MUST_USE;

// Which rows train and which test, in the arena.
typedef struct {
    int32_t *train, *test;
    int64_t train_count, test_count;
} Split;

// A seeded permutation with `test_fraction` (rounded to whole rows) for testing, unless the data
// come split. ERR_USAGE when none would be left for training.
Status dataset_split(Split *out, Arena *a, const Dataset *d, double test_fraction,
                     uint64_t seed) MUST_USE;

#endif
