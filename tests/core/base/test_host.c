// SPDX-License-Identifier: MIT
// What the system says of this machine: texts of /proc given here, and this machine's own.
#include "core/base/clock.h"
#include "core/base/host.h"
#include "tests/support/testing.h"

#include <string.h>
#include <unistd.h>

static const char stat_text[] = "cpu  1000 10 300 5000 90 1 2 30 7 0\n"
                                "cpu0 600 10 200 2000 40 1 1 20 7 0\n"
                                "cpu1 400 0 100 3000 50 0 1 10 0 0\n"
                                "cpu12 7 0 0 5\n"
                                "intr 123 4 5\n"
                                "cpufreq 1 2 3 4\n";

static cpu_set_t cores_of(int first, int second) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)first, &set);
    if (second >= 0) CPU_SET((size_t)second, &set);
    return set;
}

START_TEST(ticks_are_those_of_the_cores_asked_for) {
    HostTicks t;
    cpu_set_t one = cores_of(1, -1), both = cores_of(0, 1), old = cores_of(12, -1);
    ck_assert(host_parse_stat(&t, stat_text, &one));
    ck_assert(t.cores == 1 && t.all == 3561 && t.idle == 3050 && t.stolen == 10);
    // Without the time of guests (7), which is in that of users already.
    ck_assert(host_parse_stat(&t, stat_text, &both));
    ck_assert(t.cores == 2 && t.all == 3561 + 2872 && t.idle == 5090 && t.stolen == 30);
    ck_assert(host_parse_stat(&t, stat_text, &old));  // a kernel that counts four states
    ck_assert(t.cores == 1 && t.all == 12 && t.idle == 5 && t.stolen == 0);
}
END_TEST

START_TEST(cores_that_the_system_does_not_list_have_no_ticks) {
    HostTicks t;
    cpu_set_t absent = cores_of(2, -1), first = cores_of(0, -1);
    ck_assert(!host_parse_stat(&t, stat_text, &absent));
    ck_assert(!host_parse_stat(&t, "", &first));
    ck_assert(!host_parse_stat(&t, "cpu0", &first));
    ck_assert(!host_parse_stat(&t, "cpu  1 2 3 4\n\nintr 5\n", &first));
}
END_TEST

// Ticks of 10 ms, as nearly everywhere; the arithmetic below follows sysconf().
static HostUse use(double seconds, double idle_s, double stolen_s, double own_s, int threads) {
    double hz = (double)sysconf(_SC_CLK_TCK);
    HostSample begin = {.ticks = {.all = 100, .idle = 50, .stolen = 9, .cores = 2}};
    HostSample end = {.ticks = {.all = 100 + (int64_t)(2 * seconds * hz + 0.5),
                                .idle = 50 + (int64_t)(idle_s * hz + 0.5),
                                .stolen = 9 + (int64_t)(stolen_s * hz + 0.5),
                                .cores = 2},
                      .clock_ns = (int64_t)(seconds * 1e9 + 0.5)};
    return host_use(&begin, &end, threads, (int64_t)(own_s * 1e9 + 0.5));
}

START_TEST(others_used_what_was_neither_idle_nor_stolen_nor_the_runs_own) {
    // Two cores for 10 s: 20 s, of which 3 idle, 2 stolen, 9 the run's own: 6 are others'.
    HostUse u = use(10, 3, 2, 9, 2);
    ck_assert_close(u.others_cores, 0.6, 1e-9);
    ck_assert_close(u.steal_cores, 0.2, 1e-9);
    ck_assert_close(u.seconds, 10, 1e-9);
    ck_assert_int_eq(u.cores, 2);
    // Clocks may differ by a tick: what others used is never less than nothing.
    ck_assert_close(use(10, 3, 0, 17.01, 2).others_cores, 0, 0);
}
END_TEST

