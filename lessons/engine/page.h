// SPDX-License-Identifier: MIT
// A screen of a lesson: paragraphs, lines that stay as they are, one box. Lessons write pages and
// never see where these go: a terminal, a transcript, JSON.
//
//     page_say(p, _("A ring of %d ranks sends %s from each rank."), x->ranks,
//              page_quantity(p, UNIT_BYTES, x->sent));
#ifndef LESSONS_ENGINE_PAGE_H
#define LESSONS_ENGINE_PAGE_H

#include "core/base/arena.h"
#include "lessons/engine/answer.h"
#include "viz/scene/draw.h"

#include <stdbool.h>
#include <stdio.h>

enum {
    PAGE_COLUMNS = 76,  // of the widest line
    PAGE_LINES = 12     // of text on a screen; drawings come on top of it
};

typedef enum {
    PAGE_PARAGRAPH,  // words, broken into lines where it is shown
    PAGE_LINE,       // a formula, a row of a table: never broken
    PAGE_DRAWING,
    PAGE_BOX  // the takeaway: a paragraph in a frame
} PageBlockKind;

typedef struct PageBlock {
    PageBlockKind kind;
    const char *text;         // but of a drawing
    const DrawList *drawing;  // NULL: none
    struct PageBlock *next;
} PageBlock;

typedef struct {
    Arena *arena;  // borrowed
    PageBlock *first, *last;
    bool out_of_memory;  // a block was lost: page_write() fails
} Page;

void page_say(Page *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void page_line(Page *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void page_draw(Page *p, const DrawList *drawing);  // of the page's arena, PAGE_COLUMNS at most
void page_box(Page *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

// Text for the arguments of the above, in the page's arena: a quantity with its unit and three
// significant digits, or with as many as are asked for.
const char *page_quantity(Page *p, AnswerUnit unit, double value);
const char *page_digits(Page *p, AnswerUnit unit, int digits, double value);
const char *page_text(Page *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

// How a page looks.
typedef struct {
    // A back end of drawings (viz/backend), which hands on each row; NULL: they are left out.
    Status (*draw)(const DrawList *d, bool plain, bool color,
                   void (*row)(void *context, const char *text), void *context);
    int columns;  // at most; 0: PAGE_COLUMNS
    bool plain;   // ASCII alone: frames of + - |
    bool color;   // bold, where the terminal may
} PageStyle;

// The lines of a page, each ended. ERR_MEMORY when blocks were lost.
Status page_write(FILE *out, const Page *p, const PageStyle *style) MUST_USE;

// How many lines of text it has when written so, drawings apart; and the widest of all.
int page_text_lines(const Page *p, const PageStyle *style);
int page_widest(const Page *p, const PageStyle *style);

#endif
