// SPDX-License-Identifier: MIT
#ifndef PROGRAMS_VERSION_H
#define PROGRAMS_VERSION_H

#include <stdio.h>

// "0.1.0", or "0.1.0 (4f1e2d3c4b5a)" with the commit when built from a checkout, "-dirty" behind it
// when files were changed.
const char *version_text(void);

// "train (Tandem) 0.1.0", a line of parts "+blas -cuda", a line of the compiler.
void version_print(const char *program, FILE *out);

#endif
