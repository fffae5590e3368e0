// SPDX-License-Identifier: MIT
// gnuplot as a program: started without a shell, watched to its end.
#ifndef VIZ_GNUPLOT_H
#define VIZ_GNUPLOT_H

#include "core/base/arena.h"

// Run `gnuplot -d -e SETTINGS SCRIPT` in a directory, numbers as in C. What it prints on standard
// output goes to *out (in the arena, terminated) when that is wanted, else nowhere; what it says on
// standard error, cut to one line, to said[STATUS_TEXT]. ERR_UNAVAILABLE: there is no gnuplot, and
// what to install; ERR_FAILED: the script's name and what gnuplot said; ERR_MEMORY, ERR_IO.
Status gnuplot_run(char **out, char *said, Arena *a, const char *directory, const char *settings,
                   const char *script) MUST_USE;

#endif
