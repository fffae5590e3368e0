// SPDX-License-Identifier: MIT
// Reading through zlib, plain or gzip. Writing into a file without a name or under another one,
// which file_commit() puts in its place.
#include "core/base/file.h"

#include "core/base/units.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    CHUNK = 1 << 20,  // bytes asked of zlib at once
    LINKS_MOST = 40,  // that follow each other, as in the kernel
    HOST = 65         // bytes of a host's name
};

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

// The file that a chain of links ends at, whether it exists or not.
static Status follow_links(char out[PATH_MAX], const char *path) {
    char link[PATH_MAX];
    snprintf(out, PATH_MAX, "%s", path);
    for (int links = 0;; links++) {
        ssize_t length = readlink(out, link, sizeof link - 1);
        if (length < 0) return OK;
        if (links == LINKS_MOST) FAIL(ERR_IO, "%s: %s", path, strerror(ELOOP));
        link[length] = '\0';
        char *slash = strrchr(out, '/');
        char *name = link[0] == '/' || !slash ? out : slash + 1;  // relative to the link's place
        if ((size_t)(name - out) + (size_t)length >= PATH_MAX)
            FAIL(ERR_IO, "%s: %s", path, strerror(ENAMETOOLONG));
        memcpy(name, link, (size_t)length + 1);
    }
}

// What stands where a file is to be written.
typedef struct {
    bool exists;
    bool direct;  // a pipe, a terminal, /dev/null: written to, never replaced
    mode_t mode;  // of the file that exists: who replaces it leaves it to the same readers
} Place;

// f->path: where the file really is when `path` is a link, so that the link survives the rename.
static Status find_place(Place *out, OutputFile *f, const char *path) {
    struct stat at;
    char real[PATH_MAX];
    *out = (Place){0};
    if (!*path) FAIL(ERR_IO, "the name of a file is empty; give one");
    if (strlen(path) >= sizeof f->path) FAIL(ERR_IO, "%.80s...: %s", path, strerror(ENAMETOOLONG));
    out->exists = stat(path, &at) == 0;
    if (!out->exists && errno != ENOENT) FAIL(ERR_IO, "%s: %s", path, strerror(errno));
    if (out->exists && S_ISDIR(at.st_mode))
        FAIL(ERR_IO, "%s: %s; give the name of a file", path, strerror(EISDIR));
    if (out->exists && access(path, W_OK) != 0) FAIL(ERR_IO, "%s: %s", path, strerror(errno));
    out->direct = out->exists && !S_ISREG(at.st_mode);
    out->mode = out->exists ? at.st_mode & 0777 : 0;
    TRY(follow_links(real, path));
    snprintf(f->path, sizeof f->path, "%s", out->direct ? path : real);
    return OK;
}

static const char partial[] = ".partial";

// The name of this host, so that hosts that share a folder leave each other's files alone.
static void host_name(char out[HOST]) {
    if (gethostname(out, HOST) != 0) snprintf(out, HOST, "localhost");
    out[HOST - 1] = '\0';
}

// When a process was started, in clock ticks since the machine was (proc(5)). 0: it has ended, even
// if its parent has not collected it yet, or there is no /proc.
static unsigned long long start_of(pid_t pid) {
    char name[64], line[1024] = "", state = 'X';
    unsigned long long start = 0;
    snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(name, "re");
    if (!f) return 0;
    const char *rest = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
    fclose(f);
    if (!rest || sscanf(rest,
                        ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                        "%*d %llu",
                        &state, &start) != 2)
        return 0;
    return state == 'Z' || state == 'X' ? 0 : start;
}

Status file_partial(char out[FILE_PARTIAL], const char *path, int number) {
    char host[HOST];
    host_name(host);
    int length = snprintf(out, FILE_PARTIAL, "%s.%s.%d-%llu-%d%s", path, host, (int)getpid(),
                          start_of(getpid()), number, partial);
    if (length >= FILE_PARTIAL) FAIL(ERR_IO, "%.80s...: %s", path, strerror(ENAMETOOLONG));
    return OK;
}

void file_folder(char out[FILE_FOLDER], const char *path) {
    snprintf(out, FILE_FOLDER, "%s", path);
    char *slash = strrchr(out, '/');
    snprintf(slash ? slash + (slash == out) : out, 2, "%s", slash ? "" : ".");
}

// A file in the target's directory that has no name yet: whatever kills us, nothing is left. -1
// where the file system or a missing /proc do not allow it, or with errno ENAMETOOLONG.
static int open_unnamed(OutputFile *f, mode_t mode) {
    char directory[FILE_FOLDER], link[64];
    file_folder(directory, f->path);
    int fd = open(directory, O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (fd < 0 || access(link, F_OK) == 0) return fd;
    close(fd);
    return -1;
}

static int open_new(OutputFile *f, const Place *at) {
    mode_t mode = at->exists ? at->mode : 0666;
    struct stat unused;
    if (file_partial(f->temporary, f->path, 0) != OK) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (lstat(f->temporary, &unused) != 0 && errno == ENAMETOOLONG) return -1;
    int fd = open_unnamed(f, mode);
    f->unnamed = fd >= 0;
    for (int i = 0; fd < 0; i++) {
        if (file_partial(f->temporary, f->path, i) != OK) return -1;
        fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd < 0 && errno != EEXIST) return -1;
    }
    if (at->exists) fchmod(fd, mode);  // where the system refuses, umask has decided
    f->is_new = true;
    f->file = fd;
    return dup(fd);
}

Status file_check(const char *path) {
    OutputFile f = {0};
    Place at;
    if (is_standard(path)) return OK;
    TRY(find_place(&at, &f, path));
    if (at.direct) return OK;  // opening and closing it would end whoever reads a pipe
    TRY(file_create(&f, path));
    file_discard(&f);
    return OK;
}

