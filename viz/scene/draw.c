// SPDX-License-Identifier: MIT
// Adding to a draw list; texts are cut to their room here, so that no back end has to.
#include "viz/scene/draw.h"

#include "core/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void draw_init(DrawList *d, Arena *a, double width, double height) {
    *d = (DrawList){.arena = a, .width = width, .height = height};
}

static void add(DrawList *d, const DrawItem *item) {
    if (d->count == d->capacity) {
        int capacity = d->capacity ? 2 * d->capacity : 64;
        DrawItem *items = ARENA_NEW(d->arena, DrawItem, capacity);
        if (!items) {
            d->out_of_memory = true;
            return;
        }
        if (d->count) memcpy(items, d->items, (size_t)d->count * sizeof *items);
        d->items = items;
        d->capacity = capacity;
    }
    d->items[d->count++] = *item;
}

void draw_box(DrawList *d, Tone tone, double x, double y, double w, double h) {
    if (w > 0 && h > 0) add(d, &(DrawItem){DRAW_BOX, tone, x, y, w, h, NULL, ALIGN_LEFT, false});
}

void draw_line(DrawList *d, Tone tone, double x0, double y0, double x1, double y1) {
    add(d, &(DrawItem){DRAW_LINE, tone, x0, y0, x1 - x0, y1 - y0, NULL, ALIGN_LEFT, false});
}

// Cut to so many columns, with ".." where something is missing.
static void cut(char *text, int columns) {
    int width = 0, bytes;
    if (text_width(text) <= columns) return;
    if (columns < 3) {
        *text = '\0';
        return;
    }
    char *at = text;
    for (; *at; at += bytes) {
        int wide = text_character_width(at, &bytes);
        if (width + wide > columns - 2) break;
        width += wide;
    }
    strcpy(at, "..");
}

void draw_text(DrawList *d, Tone tone, DrawAlign align, double x, double y, double room,
               const char *fmt, ...) {
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text - 2, fmt, args);
    va_end(args);
    if (room > 0) cut(text, (int)(room / DRAW_COLUMN));
    if (!*text) return;
    const char *kept = arena_string(d->arena, text);
    if (!kept) d->out_of_memory = true;
    if (kept) add(d, &(DrawItem){DRAW_TEXT, tone, x, y, room, 0, kept, align, false});
}
