// SPDX-License-Identifier: MIT
#ifndef PROGRAMS_VERSION_H
#define PROGRAMS_VERSION_H

#include <stdio.h>

// The commit that a checkout was built from, "4f1e2d3c4b5a", or "4f1e2d3c4b5a-dirty" when files
// were changed; empty elsewhere.
extern const char version_commit[];

// "0.1.0 (4f1e2d3c4b5a)", or "0.1.0"; returned.
enum { VERSION_TEXT = 128 };
char *version_text(char out[VERSION_TEXT]);

// "train (Tandem) 0.1.0", a line of parts "+blas -cuda", a line of the compiler.
void version_print(const char *program, FILE *out);

#endif
