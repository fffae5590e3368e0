// SPDX-License-Identifier: MIT
#include "programs/version.h"

#ifdef TANDEM_GIT
#include "version_git.h"
#else
#define TANDEM_COMMIT ""
#endif

#ifdef __clang__
#define COMPILER __VERSION__  // begins with the name
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *version_text(void) {
    return sizeof TANDEM_COMMIT > 1 ? TANDEM_VERSION " (" TANDEM_COMMIT ")" : TANDEM_VERSION;
}

void version_print(const char *program, FILE *out) {
    fprintf(out, "%s (Tandem) %s\nparts: %s\ncompiler: %s\n", program, version_text(), TANDEM_PARTS,
            COMPILER);
}