Status file_create(OutputFile *f, const char *path) {
    int fd;
    *f = (OutputFile){0};
    if (is_standard(path)) {
        snprintf(f->path, sizeof f->path, "standard output");
        fflush(stdout);  // what the program has printed comes first
        fd = dup(STDOUT_FILENO);
    } else {
        Place at;
        TRY(find_place(&at, f, path));
        fd = at.direct ? open(f->path, O_WRONLY | O_CLOEXEC) : open_new(f, &at);
    }
    if (fd < 0) {
        int error = errno;
        file_discard(f);
        FAIL(ERR_IO, "%s: %s", f->path, strerror(error));
    }
    f->stream = ends_in(path, ".gz") ? open_gz(fd) : fdopen(fd, "w");
    if (!f->stream) {
        close(fd);
        file_discard(f);
        FAIL(ERR_MEMORY, "%s: out of memory", path);
    }
    return OK;
}

// Give a file without a name its own, or one beside it where that is taken.
static int link_file(OutputFile *f) {
    char from[64];
    snprintf(from, sizeof from, "/proc/self/fd/%d", f->file);
    if (linkat(AT_FDCWD, from, AT_FDCWD, f->path, AT_SYMLINK_FOLLOW) == 0) return 0;
    for (int i = 0; errno == EEXIST; i++) {
        if (file_partial(f->temporary, f->path, i) != OK) return -1;
        if (linkat(AT_FDCWD, from, AT_FDCWD, f->temporary, AT_SYMLINK_FOLLOW)) continue;
        f->unnamed = false;
        return rename(f->temporary, f->path);
    }
    return -1;
}

// The new name, too, is on disk. Not every file system syncs folders (EINVAL), and a folder may be
// written to that may not be read.
static int sync_folder(const char *path) {
    char folder[FILE_FOLDER];
    file_folder(folder, path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return 0;
    int failed = fsync(fd) != 0 && errno != EINVAL ? -1 : 0, error = errno;
    close(fd);
    errno = error;
    return failed;
}

// On disk before the new name is: a crash of the machine leaves the old file or the new one.
static int name_file(OutputFile *f) {
    if (fsync(f->file) != 0) return -1;
    if ((f->unnamed ? link_file(f) : rename(f->temporary, f->path)) != 0) return -1;
    return sync_folder(f->path);
}

Status file_sync_folder(const char *path) {
    if (sync_folder(path) != 0) FAIL(ERR_IO, "%s: its folder: %s", path, strerror(errno));
    return OK;
}

const char *file_write_reason(int error) {
    return error ? strerror(error) : "an earlier write failed; is the disk full?";
}

Status file_commit(OutputFile *f) {
    errno = 0;
    bool failed = fflush(f->stream) != 0 || ferror(f->stream);
    int error = errno;
    failed = fclose(f->stream) != 0 || failed;
    if (!error) error = errno;
    f->stream = NULL;
    if (!failed && f->is_new) {
        failed = name_file(f) != 0;
        error = errno;
    }
    if (failed) {
        file_discard(f);
        FAIL(ERR_IO, "%s: could not be written: %s", f->path, file_write_reason(error));
    }
    if (f->is_new) close(f->file);
    f->is_new = false;
    return OK;
}

void file_discard(OutputFile *f) {
    if (f->stream) fclose(f->stream);
    if (f->is_new) close(f->file);
    if (f->is_new && !f->unnamed) unlink(f->temporary);
    f->stream = NULL;
    f->is_new = false;
}

// --- beside it

Status file_resolve(const char **out, Arena *a, const char *path) {
    char real[PATH_MAX];
    struct stat at;
    bool direct = stat(path, &at) == 0 && !S_ISREG(at.st_mode);
    if (!direct) TRY(follow_links(real, path));
    *out = arena_string(a, direct ? path : real);
    if (!*out) FAIL(ERR_MEMORY, "out of memory for the name of a file");
    return OK;
}

// Has the process ended? Another one may have its number by now, and one that nobody collects keeps
// it. A process of another user may be hidden in /proc, so that of it only kill() tells.
static bool has_ended(pid_t pid, unsigned long long start) {
    if (kill(pid, 0) != 0) return errno == ESRCH;
    return start && start_of(getpid()) && start_of(pid) != start;
}

// "BEGINNING....HOST.PID-START-N.partial" of a process of this host that has ended.
static bool is_left(const char *name, const char *beginning, size_t length) {
    char host[HOST];
    unsigned long long start;
    int pid, end = 0;
    size_t whole = strlen(name), ending = sizeof partial - 1;
    host_name(host);
    if (whole < length + ending || strncmp(name, beginning, length)) return false;
    const char *last = name + whole - ending, *at = last, *dot;
    if (strcmp(last, partial)) return false;
    while (at > name && at[-1] != '.') at--;
    if (at == name || sscanf(at, "%d-%llu-%*d%n", &pid, &start, &end) != 2 || pid < 1 ||
        at + end != last)
        return false;
    dot = at - 1;
    size_t size = strlen(host);
    if ((size_t)(dot - name) <= size || dot[-(ptrdiff_t)size - 1] != '.') return false;
    if (strncmp(dot - size, host, size)) return false;
    return has_ended((pid_t)pid, start);
}

Status file_sweep(const char *path, size_t length) {
    char folder[FILE_FOLDER], left[PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    file_folder(folder, path);
    DIR *d = opendir(folder);
    if (!d) FAIL(ERR_IO, "%s: %s", folder, strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        if (!is_left(e->d_name, name, length)) continue;
        if (snprintf(left, sizeof left, "%s/%s", folder, e->d_name) < (int)sizeof left)
            unlink(left);
    }
    closedir(d);
    return OK;
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
