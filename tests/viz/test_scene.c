// SPDX-License-Identifier: MIT
// Scenes in characters, row by row, and as SVG.
#include "tests/support/testing.h"
#include "viz/backend/ansi.h"
#include "viz/backend/svg.h"
#include "viz/scene/scene.h"

#include <stdlib.h>
#include <string.h>

static Arena arena;

static void add_row(void *context, const char *text) { fprintf(context, "%s\n", text); }

static const char *drawn(const DrawList *d, bool plain, bool color) {
    static char *text;
    size_t size;
    free(text);
    FILE *f = open_memstream(&text, &size);
    ck_assert_ok(ansi_draw(d, &(AnsiStyle){plain, color}, add_row, f));
    fclose(f);
    return text;
}

// Names 2 columns, values 4, 10 columns for a bar of 1: 5 for a half; the target at 0.8.
START_TEST(bars_are_as_long_as_their_values) {
    static const SceneBar BARS[] = {{"p1", 0.5, 0.8, true, TONE_COMPUTE},
                                    {"p2", 1.0, 0, false, TONE_EXPOSED}};
    DrawList d;
    scene_bars(&d, &arena, 19, &(SceneBars){BARS, 2, "%.2f", 1});
    ck_assert_str_eq(drawn(&d, true, false), "p1 0.50  #####   |\n"
                                             "p2 1.00  %%%%%%%%%%\n");
    arena_finish(&arena);
}
END_TEST

START_TEST(bars_of_negative_values_go_to_the_left) {
    static const SceneBar BARS[] = {{"a", -1, 0, false, TONE_COMPUTE},
                                    {"b", 0.5, 0, false, TONE_COMPUTE}};
    DrawList d;
    scene_bars(&d, &arena, 16, &(SceneBars){BARS, 2, "%4.1f", 0});
    ck_assert_str_eq(drawn(&d, true, false), "a -1.0  ####|\n"
                                             "b  0.5      ##\n");
    arena_finish(&arena);
}
END_TEST

// The schedule of two stages and two micro-batches, each cell two columns.
START_TEST(a_schedule_is_a_grid_of_numbered_cells) {
    static const char *const ROWS[] = {"s0", "s1"};
    static const SceneSpan SPANS[] = {
        {0, 0, 1, TONE_COMPUTE, "0"}, {0, 1, 2, TONE_COMPUTE, "1"}, {1, 0, 1, TONE_BUBBLE, NULL},
        {1, 1, 2, TONE_COMM, "0"},    {1, 2, 3, TONE_COMM, "1"},
    };
    DrawList d;
    scene_timeline(&d, &arena, 16, &(SceneTimeline){ROWS, 2, SPANS, 5, "", true});
    ck_assert_str_eq(drawn(&d, true, false), "s0 ##0###1#\n"
                                             "s1 ....==0===1=\n");
    arena_finish(&arena);
}
END_TEST

START_TEST(a_timeline_has_an_axis_with_its_unit) {
    static const char *const ROWS[] = {"rank 0"};
    static const SceneSpan SPANS[] = {{0, 0, 6, TONE_COMPUTE, NULL}, {0, 6, 8, TONE_EXPOSED, NULL}};
    DrawList d;
    scene_timeline(&d, &arena, 39, &(SceneTimeline){ROWS, 1, SPANS, 2, "ms", false});
    const char *text = drawn(&d, true, false);
    ck_assert_ptr_nonnull(strstr(text, "rank 0 ########################%%%%%%%%\n"));
    ck_assert_ptr_nonnull(strstr(text, "8 ms"));
    arena_finish(&arena);
}
END_TEST

START_TEST(a_board_marks_what_moves_and_what_is_done) {
    static const char *const RANKS[] = {"r0", "r1"}, *const CHUNKS[] = {"c0", "c1"};
    static const SceneCell CELLS[] = {
        {"1", CELL_PLAIN}, {"2", CELL_MOVING}, {"2", CELL_DONE}, {"1", CELL_PLAIN}};
    DrawList d;
    scene_board(&d, &arena, 40, &(SceneBoard){RANKS, CHUNKS, 2, 2, CELLS});
    ck_assert_str_eq(drawn(&d, true, false), "    c0   c1\n"
                                             "r0   1  ==2=\n"
                                             "r1 ++2+   1\n");
    arena_finish(&arena);
}
END_TEST

