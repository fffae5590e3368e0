// SPDX-License-Identifier: MIT
// Draws a list with characters: each tone has a character and, where colours are shown, a colour.
#ifndef VIZ_BACKEND_ANSI_H
#define VIZ_BACKEND_ANSI_H

#include "viz/scene/draw.h"

typedef struct {
    bool plain;  // ASCII alone
    bool color;
} AnsiStyle;

// The rows of the drawing, without spaces at their ends, each handed to `row`. ERR_MEMORY.
Status ansi_draw(const DrawList *d, const AnsiStyle *style,
                 void (*row)(void *context, const char *text), void *context) MUST_USE;

#endif