START_TEST(what_cannot_be_told_is_unknown) {
    ck_assert(use(0.19, 0, 0, 0.1, 2).seconds == 0);  // too few ticks
    HostSample begin = {.ticks = {.all = 100, .cores = 2}}, end = begin;
    end.clock_ns = 10000000000;
    ck_assert(host_use(&begin, &end, 2, 0).seconds == 0);  // the system counts none
    end.ticks.all += 20 * sysconf(_SC_CLK_TCK);
    ck_assert(host_use(&begin, &end, 2, 0).seconds == 10);
    end.ticks.cores = 1;  // a core went offline
    ck_assert(host_use(&begin, &end, 2, 0).seconds == 0);
    begin.ticks.cores = end.ticks.cores = 0;
    ck_assert(host_use(&begin, &end, 2, 0).seconds == 0);
}
END_TEST

START_TEST(a_run_is_disturbed_beyond_the_cores_that_it_leaves_free) {
    HostUse u = {.cores = 2, .threads = 2, .seconds = 5, .others_cores = 0.09};
    ck_assert(!host_use_disturbs(&u));
    u.others_cores = 0.11;
    ck_assert(host_use_disturbs(&u));
    u.threads = 1;  // one of two cores is free
    ck_assert(!host_use_disturbs(&u));
    u.others_cores = 1.05;
    ck_assert(!host_use_disturbs(&u));
    u.steal_cores = 0.06;
    ck_assert(host_use_disturbs(&u));
    u.seconds = 0;
    ck_assert(!host_use_disturbs(&u));
}
END_TEST

START_TEST(a_use_is_printed_in_words) {
    char text[HOST_USE_TEXT];
    HostUse u = {.others_cores = 0.634, .steal_cores = 0.004};
    ck_assert_str_eq(host_use_print(text, &u), "others used 63 % of a core");
    u.others_cores = 2.46;
    u.steal_cores = 0.12;
    ck_assert_str_eq(host_use_print(text, &u),
                     "others used 2.5 cores; the hypervisor took 12 % of a core");
    u.others_cores = 1.5;
    u.steal_cores = 0;
    ck_assert_str_eq(host_use_print(text, &u), "others used 150 % of a core");
}
END_TEST

START_TEST(the_name_of_the_processor_is_the_first_that_the_system_lists) {
    char name[24];
    host_parse_cpu(name, sizeof name,
                   "processor\t: 0\nmodel\t\t: 97\nmodel name\t: AMD Ryzen 9\n\nmodel name\t: B\n");
    ck_assert_str_eq(name, "AMD Ryzen 9");
    host_parse_cpu(name, sizeof name, "model name : A name that is longer than its place");
    ck_assert_str_eq(name, "A name that is longer t");
    host_parse_cpu(name, sizeof name, "Processor\t: ARMv8\nmodel names\t: none\n");
    ck_assert_str_eq(name, "");
    host_parse_cpu(name, sizeof name, "");
    ck_assert_str_eq(name, "");
}
END_TEST

START_TEST(this_machine_has_cores_and_time_passes_on_them) {
    HostInfo info;
    HostSample begin, end;
    cpu_set_t cores;
    host_info_read(&info);
    ck_assert_int_ge(info.cores, 1);
    ck_assert(isnan(info.load) || info.load >= 0);
    ck_assert_ptr_null(strchr(info.cpu, '\n'));
    ck_assert_int_eq(sched_getaffinity(0, sizeof cores, &cores), 0);
    host_sample(&begin, &cores);
    if (!begin.ticks.cores) SKIP("this system does not count what its cores do");
    clock_sleep_ns(300000000);
    host_sample(&end, &cores);
    HostUse u = host_use(&begin, &end, 1, 0);
    ck_assert_int_eq(u.cores, CPU_COUNT(&cores));
    ck_assert(u.seconds >= 0.3);
    ck_assert(u.others_cores >= 0 && u.others_cores <= u.cores);
}
END_TEST

SUITE("host", ticks_are_those_of_the_cores_asked_for,
      cores_that_the_system_does_not_list_have_no_ticks,
      others_used_what_was_neither_idle_nor_stolen_nor_the_runs_own, what_cannot_be_told_is_unknown,
      a_run_is_disturbed_beyond_the_cores_that_it_leaves_free, a_use_is_printed_in_words,
      the_name_of_the_processor_is_the_first_that_the_system_lists,
      this_machine_has_cores_and_time_passes_on_them)
