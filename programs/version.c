// SPDX-License-Identifier: MIT
// `--version`: the version, the commit, the parts built in, the compiler.
#include "programs/version.h"

#ifdef __clang__
#define COMPILER __VERSION__  // begins with the name
#else
#define COMPILER "gcc " __VERSION__
#endif

char *version_text(char out[VERSION_TEXT]) {
    snprintf(out, VERSION_TEXT, version_commit[0] ? "%s (%s)" : "%s", TANDEM_VERSION,
             version_commit);
    return out;
}

void version_print(const char *program, FILE *out) {
    char text[VERSION_TEXT];
    fprintf(out, "%s (Tandem) %s\nparts: %s\ncompiler: %s\n", program, version_text(text),
            TANDEM_PARTS, COMPILER);
}
