// SPDX-License-Identifier: MIT
// A grid of cells of 8 x 16 points. Boxes fill the cells that they cover by half; a curve is drawn
// in dots, of which braille has 2 x 4 in a cell; text comes last and is always read.
#include "viz/backend/ansi.h"

#include "core/base/text.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { GLYPH = 8 };  // bytes of a character with its terminator
typedef struct {
    char glyph[GLYPH];  // empty: a space, or the second half of a wide character
    uint8_t dots;       // braille
    Tone tone;
    bool filled, wide_tail;
} Cell;

typedef struct {
    Cell *cells;
    int columns, rows;
    const AnsiStyle *style;
} Grid;

static const char *const FILLS[2][TONE_COUNT] = {{"█", "░", "█", "▒", "▓", "░", "·", "▪"},
                                                 {"#", ".", "#", "=", "%", ".", ":", "+"}};
// 256 colours: near Wong's, on light and on dark.
static const int COLORS[TONE_COUNT] = {0, 245, 32, 36, 166, 250, 74, 29};

static Cell *cell_at(const Grid *g, int column, int row) {
    bool inside = column >= 0 && column < g->columns && row >= 0 && row < g->rows;
    return inside ? &g->cells[row * g->columns + column] : NULL;
}

static void set(const Grid *g, int column, int row, const char *glyph, Tone tone, bool filled) {
    Cell *c = cell_at(g, column, row);
    if (!c) return;
    *c = (Cell){.tone = tone, .filled = filled};
    snprintf(c->glyph, sizeof c->glyph, "%s", glyph);
}

// The first cell whose middle is at or behind a place.
static int edge(double at, int cell) { return (int)ceil(at / cell - 0.5); }

static void box(const Grid *g, const DrawItem *b) {
    int left = edge(b->x, DRAW_COLUMN), right = edge(b->x + b->w, DRAW_COLUMN);
    int top = edge(b->y, DRAW_ROW), bottom = edge(b->y + b->h, DRAW_ROW);
    if (right == left) right = left + 1;  // what is there is seen
    if (bottom == top) bottom = top + 1;
    for (int row = top; row < bottom; row++)
        for (int column = left; column < right; column++)
            set(g, column, row, FILLS[g->style->plain][b->tone], b->tone, true);
}

