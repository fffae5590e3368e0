// SPDX-License-Identifier: MIT
// A draw list: what a scene looks like, as boxes, lines and texts in points. A text is 16 points
// high and 8 a column wide, as a cell of a terminal is, so that one list has the same layout in a
// terminal, in a picture and in a window. Scenes make lists and know no back end.
#ifndef VIZ_SCENE_DRAW_H
#define VIZ_SCENE_DRAW_H

#include "core/base/arena.h"

#include <stdbool.h>

enum { DRAW_COLUMN = 8, DRAW_ROW = 16 };  // points of a cell

// What something stands for. Back ends choose its colour, and a pattern that tells the same.
typedef enum {
    TONE_INK,      // text, axes
    TONE_FAINT,    // grids, what is not looked at now
    TONE_COMPUTE,  // computing; the first of several
    TONE_COMM,     // communication that is hidden; the second
    TONE_EXPOSED,  // communication that is waited for; the third
    TONE_BUBBLE,   // idle by schedule
    TONE_WAITING,  // for another rank
    TONE_RIGHT,    // what ought to be: a target
    TONE_COUNT
} Tone;

typedef enum { DRAW_BOX, DRAW_LINE, DRAW_TEXT } DrawKind;
typedef enum { ALIGN_LEFT, ALIGN_CENTER, ALIGN_RIGHT } DrawAlign;

typedef struct {
    DrawKind kind;
    Tone tone;
    double x, y, w, h;  // a box; a line goes from (x, y) to (x + w, y + h); of a text its anchor,
                        // the top of its row, and w is the room that it has (0: any)
    const char *text;   // UTF-8, in the arena
    DrawAlign align;
    bool strong;  // of a text: bold
} DrawItem;

typedef struct {
    Arena *arena;          // borrowed
    double width, height;  // points
    DrawItem *items;
    int count, capacity;
    bool out_of_memory;  // something was lost: back ends fail
} DrawList;

void draw_init(DrawList *d, Arena *a, double width, double height);
void draw_box(DrawList *d, Tone tone, double x, double y, double w, double h);
void draw_line(DrawList *d, Tone tone, double x0, double y0, double x1, double y1);
// A text that is wider than `room` points is left out where it would only be a letter, else cut.
void draw_text(DrawList *d, Tone tone, DrawAlign align, double x, double y, double room,
               const char *fmt, ...) PRINTF_LIKE(7, 8);

#endif
