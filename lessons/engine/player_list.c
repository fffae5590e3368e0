// SPDX-License-Identifier: MIT
// The list of lessons by parts, in one column, or in two where one would not fit on a screen.
#include "lessons/engine/player.h"

#include "core/base/text.h"
#include "lessons/engine/translate.h"

#include <stdlib.h>
#include <string.h>

enum { ROW_TEXT = 256, ROWS_OF_A_SCREEN = 22, COLUMN = 39, BOTH_COLUMNS = 76 };

typedef struct {
    char text[ROW_TEXT];
    bool begins_part;
} Row;

static const char *standing(const SavedLesson *l) {
    if (l->kind == SAVED_DONE) return l->shown ? _("done, some shown") : _("done");
    return l->kind == SAVED_BEGUN ? _("begun") : "";
}

static char mark(const SavedLesson *l) {
    if (l->kind == SAVED_DONE) return l->shown ? 's' : 'x';
    return l->kind == SAVED_BEGUN ? '.' : ' ';
}

static void write_lesson(char out[ROW_TEXT], const Player *p, const Lesson *lesson, bool narrow) {
    SavedLesson known = {0};
    bool current = p->saved && saved_current(p->saved) == lesson->number;
    const char *title = _(lesson->title);
    if (p->saved) saved_find(&known, p->saved, lesson->number);
    if (narrow) {
        snprintf(out, ROW_TEXT, "%c%c%2d %s", current ? '>' : ' ', mark(&known), lesson->number,
                 title);
        return;
    }
    const char *done = standing(&known);
    int gap = *done ? 48 - text_width(title) : 0;  // no blanks at the end of a line
    snprintf(out, ROW_TEXT, "%c %2d  %s%*s%s", current ? '>' : ' ', lesson->number, title,
             gap > 0 ? gap : 0, "", done);
}

// The rows of all lessons that are wanted, each part's name before its first.
static int make_rows(Row *rows, const Player *p, bool todo, bool narrow) {
    int count = 0, part = -1;
    for (int i = 0; i < p->lesson_count; i++) {
        const Lesson *lesson = p->lessons[i];
        SavedLesson known = {0};
        int of = -1;
        if (p->saved) saved_find(&known, p->saved, lesson->number);
        if (todo && known.kind == SAVED_DONE) continue;
        while (of + 1 < p->part_count && p->parts[of + 1].first <= lesson->number) of++;
        if (of != part) {
            rows[count].begins_part = true;
            snprintf(rows[count++].text, ROW_TEXT, "%s", _(p->parts[of].title));
            part = of;
        }
        rows[count].begins_part = false;
        write_lesson(rows[count++].text, p, lesson, narrow);
    }
    return count;
}

// Where the second column begins: with the part that makes both the most alike.
static int split(const Row *rows, int count) {
    int at = count;
    for (int i = 1; i < count; i++)
        if (rows[i].begins_part && abs(2 * i - count) < abs(2 * at - count)) at = i;
    return at;
}

static void write_columns(const Player *p, const Row *rows, int count) {
    int left = split(rows, count), right = count - left;
    for (int i = 0; i < left || i < right; i++) {
        const char *first = i < left ? rows[i].text : "",
                   *second = i < right ? rows[left + i].text : "";
        int gap = *second ? COLUMN - text_width(first) : 0;
        fprintf(p->out, "%s%*s%s\n", first, gap > 0 ? gap : *second != '\0', "", second);
    }
    fprintf(p->out, "%s\n", _("x done   s done, some shown   . begun   > where you are"));
}

void player_list(const Player *p, bool todo) {
    Row *rows = calloc((size_t)(p->lesson_count + p->part_count) + 1, sizeof *rows);
    if (!rows) return;  // a list is not worth a failure
    int count = make_rows(rows, p, todo, false);
    if (count > ROWS_OF_A_SCREEN && !p->style.plain && p->style.columns >= BOTH_COLUMNS)
        write_columns(p, rows, make_rows(rows, p, todo, true));
    else
        for (int i = 0; i < count; i++) fprintf(p->out, "%s\n", rows[i].text);
    free(rows);
}
