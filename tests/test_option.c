// SPDX-License-Identifier: MIT
#include "core/base/option.h"
#include "tests/testing.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t ranks, seed, bucket_bytes, timeout_ps;
    double rate;
    const char *data;
    int dtype;
    bool overlap, quiet;
    IntList sweep;
} Values;

enum { DTYPE_F64 = 1 };

#define AT(field) offsetof(Values, field)
// clang-format off
static const Option OPTIONS[] = {
    {.kind = OPTION_HEADING, .help = "Work"},
    {.name = "ranks", .kind = OPTION_INT, .at = AT(ranks), .value = "N", .initial = "1",
     .min = 1, .max = 64, .brief = true, .help = "ranks to start"},
    {.name = "data", .kind = OPTION_STRING, .at = AT(data), .value = "DIR|FILE",
     .initial = "digits", .brief = true, .help = "what to train on"},
    {.name = "lr", .kind = OPTION_REAL, .at = AT(rate), .value = "X", .initial = "0.01",
     .min = 0, .max = HUGE_VAL, .help = "learning rate"},
    {.name = "dtype", .kind = OPTION_CHOICE, .at = AT(dtype), .value = "f32|f64|bf16",
     .initial = "f32",
     .help = "type of parameters and gradients, which is also the type that activations and "
             "messages have"},
    {.name = "seed", .kind = OPTION_INT, .at = AT(seed), .value = "N",
     .help = "of every random number"},
    {.kind = OPTION_HEADING, .help = "Communication"},
    {.name = "bucket", .kind = OPTION_SIZE, .at = AT(bucket_bytes), .value = "SIZE",
     .initial = "32KiB", .min = 1024, .max = 1 << 30, .help = "cap of a bucket"},
    {.name = "timeout", .kind = OPTION_DURATION, .at = AT(timeout_ps), .value = "TIME",
     .initial = "30", .bare_ps = PS_PER_S,
     .help = "a rank is lost after this (a bare number is seconds)"},
    {.name = "overlap", .kind = OPTION_FLAG, .at = AT(overlap), .initial = "yes", .no = true,
     .help = "communicate during the backward pass"},
    {.name = "sweep", .kind = OPTION_LIST, .at = AT(sweep), .value = "N,N..N",
     .min = 1, .max = HUGE_VAL, .help = "rank counts to try"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .at = AT(quiet), .brief = true,
     .help = "no progress"},
};
// clang-format on
static const OptionExample EXAMPLES[] = {
    {"train --ranks 2 --data digits", "two processes, digits made on the spot"},
    {"train --dtype f64 file",
     "double precision, with a description so long that it has to go on in a second line of text"},
    {"train --no-overlap", "communication after the backward pass"},
};
#define COUNT(array) ((int)(sizeof array / sizeof *array))
static const OptionTable TABLE = {.program = "train",
                                  .summary = "train a network",
                                  .options = OPTIONS,
                                  .option_count = COUNT(OPTIONS),
                                  .examples = EXAMPLES,
                                  .example_count = COUNT(EXAMPLES),
                                  .arguments = "PATH...",
                                  .arguments_max = 2};

static Arena arena;  // given up with the process of the test

// Parse the words, at most 15, after the program's name.
static Status parse_with(OptionLine *line, Values *v, const OptionTable *t,
                         const char *const *words) {
    char *argv[16] = {(char *)"train"};
    int argc = 1;
    for (; *words; words++) argv[argc++] = (char *)*words;
    return option_parse(line, v, &arena, t, argc, argv);
}
#define PARSE(line, v, ...) parse_with(line, v, &TABLE, (const char *const[]){__VA_ARGS__, NULL})
#define REFUSES(part, ...)                                              \
    do {                                                                \
        OptionLine l_;                                                  \
        Values v_;                                                      \
        ck_assert_fails(PARSE(&l_, &v_, __VA_ARGS__), ERR_USAGE, part); \
    } while (0)

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
    REFUSES("unknown option --xylophone (--help lists the options)", "--xylophone");
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
    REFUSES("--ranks: \"\" is not a count", "--ranks=");
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
    t = TABLE;
    t.arguments_max = 0;
    ck_assert_ok(parse_with(&l, &v, &t, (const char *const[]){"a", "b", "c", NULL}));
    ck_assert_int_eq(l.argument_count, 3);
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

// The text is valid until the next call.
static const char *help_text(OptionHelp which) {
    static char *text;
    size_t size;
    free(text);
    FILE *f = open_memstream(&text, &size);
    option_print_help(f, &TABLE, which);
    fclose(f);
    return text;
}

START_TEST(brief_help_shows_the_options_marked_brief) {
    ck_assert_str_eq(help_text(HELP_BRIEF),
                     "train: train a network\n"
                     "Usage: train [OPTION...] PATH...\n"
                     "Example: train --ranks 2 --data digits\n"
                     "         train --dtype f64 file\n"
                     "\n"
                     "  --ranks N                   ranks to start (default 1)\n"
                     "  --data DIR|FILE             what to train on (default digits)\n"
                     "  -q, --quiet                 no progress\n"
                     "  --help                      all options, and examples\n");
}
END_TEST

