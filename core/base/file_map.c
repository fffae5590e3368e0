// SPDX-License-Identifier: MIT
// Mapping regular files with mmap(2).
#include "core/base/file_map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static Status map(FileMap *out, int fd, const char *path) {
    struct stat s;
    if (fstat(fd, &s) != 0) FAIL(ERR_INPUT, "%s: %s", path, strerror(errno));
    if (!S_ISREG(s.st_mode))
        FAIL(ERR_INPUT, "%s: expected a regular file, found %s", path,
             S_ISDIR(s.st_mode) ? "a directory" : "a pipe or device");
    out->length = (size_t)s.st_size;
    if (!out->length) return OK;
    void *bytes = mmap(NULL, out->length, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) FAIL(ERR_INPUT, "%s: cannot be mapped: %s", path, strerror(errno));
    out->bytes = bytes;
    return OK;
}

Status file_map(FileMap *out, const char *path) {
    *out = (FileMap){0};
    // A pipe without a writer would be waited for.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) FAIL(ERR_INPUT, "%s: %s", path, strerror(errno));
    Status s = map(out, fd, path);
    close(fd);  // the mapping stays
    return s;
}

void file_unmap(FileMap *f) {
    if (f->bytes) munmap((void *)f->bytes, f->length);
    *f = (FileMap){0};
}
