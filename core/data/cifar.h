// SPDX-License-Identifier: MIT
// CIFAR-10's binary version (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images",
// 2009; www.cs.toronto.edu/~kriz/cifar.html): records of 3,073 bytes, a label of 0 to 9 and 32 x 32
// pixels of red, then of green, then of blue, row by row.
#ifndef CORE_DATA_CIFAR_H
#define CORE_DATA_CIFAR_H

#include "core/data/dataset.h"

enum { CIFAR_SIDE = 32, CIFAR_CHANNELS = 3, CIFAR_CLASSES = 10 };
enum { CIFAR_IMAGE = CIFAR_CHANNELS * CIFAR_SIDE * CIFAR_SIDE, CIFAR_RECORD = 1 + CIFAR_IMAGE };

// A directory with data_batch_1.bin to data_batch_5.bin, which train, and test_batch.bin, which
// tests; or one such file, which is split. Files are mapped, or unpacked into the arena where they
// are packed. dataset_finish() closes what is open, after an error too. ERR_INPUT when a file is
// missing; ERR_FORMAT with file, byte offset, expected and found.
Status cifar_open(Dataset *out, Arena *a, const char *path) MUST_USE;

#endif
