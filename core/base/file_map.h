// SPDX-License-Identifier: MIT
// A file as memory that is read only: pages come from the disk when they are touched, so that a
// file may be larger than the memory.
#ifndef CORE_BASE_FILE_MAP_H
#define CORE_BASE_FILE_MAP_H

#include "core/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const uint8_t *bytes;  // `length` of them; NULL when the file is empty
    size_t length;
} FileMap;

// Map a regular file. What others write to it shows; who makes it shorter meanwhile ends the
// process that reads there. ERR_INPUT: path and reason.
Status file_map(FileMap *out, const char *path) MUST_USE;
void file_unmap(FileMap *f);  // safe on a zeroed one

#endif
