// SPDX-License-Identifier: MIT
// Bars, one a row. Where a value is negative, zero is in the middle.
#include "viz/scene/scene.h"

#include "core/base/text.h"

#include <math.h>
#include <stdio.h>

static double most_of(const SceneBars *s, bool *negative) {
    double most = 0;
    *negative = false;
    for (int i = 0; i < s->count; i++) {
        most = fmax(most, fabs(s->bars[i].value));
        if (s->bars[i].has_target) most = fmax(most, fabs(s->bars[i].target));
        *negative |= s->bars[i].value < 0 || (s->bars[i].has_target && s->bars[i].target < 0);
    }
    return s->most > 0 ? s->most : most > 0 ? most : 1;
}

void scene_bars(DrawList *d, Arena *a, int columns, const SceneBars *s) {
    int names = 0, values = 0;
    bool negative;
    double most = most_of(s, &negative);
    char text[64];
    for (int i = 0; i < s->count; i++) {
        int name = text_width(s->bars[i].name),
            value = snprintf(text, sizeof text, s->form, s->bars[i].value);
        names = name > names ? name : names;
        values = value > values ? value : values;
    }
    draw_init(d, a, columns * DRAW_COLUMN, s->count * DRAW_ROW);
    double left = (names + values + 3) * DRAW_COLUMN, room = columns * DRAW_COLUMN - left;
    double zero = negative ? left + room / 2 : left, scale = (negative ? room / 2 : room) / most;
    for (int i = 0; i < s->count; i++) {
        const SceneBar *b = &s->bars[i];
        double y = i * DRAW_ROW, length = fmin(fabs(b->value), most) * scale;
        draw_text(d, TONE_INK, ALIGN_LEFT, 0, y, 0, "%s", b->name);
        draw_text(d, TONE_INK, ALIGN_RIGHT, (names + 1 + values) * DRAW_COLUMN, y, 0, s->form,
                  b->value);
        draw_box(d, b->tone, b->value < 0 ? zero - length : zero, y + 2, length, DRAW_ROW - 4);
        double at = zero + fmax(-most, fmin(most, b->target)) * scale;
        at = fmin(at, d->width - DRAW_COLUMN / 2.0);  // the last cell is still seen
        if (b->has_target) draw_line(d, TONE_RIGHT, at, y, at, y + DRAW_ROW);
    }
    if (negative) draw_line(d, TONE_FAINT, zero, 0, zero, s->count * DRAW_ROW);
}
