// SPDX-License-Identifier: MIT
// Names of checkpoints. FILE is a hard link to the newest, so that it takes no room of its own.
#include "parallel/run/checkpoint_files.h"

#include "core/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
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

Status checkpoint_files_publish(const char *path, const char *named) {
    char beside[FILE_PARTIAL];
    TRY(file_partial(beside, path, 0));
    unlink(beside);
    if (link(named, beside) != 0)
        FAIL(ERR_IO, "%s: could not become another name of %s: %s", path, named, strerror(errno));
    if (rename(beside, path) != 0) {
        int error = errno;
        unlink(beside);
        FAIL(ERR_IO, "%s: could not be written: %s", path, strerror(error));
    }
    unlink(beside);  // which rename() leaves where both were names of one file already
    return file_sync_folder(path);
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
    char folder[FILE_FOLDER], name[PATH_MAX];
    Steps s = {0};
    file_folder(folder, path);
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

Status checkpoint_files_sweep(const char *path) {
    return file_sweep(path, (size_t)parts_of(path).stem);
}

// --- files of ranks

enum { HASH = 8 };  // digits of the hash in a name

Status checkpoint_files_shard(char *out, size_t size, const char *path, int64_t step,
                              const char *hash, int rank, int ranks) {
    Parts p = parts_of(path);
    int length = snprintf(out, size, "%.*s-step%lld-%.*s-%05d-of-%05d%s", p.folder + p.stem, path,
                          (long long)step, HASH, hash, rank + 1, ranks, p.ending);
    if (length < 0 || (size_t)length >= size) FAIL(ERR_USAGE, "--save: the name is too long");
    return OK;
}

Status checkpoint_files_index(char *out, size_t size, const char *path) {
    int length = snprintf(out, size, "%s.index.json", path);
    if (length < 0 || (size_t)length >= size) FAIL(ERR_USAGE, "--save: the name is too long");
    return OK;
}

// Is it a rank's file of another checkpoint?
static bool is_other_shard(const Parts *p, const char *name, int64_t step, const char *hash) {
    long long of;
    int rank, ranks, end = 0;
    char part[HASH + 1];
    if (strlen(name) <= (size_t)p->stem || strncmp(name, p->path + p->folder, (size_t)p->stem))
        return false;
    if (sscanf(name + p->stem, "-step%lld-%8[0-9a-f]-%5d-of-%5d%n", &of, part, &rank, &ranks,
               &end) != 4 ||
        !end || strcmp(name + p->stem + end, p->ending))
        return false;
    return of != step || strncmp(part, hash, HASH);
}

Status checkpoint_files_keep_shards(const char *path, int64_t step, const char *hash) {
    char folder[FILE_FOLDER], name[PATH_MAX];
    Parts p = parts_of(path);
    file_folder(folder, path);
    DIR *d = opendir(folder);
    if (!d) FAIL(ERR_IO, "%s: %s", folder, strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        if (!is_other_shard(&p, e->d_name, step, hash)) continue;
        if (snprintf(name, sizeof name, "%s/%s", folder, e->d_name) < (int)sizeof name)
            unlink(name);
    }
    closedir(d);
    return OK;
}
