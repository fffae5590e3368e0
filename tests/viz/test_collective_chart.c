// SPDX-License-Identifier: MIT
// The figure of a collective: rows of every series, the line, and where Ring and Tree cross.
#include "tests/support/figure_case.h"
#include "viz/collective_chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIZES = 12 };

static FigureCase it;
static Report run;
static double bytes[SIZES], ring[SIZES], tree[SIZES], chosen[SIZES], measured[SIZES];

// Ring: 100 us + bytes / 200 MB/s; Tree: 20 us + bytes / 100 MB/s. Equal at 16,000 bytes.
static CollectiveChart begin(bool gnuplot) {
    figure_case_init(&it, gnuplot);
    run = *figure_case_simulate(&it, 8, 5120);
    run.run.model = "all_reduce";
    it.options.platform = "dgx";
    for (int i = 0; i < SIZES; i++) {
        bytes[i] = 1000 * pow(2, i);
        ring[i] = 100 + bytes[i] / 200;
        tree[i] = 20 + bytes[i] / 100;
        chosen[i] = fmin(ring[i], tree[i]);
        measured[i] = 10 + bytes[i] / 250;
    }
    return (CollectiveChart){.run = &run,
                             .bytes = bytes,
                             .count = SIZES,
                             .bus_factor = 1.75,
                             .algorithms = {{"Tree", tree}, {"Ring", ring}},
                             .algorithm_count = 2,
                             .chosen = {"chosen", chosen}};
}

static double fact(const char *at) { return figure_case_fact(&it, "collective.json", at); }

START_TEST(rows_have_time_and_both_bandwidths) {
    CollectiveChart c = begin(false);
    ck_assert_ok(figures_collective(&it.options, &c, &it.notes));
    const char *data = figure_case_file(&it, "collective.dat");
    // 1000 bytes in 30 us: 1/30 GB/s, times 1.75.
    ck_assert_msg(strstr(data, "# Tree\nTree\t1000\t30\t0.0333333\t0.0583333\n"), "%s", data);
    ck_assert_ptr_nonnull(strstr(data, "# Ring\nRing\t1000\t105\t0.00952381\t0.0166667\n"));
    ck_assert_ptr_nonnull(strstr(data, "# chosen\nchosen\t1000\t30\t"));
    ck_assert_ptr_null(strstr(data, "# measured"));
    figure_case_finish(&it);
}
END_TEST

START_TEST(ring_and_tree_cross_where_their_lines_do) {
    CollectiveChart c = begin(false);
    ck_assert_ok(figures_collective(&it.options, &c, &it.notes));
    ck_assert_close(fact("crossings_bytes[0]"), 16000, 1);
    const char *facts = figure_case_file(&it, "collective.json");
    ck_assert_msg(
        strstr(facts, "Ring and Tree cross at 15.6KiB; lines through each would at 15.6KiB. "),
        "%s", facts);
    tree[0] = 200;  // and once more, between the first two sizes
    ck_assert_ok(figures_collective(&it.options, &c, &it.notes));
    double first = fact("crossings_bytes[0]");
    ck_assert(first > 1000 && first < 2000);
    ck_assert_close(fact("crossings_bytes[1]"), 16000, 1);
    figure_case_finish(&it);
}
END_TEST

START_TEST(the_line_goes_through_what_was_measured) {
    CollectiveChart c = begin(false);
    c.measured_us = measured;
    c.table = "t.csv";
    ck_assert_ok(figures_collective(&it.options, &c, &it.notes));
    ck_assert_close(fact("line.alpha_us"), 10, 1e-6);
    ck_assert_close(fact("line.beta_gb_per_s"), 0.25, 1e-9);
    const char *facts = figure_case_file(&it, "collective.json");
    ck_assert_ptr_nonnull(strstr(facts, "The model against t.csv: mean error "));
    ck_assert_ptr_nonnull(
        strstr(figure_case_file(&it, "collective.dat"), "# measured\nmeasured\t1000\t14\t"));
    figure_case_finish(&it);
}
END_TEST

START_TEST(one_size_is_a_note) {
    CollectiveChart c = begin(false);
    c.count = 1;
    ck_assert_ok(figures_collective(&it.options, &c, &it.notes));
    figure_case_note_has(&it, "collective is not drawn: it needs two sizes that take time");
    ck_assert_int_eq(figure_case_count_files(&it), 0);
    figure_case_finish(&it);
}
END_TEST

START_TEST(the_picture_names_its_series_once_and_both_axes) {
    CollectiveChart c = begin(true);
    if (!figure_case_has_gnuplot()) SKIP("%s", status_message());
    c.measured_us = measured;
    c.table = "t.csv";
    ck_assert_ok(figures_collective(&it.options, &c, &it.notes));
    ck_assert_msg(it.notes.count == 0, "%s", it.notes.lines[0]);
    const char *svg = figure_case_file(&it, "collective.svg");
    static const char *const labels[] = {">chosen<",
                                         ">Ring<",
                                         ">Tree<",
                                         ">measured<",
                                         ">alpha + bytes / beta<",
                                         ">algbw<",
                                         ">Ring = Tree<",
                                         ">all_reduce on 8 devices of dgx<",
                                         ">GB/s<",
                                         ">time (us), log scale<"};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        ck_assert_msg(figure_case_count(svg, labels[i]) == 1, "%s", labels[i]);
    figure_case_finish(&it);
}
END_TEST

SUITE("collective_chart", rows_have_time_and_both_bandwidths,
      ring_and_tree_cross_where_their_lines_do, the_line_goes_through_what_was_measured,
      one_size_is_a_note, the_picture_names_its_series_once_and_both_axes)
