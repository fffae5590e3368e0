// SPDX-License-Identifier: MIT
// The figure of scaling laws: values with the errors of each law, curves, what is said of them.
#include "tests/support/figure_case.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static FigureCase it;

// Strong scaling by Amdahl's law: 1000 samples/s of one rank, 5 % of whose work is serial.
static double amdahl(int ranks) { return 1000 / (0.05 + 0.95 / ranks); }

static void begin(bool gnuplot, int most) {
    figure_case_init(&it, gnuplot);
    for (int ranks = 1; ranks <= most; ranks *= 2)
        figure_case_simulate(&it, ranks, amdahl(ranks))->run.batch = 256;
}

static double fact(const char *at) { return figure_case_fact(&it, "laws.json", at); }

START_TEST(throughputs_of_amdahl_give_their_serial_share_back) {
    begin(false, 16);
    ck_assert_ok(figures_laws(&it.options, &it.notes));
    ck_assert_close(fact("laws.Amdahl.serial_share.value"), 0.05, 1e-9);
    ck_assert_close(fact("laws.Amdahl.samples_per_s_of_one.value"), 1000, 1e-6);
    // With k = 0 the USL is Amdahl's law, and c its serial share.
    ck_assert_close(fact("laws.USL.contention.value"), 0.05, 1e-7);
    ck_assert(fact("laws.Gustafson.mean_error") > 0.05);
    const char *facts = figure_case_file(&it, "laws.json"),
               *data = figure_case_file(&it, "laws.dat");
    ck_assert_msg(strstr(facts, "Amdahl: serial share 5 % (95 %: 5 to 5), so at most 20 times one "
                                "however many there are; mean error "),
                  "%s", facts);
    ck_assert_ptr_nonnull(strstr(facts, "Dotted: extrapolated, as far as 4 times the data."));
    // Curves end with the data, those beyond at 4 times as many.
    ck_assert_ptr_nonnull(strstr(data, "\nAmdahl\t16\t9142.86\t\t\t\n"));
    ck_assert_ptr_nonnull(strstr(data, "\nbeyond Amdahl\t64\t15421.7\t\t\t\n"));
    ck_assert_ptr_nonnull(strstr(data, "# simulated\nsimulated\t1\t1000\t"));
    figure_case_finish(&it);
}
END_TEST

// c = 0 and k = 1e-4 have their peak at 100 ranks: within 4 times 32, beyond 4 times 8.
START_TEST(a_peak_beyond_four_times_the_data_is_not_told) {
    for (int most = 8; most <= 32; most *= 4) {
        figure_case_init(&it, false);
        for (int n = 1; n <= most; n *= 2)
            figure_case_simulate(&it, n, 1000 * n / (1 + 1e-4 * n * (n - 1)));
        ck_assert_ok(figures_laws(&it.options, &it.notes));
        const char *facts = figure_case_file(&it, "laws.json");
        ck_assert_msg(strstr(facts, most == 32 ? ", highest at 100 (extrapolated)"
                                               : ", highest beyond 4 times the data, which do not "
                                                 "tell where"),
                      "%s", facts);
        figure_case_finish(&it);
    }
}
END_TEST

START_TEST(measured_runs_come_before_simulated_ones_each_as_a_value) {
    begin(false, 4);
    for (int run = 0; run < 3; run++)
        for (int ranks = 1; ranks <= 4; ranks *= 2)
            figure_case_measure(&it, ranks, amdahl(ranks) * (0.99 + 0.01 * run), 900, 1100);
    ck_assert_ok(figures_laws(&it.options, &it.notes));
    const char *data = figure_case_file(&it, "laws.dat");
    ck_assert_int_eq(figure_case_count(data, "\nmeasured\t"), 9);
    ck_assert_int_eq(figure_case_count(data, "\nsimulated\t"), 0);
    double low = fact("laws.Amdahl.serial_share.low"), high = fact("laws.Amdahl.serial_share.high");
    ck_assert_msg(low < 0.05 && 0.05 < high && high - low < 0.05, "%g to %g", low, high);
    figure_case_finish(&it);
}
END_TEST

// Every law passes through two points.
START_TEST(fewer_than_three_sizes_have_no_figure) {
    for (int most = 1; most <= 2; most++) {
        begin(false, most);
        ck_assert_ok(figures_laws(&it.options, &it.notes));
        figure_case_note_has(&it, "laws are not drawn: they need three world sizes, and there ");
        figure_case_note_has(&it, most == 1 ? "is 1" : "are 2");
        ck_assert_int_eq(it.notes.count, 1);
        ck_assert_int_eq(figure_case_count_files(&it), 0);
        figure_case_finish(&it);
    }
}
END_TEST

START_TEST(the_picture_has_every_law_and_says_where_it_extrapolates) {
    begin(true, 16);
    if (!figure_case_has_gnuplot()) SKIP("%s", status_message());
    ck_assert_ok(figures_laws(&it.options, &it.notes));
    ck_assert_msg(it.notes.count == 0, "%s", it.notes.lines[0]);
    const char *svg = figure_case_file(&it, "laws.svg");
    static const char *const labels[] = {
        ">Amdahl<",
        ">Gustafson<",
        ">USL<",
        ">simulated<",
        ">extrapolated<",
        ">law / simulated - 1 (%)<",
        ">Laws of scaling through net, strong scaling, batch 256<"};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        ck_assert_msg(figure_case_count(svg, labels[i]) == 1, "%s", labels[i]);
    figure_case_finish(&it);
}
END_TEST

SUITE("laws", throughputs_of_amdahl_give_their_serial_share_back,
      a_peak_beyond_four_times_the_data_is_not_told,
      measured_runs_come_before_simulated_ones_each_as_a_value,
      fewer_than_three_sizes_have_no_figure,
      the_picture_has_every_law_and_says_where_it_extrapolates)
