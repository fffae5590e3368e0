// SPDX-License-Identifier: MIT
#include "programs/sim_options.h"

#define AT(field) .at = offsetof(SimOptions, field)

// clang-format off
static const Option options[] = {
    {.kind = OPTION_HEADING, .help = "What is simulated"},
    {.name = "trace", .kind = OPTION_STRING, AT(trace), .value = "DIR", .brief = true,
     .help = "a recorded run: what train --trace DIR wrote"},
    {.name = "ranks", .kind = OPTION_LIST, AT(ranks), .value = "N,N..", .min = 1, .max = 64,
     .brief = true, .help = "predict these numbers of ranks; without it the run is replayed"},
    {.name = "platform", .kind = OPTION_STRING, AT(platform), .value = "NAME|FILE",
     .initial = "laptop", .brief = true,
     .help = "the host that the ranks of a prediction share: laptop, or a machine file"},

    {.kind = OPTION_HEADING, .help = "What is shown and kept"},
    {.name = "print-plan", .kind = OPTION_FLAG, AT(print_plan),
     .help = "print the plan for the last of --ranks, as train does; do not simulate"},
    {.name = "report", .kind = OPTION_STRING, AT(report), .value = "FILE", .brief = true,
     .help = "write the last one's report: .json, .md or .html"},
    {.name = "json", .kind = OPTION_FLAG, AT(json), .help = "print the last one's report as JSON"},
    {.name = "no-view", .kind = OPTION_FLAG, AT(no_view),
     .help = "open no window (there is none yet)"},
    {.name = "verbose", .letter = 'v', .kind = OPTION_FLAG, AT(verbose),
     .help = "say where in the source an error arose"},
    {.name = "version", .kind = OPTION_FLAG, AT(version), .help = "version and parts built in"},
};
// clang-format on

static const OptionExample examples[] = {
    {"sim --trace run/", "replay a recorded run: simulated beside measured"},
    {"sim --trace run/ --ranks 1,2,4", "the same job on other numbers of ranks"},
};

const OptionTable sim_options = {
    .program = "sim",
    .summary = "Simulate a recorded training run, on the ranks that were recorded or on others.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .examples = examples,
    .example_count = sizeof examples / sizeof *examples,
};
