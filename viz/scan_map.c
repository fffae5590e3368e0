// SPDX-License-Identifier: MIT
// A map of a scan: a cell for each combination, coloured by what a step takes there.
#include "core/base/text.h"
#include "core/base/units.h"
#include "viz/figures_internal.h"
#include "viz/scan_internal.h"

#include <math.h>
#include <string.h>

typedef struct {
    const Scan *scan;
    int columns, rows;
    int of[SCAN_STATES];
    int best;  // the fastest that fits; NONE: none does
    double least_ms, most_ms;
} Map;

static void gather(Map *m, const Scan *s) {
    *m = (Map){.scan = s, .best = NONE, .columns = s->axes[s->axis_count - 1].count};
    m->rows = s->count / m->columns;
    for (int i = 0; i < s->count; i++) {
        const ScanPoint *p = &s->points[i];
        m->of[p->state]++;
        if (p->state != SCAN_DONE) continue;
        double ms = scan_time_ms(s, i);
        if (m->best == NONE || ms < m->least_ms) {
            m->best = i;
            m->least_ms = ms;
        }
        m->most_ms = fmax(m->most_ms, ms);
    }
}

// Rows go up, as they were given.
static void write_place(FILE *out, const Map *m, int i) {
    fprintf(out, "%d\t%d\t", i % m->columns, i / m->columns);
}

// Dark cells, the fast ones, have light letters.
static bool is_dark(const Map *m, double ms) {
    return log(ms / m->least_ms) < 0.45 * log(m->most_ms / m->least_ms) ||
           m->most_ms <= m->least_ms;
}

static void write_cells(Figure *f, const Map *m, const char *name, ScanState state, int dark) {
    FILE *out = f->data.stream;
    char memory[UNITS_TEXT];
    int written = 0;
    for (int i = 0; i < m->scan->count; i++) {
        const ScanPoint *p = &m->scan->points[i];
        int64_t bytes = 0;
        if (p->state != state) continue;
        if (state == SCAN_DONE && is_dark(m, scan_time_ms(m->scan, i)) != dark) continue;
        if (!written++) figure_block(f, name);
        write_place(out, m, i);
        for (int k = 0; k < MEMORY_COUNT; k++) bytes += p->memory_bytes[k];
        if (scan_is_made(p) && p->step_ms > 0)
            fprintf(out, "%.10g\t%s\tdp %d\n", scan_time_ms(m->scan, i),
                    units_print_size(memory, bytes), p->data_ranks);
        else
            fprintf(out, "\t%s\t\n", bytes ? units_print_size(memory, bytes) : "");
    }
    fprintf(f->settings.stream, "array HAS_%s[1] = [%d]\n", name, written > 0);
}

static void write_ticks(Figure *f, const Map *m) {
    FILE *out = f->settings.stream;
    const Scan *s = m->scan;
    char label[SCAN_TEXT];
    fprintf(out, "array COLUMN[%d] = [", m->columns);
    for (int i = 0; i < m->columns; i++) {
        fputs(i ? ", " : "", out);
        figure_write_quoted(out, scan_value(s, i, s->axis_count - 1));
    }
    fprintf(out, "]\narray ROW[%d] = [", m->rows);
    for (int i = 0; i < m->rows; i++) {
        fputs(i ? ", " : "", out);
        figure_write_quoted(
            out, scan_label(label, s, i * m->columns, 0, s->axis_count - 1, s->axis_count > 2));
    }
    fputs("]\n", out);
}

static void write_caption(Figure *f, const Map *m) {
    char ms[CAPTION_MS];
    FILE *out = f->caption.stream;
    const Scan *s = m->scan;
    char label[SCAN_TEXT];
    scan_caption(out, f->options, s);
    fprintf(out, "In a cell: %s, memory of a device, ranks with other data (dp). ",
            scan_has_one_batch(s) ? "a step in ms" : "1000 samples in ms");
    if (m->best != NONE)
        fprintf(out, "Framed, the fastest that fits: %s, %s. ",
                scan_label(label, s, m->best, 0, s->axis_count, true),
                caption_ms(ms, m->least_ms, 5));
    if (m->of[SCAN_TOO_LARGE])
        fprintf(out, "Hatched: do not fit a device's %.4g GiB. ",
                (double)s->run->device_bytes / (1 << 30));
    if (m->of[SCAN_REFUSED])
        fprintf(out, "Grey x: cannot be made%s. ", s->advised ? "" : ", as --csv says");
    if (m->of[SCAN_OPEN]) fputs("White: estimated to be slower, and not simulated. ", out);
    fputs("Simulated steps have no spread.", out);
}

static Status write_figure(Figure *f, const void *data) {
    const Map *m = data;
    const Scan *s = m->scan;
    char keys[SCAN_TEXT] = "";
    TRY(figure_open(f, "column\trow\ttime (ms)\tmemory\tdata parallel"));
    write_cells(f, m, "DARK", SCAN_DONE, true);
    write_cells(f, m, "LIGHT", SCAN_DONE, false);
    write_cells(f, m, "LARGE", SCAN_TOO_LARGE, false);
    write_cells(f, m, "REFUSED", SCAN_REFUSED, false);
    write_cells(f, m, "OPEN", SCAN_OPEN, false);
    for (int k = 0; k < s->axis_count - 1; k++)
        text_append(keys, sizeof keys, "%s%s", k ? ", " : "", s->axes[k].key);
    figure_set_text(f, "TITLE", "How %s is divided: %s", s->run->run.model,
                    scan_has_one_batch(s) ? "the time of a step" : "the time of 1000 samples");
    figure_set_text(f, "XLABEL", "%s", s->axes[s->axis_count - 1].key);
    figure_set_text(f, "YLABEL", "%s", s->axis_count > 2 ? "" : keys);
    figure_set(f, "LEAST", m->least_ms);
    figure_set(f, "MOST", m->most_ms);
    figure_set(f, "BEST_COLUMN", m->best == NONE ? -1 : m->best % m->columns);
    figure_set(f, "BEST_ROW", m->best == NONE ? -1 : m->best / m->columns);
    write_ticks(f, m);
    write_caption(f, m);
    return OK;
}

Status figures_layout(const FigureOptions *o, const Scan *s, FigureNotes *notes) {
    static const char *const parts[] = {"layout", NULL};
    Map map;
    if (s->axis_count < 2) return OK;  // a line shows it
    gather(&map, s);
    if (map.best == NONE) {
        figure_note(notes, "layout is not drawn: no combination was simulated and fits");
        return OK;
    }
    if (map.columns > SCAN_CELLS || map.rows > SCAN_CELLS) {
        figure_note(notes, "layout is not drawn: %d x %d cells, and there is room for %d x %d",
                    map.columns, map.rows, SCAN_CELLS, SCAN_CELLS);
        return OK;
    }
    int left = s->axis_count > 2 ? 60 + 60 * (s->axis_count - 1) : 0;
    int width = left + 220 + 96 * map.columns;
    return figure_make(o, notes,
                       &(FigureForm){.name = "layout",
                                     .width = width < 640 ? 640 : width,
                                     .height = 210 + (map.rows > 12 ? 36 : 62) * map.rows,
                                     .run = s->run,
                                     .write = write_figure,
                                     .data = &map,
                                     .parts = parts});
}
