// SPDX-License-Identifier: MIT
// A table of chunks: who has what, what moves in this round, what is finished.
#include "viz/scene/scene.h"

#include "core/base/text.h"

static int widest_cell(const SceneBoard *s) {
    int widest = 0;
    for (int i = 0; i < s->row_count * s->column_count; i++) {
        int width = text_width(s->cells[i].text);
        widest = width > widest ? width : widest;
    }
    for (int i = 0; i < s->column_count; i++) {
        int width = text_width(s->columns[i]);
        widest = width > widest ? width : widest;
    }
    return widest;
}

void scene_board(DrawList *d, Arena *a, int columns, const SceneBoard *s) {
    static const Tone TONES[] = {
        [CELL_PLAIN] = TONE_FAINT, [CELL_MOVING] = TONE_COMM, [CELL_DONE] = TONE_RIGHT};
    int names = 0, cell = widest_cell(s) + 2;
    for (int i = 0; i < s->row_count; i++) {
        int width = text_width(s->rows[i]);
        names = width > names ? width : names;
    }
    int most = (columns - names - 1) / (s->column_count > 0 ? s->column_count : 1) - 1;
    if (cell > most) cell = most;
    double pitch = (cell + 1) * DRAW_COLUMN, left = (names + 1) * DRAW_COLUMN;
    draw_init(d, a, columns * DRAW_COLUMN, (s->row_count + 1) * DRAW_ROW);
    for (int c = 0; c < s->column_count; c++)
        draw_text(d, TONE_INK, ALIGN_CENTER, left + c * pitch + cell * DRAW_COLUMN / 2.0, 0,
                  cell * DRAW_COLUMN, "%s", s->columns[c]);
    for (int r = 0; r < s->row_count; r++) {
        double y = (r + 1) * DRAW_ROW;
        draw_text(d, TONE_INK, ALIGN_LEFT, 0, y, 0, "%s", s->rows[r]);
        for (int c = 0; c < s->column_count; c++) {
            const SceneCell *one = &s->cells[r * s->column_count + c];
            double x = left + c * pitch;
            if (one->kind != CELL_PLAIN)
                draw_box(d, TONES[one->kind], x, y, cell * DRAW_COLUMN, DRAW_ROW);
            draw_text(d, TONE_INK, ALIGN_CENTER, x + cell * DRAW_COLUMN / 2.0, y,
                      cell * DRAW_COLUMN, "%s", one->text);
        }
    }
}
