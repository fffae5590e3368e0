// SPDX-License-Identifier: MIT
// Curves between two axes, with the smallest and largest value at each.
#include "viz/scene/scene.h"

#include <math.h>

typedef struct {
    double low, high;
    bool log;
} Axis;

static void widen(Axis *axis, const double *values, int count) {
    for (int i = 0; i < count; i++) {
        if (!isfinite(values[i]) || (axis->log && values[i] <= 0)) continue;
        axis->low = fmin(axis->low, values[i]);
        axis->high = fmax(axis->high, values[i]);
    }
}

// Where on an axis a value lies, from 0 to 1.
static double share_of(const Axis *axis, double value) {
    if (!(axis->high > axis->low)) return 0.5;
    if (axis->log) return log(value / axis->low) / log(axis->high / axis->low);
    return (value - axis->low) / (axis->high - axis->low);
}

// What tells curves apart without colour: a mark of their own every EVERY columns. Those of curves
// that lie together are not in the same columns.
enum { EVERY = 8 };
static const char *const MARKS[] = {"o", "x", "+", "#"};
enum { MARK_COUNT = sizeof MARKS / sizeof *MARKS };

typedef struct {
    const char *text;
    Tone tone;
    int shift;  // the first column with one
} Mark;

static Mark mark_of(const SceneCurve *s, int i) {
    return (Mark){MARKS[i % MARK_COUNT], s->series[i].tone, EVERY * i / s->count};
}

static void mark(DrawList *d, const Mark *m, double x, double y) {
    draw_text(d, m->tone, ALIGN_CENTER, x, y - DRAW_ROW / 2.0, 0, "%s", m->text);
}

// The marks of the line from (x0, y0) to (x1, y1), where it crosses the middle of their columns.
static void mark_line(DrawList *d, const Mark *m, double x0, double y0, double x1, double y1) {
    for (int c = (int)ceil(fmin(x0, x1) / DRAW_COLUMN - 0.5);; c++) {
        double at = (c + 0.5) * DRAW_COLUMN;
        if (at >= fmax(x0, x1)) return;
        if (c % EVERY == m->shift) mark(d, m, at, y0 + (y1 - y0) * (at - x0) / (x1 - x0));
    }
}

void scene_curve(DrawList *d, Arena *a, int columns, const SceneCurve *s) {
    enum { LABELS = 9 };
    int rows = s->rows > 0 ? s->rows : 12;
    Axis x = {HUGE_VAL, -HUGE_VAL, s->log_x}, y = {HUGE_VAL, -HUGE_VAL, s->log_y};
    for (int i = 0; i < s->count; i++) {
        widen(&x, s->series[i].x, s->series[i].count);
        widen(&y, s->series[i].y, s->series[i].count);
    }
    double left = LABELS * DRAW_COLUMN, right = columns * DRAW_COLUMN;
    double top = DRAW_ROW, bottom = (rows - 2) * DRAW_ROW;
    draw_init(d, a, columns * DRAW_COLUMN, rows * DRAW_ROW);
    draw_text(d, TONE_INK, ALIGN_LEFT, 0, 0, 0, "%s%s", s->y_name, s->log_y ? " (log)" : "");
    draw_line(d, TONE_INK, left, top, left, bottom);
    draw_line(d, TONE_INK, left, bottom, right, bottom);
    if (!(x.high >= x.low) || !(y.high >= y.low)) return;
    draw_text(d, TONE_INK, ALIGN_RIGHT, left - DRAW_COLUMN, top, 0, "%.3g", y.high);
    draw_text(d, TONE_INK, ALIGN_RIGHT, left - DRAW_COLUMN, bottom - DRAW_ROW, 0, "%.3g", y.low);
    draw_text(d, TONE_INK, ALIGN_LEFT, left, bottom + DRAW_ROW, 0, "%.3g", x.low);
    draw_text(d, TONE_INK, ALIGN_CENTER, (left + right) / 2, bottom + DRAW_ROW, 0, "%s%s",
              s->x_name, s->log_x ? " (log)" : "");
    draw_text(d, TONE_INK, ALIGN_RIGHT, right, bottom + DRAW_ROW, 0, "%.3g", x.high);
    for (int i = 0; i < s->count; i++) {
        const SceneSeries *one = &s->series[i];
        Mark own = mark_of(s, i);
        double last_x = 0, last_y = 0;
        bool begun = false;
        for (int k = 0; k < one->count; k++) {
            bool shown = isfinite(one->x[k]) && isfinite(one->y[k]) && !(x.log && one->x[k] <= 0) &&
                         !(y.log && one->y[k] <= 0);
            double at_x = left + share_of(&x, one->x[k]) * (right - left - 1);
            double at_y = bottom - 1 - share_of(&y, one->y[k]) * (bottom - top - 2);
            if (shown && begun) draw_line(d, one->tone, last_x, last_y, at_x, at_y);
            if (shown && begun && s->count > 1) mark_line(d, &own, last_x, last_y, at_x, at_y);
            if (shown && s->count > 1 && k == one->count - 1) mark(d, &own, at_x, at_y);
            begun = shown;
            last_x = at_x;
            last_y = at_y;
        }
    }
    double at = left + 6 * DRAW_COLUMN;  // behind the name of y
    for (int i = 0; s->count > 1 && i < s->count; i++) {
        Mark own = mark_of(s, i);
        draw_line(d, own.tone, at, DRAW_ROW / 2.0, at + 2 * DRAW_COLUMN, DRAW_ROW / 2.0);
        mark(d, &own, at + DRAW_COLUMN / 2.0, DRAW_ROW / 2.0);
        draw_text(d, TONE_INK, ALIGN_LEFT, at + 3 * DRAW_COLUMN, 0, 0, "%s", s->series[i].name);
        at += 24 * DRAW_COLUMN;
    }
}
