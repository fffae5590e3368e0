// SPDX-License-Identifier: MIT
#include "tests/support/option_sample.h"

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
    ck_assert_str_eq(
        help_text(HELP_BRIEF),
        "train: train a network\n"
        "Usage: train [OPTION...] PATH...\n"
        "Example: train --ranks 2 --data digits\n"
        "         train --dtype f64 file\n"
        "\n"
        "  --ranks N                   ranks to start (default 1)\n"
        "  --data DIR|FILE             what to train on (default digits)\n"
        "  -q, --quiet                 no progress\n"
        "  --help                      all options, examples; --help NAME: more on one\n");
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
        "  -v, --verbose               say more\n"
        "  -j, --jobs N                at once\n"
        "\n"
        "Exit status:\n"
        "  0    done\n"
        "  1    the run failed, or a result could not be written\n"
        "  2    command line, input, or a part that is not built in\n"
        "  4    a rank was lost or timed out\n"
        "  130  interrupted; what was done is kept\n"
        "\n"
        "Help:\n"
        "  -h                          the most used options\n"
        "  --help                      all options, and examples\n"
        "  --help TOPIC                more on one option, or on talk, examples or status\n");
}
END_TEST

static Status topic(const char **out, const char *name) {
    static char *text;
    size_t size;
    free(text);
    FILE *f = open_memstream(&text, &size);
    Status s = option_print_topic(f, &TABLE, name);
    fclose(f);
    *out = text;
    return s;
}

START_TEST(a_topic_is_an_option_with_all_there_is_to_say) {
    static const char *const spellings[] = {"bucket", "--bucket"};
    const char *text;
    for (int i = 0; i < 2; i++) {
        ck_assert_ok(topic(&text, spellings[i]));
        ck_assert_str_eq(
            text,
            "  --bucket SIZE               cap of a bucket (1KiB to 1GiB, default 32KiB)\n"
            "      SIZE: a size; 64KiB (or 64K: powers of 1024), 1.5MB (of 1000), or a number\n"
            "      of bytes.\n"
            "      Gradients wait in a bucket until it is full, or until the last of them has\n"
            "      come, and then travel together.\n"
            "      Small ones start early.\n");
    }
    ck_assert_ok(topic(&text, "no-overlap"));
    ck_assert_str_eq(
        text, "  --[no-]overlap              communicate during the backward pass (default yes)\n"
              "      --no-overlap turns it off.\n");
    ck_assert_ok(topic(&text, "ranks"));
    ck_assert_str_eq(text, "  --ranks N                   ranks to start (1 to 64, default 1)\n"
                           "      N: a whole number; 10k is 10,000.\n"
                           "\n"
                           "Examples:\n"
                           "  train --ranks 2 --data digits\n"
                           "      two processes, digits made on the spot\n");
    ck_assert_ok(topic(&text, "sweep"));
    ck_assert_ptr_nonnull(
        strstr(text, "N,N..N: whole numbers, at least 1, between commas; 4..64 is"));
    ck_assert_ok(topic(&text, "timeout"));
    ck_assert_ptr_nonnull(strstr(text, "TIME: a time; 250ms, 2min, or a number of seconds.\n"));
    ck_assert_ok(topic(&text, "v"));
    ck_assert_ptr_nonnull(strstr(text, "Twice is -vv."));
}
END_TEST

START_TEST(a_topic_is_a_group_the_examples_or_the_exit_status) {
    const char *text;
    ck_assert_ok(topic(&text, "talk"));
    ck_assert_int_eq(
        strncmp(text, "Communication:\n      How gradients meet.\n\n  --bucket SIZE", 54), 0);
    ck_assert_ptr_nonnull(strstr(text, "\n\n  -j, --jobs N"));
    ck_assert_ptr_null(strstr(text, "--seed"));
    ck_assert_ok(topic(&text, "examples"));
    ck_assert_ptr_nonnull(strstr(text, "\n  train --no-overlap\n"));
    ck_assert_ok(topic(&text, "status"));
    ck_assert_ptr_nonnull(strstr(text, "\n  4    a rank was lost"));
}
END_TEST

START_TEST(a_table_s_own_details_go_before_shared_ones) {
    const OptionDetail shared[] = {{"bucket", "Another text.", "chunk"}, {"lr", "How fast."}};
    OptionTable t = TABLE;
    char text[2048] = "";
    t.shared_details = shared;
    t.shared_detail_count = 2;
    FILE *f = fmemopen(text, sizeof text, "w");
    ck_assert_ok(option_print_topic(f, &t, "lr"));
    ck_assert_ok(option_print_topic(f, &t, "bucket"));
    fclose(f);
    ck_assert(strstr(text, "How fast.") && strstr(text, "Small ones start early."));
    ck_assert(!strstr(text, "Another text."));
    ck_assert_fails(option_print_topic(stdout, &t, "chunk"), ERR_USAGE, "--help bucket?");
}
END_TEST

// In alphabetical order; "ring" is a word of "all-reduce", too.
static const OptionWord WORDS[] = {
    {"all-reduce", "allreduce ring", "A sum over ranks.", "docs/formats.md"},
    {"ranks", NULL, "Equal workers.", NULL},
    {"speed-up", "speedup", "How much faster.", NULL},
};

