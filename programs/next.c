// SPDX-License-Identifier: MIT
// An installed program is called tandem-train or tandem-sim, and so is what it suggests.
#include "programs/next.h"

#include <stdio.h>
#include <string.h>

char *next_program(char out[NEXT_TEXT], const char *started, const char *name) {
    const char *slash = strrchr(started, '/');
    int directory = slash ? (int)(slash - started) + 1 : 0;
    const char *prefix = strncmp(started + directory, "tandem-", 7) ? "" : "tandem-";
    int length = snprintf(out, NEXT_TEXT, "%.*s%s%s", directory, started, prefix, name);
    if (length >= NEXT_TEXT) snprintf(out, NEXT_TEXT, "%s%s", prefix, name);
    return out;
}

int next_path_length(const char *path) {
    int n = (int)strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    return n;
}
