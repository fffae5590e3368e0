// SPDX-License-Identifier: MIT
// A directory that an earlier run wrote traces to: what this run did not write anew is removed when
// the run is over, so that nobody takes it for a part of this one. Only files that are recognised
// as ours, by their names and their first bytes, are touched.
#include "core/record/trace.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

// "rank<N>.json" or "rank<N>.json.gz", and nothing behind it: N, or NONE.
static int rank_of(const char *name, bool *compressed) {
    int rank, length = 0;
    if (sscanf(name, "rank%9d.json%n", &rank, &length) != 1 || length == 0 || rank < 0) return NONE;
    char again[32];
    snprintf(again, sizeof again, "rank%d.json", rank);
    if (strncmp(name, again, strlen(again)) != 0) return NONE;  // no "rank01", "rank+1"
    *compressed = !strcmp(name + length, ".gz");
    return *compressed || !name[length] ? rank : NONE;
}

static bool begins_with(const char *path, const char *text) {
    char begin[64] = "";
    gzFile f = gzopen(path, "rb");
    int got = f ? gzread(f, begin, sizeof begin - 1) : 0;
    if (f) gzclose(f);
    return got >= (int)strlen(text) && !strncmp(begin, text, strlen(text));
}

// Is this a file of a trace, by its name and content, that another run left?
static bool is_left(const char *directory, const char *name, int ranks, bool compressed) {
    char path[4200];
    bool packed = false;
    int rank = rank_of(name, &packed);
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path) return false;
    if (rank != NONE)
        return (rank >= ranks || packed != compressed) && begins_with(path, "{\n\"tandem\": {");
    packed = !strcmp(name, TRACE_MERGED ".gz");
    if (!packed && strcmp(name, TRACE_MERGED) != 0) return false;
    return packed != compressed && begins_with(path, "{\n\"displayTimeUnit\": \"ns\",\n\"trac");
}

Status trace_remove_stale(int *removed, const char *directory, int ranks, bool compressed) {
    DIR *d = opendir(directory);
    *removed = 0;
    if (!d) FAIL(ERR_IO, "%s: %s", directory, strerror(errno));
    Status s = OK;
    for (struct dirent *e; s == OK && (e = readdir(d));) {
        if (!is_left(directory, e->d_name, ranks, compressed)) continue;
        if (unlinkat(dirfd(d), e->d_name, 0) != 0)
            s = status_fail(ERR_IO, __FILE__, __LINE__,
                            "%s/%s, of an earlier run, cannot be removed: %s", directory, e->d_name,
                            strerror(errno));
        else
            ++*removed;
    }
    closedir(d);
    return s;
}
