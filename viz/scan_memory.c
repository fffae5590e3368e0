// SPDX-License-Identifier: MIT
// What the points of a scan need of a device's memory: bars that sum to all of it, planned by the
// simulation and, where such a run was measured, what it took beside that.
#include "viz/figures_internal.h"
#include "viz/scan_internal.h"

#include <math.h>

// The classes of a plan, and what libraries took besides in a measured run.
enum { CLASSES = MEMORY_COUNT + 1 };

typedef struct {
    const Scan *scan;
    int made, measured;
    double most;  // bytes, of bars; the line of the device may be higher
    int64_t device_bytes;
    bool shown[CLASSES];
} MemoryBars;

// Of the rank that took most. False when that is not known: planned memory alone says nothing new.
static bool measured_classes(double out[CLASSES], const Report *r) {
    double most = -1;
    for (int rank = 0; rank < r->run.ranks && r->memory; rank++) {
        const MemoryUse *use = &r->memory[rank];
        double all = (double)use->unplanned;
        if (use->unplanned == NONE) continue;
        for (int m = 0; m < MEMORY_COUNT; m++) all += (double)use->planned[m];
        if (all <= most) continue;
        most = all;
        for (int m = 0; m < MEMORY_COUNT; m++) out[m] = (double)use->planned[m];
        out[MEMORY_COUNT] = (double)use->unplanned;
    }
    return most >= 0;
}

static void planned_classes(double out[CLASSES], const ScanPoint *p) {
    for (int m = 0; m < MEMORY_COUNT; m++) out[m] = (double)p->memory_bytes[m];
    out[MEMORY_COUNT] = 0;
}

static bool classes_of(double out[CLASSES], const ScanPoint *p, bool measured) {
    if (measured) return p->measured.count && measured_classes(out, p->measured.reports[0]);
    if (scan_is_made(p)) planned_classes(out, p);
    return scan_is_made(p);
}

static void gather(MemoryBars *b, const Scan *s) {
    double c[CLASSES];
    *b = (MemoryBars){.scan = s};
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < s->count; i++) {
            double all = 0;
            if (!classes_of(c, &s->points[i], side)) continue;
            side ? b->measured++ : b->made++;
            for (int m = 0; m < CLASSES; m++) all += c[m];
            b->most = fmax(b->most, all);
            b->device_bytes =
                s->points[i].device_bytes ? s->points[i].device_bytes : b->device_bytes;
        }
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < s->count; i++)
            for (int m = 0; classes_of(c, &s->points[i], side) && m < CLASSES; m++)
                b->shown[m] |= c[m] > 0.002 * b->most;
}

static void write_block(Figure *f, const MemoryBars *b, bool measured) {
    const Scan *s = b->scan;
    double c[CLASSES], ignored[CLASSES];
    char label[SCAN_TEXT];
    figure_block(f, measured ? "measured" : "simulated");
    for (int i = 0; i < s->count; i++) {
        const ScanPoint *p = &s->points[i];
        bool pair = classes_of(ignored, p, !measured);
        double all = 0;
        if (!classes_of(c, p, measured)) continue;
        fprintf(f->data.stream, "%s\t%g", scan_label(label, s, i, 0, s->axis_count, true),
                pair ? i + (measured ? -0.19 : 0.19) : i);
        for (int m = 0; m < CLASSES; m++) all += c[m];
        for (int m = 0; m < CLASSES; m++) fprintf(f->data.stream, "\t%.0f", c[m]);
        fprintf(f->data.stream, "\t%.0f\n", all);
    }
}

static void write_ticks(Figure *f, const MemoryBars *b) {
    FILE *out = f->settings.stream;
    char label[SCAN_TEXT];
    const Scan *s = b->scan;
    fprintf(out, "array LABELS[%d] = [", s->count);
    for (int i = 0; i < s->count; i++) {
        fputs(i ? ", " : "", out);
        figure_write_quoted(out, scan_label(label, s, i, 0, s->axis_count, s->axis_count > 1));
    }
    fputs("]\narray MISSING[", out);
    fprintf(out, "%d] = [", s->count);
    for (int i = 0; i < s->count; i++)
        fprintf(out, "%s%d", i ? ", " : "", s->points[i].state == SCAN_REFUSED);
    fputs("]\n", out);
}

