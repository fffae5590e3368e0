// SPDX-License-Identifier: MIT
#include "core/base/file.h"

#include "core/base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { CHUNK = 1 << 20 };  // bytes asked of zlib at once

// A packed file can claim a thousand times its size, and a device never ends.
static const size_t FILE_MOST_BYTES = (size_t)2 << 30;

static bool is_standard(const char *path) { return strcmp(path, "-") == 0; }

// --- reading

// Everything that is left in z, on the heap: *data is the caller's even when this fails.
static Status read_all(char **data, size_t *length, gzFile z, size_t most, const char *name) {
    size_t capacity = 0;
    *length = 0;
    for (;;) {
        if (*length > most) {
            char size[UNITS_TEXT];
            FAIL(ERR_INPUT, "%s: more than %s%s; a file of this kind is smaller", name,
                 units_print_size(size, (int64_t)most), gzdirect(z) ? "" : " when unpacked");
        }
        if (capacity - *length < CHUNK) {
            capacity = capacity ? 2 * capacity : 2 * CHUNK;
            char *grown = realloc(*data, capacity);
            if (!grown) FAIL(ERR_MEMORY, "%s: out of memory after %zu bytes", name, *length);
            *data = grown;
        }
        int got = gzread(z, *data + *length, CHUNK);
        if (got > 0) {
            *length += (size_t)got;
            continue;
        }
        int error;
        const char *what = gzerror(z, &error);
        if (error == Z_ERRNO) FAIL(ERR_INPUT, "%s: %s", name, strerror(errno));
        if (error == Z_BUF_ERROR)
            FAIL(ERR_INPUT,
                 "%s: the compressed data end too early, after %zu bytes unpacked; copy it again",
                 name, *length);
        if (error != Z_OK)
            FAIL(ERR_INPUT, "%s: byte %lld: damaged gzip data (%s); fetch or copy the file again",
                 name, (long long)gzoffset(z), strstr(what, ": ") ? strstr(what, ": ") + 2 : what);
        return OK;
    }
}

static Status check_kind(int fd, const char *name) {
    struct stat at;
    if (fstat(fd, &at) == 0 && S_ISDIR(at.st_mode))
        FAIL(ERR_INPUT, "%s: %s; give the name of a file", name, strerror(EISDIR));
    return OK;
}

Status file_read(char **out, size_t *length, Arena *a, const char *path) {
    return file_read_most(out, length, a, FILE_MOST_BYTES, path);
}

Status file_read_most(char **out, size_t *length, Arena *a, size_t most, const char *path) {
    const char *name = is_standard(path) ? "standard input" : path;
    int fd = is_standard(path) ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) FAIL(ERR_INPUT, "%s: %s", name, strerror(errno));
    Status s = check_kind(fd, name);
    gzFile z = s == OK ? gzdopen(fd, "rb") : NULL;
    if (!z) {
        close(fd);
        TRY(s);
        FAIL(ERR_MEMORY, "%s: out of memory", name);
    }
    char *data = NULL;
    s = read_all(&data, length, z, most, name);
    gzclose(z);
    if (s == OK) *out = arena_string_n(a, data, *length);
    free(data);
    TRY(s);
    if (!*out) FAIL(ERR_MEMORY, "%s: out of memory for %zu bytes", name, *length);
    return OK;
}

// --- writing

static ssize_t gz_write(void *z, const char *data, size_t size) {
    for (size_t done = 0; done < size;) {
        int wrote = gzwrite(z, data + done, size - done > CHUNK ? CHUNK : (unsigned)(size - done));
        if (wrote <= 0) return 0;  // stdio's sign of an error
        done += (size_t)wrote;
    }
    return (ssize_t)size;
}

static int gz_close(void *z) { return gzclose(z) == Z_OK ? 0 : -1; }

static FILE *open_gz(int fd) {
    gzFile z = gzdopen(fd, "wb");
    if (!z) return NULL;
    FILE *f = fopencookie(z, "w", (cookie_io_functions_t){.write = gz_write, .close = gz_close});
    if (!f) gzclose(z);
    return f;
}