// A falling line: its first dot at the top left, its last at the bottom right.
START_TEST(a_curve_lies_between_its_axes) {
    static const double X[] = {0, 1, 2}, Y[] = {2, 1, 0};
    const SceneSeries line = {"loss", X, Y, 3, TONE_COMPUTE};
    DrawList d;
    scene_curve(&d, &arena, 30, &(SceneCurve){&line, 1, "step", "loss", false, false, 8});
    ck_assert_str_eq(drawn(&d, true, false), "loss\n"
                                             "       2 |***\n"
                                             "         |   ****\n"
                                             "         |       *****\n"
                                             "         |           *****\n"
                                             "       0 |               *****\n"
                                             "         ---------------------\n"
                                             "         0        step       2\n");
    const char *braille = drawn(&d, false, false);
    ck_assert_ptr_nonnull(strstr(braille, "⠑"));  // two dots that fall
    arena_finish(&arena);
}
END_TEST

// Two that fall and rise: each has its own mark, at its end, too, and in what names it.
START_TEST(curves_have_marks_that_need_no_colour) {
    static const double X[] = {0, 1}, FALLING[] = {1, 0}, RISING[] = {0, 1};
    const SceneSeries lines[] = {{"a", X, FALLING, 2, TONE_COMPUTE},
                                 {"b", X, RISING, 2, TONE_EXPOSED}};
    DrawList d;
    scene_curve(&d, &arena, 44, &(SceneCurve){lines, 2, "step", "loss", false, false, 7});
    ck_assert_str_eq(drawn(&d, true, false), "loss           o- a                    x- b\n"
                                             "       1 |******o                  *x******x\n"
                                             "         |       *******o***x*******\n"
                                             "         |       ***x***********o***\n"
                                             "       0 |**x****                  *****o**o\n"
                                             "         -----------------------------------\n"
                                             "         0               step              1\n");
    arena_finish(&arena);
}
END_TEST

START_TEST(colours_end_where_they_began_and_widths_stay) {
    static const SceneBar BARS[] = {{"环", 1, 0, false, TONE_COMPUTE}};
    DrawList d;
    scene_bars(&d, &arena, 12, &(SceneBars){BARS, 1, "%.0f", 1});
    ck_assert_str_eq(drawn(&d, false, true), "环 1  \033[38;5;32m██████\033[0m\n");
    arena_finish(&arena);
}
END_TEST

START_TEST(svg_has_the_same_things_and_escapes_text) {
    static const SceneBar BARS[] = {{"a<b", 0.5, 0, false, TONE_COMPUTE}};
    char *text;
    size_t size;
    DrawList d;
    scene_bars(&d, &arena, 19, &(SceneBars){BARS, 1, "%.1f", 1});
    FILE *f = open_memstream(&text, &size);
    ck_assert_ok(svg_draw(f, &d, "x & y"));
    fclose(f);
    ck_assert_ptr_nonnull(strstr(text, "a&lt;b"));
    ck_assert_ptr_nonnull(strstr(text, "<title>x &amp; y</title>"));
    ck_assert_ptr_nonnull(strstr(text, "width=\"40.00\" height=\"12.00\" fill=\"#0072B2\""));
    free(text);
    arena_finish(&arena);
}
END_TEST

SUITE("scene", bars_are_as_long_as_their_values, bars_of_negative_values_go_to_the_left,
      a_schedule_is_a_grid_of_numbered_cells, a_timeline_has_an_axis_with_its_unit,
      a_board_marks_what_moves_and_what_is_done, a_curve_lies_between_its_axes,
      curves_have_marks_that_need_no_colour, colours_end_where_they_began_and_widths_stay,
      svg_has_the_same_things_and_escapes_text)
