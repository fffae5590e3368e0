// SPDX-License-Identifier: MIT
// Draws a list as SVG 1.1: the same layout as in a terminal, in Wong's colours.
#ifndef VIZ_BACKEND_SVG_H
#define VIZ_BACKEND_SVG_H

#include "viz/scene/draw.h"

#include <stdio.h>

// `title` is what a reader of the picture hears. ERR_MEMORY, ERR_IO.
Status svg_draw(FILE *out, const DrawList *d, const char *title) MUST_USE;

#endif
