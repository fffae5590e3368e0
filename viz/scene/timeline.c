// SPDX-License-Identifier: MIT
// Rows of spans. As a grid it shows a pipeline's schedule, every cell the number of a micro-batch.
#include "viz/scene/scene.h"

#include "core/base/text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

// The largest of 1, 2, 5, times a power of ten, that gives at least `parts` ticks.
static double tick_of(double length, int parts) {
    double power = pow(10, floor(log10(length / parts)));
    double rest = length / parts / power;
    return power * (rest >= 5 ? 5 : rest >= 2 ? 2 : 1);
}

// The width of a tick's number, with the unit behind it or with none, in points.
static double label_width(double at, const char *unit) {
    char label[64];
    snprintf(label, sizeof label, "%g%s%s", at, unit ? " " : "", unit ? unit : "");
    return text_width(label) * DRAW_COLUMN;
}

void scene_timeline(DrawList *d, Arena *a, int columns, const SceneTimeline *s) {
    int names = 0;
    double begin = HUGE_VAL, end = -HUGE_VAL;
    for (int i = 0; i < s->row_count; i++) {
        int width = text_width(s->rows[i]);
        names = width > names ? width : names;
    }
    for (int i = 0; i < s->span_count; i++) {
        begin = fmin(begin, s->spans[i].start);
        end = fmax(end, s->spans[i].end);
    }
    double left = (names + 1) * DRAW_COLUMN, bottom = s->row_count * DRAW_ROW;
    draw_init(d, a, columns * DRAW_COLUMN, bottom + (s->grid ? 0 : 2) * DRAW_ROW);
    for (int i = 0; i < s->row_count; i++)
        draw_text(d, TONE_INK, ALIGN_LEFT, 0, i * DRAW_ROW, 0, "%s", s->rows[i]);
    if (!(end > begin)) return;
    double scale = (columns * DRAW_COLUMN - left) / (end - begin);
    // Cells of a grid are whole columns wide, so that all are equally wide in a terminal.
    if (s->grid && scale > DRAW_COLUMN) scale = floor(scale / DRAW_COLUMN) * DRAW_COLUMN;
    for (int i = 0; i < s->span_count; i++) {
        const SceneSpan *span = &s->spans[i];
        double x = left + (span->start - begin) * scale, w = (span->end - span->start) * scale;
        draw_box(d, span->tone, x, span->row * DRAW_ROW, w, DRAW_ROW);
        if (span->label && w > 0)
            draw_text(d, TONE_INK, ALIGN_CENTER, x + w / 2, span->row * DRAW_ROW, w, "%s",
                      span->label);
    }
    if (s->grid) return;
    draw_line(d, TONE_INK, left, bottom + DRAW_ROW / 2.0, columns * DRAW_COLUMN,
              bottom + DRAW_ROW / 2.0);
    double tick = tick_of(end - begin, 4);
    for (double at = ceil(begin / tick) * tick; at <= end; at += tick) {
        double x = left + (at - begin) * scale;
        bool last = at + tick > end;
        draw_line(d, TONE_INK, x, bottom + DRAW_ROW / 4.0, x, bottom + DRAW_ROW * 3 / 4.0);
        // The last number stays, moved to the left by the edge, and takes the place of another.
        double last_x = columns * DRAW_COLUMN - label_width(floor(end / tick) * tick, s->unit);
        if (!last && x + label_width(at, NULL) + DRAW_COLUMN > last_x) continue;
        draw_text(d, TONE_INK, ALIGN_LEFT, x, bottom + DRAW_ROW, 0, "%g%s%s", at, last ? " " : "",
                  last ? s->unit : "");
    }
}