static bool ends_in(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

// f->path: where the file really is when `path` is a link, so that the link survives the rename.
// *direct: a pipe, a terminal, /dev/null: written to, never replaced.
static Status find_target(OutputFile *f, bool *direct, const char *path) {
    struct stat at;
    *direct = false;
    if (stat(path, &at) != 0) {
        if (errno != ENOENT) FAIL(ERR_IO, "%s: %s", path, strerror(errno));
        snprintf(f->path, sizeof f->path, "%s", path);
        return OK;
    }
    if (S_ISDIR(at.st_mode))
        FAIL(ERR_IO, "%s: %s; give the name of a file", path, strerror(EISDIR));
    if (access(path, W_OK) != 0) FAIL(ERR_IO, "%s: %s", path, strerror(errno));
    *direct = !S_ISREG(at.st_mode);
    char real[PATH_MAX];
    if (*direct || !realpath(path, real)) snprintf(real, sizeof real, "%s", path);
    snprintf(f->path, sizeof f->path, "%s", real);
    return OK;
}

// A new file beside the target: rename() does not cross file systems. The number is for the
// remains of a killed process that had our id.
static int open_temporary(OutputFile *f) {
    for (int i = 0;; i++) {
        snprintf(f->temporary, sizeof f->temporary, "%s.%d-%d.partial", f->path, (int)getpid(), i);
        int fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
}

Status file_create(OutputFile *f, const char *path) {
    *f = (OutputFile){0};
    if (!*path) FAIL(ERR_IO, "the name of a file is empty; give one");
    if (strlen(path) >= sizeof f->path) FAIL(ERR_IO, "%.80s...: %s", path, strerror(ENAMETOOLONG));
    int fd;
    if (is_standard(path)) {
        snprintf(f->path, sizeof f->path, "standard output");
        fflush(stdout);  // what the program has printed comes first
        fd = dup(STDOUT_FILENO);
    } else {
        bool direct;
        TRY(find_target(f, &direct, path));
        fd = direct ? open(f->path, O_WRONLY | O_CLOEXEC) : open_temporary(f);
    }
    if (fd < 0) {
        f->temporary[0] = '\0';
        FAIL(ERR_IO, "%s: %s", f->path, strerror(errno));
    }
    f->stream = ends_in(path, ".gz") ? open_gz(fd) : fdopen(fd, "w");
    if (!f->stream) {
        close(fd);
        file_discard(f);
        FAIL(ERR_MEMORY, "%s: out of memory", path);
    }
    return OK;
}

// On disk before the new name is: a crash of the machine leaves the old file or the new one.
static int sync_file(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int failed = fsync(fd), error = errno;
    close(fd);
    errno = error;
    return failed;
}

Status file_commit(OutputFile *f) {
    errno = 0;
    bool failed = fflush(f->stream) != 0 || ferror(f->stream);
    int error = errno;
    failed = fclose(f->stream) != 0 || failed;
    if (!error) error = errno;
    f->stream = NULL;
    if (!failed && f->temporary[0]) {
        failed = sync_file(f->temporary) != 0 || rename(f->temporary, f->path) != 0;
        error = errno;
    }
    if (failed) {
        file_discard(f);
        FAIL(ERR_IO, "%s: could not be written: %s", f->path, strerror(error ? error : EIO));
    }
    f->temporary[0] = '\0';
    return OK;
}

void file_discard(OutputFile *f) {
    if (f->stream) fclose(f->stream);
    if (f->temporary[0]) unlink(f->temporary);
    f->stream = NULL;
    f->temporary[0] = '\0';
}

Status file_make_directory(const char *path) {
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0) FAIL(ERR_IO, "the name of a directory is empty; give one");
    if (length >= sizeof part) FAIL(ERR_IO, "%.80s...: %s", path, strerror(ENAMETOOLONG));
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) == 0) continue;
        int error = errno;  // which one an existing directory gives depends on the file system
        struct stat at;
        if (stat(part, &at) != 0)
            FAIL(ERR_IO, "%s: cannot make the directory: %s", part, strerror(error));
        if (!S_ISDIR(at.st_mode)) FAIL(ERR_IO, "%s: %s", part, strerror(ENOTDIR));
    }
    if (access(path, W_OK | X_OK) != 0) FAIL(ERR_IO, "%s: %s", path, strerror(errno));
    return OK;
}
