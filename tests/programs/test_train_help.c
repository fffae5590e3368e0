// SPDX-License-Identifier: MIT
// `train` explaining itself.
#include "tests/support/train_command.h"

START_TEST(the_option_table_has_no_mistakes) { ck_assert_ok(option_check(&train_options)); }
END_TEST

START_TEST(every_example_of_the_help_runs) {
    for (int i = 0; i < train_options.example_count; i++) {
        ck_success(command_run(&it, "%s", train_options.examples[i].command));
        ck_assert_msg(*it.out, "%s prints nothing", train_options.examples[i].command);
        command_finish(&it);
    }
}
END_TEST

START_TEST(the_brief_help_fits_a_screen) {
    ck_success(command_run(&it, "train -h"));
    ck_assert_int_le(check_width(it.out), 24);
    ck_assert_str_eq(it.err, "");
    command_finish(&it);
}
END_TEST

START_TEST(the_full_help_names_every_option_once) {
    ck_success(command_run(&it, "train --help"));
    check_width(it.out);
    for (int i = 0; i < train_options.option_count; i++) {
        const Option *o = &train_options.options[i];
        char spelling[64];
        if (o->kind == OPTION_HEADING) continue;
        if (o->letter)
            snprintf(spelling, sizeof spelling, "\n  -%c, --%s ", o->letter, o->name);
        else
            snprintf(spelling, sizeof spelling, "\n  --%s ", o->name);
        ck_assert_msg(count(it.out, spelling) == 1, "--%s in\n%s", o->name, it.out);
    }
    command_finish(&it);
}
END_TEST

static void check_details(const OptionDetail *details, int count) {
    for (int i = 0; i < count; i++) {
        if (!details[i].topic) continue;
        ck_success(command_run(&it, "train --help %s", details[i].topic));
        check_width(it.out);
        command_finish(&it);
    }
}

// A detail of an option that the table does not have would never be shown.
START_TEST(details_are_of_options_that_exist_and_fit_a_screen) {
    check_details(train_options.details, train_options.detail_count);
    check_details(train_options.shared_details, train_options.shared_detail_count);
}
END_TEST

START_TEST(every_group_and_unknown_topics_have_an_answer) {
    for (int i = 0; i < train_options.option_count; i++) {
        const Option *o = &train_options.options[i];
        if (o->kind != OPTION_HEADING) continue;
        ck_assert_ptr_nonnull(o->name);
        ck_success(command_run(&it, "train --help %s", o->name));
        ck_assert_msg(strncmp(it.out, o->help, strlen(o->help)) == 0, "%s", it.out);
        command_finish(&it);
    }
    ck_assert_int_eq(command_run(&it, "train --help rnaks"), 2);
    ck_assert_str_eq(it.err, "train: no help on rnaks (did you mean --help ranks?)\n");
    ck_assert_str_eq(it.out, "");
    command_finish(&it);
}
END_TEST

// What a terminal of 24 lines gets from `words`; a pager named mark shows that it was asked.
static void on_screen(const char *words) {
    command_start_on_terminal(
        &it,
        "sh -c 'printf \"#!/bin/sh\\necho PAGED \\$# \\$1; exec head -n 2\\n\" "
        "> mark; chmod +x mark; PATH=.:$PATH; %s'",
        words);
    command_wait(&it, 20);
    ck_success(it.status);
}

START_TEST(long_help_goes_through_the_pager_on_a_terminal_only) {
    on_screen("PAGER=\"mark -x\" train --help");
    ck_assert_msg(strncmp(it.out, "PAGED 1 -x\r\ntrain: Train", 24) == 0, "%s", it.out);
    ck_assert_msg(!strstr(it.out, "Exit status"), "%s", it.out);  // the pager took two lines
    command_finish(&it);
    on_screen("PAGER=mark train -h");  // fits
    ck_assert_msg(!strstr(it.out, "PAGED"), "%s", it.out);
    command_finish(&it);
    on_screen("PAGER=mark train --help | cat");
    ck_assert_msg(!strstr(it.out, "PAGED") && strstr(it.out, "Exit status"), "%s", it.out);
    command_finish(&it);
    on_screen("TERM=dumb PAGER=mark train --help");
    ck_assert_msg(!strstr(it.out, "PAGED") && strstr(it.out, "Exit status"), "%s", it.out);
    command_finish(&it);
}
END_TEST

START_TEST(no_pager_or_a_missing_one_means_plain_printing) {
    static const char *const pagers[] = {"", "cat", "/no/such/pager", "mark; touch injected",
                                         "$(touch injected)"};
    for (int i = 0; i < 5; i++) {
        char words[128];
        snprintf(words, sizeof words, "PAGER=\"%s%s\" train --help", i == 4 ? "\\" : "", pagers[i]);
        on_screen(words);
        ck_assert_msg(strstr(it.out, "Exit status") && !strstr(it.out, "PAGED"), "%s", it.out);
        ck_assert(!command_wrote(&it, "injected"));
        command_finish(&it);
    }
}
END_TEST

START_TEST(the_version_says_what_is_built_in) {
    ck_success(command_run(&it, "train --version"));
    ck_assert_msg(strncmp(it.out, "train (Tandem) ", 15) == 0, "%s", it.out);
    ck_assert(strstr(it.out, "\nparts: +blas") || strstr(it.out, "\nparts: -blas"));
    ck_assert(strstr(it.out, "\ncompiler: "));
    ck_assert_int_eq(check_width(it.out), 3);
    command_finish(&it);
}
END_TEST

// What train can run, though it plans more; sim's own limit is in its help.
START_TEST(each_program_offers_the_ranks_that_it_has) {
    ck_success(command_run(&it, "train --help | tr -s ' \\n' ' '"));
    ck_assert_ptr_nonnull(strstr(it.out, "data parallel (DDP from 2) (1 to 64, default 1)"));
    ck_assert_ptr_nonnull(strstr(it.out, "weights and heads are divided (1 to 64)"));
    command_finish(&it);
    ck_success(command_run(&it, "sim --help | tr -s ' \\n' ' '"));
    ck_assert_ptr_nonnull(strstr(it.out, "weights and heads are divided (1 to 1048576)"));
    command_finish(&it);
    ck_success(command_run(&it, "train --model gpt --ranks 128 --tp 4 --print-mesh"));
    command_finish(&it);
}
END_TEST

SUITE_SECONDS("train_help", 240, each_program_offers_the_ranks_that_it_has,
              the_option_table_has_no_mistakes, every_example_of_the_help_runs,
              the_brief_help_fits_a_screen, the_full_help_names_every_option_once,
              details_are_of_options_that_exist_and_fit_a_screen,
              every_group_and_unknown_topics_have_an_answer,
              long_help_goes_through_the_pager_on_a_terminal_only,
              no_pager_or_a_missing_one_means_plain_printing, the_version_says_what_is_built_in)
