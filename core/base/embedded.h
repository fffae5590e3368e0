// SPDX-License-Identifier: MIT
// Text files that are part of a library (built-in models, machines), made into
// tables by tools/embed.py.
#ifndef CORE_BASE_EMBEDDED_H
#define CORE_BASE_EMBEDDED_H

typedef struct {
    const char *name, *text;
} EmbeddedFile;

#endif
