// SPDX-License-Identifier: MIT
// Names of checkpoints. FILE is a hard link to the newest, so that it takes no room of its own.
#include "parallel/run/checkpoint_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A path in three parts: what comes before the name, the name up to its ending, the ending.
typedef struct {
    int folder, stem;  // bytes
    const char *path, *ending;
} Parts;

static Parts parts_of(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    if (dot && dot > name && !strcmp(dot, ".gz")) {
        const char *before = dot;
        while (before > name && before[-1] != '.') before--;
        if (before > name + 1) dot = before - 1;
    }
    if (!dot || dot == name) dot = name + strlen(name);
    return (Parts){(int)(name - path), (int)(dot - name), path, dot};
}

Status checkpoint_files_name(char *out, size_t size, const char *path, int64_t step) {
    Parts p = parts_of(path);
    int length =
        snprintf(out, size, "%.*s-step%lld%s", p.folder + p.stem, path, (long long)step, p.ending);
    if (length < 0 || (size_t)length >= size) FAIL(ERR_USAGE, "--save: the name is too long");
    return OK;
}

// The step that such a name says; -1: it is another file's.
static int64_t step_of(const Parts *p, const char *name) {
    static const char mark[] = "-step";
    const char *at = name + p->stem;
    char *end;
    if (strncmp(name, p->path + p->folder, (size_t)p->stem) || strncmp(at, mark, sizeof mark - 1))
        return -1;
    at += sizeof mark - 1;
    size_t digits = strspn(at, "0123456789");
    if (!digits || digits > 10 || strcmp(at + digits, p->ending)) return -1;
    return strtoll(at, &end, 10);
}

// A rename lasts when its folder is on disk.
static Status sync_folder(const char *folder) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) FAIL(ERR_IO, "%s: %s", folder, strerror(errno));
    int failed = fsync(fd), error = errno;
    close(fd);
    if (failed && error != EINVAL) FAIL(ERR_IO, "%s: %s", folder, strerror(error));
    return OK;
}

static void folder_of(char out[PATH_MAX], const char *path) {
    Parts p = parts_of(path);
    snprintf(out, PATH_MAX, "%.*s", p.folder ? p.folder : 1, p.folder ? path : ".");
}

Status checkpoint_files_publish(const char *path, const char *named) {
    char beside[PATH_MAX], folder[PATH_MAX];
    int length = snprintf(beside, sizeof beside, "%s.%d.partial", path, (int)getpid());
    if (length < 0 || (size_t)length >= sizeof beside)
        FAIL(ERR_USAGE, "--save: the name is too long");
    unlink(beside);
    if (link(named, beside) != 0)
        FAIL(ERR_IO, "%s: could not become another name of %s: %s", path, named, strerror(errno));
    if (rename(beside, path) != 0) {
        int error = errno;
        unlink(beside);
        FAIL(ERR_IO, "%s: could not be written: %s", path, strerror(error));
    }
    unlink(beside);  // which rename() leaves where both were names of one file already
    folder_of(folder, path);
    return sync_folder(folder);
}

// --- the older ones

typedef struct {
    int64_t *steps;  // owned; descending
    int count, capacity;
} Steps;

static int descending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

static bool add_step(Steps *s, int64_t step) {
    if (s->count == s->capacity) {
        int capacity = s->capacity ? 2 * s->capacity : 16;
        int64_t *grown = realloc(s->steps, (size_t)capacity * sizeof *grown);
        if (!grown) return false;
        s->steps = grown;
        s->capacity = capacity;
    }
    s->steps[s->count++] = step;
    return true;
}

static Status list_steps(Steps *s, const char *path, const char *folder, int64_t step) {
    Parts p = parts_of(path);
    DIR *d = opendir(folder);
    bool room = true;
    if (!d) FAIL(ERR_IO, "%s: %s", folder, strerror(errno));
    for (struct dirent *e; room && (e = readdir(d));) {
        int64_t of = strlen(e->d_name) > (size_t)p.stem ? step_of(&p, e->d_name) : -1;
        if (of >= 0 && of <= step) room = add_step(s, of);
    }
    closedir(d);
    if (!room) FAIL(ERR_MEMORY, "out of memory for the names of checkpoints");
    qsort(s->steps, (size_t)s->count, sizeof *s->steps, descending);
    return OK;
}