static void dot(const Grid *g, double x, double y, Tone tone) {
    static const uint8_t DOTS[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    int column = (int)floor(x / DRAW_COLUMN), row = (int)floor(y / DRAW_ROW);
    Cell *c = cell_at(g, column, row);
    if (!c || (c->glyph[0] && !c->dots)) return;
    if (g->style->plain) {
        set(g, column, row, "*", tone, false);
        return;
    }
    int right = x - column * DRAW_COLUMN >= DRAW_COLUMN / 2.0;
    int down = (int)((y - row * DRAW_ROW) / (DRAW_ROW / 4.0));
    uint8_t dots = c->dots | DOTS[down > 3 ? 3 : down][right];
    *c = (Cell){.dots = dots, .tone = tone};
    int code = 0x2800 + dots;
    snprintf(c->glyph, sizeof c->glyph, "%c%c%c", 0xE0 | code >> 12, 0x80 | (code >> 6 & 0x3F),
             0x80 | (code & 0x3F));
}

static void straight(const Grid *g, const DrawItem *l) {
    bool across = l->h == 0;
    const char *glyph = g->style->plain ? (across ? "-" : "|") : (across ? "─" : "│");
    int row = (int)floor(l->y / DRAW_ROW), column = (int)floor(l->x / DRAW_COLUMN);
    int count = across ? edge(l->x + l->w, DRAW_COLUMN) - column
                       : (int)ceil((l->y + l->h) / DRAW_ROW) - row;
    for (int i = 0; i < (count > 0 ? count : 1); i++) {
        Cell *c = cell_at(g, column + (across ? i : 0), row + (across ? 0 : i));
        if (c && c->filled && l->tone == TONE_FAINT) continue;
        set(g, column + (across ? i : 0), row + (across ? 0 : i), glyph, l->tone, false);
    }
}

static void slanted(const Grid *g, const DrawItem *l) {
    int steps = (int)ceil(fmax(fabs(l->w) / (DRAW_COLUMN / 2.0), fabs(l->h) / (DRAW_ROW / 4.0)));
    for (int i = 0; i <= steps; i++) {
        double share = steps ? (double)i / steps : 0;
        dot(g, l->x + share * l->w, l->y + share * l->h, l->tone);
    }
}

static void write(const Grid *g, const DrawItem *t) {
    int width = text_width(t->text), bytes;
    double start = t->x / DRAW_COLUMN;
    if (t->align == ALIGN_CENTER) start -= width / 2.0;
    if (t->align == ALIGN_RIGHT) start -= width;
    int column = (int)floor(start + 0.5), row = (int)floor(t->y / DRAW_ROW + 0.5);
    if (column + width > g->columns) column = g->columns - width;
    for (const char *c = t->text; *c; c += bytes) {
        int wide = text_character_width(c, &bytes);
        Cell *cell = cell_at(g, column, row);
        char glyph[GLYPH];
        snprintf(glyph, sizeof glyph, "%.*s", bytes, c);
        if (cell) {
            bool filled = cell->filled;
            Tone tone = filled ? cell->tone : t->tone;
            set(g, column, row, glyph, tone, filled);
            Cell *tail = wide == 2 ? cell_at(g, column + 1, row) : NULL;
            if (tail) *tail = (Cell){.tone = tone, .wide_tail = true};
        }
        column += wide;
    }
}

static void print_row(const Grid *g, int row, char *text, size_t size) {
    int last = g->columns - 1, now = -1;
    const Cell *cells = &g->cells[row * g->columns];
    while (last >= 0 && !cells[last].glyph[0] && !cells[last].wide_tail) last--;
    *text = '\0';
    for (int i = 0; i <= last; i++) {
        if (cells[i].wide_tail) continue;
        int color = g->style->color && cells[i].glyph[0] ? COLORS[cells[i].tone] : 0;
        if (color != now && g->style->color && (now > 0 || color > 0)) {
            if (color)
                text_append(text, size, "\033[38;5;%dm", color);
            else
                text_append(text, size, "\033[0m");
        }
        now = color;
        text_append(text, size, "%s", cells[i].glyph[0] ? cells[i].glyph : " ");
    }
    if (now > 0) text_append(text, size, "\033[0m");
}

Status ansi_draw(const DrawList *d, const AnsiStyle *style,
                 void (*row)(void *context, const char *text), void *context) {
    Grid g = {.columns = (int)ceil(d->width / DRAW_COLUMN),
              .rows = (int)ceil(d->height / DRAW_ROW),
              .style = style};
    size_t size = (size_t)g.columns * (GLYPH + 16) + 16;
    Arena arena = {0};
    g.cells = ARENA_NEW(&arena, Cell, g.columns * g.rows + 1);
    char *text = ARENA_NEW(&arena, char, size);
    bool short_of_memory = d->out_of_memory || !g.cells || !text;
    for (int i = 0; !short_of_memory && i < d->count; i++) {
        const DrawItem *item = &d->items[i];
        if (item->kind == DRAW_BOX) box(&g, item);
        if (item->kind == DRAW_LINE && (item->w == 0 || item->h == 0)) straight(&g, item);
        if (item->kind == DRAW_LINE && item->w != 0 && item->h != 0) slanted(&g, item);
    }
    for (int i = 0; !short_of_memory && i < d->count; i++)
        if (d->items[i].kind == DRAW_TEXT) write(&g, &d->items[i]);
    for (int r = 0; !short_of_memory && r < g.rows; r++) {
        print_row(&g, r, text, size);
        row(context, text);
    }
    arena_finish(&arena);
    if (short_of_memory) FAIL(ERR_MEMORY, "out of memory for a drawing");
    return OK;
}
