// SPDX-License-Identifier: MIT
// Shared by all figures: their files, the reports of a world size put together, captions.
#ifndef VIZ_FIGURES_INTERNAL_H
#define VIZ_FIGURES_INTERNAL_H

#include "core/base/embedded.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "viz/caption.h"
#include "viz/figures.h"

// style.gp, figures.mk and the bodies of the scripts (viz/*.gp).
extern const EmbeddedFile figure_files[];
extern const int figure_files_count;

void figure_note(FigureNotes *n, const char *fmt, ...) PRINTF_LIKE(2, 3);

// --- the files of a figure

// Text that grows; in memory of its own.
typedef struct {
    FILE *stream;
    char *text;
    size_t length;
} TextBuffer;

// A figure in the making. Fill in the first group, figure_open(), write the rest, figure_close().
typedef struct {
    const FigureOptions *options;
    FigureNotes *notes;
    Arena *arena;
    const char *name, *directory;  // directory: that of the options, or a temporary one
    const Report *run;             // whose machine and model the head of the data names
    int width, height;             // pixels

    OutputFile data;      // rows, tabs between columns; a block begins with figure_block()
    TextBuffer settings;  // variables of the script, as gnuplot assigns them
    TextBuffer caption;   // sentences
    json_t *facts;        // owned: the .json, without what every figure has
    int blocks;
} Figure;

// `columns`: names with units, tabs between them. ERR_IO, ERR_MEMORY.
Status figure_open(Figure *f, const char *columns) MUST_USE;
void figure_block(Figure *f, const char *name);

// A variable of the script; text is quoted so that nothing in it is special.
void figure_set(Figure *f, const char *name, double value);
void figure_write_quoted(FILE *out, const char *text);  // as an item of a list
void figure_set_text(Figure *f, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);

// A list of one or both words; at least one is not NULL.
void figure_set_names(Figure *f, const char *name, const char *first, const char *second);

// Put all in place, when `s` is OK: files, picture, preview when that is wanted of this figure. The
// script's body is made of `parts`, NULL after the last: names of viz/*.gp, or lines of gnuplot.
// However it ends, nothing unfinished remains. `s`, or what else went wrong.
Status figure_close(Figure *f, Status s, const char *const parts[], bool preview) MUST_USE;

// A whole figure at once: what `write` opens and fills in with `data`, of the run, in the directory
// of the options. The command is added to the caption. It has no preview.
typedef struct {
    const char *name;
    int width, height;
    const Report *run;
    Status (*write)(Figure *f, const void *data);
    const void *data;
    const char *const *parts;  // as figure_close() takes them
} FigureForm;
Status figure_make(const FigureOptions *o, FigureNotes *n, const FigureForm *form) MUST_USE;

// A place to work in: the directory of the options, or a new temporary one. figure_leave_directory
// removes the latter.
typedef struct {
    char path[4096];
    bool temporary;
} FigureDirectory;
Status figure_enter_directory(FigureDirectory *d, const FigureOptions *o) MUST_USE;
void figure_leave_directory(const FigureDirectory *d);

// style.gp and the Makefile, where there are none. ERR_IO.
Status figure_write_shared(const char *directory) MUST_USE;

// --- reports, by world size

typedef struct {
    int ranks, repeats;
    const Report **reports;                     // of this size, in the order given
    double rate, low, high;                     // samples/s: median, and an interval around it
    double step_ms, step_low, step_high;        // the same of the step, in ms
    double breakdown_ms[TIME_COUNT], total_ms;  // means over steps with spans; total: their sum
    int breakdown_steps;
} SizePoint;

// Ascending by world size; in the arena.
typedef struct {
    SizePoint *points;
    int count, most_repeats;
    bool has_intervals;  // of a point: measured in several steps or runs; simulated ones have none
} Series;

// Reports that trained nothing are left out, with a note. ERR_USAGE: of several models.
Status series_make(Series *s, Arena *a, const ReportList *list, FigureNotes *notes) MUST_USE;
const SizePoint *series_at(const Series *s, int ranks);  // NULL: none of that size

// The interval that `low` and `high` are, in words: by how often the sizes were run. "" where no
// point has one.
const char *series_interval(const Series *s);

// 95 % bootstrap interval of the median (percentile method; Efron, Annals of Statistics 7, 1979):
// the same for the same values. They get sorted. ERR_MEMORY.
Status series_bootstrap_median(double *low, double *high, double *values, int count) MUST_USE;

// --- words

// TITLE: "Throughput of net, weak scaling, 64 samples a rank", of all reports of both series;
// `what` are its first words. ERR_MEMORY.
Status figure_set_title(Figure *f, const char *what, const Series *a, const Series *b) MUST_USE;

void caption_series(FILE *out, const FigureOptions *o, const Series *s, bool measured);
void caption_bars(FILE *out, const Series *measured);  // what points are, and bars reach over
json_t *series_size_facts(const Series *measured, const Series *simulated);

// Where larger numbers are easier to read in thousands or millions: 1, 1e3, 1e6, and the unit.
double figure_readable_scale(double most, const char **unit);

#endif
