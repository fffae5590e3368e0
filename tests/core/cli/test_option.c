// SPDX-License-Identifier: MIT
#include "tests/support/option_sample.h"

START_TEST(without_words_the_values_are_the_defaults_of_the_table) {
    OptionLine l;
    Values v;
    memset(&v, 0x55, sizeof v);
    ck_assert_ok(parse_with(&l, &v, &TABLE, (const char *const[]){NULL}));
    ck_assert_int_eq(v.ranks, 1);
    ck_assert_int_eq(v.seed, 0);
    ck_assert_int_eq(v.bucket_bytes, 32768);
    ck_assert_int_eq(v.timeout_ps, 30 * PS_PER_S);
    ck_assert_double_eq(v.rate, 0.01);
    ck_assert_str_eq(v.data, "digits");
    ck_assert_int_eq(v.dtype, 0);
    ck_assert(v.overlap && !v.quiet);
    ck_assert_int_eq(v.sweep.count, 0);
    ck_assert_int_eq(l.argument_count, 0);
    ck_assert_int_eq(l.help, HELP_NONE);
    ck_assert(!option_given(&l, "ranks"));
}
END_TEST

START_TEST(values_come_in_the_next_word_or_after_an_equals_sign) {
    OptionLine l;
    Values v;
    ck_assert_ok(PARSE(&l, &v, "--ranks", "4", "--data=a=b", "--lr=1e-3", "--dtype", "f64",
                       "--bucket", "1MB", "--timeout=250ms", "--sweep", "1,2..8", "-q",
                       "--seed=10k"));
    ck_assert_int_eq(v.ranks, 4);
    ck_assert_str_eq(v.data, "a=b");
    ck_assert_double_eq(v.rate, 0.001);
    ck_assert_int_eq(v.dtype, DTYPE_F64);
    ck_assert_int_eq(v.bucket_bytes, 1000000);
    ck_assert_int_eq(v.timeout_ps, 250 * PS_PER_MS);
    ck_assert_int_eq(v.sweep.count, 4);
    ck_assert_int_eq(v.sweep.items[3], 8);
    ck_assert_int_eq(v.seed, 10000);
    ck_assert(v.quiet && v.overlap);
    ck_assert(option_given(&l, "ranks") && option_given(&l, "quiet") &&
              !option_given(&l, "overlap"));
}
END_TEST

START_TEST(options_and_arguments_mix_and_two_dashes_end_the_options) {
    OptionLine l;
    Values v;
    ck_assert_ok(PARSE(&l, &v, "one", "--ranks", "2", "--", "--ranks"));
    ck_assert_int_eq(v.ranks, 2);
    ck_assert_int_eq(l.argument_count, 2);
    ck_assert_str_eq(l.arguments[0], "one");
    ck_assert_str_eq(l.arguments[1], "--ranks");
    ck_assert_ok(PARSE(&l, &v, "-"));  // standard input is an argument
    ck_assert_str_eq(l.arguments[0], "-");
}
END_TEST

START_TEST(of_an_option_given_twice_the_last_counts) {
    OptionLine l;
    Values v;
    ck_assert_ok(PARSE(&l, &v, "--ranks", "2", "--no-overlap", "--ranks=3", "--overlap"));
    ck_assert_int_eq(v.ranks, 3);
    ck_assert(v.overlap);
}
END_TEST

START_TEST(a_place_that_is_written_to_is_given_once) {
    static const Option options[] = {
        {.name = "report",
         .letter = 'o',
         .kind = OPTION_STRING,
         .at = AT(data),
         .value = "FILE",
         .once = true,
         .help = "where to"},
        {.name = "ranks", .kind = OPTION_INT, .at = AT(ranks), .value = "N", .help = "how many"}};
    static const OptionTable table = {.program = "p", .options = options, .option_count = 2};
    static const char *const twice[][5] = {
        {"--report", "a", "--report", "b"}, {"--report=a", "--report=a"}, {"-oa", "--report=b"}};
    OptionLine l;
    Values v;
    ck_assert_ok(parse_with(&l, &v, &table,
                            (const char *const[]){"--report=a", "--ranks=1", "--ranks=2", NULL}));
    ck_assert_str_eq(v.data, "a");
    for (int i = 0; i < 3; i++)
        ck_assert_fails(parse_with(&l, &v, &table, twice[i]), ERR_USAGE,
                        "--report is given twice, and it writes one FILE: leave one of them out");
}
END_TEST

START_TEST(no_turns_off_only_what_the_table_says) {
    OptionLine l;
    Values v;
    ck_assert_ok(PARSE(&l, &v, "--no-overlap"));
    ck_assert(!v.overlap);
    ck_assert(option_given(&l, "overlap"));
    REFUSES("unknown option --no-quiet (did you mean --quiet?)", "--no-quiet");
    REFUSES("unknown option --no-overlay (did you mean --no-overlap?)", "--no-overlay");
}
END_TEST

