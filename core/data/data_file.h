// SPDX-License-Identifier: MIT
// A file of data as bytes: a plain file is mapped, so that it may be larger than the memory; one
// that is packed with gzip is unpacked into the arena.
#ifndef CORE_DATA_DATA_FILE_H
#define CORE_DATA_DATA_FILE_H

#include "core/base/arena.h"
#include "core/base/file_map.h"

typedef struct {
    const uint8_t *bytes;  // `length` of them; mapped, or in the arena
    int64_t length;        // unpacked
    FileMap map;           // zeroed: in the arena
} DataFile;

// ERR_INPUT when it cannot be read: path and reason.
Status data_file_open(DataFile *out, Arena *a, const char *path) MUST_USE;
void data_file_close(DataFile *f);  // safe on a zeroed one

#endif
