// SPDX-License-Identifier: MIT
// Reports made by hand, and figures of them in a directory of their own.
#ifndef TESTS_SUPPORT_FIGURE_CASE_H
#define TESTS_SUPPORT_FIGURE_CASE_H

#include "tests/support/testing.h"
#include "viz/figures.h"

enum { CASE_REPORTS = 16 };

typedef struct {
    Arena arena;
    char directory[160];  // where figures go: its name has a space and both quotes
    const Report *measured[CASE_REPORTS], *simulated[CASE_REPORTS];
    FigureOptions options;  // lists the reports above
    FigureNotes notes;
} FigureCase;

// A case without reports. With `gnuplot` false there is none on the PATH from now on.
void figure_case_init(FigureCase *c, bool gnuplot);
void figure_case_finish(FigureCase *c);

// A report of `net` with 64 samples a rank: samples/s with the 10th and 90th percentile, ten
// steps, a step of one millisecond that is compute to the half, the rest waiting. Added to a
// list; may be changed.
Report *figure_case_measure(FigureCase *c, int ranks, double rate, double p10, double p90);
Report *figure_case_simulate(FigureCase *c, int ranks, double rate);

// A case of three runs of one rank, one of two, and a simulation of 1, 2 and 4; no gnuplot.
void figure_case_scaling(FigureCase *c);

// Losses, times and samples of `steps` steps of 10 ms and 64 rows; two epochs, each with an
// evaluation, the second of half the steps.
void figure_case_learn(FigureCase *c, Report *r, int steps);

// The text of a file of the directory, in the arena; NULL when there is none.
char *figure_case_file(FigureCase *c, const char *name);
double figure_case_fact(FigureCase *c, const char *name, const char *at);  // "laws.USL.mean_error"
int figure_case_count(const char *text, const char *part);

int figure_case_count_files(const FigureCase *c);  // hidden ones too; 0: no directory
void figure_case_note_has(const FigureCase *c, const char *part);  // asserts that some note does

// A program of that name, first on the PATH: a line of shell. Its directory.
const char *figure_case_program(const char *name, const char *line);

bool figure_case_has_gnuplot(void);

#endif
