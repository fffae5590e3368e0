// SPDX-License-Identifier: MIT
// The option table of lesson, with its topics and examples.
#include "programs/lesson_options.h"

#include "core/cli/terminal.h"

#include <math.h>

#define AT(field) .at = offsetof(LessonOptions, field)

// clang-format off
static const Option options[] = {
    {.kind = OPTION_HEADING, .name = "lesson", .help = "How a lesson goes"},
    {.name = "seed", .kind = OPTION_INT, AT(seed), .value = "N", .initial = "-1",
     .min = -1, .max = 1e15, .brief = true, .help = "the seed of its numbers; -1: a new one"},
    {.name = "seed-from", .kind = OPTION_STRING, AT(seed_from), .value = "NAME",
     .help = "a seed made of a name: each learner of a class has other numbers"},
    {.name = "no-skip", .kind = OPTION_FLAG, AT(no_skip),
     .help = "every question must be answered before it is explained"},
    {.name = "inject", .kind = OPTION_STRING, AT(inject), .value = "FAULT:SEED",
     .help = "lesson 18: this fault instead of a drawn one, such as slow_rank:3"},
    {.name = "virtual-time", .kind = OPTION_FLAG, AT(virtual_time),
     .help = "times of a described machine: the same text on every machine"},

    {.name = "only", .kind = OPTION_LIST, AT(only), .value = "N,N..", .min = 0, .max = 99,
     .help = "no other lessons than these, in lists and by name"},

    {.kind = OPTION_HEADING, .name = "answers", .help = "Who answers"},
    {.name = "no-input", .kind = OPTION_FLAG, AT(no_input), .brief = true,
     .help = "nobody: questions are shown with what is right"},
    {.name = "answers", .kind = OPTION_STRING, AT(answers), .value = "FILE",
     .help = "what is typed, line by line; - is standard input"},
    {.name = "auto", .kind = OPTION_STRING, AT(automatic), .value = "right|wrong:ID",
     .help = "the program: rightly, or with the misconception ID"},

    {.kind = OPTION_HEADING, .name = "progress", .help = "What is kept"},
    {.name = "state", .kind = OPTION_STRING, AT(state), .value = "FILE",
     .help = "where your place is kept; $XDG_STATE_HOME/tandem/lessons"},
    {.name = "todo", .kind = OPTION_FLAG, AT(todo), .help = "list: what is not done"},
    {.name = "all", .kind = OPTION_FLAG, AT(all), .brief = true,
     .help = "verify, bench, reset: all lessons"},
    {.name = "force", .kind = OPTION_FLAG, AT(force), .help = "reset without asking"},
    {.name = "measured", .kind = OPTION_FLAG, AT(measured),
     .help = "verify: times of this machine, not virtual ones"},

    {.kind = OPTION_HEADING, .name = "build", .help = "Exercises in C: lesson build"},
    {.name = "watch", .kind = OPTION_FLAG, AT(watch),
     .help = "compile and test again whenever the file changes"},
    {.name = "hint", .kind = OPTION_SMALL, AT(hint), .value = "K", .min = 0, .max = 3,
     .help = "show hints 1 to K instead, of 3"},
    {.name = "solution", .kind = OPTION_FLAG, AT(solution),
     .help = "show the official solution instead, once all cases have passed"},
    {.name = "work", .kind = OPTION_STRING, AT(work), .value = "FOLDER", .initial = "exercises",
     .help = "where your files are"},

    {.kind = OPTION_HEADING, .name = "output", .help = "What is shown"},
    {.name = "json", .kind = OPTION_FLAG, AT(json), .help = "an object on a line for each step"},
    {.name = "plain", .kind = OPTION_FLAG, AT(plain),
     .help = "frames in ASCII, as with LC_ALL=C or TERM=dumb, and no bold"},
    {.name = "color", .kind = OPTION_CHOICE, AT(color), .value = TERMINAL_COLOR_WORDS,
     .initial = "auto", .help = "bold headings"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, AT(quiet), .help = "no notes"},
    {.name = "verbose", .letter = 'v', .kind = OPTION_COUNT, AT(verbose),
     .help = "say what is decided"},
    {.name = "version", .letter = 'V', .kind = OPTION_FLAG, AT(version), .brief = true,
     .help = "print the version and the parts that are built in"},
};
// clang-format on

static const OptionExample examples[] = {
    {"lesson", "go on where you left, or with the first lesson"},
    {"lesson 8", "lesson 8: all-reduce by hand"},
    {"lesson list", "all lessons, and what of them is done"},
    {"lesson build 3", "write an all-reduce in C: compile and test it"},
    {"lesson report > report.md", "what you predicted, and what came out"},
    {"lesson 8 --no-input --virtual-time", "lesson 8 as a transcript"},
    {"lesson verify --all", "prove that every answer is judged as it should be"},
};

const OptionTable lesson_options = {
    .program = "lesson",
    .one_process = true,
    .summary = "Learn distributed training: predict, run, compare.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .examples = examples,
    .example_count = sizeof examples / sizeof *examples,
    .arguments = "[N|NAME|list|next|report|reset N|build N|verify N|bench|dev check]",
    .arguments_max = 3,
};