START_TEST(unknown_options_are_named_with_the_nearest) {
    REFUSES("unknown option --rank (did you mean --ranks?)", "--rank", "2");
    REFUSES("unknown option --rnaks=2 (did you mean --ranks?)", "--rnaks=2");
    REFUSES("unknown option -ranks (did you mean --ranks?)", "-ranks");
    REFUSES("unknown option --hlep (did you mean --help?)", "--hlep");
    REFUSES("unknown option --gpus (did you mean --ranks?)", "--gpus", "4");
    REFUSES("unknown option -n (did you mean --ranks?)", "-n", "4");
    REFUSES("unknown option --gpu-count (--help lists the options)", "--gpu-count");
    REFUSES("unknown option --elsewhere (--help lists the options)", "--elsewhere");
    REFUSES("unknown option --xylophone (--help lists the options)", "--xylophone");
    REFUSES("unknown option -quiet (did you mean --quiet?)", "-quiet");
    REFUSES("unknown option -verbose (did you mean --verbose?)", "-verbose");
    REFUSES("unknown option -qx (--help lists the options)", "-qx");
    REFUSES("unknown option -x (--help lists the options)", "-x");
    REFUSES("unknown option --=3 (--help lists the options)", "--=3");
    REFUSES("unknown option --no- ", "--no-");
}
END_TEST

START_TEST(a_missing_value_is_not_the_next_option) {
    REFUSES("--ranks needs a value: give --ranks N", "--ranks");
    REFUSES("--data needs a value: give --data DIR|FILE", "--data", "--ranks", "2");
    REFUSES("--data needs a value", "--data", "--");
    REFUSES("--quiet takes no value: give --quiet alone", "--quiet=1");
    REFUSES("--no-overlap takes no value", "--no-overlap=1");
    OptionLine l;
    Values v;
    ck_assert_ok(PARSE(&l, &v, "--data", "-", "--seed", "-5"));
    ck_assert_str_eq(v.data, "-");
    ck_assert_int_eq(v.seed, -5);
    ck_assert_ok(PARSE(&l, &v, "--lr", "15%"));
    ck_assert(v.rate == 0.15);
    ck_assert_ok(PARSE(&l, &v, "--ranks=64"));                        // a bound is allowed itself
    REFUSES("--data: the value is empty: give DIR|FILE", "--data=");  // a variable that is not set
}
END_TEST

START_TEST(bad_values_are_named_with_what_is_accepted) {
    REFUSES("--ranks: 0 is too small: give 1 to 64", "--ranks", "0");
    REFUSES("--ranks: 65 is too large: give 1 to 64", "--ranks=65");
    REFUSES("--ranks: -1 is too small: give 1 to 64", "--ranks", "-1");
    REFUSES("--ranks: \"two\" is not a count: give a whole number", "--ranks", "two");
    REFUSES("--ranks: \"1.5\" is not a count", "--ranks", "1.5");
    REFUSES("--ranks: the value is empty: give N", "--ranks=");
    REFUSES("--ranks: \"99999999999999999999\" is too large", "--ranks=99999999999999999999");
    REFUSES("--lr: \"%\" is not a number", "--lr", "%");
    REFUSES("--lr: \"1%%\" is not a number", "--lr", "1%%");
    REFUSES("--lr: \"fast\" is not a number: give one such as 0.01", "--lr", "fast");
    REFUSES("--lr: \"1x\" is not a number", "--lr", "1x");
    REFUSES("--lr: \"nan\" is not a number", "--lr", "nan");
    REFUSES("--lr: -1 is too small: give at least 0", "--lr", "-1");
    REFUSES("--dtype: \"f33\" is not one of f32, f64, bf16 (did you mean f32?)", "--dtype", "f33");
    REFUSES("--dtype: \"double\" is not one of f32, f64, bf16", "--dtype", "double");
    REFUSES("--bucket: 1B is too small: give 1KiB to 1GiB", "--bucket", "1B");
    REFUSES("--bucket: \"32kb\" is not a size: give bytes, or a number with KiB", "--bucket",
            "32kb");
    REFUSES("--timeout: \"soon\" is not a duration: give a number with ps", "--timeout", "soon");
    REFUSES("--sweep: \"x\" is not a count", "--sweep", "1,x");
    REFUSES("--sweep: 0 is too small: give at least 1", "--sweep", "1,0");
}
END_TEST

