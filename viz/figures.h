// SPDX-License-Identifier: MIT
// Figures from reports, drawn by gnuplot (https://gnuplot.info), which runs as a program:
// throughput and efficiency against ranks, simulated against measured, where a step goes, how
// a network learns. Figures of other tables have headers of their own (viz/tornado.h, ...).
//
// A figure is four files: its data (NAME.dat), the script that draws them (NAME.gp), the picture
// (NAME.svg) and where all of it comes from (NAME.json); docs/formats.md, "Figures". Data and
// script do not need gnuplot. style.gp and a Makefile are put beside them where there are none.
#ifndef VIZ_FIGURES_H
#define VIZ_FIGURES_H

#include "core/report/report.h"

#include <stdbool.h>
#include <stdio.h>

typedef struct {
    const Report *const *reports;  // borrowed; none of them NULL
    int count;
} ReportList;

// Zero is the default. Everything is borrowed.
typedef struct {
    const char *directory;  // made when it is missing; NULL: nothing is kept, for a preview only
    ReportList measured;    // of one model; several of one world size are repeats
    ReportList simulated;
    const char *platform;     // what the simulated machine is called; NULL: not said
    bool devices;             // each rank is a device of its own: figures say GPUs, not ranks
    int oversubscribed_from;  // more ranks than this share cores: shaded; 0: none do
    const int *known_ranks;   // world sizes whose measurements went into the simulation; all others
    int known_count;          // are held out
    const char *const *argv;  // the command, for provenance
    int argc;
    bool require;  // gnuplot missing: ERR_UNAVAILABLE, failing: ERR_FAILED; else both are notes
    int gnuplot_seconds;        // how long gnuplot may take for a picture; 0: GNUPLOT_SECONDS
    bool (*interrupted)(void);  // asked while gnuplot runs: true ends it; NULL: never
    FILE *preview;              // gets the main figure as text, at most 24 lines; NULL: none
    int preview_width;          // columns; 0: 80
    bool preview_color;
} FigureOptions;

// Notes for a person about figures that were or were not made: one line each, for the
// caller to show. Starts zeroed; every function below adds to it.
enum { FIGURE_NOTES = 16 };
typedef struct {
    char lines[FIGURE_NOTES][STATUS_TEXT];  // the last says how many more there were
    int count, left_out;
    int written, drawn;     // figures whose data and script, whose picture was written
    const char *names[16];  // of those written
    bool interrupted;       // no picture is drawn any more; data and scripts still are
    bool hung;              // gnuplot took too long once, and is not started again
} FigureNotes;

// Each writes the figures for which there are data; a note says which are not written, and why.
// ERR_IO; ERR_USAGE when reports cannot share a figure; ERR_MEMORY.

// throughput.*, efficiency.* and, side by side, scaling.*: for at least two world sizes.
Status figures_scaling(const FigureOptions *o, FigureNotes *notes) MUST_USE;

// laws.*: Amdahl, Gustafson and the universal scalability law (viz/law.h) through the throughputs
// of the world sizes, and their errors. It has no preview.
Status figures_laws(const FigureOptions *o, FigureNotes *notes) MUST_USE;

// parity.*: where a world size was both simulated and measured.
Status figures_parity(const FigureOptions *o, FigureNotes *notes) MUST_USE;

// breakdown.*: for reports that kept spans. It has no preview.
Status figures_breakdown(const FigureOptions *o, FigureNotes *notes) MUST_USE;

// learning.*: for measured reports with losses, at most FIGURE_RUNS of them.
enum { FIGURE_RUNS = 8 };
Status figures_learning(const FigureOptions *o, FigureNotes *notes) MUST_USE;

// When all figures of a run are written: remove those that earlier runs left in the directory, and
// pictures in other formats that `make` drew of earlier data. Only files that belong to a figure of
// ours, as its .json says, are touched; a note says what was removed. ERR_IO.
Status figures_remove_stale(const FigureOptions *o, FigureNotes *notes) MUST_USE;

// Whether gnuplot can be run: ERR_UNAVAILABLE says what to install.
Status figures_find_gnuplot(void) MUST_USE;

#endif
