// SPDX-License-Identifier: MIT
#include "programs/version.h"

void version_print(const char *program, FILE *out) {
    fprintf(out, "%s (Tandem) %s\nparts: %s\n", program, TANDEM_VERSION, TANDEM_PARTS);
}