START_TEST(arguments_are_counted) {
    REFUSES("unexpected argument c: give at most 2 (PATH...)", "a", "b", "c");
    OptionLine l;
    Values v;
    OptionTable t = TABLE;
    t.arguments_min = 1;
    ck_assert_fails(parse_with(&l, &v, &t, (const char *const[]){NULL}), ERR_USAGE,
                    "PATH... missing: give train PATH...");
    t = TABLE;
    t.arguments = NULL;
    ck_assert_fails(parse_with(&l, &v, &t, (const char *const[]){"ranks", NULL}), ERR_USAGE,
                    "unexpected argument ranks (did you mean --ranks?)");
    ck_assert_fails(parse_with(&l, &v, &t, (const char *const[]){"-", NULL}), ERR_USAGE,
                    "unexpected argument -");
    ck_assert_fails(parse_with(&l, &v, &t, (const char *const[]){"", NULL}), ERR_USAGE,
                    "unexpected argument \"\" (--help");
    t = TABLE;
    t.arguments_max = 0;
    ck_assert_ok(parse_with(&l, &v, &t, (const char *const[]){"a", "b", "c", NULL}));
    ck_assert_int_eq(l.argument_count, 3);
}
END_TEST

START_TEST(letters_stand_together_the_last_with_its_value) {
    OptionLine l;
    Values v;
    ck_assert_ok(PARSE(&l, &v, "-v"));
    ck_assert(v.verbose == 1 && option_given(&l, "verbose"));
    ck_assert_ok(PARSE(&l, &v, "-vv", "--verbose", "-qv"));
    ck_assert(v.verbose == 4 && v.quiet);
    ck_assert_ok(PARSE(&l, &v, "-qj8"));
    ck_assert(v.quiet && v.jobs == 8 && option_given(&l, "jobs"));
    ck_assert_ok(PARSE(&l, &v, "-j", "9", "file"));
    ck_assert(v.jobs == 9 && l.argument_count == 1);
    ck_assert_ok(PARSE(&l, &v, "-vh", "--nonsense"));
    ck_assert(v.verbose == 1 && l.help == HELP_BRIEF);
    REFUSES("-j needs a value: give -j N", "-qj");
    REFUSES("-j: \"x\" is not a count", "-vjx");
    REFUSES("--verbose takes no value", "--verbose=2");
}
END_TEST

START_TEST(what_follows_a_mistake_is_read_and_the_first_mistake_told) {
    OptionLine l;
    Values v;
    ck_assert_fails(
        PARSE(&l, &v, "--rank", "2", "-vv", "--jobs", "x", "--dtype=f64", "a", "b", "c"), ERR_USAGE,
        "unknown option --rank (did you mean --ranks?)");
    ck_assert(v.verbose == 2 && v.dtype == DTYPE_F64);
}
END_TEST

START_TEST(help_takes_a_topic) {
    static const struct {
        const char *words[3], *topic;
    } cases[] = {{{"--help", "ranks"}, "ranks"},
                 {{"--help=talk", "--nonsense"}, "talk"},
                 {{"--help", "--ranks", "2"}, "--ranks"},
                 {{"--help", "-v"}, "-v"},
                 {{"--help", "--no-overlap"}, "--no-overlap"},
                 {{"--help", "--nonsense"}, NULL},
                 {{"--help", "-"}, NULL},
                 {{"-v", "--help"}, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        OptionLine l;
        Values v;
        ck_assert_ok(parse_with(
            &l, &v, &TABLE,
            (const char *const[]){cases[i].words[0], cases[i].words[1], cases[i].words[2], NULL}));
        ck_assert_int_eq(l.help, cases[i].topic ? HELP_TOPIC : HELP_FULL);
        ck_assert(cases[i].topic ? !strcmp(l.topic, cases[i].topic) : !l.topic);
    }
}
END_TEST

START_TEST(help_ends_the_reading) {
    OptionLine l;
    Values v;
    ck_assert_ok(PARSE(&l, &v, "--ranks", "2", "-h", "--nonsense"));
    ck_assert_int_eq(l.help, HELP_BRIEF);
    ck_assert_int_eq(v.ranks, 2);
    ck_assert_ok(PARSE(&l, &v, "--help", "--nonsense"));
    ck_assert_int_eq(l.help, HELP_FULL);
    REFUSES("unknown option --nonsense", "--nonsense", "--help");
}
END_TEST

SUITE("option", without_words_the_values_are_the_defaults_of_the_table,
      values_come_in_the_next_word_or_after_an_equals_sign,
      options_and_arguments_mix_and_two_dashes_end_the_options,
      of_an_option_given_twice_the_last_counts, a_place_that_is_written_to_is_given_once,
      no_turns_off_only_what_the_table_says, unknown_options_are_named_with_the_nearest,
      a_missing_value_is_not_the_next_option, bad_values_are_named_with_what_is_accepted,
      arguments_are_counted, letters_stand_together_the_last_with_its_value,
      what_follows_a_mistake_is_read_and_the_first_mistake_told, help_takes_a_topic,
      help_ends_the_reading)
