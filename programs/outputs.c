// SPDX-License-Identifier: MIT
// Files are tried by making one beside them, and told apart by their whole paths.
#include "programs/outputs.h"

#include "core/base/file.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

Status outputs_name(Status s, const char *option) {
    if (s != OK) FAIL(s, "--%s %s", option, status_message());
    return OK;
}

bool outputs_ends_in(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n > m && !strcmp(s + n - m, end);
}

// A pipe or device, to which several may write.
static bool is_special(const char *path) {
    struct stat s;
    return !strcmp(path, "-") ||
           (stat(path, &s) == 0 && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode));
}

// The name without links, "." and ".."; the file itself need not be there. NULL: its directory is
// not. To be freed.
static char *whole_path(const char *path) {
    char whole[PATH_MAX], folder[PATH_MAX], name[PATH_MAX];
    if (realpath(path, whole)) return strdup(whole);
    snprintf(folder, sizeof folder, "%s", path);
    snprintf(name, sizeof name, "%s", path);
    if (!realpath(dirname(folder), whole)) return NULL;
    size_t length = strlen(whole);
    snprintf(whole + length, sizeof whole - length, "/%s", basename(name));
    return strdup(whole);
}

// whole[i] of the files before `count` are known; NULL is like no other.
static Status check_apart(const Output *files, char *const whole[], int count) {
    const Output *last = &files[count];
    for (int k = 0; k < count; k++)
        if (whole[k] && whole[count] && !strcmp(whole[k], whole[count]))
            FAIL(ERR_USAGE, "--%s and --%s would both write %s; give two names", files[k].option,
                 last->option, last->path);
    return OK;
}

static Status check_all(const Output *files, char *whole[], int count) {
    for (int i = 0; i < count; i++) {
        if (!files[i].path) continue;
        if (!files[i].open) TRY(outputs_name(file_check(files[i].path), files[i].option));
        if (!is_special(files[i].path)) whole[i] = whole_path(files[i].path);
        TRY(check_apart(files, whole, i));
    }
    return OK;
}

Status outputs_check(const Output *files, int count) {
    char **whole = calloc((size_t)count + 1, sizeof *whole);
    if (!whole) FAIL(ERR_MEMORY, "out of memory for %d names", count);
    Status s = check_all(files, whole, count);
    for (int i = 0; i < count; i++) free(whole[i]);
    free(whole);
    return s;
}