Status checkpoint_files_rotate(const char *path, int64_t step, int keep) {
    char folder[PATH_MAX], name[PATH_MAX];
    Steps s = {0};
    folder_of(folder, path);
    Status done = list_steps(&s, path, folder, step);
    for (int i = keep; i < s.count && done == OK; i++) {
        done = checkpoint_files_name(name, sizeof name, path, s.steps[i]);
        if (done == OK && unlink(name) != 0 && errno != ENOENT)
            done = status_fail(ERR_IO, __FILE__, __LINE__, "%s: could not be removed: %s", name,
                               strerror(errno));
    }
    free(s.steps);
    return done;
}

// --- what was left

// "NAME.PID.partial" or "NAME.PID-N.partial", where NAME begins as the checkpoint's does and the
// process is gone.
static bool is_left(const Parts *p, const char *name) {
    char *end;
    size_t length = strlen(name);
    const char *at = length > 8 ? name + length - 8 : name;
    if (strcmp(at, ".partial") || strncmp(name, p->path + p->folder, (size_t)p->stem)) return false;
    while (at > name && at[-1] != '.') at--;
    long pid = strtol(at, &end, 10);
    if (end == at || pid < 1 || (*end != '-' && *end != '.')) return false;
    return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

Status checkpoint_files_sweep(const char *path) {
    char folder[PATH_MAX], name[PATH_MAX];
    Parts p = parts_of(path);
    folder_of(folder, path);
    DIR *d = opendir(folder);
    if (!d) FAIL(ERR_IO, "%s: %s", folder, strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        if (!is_left(&p, e->d_name)) continue;
        if (snprintf(name, sizeof name, "%s/%s", folder, e->d_name) < (int)sizeof name)
            unlink(name);
    }
    closedir(d);
    return OK;
}

// --- files of ranks

Status checkpoint_files_shard(char *out, size_t size, const char *path, int64_t step, int rank,
                              int ranks) {
    Parts p = parts_of(path);
    int length = snprintf(out, size, "%.*s-step%lld-%05d-of-%05d%s", p.folder + p.stem, path,
                          (long long)step, rank + 1, ranks, p.ending);
    if (length < 0 || (size_t)length >= size) FAIL(ERR_USAGE, "--save: the name is too long");
    return OK;
}

Status checkpoint_files_index(char *out, size_t size, const char *path) {
    int length = snprintf(out, size, "%s.index.json", path);
    if (length < 0 || (size_t)length >= size) FAIL(ERR_USAGE, "--save: the name is too long");
    return OK;
}

// Is it a rank's file of fewer steps?
static bool is_older_shard(const Parts *p, const char *name, int64_t step) {
    long long of;
    int rank, ranks, end = 0;
    if (strlen(name) <= (size_t)p->stem || strncmp(name, p->path + p->folder, (size_t)p->stem))
        return false;
    if (sscanf(name + p->stem, "-step%lld-%5d-of-%5d%n", &of, &rank, &ranks, &end) != 3 || !end)
        return false;
    return !strcmp(name + p->stem + end, p->ending) && of < step;
}

Status checkpoint_files_remove_shards(const char *path, int64_t step) {
    char folder[PATH_MAX], name[PATH_MAX];
    Parts p = parts_of(path);
    folder_of(folder, path);
    DIR *d = opendir(folder);
    if (!d) FAIL(ERR_IO, "%s: %s", folder, strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        if (!is_older_shard(&p, e->d_name, step)) continue;
        if (snprintf(name, sizeof name, "%s/%s", folder, e->d_name) < (int)sizeof name)
            unlink(name);
    }
    closedir(d);
    return OK;
}