START_TEST(full_help_has_examples_first_and_options_in_groups) {
    ck_assert_str_eq(
        help_text(HELP_FULL),
        "train: train a network\n"
        "Usage: train [OPTION...] PATH...\n"
        "\n"
        "Examples:\n"
        "  train --ranks 2 --data digits\n"
        "      two processes, digits made on the spot\n"
        "  train --dtype f64 file\n"
        "      double precision, with a description so long that it has to go on in a\n"
        "      second line of text\n"
        "  train --no-overlap\n"
        "      communication after the backward pass\n"
        "\n"
        "Work:\n"
        "  --ranks N                   ranks to start (1 to 64, default 1)\n"
        "  --data DIR|FILE             what to train on (default digits)\n"
        "  --lr X                      learning rate (default 0.01)\n"
        "  --dtype f32|f64|bf16        type of parameters and gradients, which is also\n"
        "                              the type that activations and messages have\n"
        "                              (default f32)\n"
        "  --seed N                    of every random number\n"
        "\n"
        "Communication:\n"
        "  --bucket SIZE               cap of a bucket (1KiB to 1GiB, default 32KiB)\n"
        "  --timeout TIME              a rank is lost after this (a bare number is\n"
        "                              seconds) (default 30)\n"
        "  --[no-]overlap              communicate during the backward pass (default yes)\n"
        "  --sweep N,N..N              rank counts to try\n"
        "  -q, --quiet                 no progress\n"
        "\n"
        "Help:\n"
        "  -h                          the most used options\n"
        "  --help                      all options, and examples\n");
}
END_TEST

// A table of one option, or of 30 brief ones, that option_check() must find fault with.
static void check_finds(Option o, const char *part) {
    Option two[2] = {OPTIONS[1], o};
    OptionTable t = {.program = "train", .summary = "x", .options = two, .option_count = 2};
    ck_assert_fails(option_check(&t), ERR_USAGE, part);
}

START_TEST(a_table_with_mistakes_is_found_out) {
    ck_assert_ok(option_check(&TABLE));
    check_finds((Option){.name = "ranks", .kind = OPTION_FLAG, .help = "x"},
                "--ranks or its letter is there twice");
    check_finds((Option){.name = "", .kind = OPTION_FLAG, .help = "x"}, "\"\" cannot be a name");
    check_finds((Option){.name = "help", .kind = OPTION_FLAG, .help = "x"},
                "\"help\" cannot be a name");
    check_finds((Option){.name = "x", .kind = OPTION_FLAG}, "no help");
    check_finds((Option){.name = "x", .kind = OPTION_FLAG, .help = "Stop."}, "ends in a full stop");
    check_finds((Option){.name = "x", .kind = OPTION_FLAG, .letter = 'h', .help = "x"},
                "--x cannot have that letter");
    check_finds((Option){.name = "x", .kind = OPTION_INT, .help = "x"},
                "the value of --x has no name");
    check_finds(
        (Option){.name = "x", .kind = OPTION_INT, .value = "N", .initial = "y", .help = "x"},
        "default of --x: \"y\"");
    check_finds((Option){.name = "x", .kind = OPTION_FLAG, .initial = "yes", .help = "x"},
                "--x cannot be turned off");
    check_finds((Option){.name = "x", .kind = OPTION_INT, .value = "N", .no = true, .help = "x"},
                "--no-x is for flags");
    Option both[2] = {{.name = "no-x", .kind = OPTION_FLAG, .help = "x"},
                      {.name = "x", .kind = OPTION_FLAG, .no = true, .help = "x"}};
    OptionTable t = {.program = "train", .summary = "x", .options = both, .option_count = 2};
    ck_assert_fails(option_check(&t), ERR_USAGE, "--x or its letter is there twice");
    both[1].no = false;
    ck_assert_ok(option_check(&t));
    t = TABLE;
    t.program = "sim";
    ck_assert_fails(option_check(&t), ERR_USAGE, "runs something else");
}
END_TEST

START_TEST(brief_help_has_at_most_24_lines) {
    Option many[30];
    char names[30][8];
    for (int i = 0; i < 30; i++) {
        snprintf(names[i], sizeof names[i], "x%d", i);
        many[i] = (Option){.name = names[i], .kind = OPTION_FLAG, .brief = true, .help = "x"};
    }
    // Two lines of head, an empty one, the options, --help.
    OptionTable t = {.program = "train", .summary = "x", .options = many, .option_count = 20};
    ck_assert_ok(option_check(&t));
    t.option_count = 21;
    ck_assert_fails(option_check(&t), ERR_USAGE, "-h has 25 lines, the limit is 24");
}
END_TEST

SUITE("option", without_words_the_values_are_the_defaults_of_the_table,
      values_come_in_the_next_word_or_after_an_equals_sign,
      options_and_arguments_mix_and_two_dashes_end_the_options,
      of_an_option_given_twice_the_last_counts, no_turns_off_only_what_the_table_says,
      unknown_options_are_named_with_the_nearest, a_missing_value_is_not_the_next_option,
      bad_values_are_named_with_what_is_accepted, arguments_are_counted, help_ends_the_reading,
      brief_help_shows_the_options_marked_brief, full_help_has_examples_first_and_options_in_groups,
      a_table_with_mistakes_is_found_out, brief_help_has_at_most_24_lines)
