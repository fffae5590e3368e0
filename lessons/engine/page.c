// SPDX-License-Identifier: MIT
// Pages: blocks kept in an arena, and broken into lines when they are written. Chinese has no
// blanks between words: a line may end between any two characters of which one is wide, but not
// before closing punctuation or after opening (the rules of GB/T 15834 that matter here).
#include "lessons/engine/page.h"

#include "core/base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

// --- putting a page together

static const char *format(Arena *a, const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *text = length < 0 ? NULL : ARENA_NEW(a, char, length + 1);
    if (text) vsnprintf(text, (size_t)length + 1, fmt, args);
    return text;
}

static void add(Page *p, PageBlockKind kind, const char *text, const DrawList *drawing) {
    PageBlock *block = text || drawing ? ARENA_NEW(p->arena, PageBlock, 1) : NULL;
    if (!block) {
        p->out_of_memory = true;
        return;
    }
    *block = (PageBlock){kind, text, drawing, NULL};
    if (p->last)
        p->last->next = block;
    else
        p->first = block;
    p->last = block;
}

void page_say(Page *p, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    add(p, PAGE_PARAGRAPH, format(p->arena, fmt, args), NULL);
    va_end(args);
}

void page_line(Page *p, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    add(p, PAGE_LINE, format(p->arena, fmt, args), NULL);
    va_end(args);
}

void page_draw(Page *p, const DrawList *drawing) { add(p, PAGE_DRAWING, NULL, drawing); }

void page_box(Page *p, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    add(p, PAGE_BOX, format(p->arena, fmt, args), NULL);
    va_end(args);
}

// Memory that is missing shows when the page is written; until then an argument is a string.
static const char *text_or_none(Page *p, const char *text) {
    if (text) return text;
    p->out_of_memory = true;
    return "";
}

const char *page_text(Page *p, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    const char *text = format(p->arena, fmt, args);
    va_end(args);
    return text_or_none(p, text);
}

const char *page_digits(Page *p, AnswerUnit unit, int digits, double value) {
    char text[64];
    answer_print_value(text, sizeof text, unit, digits, value);
    return text_or_none(p, arena_string(p->arena, text));
}

const char *page_quantity(Page *p, AnswerUnit unit, double value) {
    return page_digits(p, unit, 3, value);
}

// --- lines

// Characters that no line begins with, and that none ends with.
static const char CLOSING[] = "，。、；：？！）」』》〉】”’…%％,.;:?!)";
static const char OPENING[] = "（「『《〈【“‘(";

static bool among(const char *set, const char *character, int bytes) {
    for (const char *c = set; *c;) {
        int length;
        text_character_width(c, &length);
        if (length == bytes && memcmp(c, character, (size_t)bytes) == 0) return true;
        c += length;
    }
    return false;
}

// May a line end between two characters that no blank separates?
static bool may_part(const char *left, int left_bytes, const char *right) {
    int bytes, width = text_character_width(right, &bytes);
    if (width != 2 && text_character_width(left, &left_bytes) != 2) return false;
    return !among(CLOSING, right, bytes) && !among(OPENING, left, left_bytes);
}

// How many bytes of a paragraph make a line of at most so many columns; *next is where the next
// line begins. A word that is longer than a line is cut.
static size_t line_of(const char *text, int columns, const char **next) {
    const char *end = NULL, *after = NULL, *c = text, *last = NULL;
    int width = 0, bytes = 0, last_bytes = 0;
    for (; *c; c += bytes) {
        int wide = text_character_width(c, &bytes);
        if (*c == '\n') {
            *next = c + 1;
            return (size_t)(c - text);
        }
        if (*c == ' ') {
            end = c;
            after = c + 1;
        } else if (last && *last != ' ' && may_part(last, last_bytes, c)) {
            end = after = c;
        }
        if (width + wide > columns && *c != ' ') break;
        width += wide;
        last = c;
        last_bytes = bytes;
    }
    if (!*c) end = after = c;
    if (!end) end = after = c;  // one long word
    while (*after == ' ') after++;
    *next = after;
    while (end > text && end[-1] == ' ') end--;
    return (size_t)(end - text);
}

// Where lines go.
typedef struct {
    void (*line)(void *context, const char *text, const PageBlock *block);
    void *context;
} Sink;

