// SPDX-License-Identifier: MIT
// A list as text: boxes, lines and words in the order of the list.
#include "viz/backend/svg.h"

#include "core/base/file.h"

#include <errno.h>

// Colours of viz/style.gp; a pattern says the same to who does not see them.
static const char *const COLORS[TONE_COUNT] = {
    [TONE_INK] = "#222222",     [TONE_FAINT] = "#DDDDDD",   [TONE_COMPUTE] = "#0072B2",
    [TONE_COMM] = "#56B4E9",    [TONE_EXPOSED] = "#E69F00", [TONE_BUBBLE] = "#EEEEEE",
    [TONE_WAITING] = "#CC79A7", [TONE_RIGHT] = "#009E73",
};

static void write_text(FILE *out, const char *text) {
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '&')
            fputs("&amp;", out);
        else
            putc(*text, out);
    }
}

// Is the text written over a dark box? Then it is white.
static bool on_dark(const DrawList *d, int text) {
    const DrawItem *t = &d->items[text];
    bool dark = false;
    for (int i = 0; i < text; i++) {
        const DrawItem *b = &d->items[i];
        bool under = b->kind == DRAW_BOX && t->x >= b->x && t->x <= b->x + b->w &&
                     t->y + DRAW_ROW / 2.0 >= b->y && t->y + DRAW_ROW / 2.0 <= b->y + b->h;
        if (under) dark = b->tone == TONE_COMPUTE || b->tone == TONE_RIGHT;
    }
    return dark;
}

static void write_item(FILE *out, const DrawList *d, int i) {
    static const char *const ANCHORS[] = {"start", "middle", "end"};
    const DrawItem *t = &d->items[i];
    switch (t->kind) {
    case DRAW_BOX:
        fprintf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n",
                t->x, t->y, t->w, t->h, COLORS[t->tone]);
        break;
    case DRAW_LINE:
        fprintf(out, "<line x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\" stroke=\"%s\"/>\n",
                t->x, t->y, t->x + t->w, t->y + t->h, COLORS[t->tone]);
        break;
    case DRAW_TEXT:
        fprintf(out, "<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"%s\" fill=\"%s\">", t->x,
                t->y + 12.5, ANCHORS[t->align], on_dark(d, i) ? "#FFFFFF" : COLORS[t->tone]);
        write_text(out, t->text);
        fputs("</text>\n", out);
        break;
    }
}

Status svg_draw(FILE *out, const DrawList *d, const char *title) {
    enum { MARGIN = 12 };
    if (d->out_of_memory) FAIL(ERR_MEMORY, "out of memory for a drawing");
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
            "viewBox=\"%d %d %.0f %.0f\" font-family=\"monospace\" font-size=\"13\">\n<title>",
            d->width + 2 * MARGIN, d->height + 2 * MARGIN, -MARGIN, -MARGIN, d->width + 2 * MARGIN,
            d->height + 2 * MARGIN);
    write_text(out, title);
    fprintf(out,
            "</title>\n<rect x=\"%d\" y=\"%d\" width=\"100%%\" height=\"100%%\" "
            "fill=\"#FFFFFF\"/>\n",
            -MARGIN, -MARGIN);
    for (int i = 0; i < d->count; i++) write_item(out, d, i);
    fputs("</svg>\n", out);
    if (ferror(out)) FAIL(ERR_IO, "a drawing could not be written: %s", file_write_reason(errno));
    return OK;
}
