// SPDX-License-Identifier: MIT
// Files read whole, and files that appear under their name only when they are complete.
#ifndef CORE_BASE_FILE_H
#define CORE_BASE_FILE_H

#include "core/base/arena.h"

#include <stdio.h>

// Read a file, plain or gzip (by content), into the arena, with a terminator after *length bytes.
// ERR_INPUT when it cannot be read: path and reason.
Status file_read(char **out, size_t *length, Arena *a, const char *path) MUST_USE;

// A file in the making: written beside its final name, moved there by file_commit(). A path that
// ends in .gz is compressed.
typedef struct {
    FILE *stream;         // write here
    char path[4096], temporary[4200];
} OutputFile;

Status file_create(OutputFile *f, const char *path) MUST_USE;  // ERR_IO: path and reason
Status file_commit(OutputFile *f) MUST_USE;                    // flush, check, rename; ERR_IO leaves nothing behind
void file_discard(OutputFile *f);                              // give up: nothing remains. Safe after commit and on a zeroed file

Status file_make_directory(const char *path) MUST_USE;         // and its parents; fine when it exists and is writable

#endif