static void send_paragraph(const Sink *to, const PageBlock *b, int columns) {
    char line[4 * PAGE_COLUMNS + 1];
    for (const char *text = b->text, *next; *text; text = next) {
        size_t length = line_of(text, columns, &next);
        if (length >= sizeof line) length = sizeof line - 1;
        snprintf(line, sizeof line, "%.*s", (int)length, text);
        to->line(to->context, line, b);
    }
}

static void send_edge(const Sink *to, const PageBlock *b, int columns, const char *left,
                      const char *dash, const char *right) {
    char line[4 * PAGE_COLUMNS + 1] = "";
    text_append(line, sizeof line, "%s", left);
    for (int i = 0; i < columns - 2; i++) text_append(line, sizeof line, "%s", dash);
    text_append(line, sizeof line, "%s", right);
    to->line(to->context, line, b);
}

static void send_box(const Sink *to, const PageBlock *b, const PageStyle *style, int columns) {
    const char *side = style->plain ? "|" : "│";
    char line[4 * PAGE_COLUMNS + 1];
    send_edge(to, b, columns, style->plain ? "+" : "┌", style->plain ? "-" : "─",
              style->plain ? "+" : "┐");
    for (const char *text = b->text, *next; *text; text = next) {
        size_t length = line_of(text, columns - 4, &next);
        char words[sizeof line];
        snprintf(words, sizeof words, "%.*s", (int)length, text);
        snprintf(line, sizeof line, "%s ", side);
        text_append(line, sizeof line, "%s%*s %s", words, columns - 4 - text_width(words), "",
                    side);
        to->line(to->context, line, b);
    }
    send_edge(to, b, columns, style->plain ? "+" : "└", style->plain ? "-" : "─",
              style->plain ? "+" : "┘");
}

typedef struct {
    const Sink *to;
    const PageBlock *block;
} Row;

static void send_row(void *context, const char *text) {
    const Row *row = context;
    row->to->line(row->to->context, text, row->block);
}

// Blocks with an empty line between them, but none between lines that stay as they are.
static Status send(const Sink *to, const Page *p, const PageStyle *style) {
    int columns =
        style->columns > 0 && style->columns < PAGE_COLUMNS ? style->columns : PAGE_COLUMNS;
    for (const PageBlock *b = p->first; b; b = b->next) {
        if (b->kind == PAGE_PARAGRAPH) send_paragraph(to, b, columns);
        if (b->kind == PAGE_LINE) to->line(to->context, b->text, b);
        if (b->kind == PAGE_BOX) send_box(to, b, style, columns);
        if (b->kind == PAGE_DRAWING && style->draw)
            TRY(style->draw(b->drawing, style->plain, style->color, send_row, &(Row){to, b}));
        bool together = b->next && b->kind == PAGE_LINE && b->next->kind == PAGE_LINE;
        if (b->next && !together) to->line(to->context, "", NULL);
    }
    return OK;
}

static void write_line(void *context, const char *text, const PageBlock *block) {
    fprintf(context, "%s\n", text);
}

Status page_write(FILE *out, const Page *p, const PageStyle *style) {
    if (p->out_of_memory) FAIL(ERR_MEMORY, "out of memory for a page of a lesson");
    return send(&(Sink){write_line, out}, p, style);
}

static void count_line(void *context, const char *text, const PageBlock *block) {
    *(int *)context += block != NULL;
}

int page_text_lines(const Page *p, const PageStyle *style) {
    int count = 0;
    const PageStyle text = {.columns = style->columns, .plain = style->plain};
    if (send(&(Sink){count_line, &count}, p, &text) != OK) return 0;
    return count;
}

static void widest_line(void *context, const char *text, const PageBlock *block) {
    int width = text_width(text);
    if (width > *(int *)context) *(int *)context = width;
}

int page_widest(const Page *p, const PageStyle *style) {
    int widest = 0;
    const PageStyle text = {.columns = style->columns, .plain = style->plain};
    for (const PageBlock *b = p->first; b; b = b->next)
        if (b->drawing && b->drawing->width > (double)widest * DRAW_COLUMN)
            widest = (int)(b->drawing->width / DRAW_COLUMN);
    if (send(&(Sink){widest_line, &widest}, p, &text) != OK) return 0;
    return widest;
}
