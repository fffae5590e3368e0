// SPDX-License-Identifier: MIT
// The roofline of sim --plot: its kernels sum to the step's arithmetic and to the time computing.
#include "tests/support/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Command it;

static double number_after(const char *key) {
    const char *at = strstr(it.out, key);
    ck_assert_msg(at != NULL, "no %s in %s", key, it.out);
    return strtod(at + strlen(key), NULL);
}

// Over kernels, rate x share of the step x step is what a device computes, and the shares are the
// time in which it does.
static void check_sums(const char *line) {
    ck_assert_int_eq(
        command_run(&it,
                    "sim %s --point --json --plot p && awk -F '\\t' '/^[a-z]/ && $8 == \"\" { "
                    "share += $7; work "
                    "+= $5 * $7 / 100 } END { printf \"share %%.9g\\nwork %%.9g\\n\", share, work "
                    "}' p/roofline.dat",
                    line),
        0);
    double step_s, share = number_after("\nshare ");
    const char *step = strstr(it.out, "\"step_ms\"");
    ck_assert_ptr_nonnull(step);
    step_s = strtod(strstr(step, "\"median\": ") + strlen("\"median\": "), NULL) / 1e3;
    double computing = number_after("\"compute\": ") + number_after("\"contended\": ");
    double flops = number_after("\"hardware_flops\": ") / number_after("\"ranks\": "),
           work = number_after("\nwork ") * step_s;
    ck_assert_msg(work > 0.99 * flops && work < 1.01 * flops, "%s: %g flops, not %g", line, work,
                  flops);
    ck_assert_msg(share / 100 * step_s * 1e3 > 0.97 * computing &&
                      share / 100 * step_s * 1e3 < 1.01 * computing,
                  "%s: %g ms, not %g", line, share / 100 * step_s * 1e3, computing);
    command_finish(&it);
}

START_TEST(kernels_sum_to_the_arithmetic_and_the_time_of_a_step) {
    check_sums("--gpus 4 --model mlp");
    check_sums("--gpus 4 --model gpt --pp 2");
}
END_TEST

START_TEST(ranks_of_a_host_have_none) {
    ck_assert_int_eq(command_run(&it, "sim --ranks 1,2,4 --plot p"), 0);
    ck_assert(command_wrote(&it, "p/scaling.dat") && !command_wrote(&it, "p/roofline.dat"));
    ck_assert(command_wrote(&it, "p/laws.dat"));
    command_finish(&it);
}
END_TEST

SUITE("sim_roofline", kernels_sum_to_the_arithmetic_and_the_time_of_a_step,
      ranks_of_a_host_have_none)
