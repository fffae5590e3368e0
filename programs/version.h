// SPDX-License-Identifier: MIT
#ifndef PROGRAMS_VERSION_H
#define PROGRAMS_VERSION_H

#include <stdio.h>

// "train (Tandem) 0.1.0" and a line of parts: +blas -cuda …
void version_print(const char *program, FILE *out);

#endif
