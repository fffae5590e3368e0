// SPDX-License-Identifier: MIT
// Values are copied while a step runs and written when it has ended: read values_add() first.
#include "core/record/values.h"

#include "core/base/array.h"
#include "core/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_BYTES = 512, PATH_BYTES = 4096 };

Status values_create(ValueRecorder *r, const ValueOptions *options) {
    *r = (ValueRecorder){.options = *options};
    return file_make_directory(options->directory);
}

void values_destroy(ValueRecorder *r) {
    arena_finish(&r->copies);
    free(r->entries);
    *r = (ValueRecorder){0};
}

static bool is_key(const ValueRecorder *r, const char *key) {
    for (int i = 0; i < r->count; i++)
        if (!strcmp(r->entries[i].key, key)) return true;
    return false;
}

// Micro-batches share the names of their operations and may accumulate into one tensor: what is
// written again in a step keeps its order as "#2", "#3" ...
static Status unused_key(const ValueRecorder *r, char key[KEY_BYTES]) {
    size_t length = strlen(key);
    for (int n = 2; is_key(r, key); n++)
        if ((size_t)snprintf(key + length, KEY_BYTES - length, "#%d", n) >= KEY_BYTES - length)
            FAIL(ERR_FAILED, "cannot record %.*s: the name is too long", 80, key);
    return OK;
}

Status values_add(ValueRecorder *r, const char *plan, const char *op, const char *tensor,
                  Dtype dtype, int dims, const int64_t shape[], const void *data) {
    char key[KEY_BYTES];
    if (snprintf(key, sizeof key, "%s/%s/%s", plan, op, tensor) >= (int)sizeof key)
        FAIL(ERR_FAILED, "cannot record %.80s: the name is too long", key);
    if (r->options.pattern && fnmatch(r->options.pattern, key, 0) != 0) return OK;
    TRY(unused_key(r, key));

    ValueEntry e = {.dtype = dtype, .dims = dims, .bytes = dtype_bytes(dtype)};
    for (int i = 0; i < dims; i++) {
        e.shape[i] = shape[i];
        e.bytes *= shape[i];
    }
    void *copy = arena_push(&r->copies, (size_t)e.bytes);
    e.key = arena_string(&r->copies, key);
    if (!copy || !e.key)
        FAIL(ERR_MEMORY, "no memory to record %s (%lld bytes); record fewer steps or tensors", key,
             (long long)e.bytes);
    if (e.bytes) memcpy(copy, data, (size_t)e.bytes);
    e.data = copy;
    TRY(ARRAY_RESERVE(r->entries, r->capacity, r->count + 1));
    r->entries[r->count++] = e;
    return OK;
}

Status values_finish_step(ValueRecorder *r, int step) {
    char path[PATH_BYTES];
    Status s = OK;
    if (snprintf(path, sizeof path, "%s/rank%d.step%d.safetensors", r->options.directory,
                 r->options.rank, step) >= (int)sizeof path)
        FAIL(ERR_IO, "%.80s...: the name of the directory is too long", r->options.directory);
    if (r->count)
        s = r->options.write(r->options.context, path, r->entries, r->count);
    else
        unlink(path);
    arena_finish(&r->copies);
    r->count = 0;
    return s;
}

// "rank<N>.step<S>.safetensors", written as above.
static bool parse_name(int *rank, int *step, const char *name) {
    char again[64];
    if (sscanf(name, "rank%9d.step%9d.", rank, step) != 2 || *rank < 0 || *step < 0) return false;
    snprintf(again, sizeof again, "rank%d.step%d.safetensors", *rank, *step);
    return !strcmp(name, again);
}

// The length of a header in 8 bytes, the last of which are zero, and the header.
static bool is_safetensors(const char *path) {
    unsigned char begin[9] = {0};
    FILE *f = fopen(path, "rb");
    size_t got = f ? fread(begin, 1, sizeof begin, f) : 0;
    if (f) fclose(f);
    return got == sizeof begin && !begin[6] && !begin[7] && begin[8] == '{';
}

Status values_remove_stale(int *removed, const char *directory, int ranks, int first, int last) {
    DIR *d = opendir(directory);
    Status s = OK;
    *removed = 0;
    if (!d) FAIL(ERR_IO, "%s: %s", directory, strerror(errno));
    for (struct dirent *e; s == OK && (e = readdir(d));) {
        char path[PATH_BYTES];
        int rank, step;
        if (!parse_name(&rank, &step, e->d_name)) continue;
        if (rank < ranks && step >= first && step <= last) continue;
        if (snprintf(path, sizeof path, "%s/%s", directory, e->d_name) >= (int)sizeof path ||
            !is_safetensors(path))
            continue;
        if (unlink(path) != 0)
            s = status_fail(ERR_IO, __FILE__, __LINE__,
                            "%s, of an earlier run, cannot be removed: %s", path, strerror(errno));
        else
            ++*removed;
    }
    closedir(d);
    return s;
}

// A number at *text, or `missing` where none stands; false when it is not a step.
static bool parse_step(int *out, const char **text, int missing) {
    *out = missing;
    if (**text == ':' || **text == '\0') return missing >= 0;
    if (**text < '0' || **text > '9') return false;
    char *end;
    errno = 0;
    long value = strtol(*text, &end, 10);
    *text = end;
    *out = (int)value;
    return errno == 0 && value <= INT_MAX;
}

Status values_parse_steps(int *first, int *last, const char *text) {
    const char *at = text;
    bool good = *text && strcmp(text, ":") && parse_step(first, &at, 0);
    *last = *first;
    if (good && *at == ':') {
        at++;
        good = parse_step(last, &at, INT_MAX);
    }
    if (!good || *at) FAIL(ERR_USAGE, "steps \"%s\": expected A:B, such as 0:2, or one step", text);
    if (*last < *first)
        FAIL(ERR_USAGE, "steps \"%s\": the last step comes before the first; swap them", text);
    return OK;
}
