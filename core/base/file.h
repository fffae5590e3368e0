// SPDX-License-Identifier: MIT
// Files read whole, and files that appear under their name only when they are complete.
#ifndef CORE_BASE_FILE_H
#define CORE_BASE_FILE_H

#include "core/base/arena.h"

#include <stdbool.h>
#include <stdio.h>

// Read a file, plain or gzip (by content), into the arena, with a terminator after *length bytes.
// "-" is standard input. ERR_INPUT when it cannot be read: path and reason; also for more than 2
// GiB after unpacking, or for more than `most` bytes.
Status file_read(char **out, size_t *length, Arena *a, const char *path) MUST_USE;
Status file_read_most(char **out, size_t *length, Arena *a, size_t most, const char *path) MUST_USE;

enum { FILE_PARTIAL = 4300 };  // bytes of a path with what file_partial() appends

// A file in the making. It gets its name from file_commit(); until then it has none (where the file
// system does not allow that, one beside it that ends in .partial), so that nothing is left
// however the process ends. A link stays and gets its contents, an old file its mode. A path that
// ends in .gz is compressed; "-" is standard output; a pipe or device is written to directly.
typedef struct {
    FILE *stream;  // write here
    char path[4096], temporary[FILE_PARTIAL];
    bool is_new, unnamed;  // is_new: a file that gets the name `path`, open as `file`
    int file;
} OutputFile;

// Could a file be written there? Nothing new remains, and nothing that exists is touched: a pipe is
// not opened, because its reader would see it end. ERR_IO: path and reason.
Status file_check(const char *path) MUST_USE;

// ERR_IO: path and reason. A place that cannot be written to fails here, before the work is done.
Status file_create(OutputFile *f, const char *path) MUST_USE;

// Flush, check, give it its name. ERR_IO leaves nothing new behind.
Status file_commit(OutputFile *f) MUST_USE;

// Why a stream could not be written, for a message. error 0: an earlier write failed, and nobody
// kept its errno.
const char *file_write_reason(int error);

// Give up: nothing new remains. Safe after commit and on a zeroed file.
void file_discard(OutputFile *f);

// A name beside a file, for what becomes it: PATH.HOST.PID-START-NUMBER.partial, of this host and
// this process, which was started START ticks after the machine. `number` tells several apart.
// ERR_IO when it is too long.
Status file_partial(char out[FILE_PARTIAL], const char *path, int number) MUST_USE;

// Remove such files in the folder of `path` whose names begin with the first `length` bytes of its
// own, and whose process on this host has ended, whether or not its parent has collected it and
// another process has its number. ERR_IO: the folder cannot be read.
Status file_sweep(const char *path, size_t length) MUST_USE;

// The file that a chain of symbolic links ends at, whether it exists or not; of a pipe, a device or
// a directory the path itself. In the arena. ERR_IO.
Status file_resolve(const char **out, Arena *a, const char *path) MUST_USE;

// The folder of a path, without the last '/'; and, so that a new name in it lasts, put it on disk.
enum { FILE_FOLDER = 4096 };
void file_folder(char out[FILE_FOLDER], const char *path);
Status file_sync_folder(const char *path) MUST_USE;

// A directory and its parents; fine when it exists and is writable. ERR_IO: path and reason.
Status file_make_directory(const char *path) MUST_USE;

#endif