static void write_lists(Figure *f, const MemoryBars *b) {
    FILE *out = f->settings.stream;
    int shown = 0;
    for (int m = 0; m < CLASSES; m++) shown += b->shown[m];
    fprintf(out, "array CATEGORY[%d] = [", CLASSES);
    for (int m = 0; m < CLASSES; m++)
        fprintf(out, "%s'%s'", m ? ", " : "",
                m == MEMORY_COUNT ? "libraries" : memory_name((Memory)m));
    fprintf(out, "]\narray SHOWN[%d] = [", shown);
    for (int m = 0, n = 0; m < CLASSES; m++)
        if (b->shown[m]) fprintf(out, "%s%d", n++ ? ", " : "", m + 1);
    fputs("]\n", out);
    write_ticks(f, b);
}

// A line far above all bars would leave them no room.
static bool has_line(const MemoryBars *b) {
    return b->device_bytes && (double)b->device_bytes < 4 * b->most;
}

static void write_caption(Figure *f, const MemoryBars *b) {
    FILE *out = f->caption.stream;
    scan_caption(out, f->options, b->scan);
    fputs("Bars: a step's plan, on the rank that needs most; exact, without spread.", out);
    if (b->measured) {
        const Report *first = NULL;
        for (int i = 0; i < b->scan->count && !first; i++)
            if (b->scan->points[i].measured.count) first = b->scan->points[i].measured.reports[0];
        fputs(" Measured: ", out);
        caption_machine(out, first);
        fprintf(out,
                ", %s; what the allocator gave to the run's plan, evaluations included, and "
                "libraries besides.",
                first->run.device);
    }
    if (b->device_bytes)
        fprintf(out, "%s %.4g GiB.", has_line(b) ? " Line: what a device has," : " A device has",
                (double)b->device_bytes / (1 << 30));
    if (b->made < b->scan->count)
        fprintf(out, " x: refused, %d of %d.", b->scan->count - b->made, b->scan->count);
}

static Status write_figure(Figure *f, const void *data) {
    const MemoryBars *b = data;
    const double gib = 1 << 30;
    bool mib = b->most < gib;
    bool line = has_line(b);
    TRY(figure_open(f, "point\tposition\tparameters (bytes)\tgradients (bytes)\toptimiser (bytes)\t"
                       "activations (bytes)\tcommunication (bytes)\tscratch (bytes)\t"
                       "libraries (bytes)\tall (bytes)"));
    write_block(f, b, false);
    if (b->measured) write_block(f, b, true);
    figure_set_names(f, "SERIES", "simulated", b->measured ? "measured" : NULL);
    figure_set(f, "SCALE", mib ? 1 << 20 : gib);
    figure_set_text(f, "UNIT", "%s", mib ? "MiB" : "GiB");
    figure_set(f, "TALLEST", fmax(b->most, line ? (double)b->device_bytes : 0));
    figure_set(f, "DEVICE", line ? (double)b->device_bytes : 0);
    figure_set_text(f, "TITLE", "Memory of a device for a step of %s", b->scan->run->run.model);
    figure_set_text(f, "XLABEL", "%s", b->scan->axis_count > 1 ? "" : b->scan->axes[0].key);
    write_lists(f, b);
    write_caption(f, b);
    return OK;
}

Status figures_memory(const FigureOptions *o, const Scan *s, FigureNotes *notes) {
    static const char *const parts[] = {"memory", NULL};
    MemoryBars bars;
    if (s->count > SCAN_BARS) {
        figure_note(notes, "memory is not drawn: %d points, and there is room for %d bars",
                    s->count, SCAN_BARS);
        return OK;
    }
    gather(&bars, s);
    if (!(bars.most > 0)) {
        figure_note(notes, "memory is not drawn: no point was simulated");
        return OK;
    }
    int width = 300 + 70 * s->count;
    return figure_make(o, notes,
                       &(FigureForm){.name = "memory",
                                     .width = width < 720    ? 720
                                              : width > 1200 ? 1200
                                                             : width,
                                     .height = 540,
                                     .run = s->run,
                                     .write = write_figure,
                                     .data = &bars,
                                     .parts = parts});
}
