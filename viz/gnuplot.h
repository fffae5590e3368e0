// SPDX-License-Identifier: MIT
// gnuplot as a program: started without a shell, watched to its end, ended when it hangs.
#ifndef VIZ_GNUPLOT_H
#define VIZ_GNUPLOT_H

#include "core/base/arena.h"

#include <stdbool.h>

// How long to wait for gnuplot, and whether it was in vain.
typedef struct {
    int seconds;                // it is killed after so many; 0: GNUPLOT_SECONDS
    bool (*interrupted)(void);  // asked while it runs: true ends it; NULL: never
    bool hung;                  // set when it was killed for taking too long
} GnuplotWatch;
enum { GNUPLOT_SECONDS = 120 };

// Run `gnuplot -d -e SETTINGS SCRIPT` in a directory, with numbers formatted as in C and without
// the terminal that GNUTERM asks for. Standard output goes to *out (in the arena, terminated) when
// out is not NULL; standard error, cut to its last line, goes to said[STATUS_TEXT].
// ERR_UNAVAILABLE: there is no gnuplot, and which package brings it; ERR_FAILED: the script's name
// and what gnuplot said, or that it took too long; ERR_INTERRUPTED; ERR_MEMORY, ERR_IO.
Status gnuplot_run(char **out, char *said, Arena *a, const char *directory, const char *settings,
                   const char *script, GnuplotWatch *watch) MUST_USE;

#endif