START_TEST(a_topic_is_a_word_that_is_printed) {
    OptionTable t = TABLE;
    char text[4096] = "";
    t.words = WORDS;
    t.word_count = 3;
    ck_assert_ok(option_check(&t));
    FILE *f = fmemopen(text, sizeof text, "w");
    ck_assert_ok(option_print_topic(f, &t, "All_Reduce"));
    ck_assert_ok(option_print_topic(f, &t, "ring"));
    ck_assert_ok(option_print_topic(f, &t, "ranks"));  // the option, then the word
    ck_assert_ok(option_print_topic(f, &t, "words"));
    fclose(f);
    static const char expected[] =
        "  all-reduce\n      A sum over ranks.\n      More: docs/formats.md\n"
        "  all-reduce\n      A sum over ranks.\n      More: docs/formats.md\n"
        "  --ranks N ";
    ck_assert_msg(!strncmp(text, expected, sizeof expected - 1), "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "\nThe word:\n  ranks\n      Equal workers.\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n  speed-up\n      How much faster.\n"));
    ck_assert_fails(option_print_topic(stdout, &t, "spedup"), ERR_USAGE, "--help speed-up?");
    ck_assert_fails(option_print_topic(stdout, &TABLE, "words"), ERR_USAGE, "no help on words");
}
END_TEST

// Both can be read, the word first.
START_TEST(a_group_with_the_name_of_a_word_is_shown_after_it) {
    const OptionWord words[] = {{"talk", "chat", "What ranks say to each other.", NULL}};
    OptionTable t = TABLE;
    char text[4096] = "";
    t.words = words;
    t.word_count = 1;
    FILE *f = fmemopen(text, sizeof text, "w");
    ck_assert_ok(option_print_topic(f, &t, "talk"));
    fclose(f);
    static const char expected[] = "  talk\n      What ranks say to each other.\n\n"
                                   "Communication:\n      How gradients meet.\n\n  --bucket SIZE";
    ck_assert_msg(!strncmp(text, expected, sizeof expected - 1), "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "\n\n  -j, --jobs N"));
    f = fmemopen(text, sizeof text, "w");
    ck_assert_ok(option_print_topic(f, &t, "chat"));  // of the word alone
    fclose(f);
    ck_assert_ptr_null(strstr(text, "--bucket"));
}
END_TEST

static void check_finds_word(OptionWord w, const char *part) {
    OptionWord two[2] = {WORDS[1], w};
    OptionTable t = TABLE;
    t.words = two;
    t.word_count = 2;
    ck_assert_fails(option_check(&t), ERR_USAGE, part);
}

START_TEST(a_list_of_words_with_mistakes_is_found_out) {
    check_finds_word(WORDS[0], "the word all-reduce is not in alphabetical order");
    check_finds_word((OptionWord){"Ranks", NULL, "Again.", NULL}, "not in alphabetical order");
    check_finds_word((OptionWord){"step", NULL, "no sentence", NULL}, "of step is no sentence");
}
END_TEST

START_TEST(unknown_topics_are_named_with_the_nearest) {
    const char *text;
    ck_assert_fails(topic(&text, "rnaks"), ERR_USAGE,
                    "no help on rnaks (did you mean --help ranks?)");
    ck_assert_fails(topic(&text, "--tlak"), ERR_USAGE, "(did you mean --help talk?)");
    ck_assert_fails(topic(&text, "exmples"), ERR_USAGE, "(did you mean --help examples?)");
    ck_assert_fails(topic(&text, "gpus"), ERR_USAGE, "(did you mean --help ranks?)");
    ck_assert_fails(topic(&text, "xylophone"), ERR_USAGE,
                    "(--help alone lists options and topics)");
    ck_assert_fails(topic(&text, ""), ERR_USAGE, "no help on");
}
END_TEST

// What --help says of a status is what programs end with.
START_TEST(every_exit_status_has_its_meaning) {
    static const Status all[] = {
#define X(name, text) name,
        STATUS_LIST(X)
#undef X
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const StatusExit *e = status_exits();
        while (e->meaning && e->exit != status_exit(all[i])) e++;
        ck_assert_msg(e->meaning != NULL, "%s ends with %d", status_name(all[i]),
                      status_exit(all[i]));
    }
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
    check_finds((Option){.name = "x", .kind = OPTION_COUNT, .value = "N", .help = "x"},
                "--x takes no value");
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

SUITE("option_help", brief_help_shows_the_options_marked_brief,
      full_help_has_examples_first_and_options_in_groups,
      a_topic_is_an_option_with_all_there_is_to_say,
      a_topic_is_a_group_the_examples_or_the_exit_status,
      a_table_s_own_details_go_before_shared_ones, a_topic_is_a_word_that_is_printed,
      a_group_with_the_name_of_a_word_is_shown_after_it, a_list_of_words_with_mistakes_is_found_out,
      unknown_topics_are_named_with_the_nearest, every_exit_status_has_its_meaning,
      a_table_with_mistakes_is_found_out, brief_help_has_at_most_24_lines)
