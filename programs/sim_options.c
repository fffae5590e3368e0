// SPDX-License-Identifier: MIT
// The option table of sim, with its groups, topics and examples.
#include "programs/sim_options.h"

#include "core/cli/terminal.h"
#include "core/platform/machine.h"
#include "programs/job_help.h"
#include "programs/print_memory.h"
#include "programs/words.h"
#include "sim/predict.h"

#include <math.h>

#define AT(field) .at = offsetof(SimOptions, field)

// clang-format off
static const Option options[] = {
    {.kind = OPTION_HEADING, .name = "machine", .help = "On what"},
    {.name = "gpus", .kind = OPTION_LIST, AT(gpus), .marks = SIM_PLACE,
     .value = "N,N..", .min = 1, .max = 1 << 20,
     .brief = true,
     .help = "so many devices; one number: it and powers of two below, at most 8 sizes"},
    {.name = "ranks", .kind = OPTION_LIST, AT(ranks), .value = "N,N..", .min = 1, .max = 4096,
     .brief = true, .help = "so many ranks that share the cores of a host"},
    {.name = "point", .kind = OPTION_FLAG, AT(point), .help = "just the number that --gpus names"},
    {.name = "platform", .kind = OPTION_STRING, AT(platform), .marks = SIM_PLACE,
     .value = "NAME|FILE", .brief = true,
     .help = "dgx-a100, dgx-h100, laptop (others: --help platform), or a machine file"},
    {.name = "link", .kind = OPTION_STRING, AT(link), .marks = SIM_PLACE,
     .value = "BW,LATENCY",
     .help = "one link a device to a switch, such as 1GB/s,50us, instead of the platform's"},
    {.name = "topology", .kind = OPTION_STRING, AT(topology), .marks = SIM_PLACE,
     .value = "FILE.xml",
     .help = "nodes wired as NCCL found one, in what NCCL_TOPO_DUMP_FILE made it write"},
    {.name = "launch", .kind = OPTION_CHOICE, AT(launch), .marks = SIM_PLACE,
     .value = "platform|eager|ahead|wait|graph", .initial = "platform",
     .help = "how hosts launch: as the platform does, an operation at a time, so and on into "
             "the next step or waiting for each message, a step at once"},
    {.name = "network", .kind = OPTION_CHOICE, AT(network), .marks = SIM_PLACE,
     .value = SIM_NETWORK_WORDS, .initial = "auto",
     .help = "communication of devices: by NCCL's model, or message by message"},
    {.name = "hierarchical", .kind = OPTION_FLAG, AT(hierarchical), .marks = SIM_PLACE,
     .help = "collectives over nodes go within nodes, then across; message by message"},
    {.name = "nccl-algo", .kind = OPTION_CHOICE, AT(nccl_algorithm), .marks = SIM_PLACE,
     .value = NCCL_ALGORITHM_WORDS, .initial = "auto",
     .help = "the algorithm that NCCL's model takes; auto: the fastest"},
    {.name = "nccl-proto", .kind = OPTION_CHOICE, AT(nccl_protocol), .marks = SIM_PLACE,
     .value = NCCL_PROTOCOL_WORDS, .initial = "auto", .help = "its protocol"},
    {.name = "dilate", .kind = OPTION_REAL, AT(dilate), .marks = SIM_PLACE,
     .value = "K", .initial = "1", .min = 1e-3,
     .max = 1e6, .help = "make computation and links so much slower"},
    {.name = "straggler", .kind = OPTION_STRING, AT(straggler), .marks = SIM_PLACE,
     .value = "RANK=K,..", .help = "ranks that compute so much slower, such as 3=1.3"},
    {.name = "jitter", .kind = OPTION_STRING, AT(jitter), .marks = SIM_PLACE,
     .value = "CV|recorded|apart",
     .help = "how much computations vary, standard deviation over mean; or recorded steps"},
    {.name = "steps", .kind = OPTION_INT, AT(steps), .marks = SIM_PLACE, .value = "N", .min = 1,
     .max = 1e6, .help = "simulated steps of --jitter"},
    {.name = "mtbf", .kind = OPTION_REAL, AT(mtbf), .value = "HOURS", .min = 1e-3, .max = 1e9,
     .help = "mean time between failures of one device: goodput and how often to save"},
    {.name = "checkpoint-seconds", .kind = OPTION_REAL, AT(checkpoint_s), .value = "S",
     .min = 1e-3, .max = 1e6, .help = "with --mtbf: how long training stops for a checkpoint"},
    {.name = "restart-seconds", .kind = OPTION_REAL, AT(restart_s), .value = "S", .min = 0,
     .max = 1e6, .help = "with --mtbf: from a failure until training goes on"},

    {.kind = OPTION_HEADING, .name = "job", .help = "What is simulated"},
    {.name = "trace", .kind = OPTION_STRING, AT(trace), .value = "DIR", .brief = true,
     .help = "the run that train --trace DIR recorded: its job, and what its operations cost"},
    JOB_ROW_MODEL(SimOptions),
    JOB_ROW_BATCH(SimOptions),
    JOB_ROW_BATCH_PER_RANK(SimOptions),
    JOB_ROWS_TYPE_SEED(SimOptions),
    JOB_ROW_OPTIMIZER(SimOptions),
    JOB_ROWS_LR(SimOptions, false),
    JOB_ROWS_UPDATE(SimOptions),
    JOB_ROWS_SHARDS(SimOptions),
    JOB_ROWS_MESH(SimOptions, 0), JOB_ROWS_EXPERTS(SimOptions),
    JOB_ROWS_STRATEGY(SimOptions),
    JOB_ROW_PLAN(SimOptions),

    {.kind = OPTION_HEADING, .name = "collectives", .help = "A collective by itself"},
    {.name = "collective", .kind = OPTION_CHOICE, AT(collective), .value = SIM_COLLECTIVE_WORDS,
     .initial = "no", .help = "what it takes on --gpus N, size by size, as nccl-tests prints it"},
    {.name = "sizes", .kind = OPTION_STRING, AT(sizes), .value = "SIZE,SIZE..",
     .initial = "8..1GiB", .help = "the sizes; 1KiB..1GiB: each double the one before"},
    {.name = "fit", .kind = OPTION_STRING, AT(fit), .value = "TABLE,..",
     .help = "fit the platform's constants of NCCL's model to tables of nccl-tests"},
    {.name = "out", .kind = OPTION_STRING, AT(out), .value = "FILE",
     .help = "where --fit writes the machine file"},

    {.kind = OPTION_HEADING, .name = "output", .help = "What is shown and kept"},
    {.name = "compare", .kind = OPTION_STRING, AT(compare), .value = "FILE,..", .brief = true,
     .help = "measured beside simulated: reports of train --report FILE.json"},
    {.name = "critical-path", .kind = OPTION_FLAG, AT(critical_path),
     .help = "what a step is made of, across devices, and what it gains if an item is free"},
    {.name = "what-if", .kind = OPTION_STRING, AT(what_if), .value = "KEY=VALUE,..",
     .help = "the same changed, side by side: bandwidth=x2, latency=/2, dtype=bf16"},
    {.name = "sweep", .kind = OPTION_STRING, AT(sweep), .once = true, .value = "KEY=A,B,..",
     .help = "a row for each value of an option, of several for each combination: tp=1,2,pp=1,2"},
    {.name = "sensitivity", .kind = OPTION_FLAG, AT(sensitivity),
     .help = "what a step changes by with 10 % of each number of the platform, largest first"},
    {.name = "advise", .kind = OPTION_FLAG, AT(advise),
     .help = "how to divide the job over its devices: the best options, and what is around them"},
    {.name = "memory", .kind = OPTION_SIZE, AT(memory), .value = "SIZE", .min = 1,
     .max = HUGE_VAL, .help = "of --advise: what a device has, instead of the platform's"},
    {.name = "threads", .kind = OPTION_SMALL, AT(threads), .value = "N", .min = 1, .max = 256,
     .help = "threads of --sweep, --sensitivity and --advise; by default as many as cores"},
    {.name = "print-plan", .kind = OPTION_CHOICE, AT(print_plan), .value = PRINT_PLAN_WORDS,
     .initial = "no", .help = "print the plan as a table, or as a file for --plan; no simulation"},
    PRINT_PLAN_ROW_CLASS(SimOptions),
    PRINT_MEMORY_ROW(SimOptions),
    {.name = "explain", .kind = OPTION_FLAG, AT(explain),
     .help = "say what each axis of the mesh costs in memory and traffic; no simulation"},
    {.name = "print-mesh", .kind = OPTION_FLAG, AT(print_mesh),
     .help = "print where in the mesh each rank is; no simulation"},
    {.name = "plot", .kind = OPTION_STRING, AT(plot), .once = true, .value = "DIR", .brief = true,
     .help = "write figures: data, gnuplot script and picture of each"},
    {.name = "preview", .kind = OPTION_FLAG, AT(preview), .help = "a figure on the terminal"},
    {.name = "require-plot", .kind = OPTION_FLAG, AT(require_plot),
     .help = "fail when gnuplot is missing"},
    {.name = "report", .kind = OPTION_STRING, AT(report), .once = true, .value = "FILE",
     .brief = true, .help = "write the reports: .json, .md or .html"},
    {.name = "predictions", .kind = OPTION_STRING, AT(predictions), .once = true, .value = "FILE",
     .initial = "predictions.jsonl", .help = "where predictions are appended; none: nowhere"},
    {.name = "json", .kind = OPTION_FLAG, AT(json), .help = "print the reports as JSON"},
    {.name = "csv", .kind = OPTION_FLAG, AT(csv), .help = "print the table as CSV"},
    {.name = "plain", .kind = OPTION_FLAG, AT(plain),
     .help = "print the table, a line for each figure: name, value, unit"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, AT(quiet), .help = "no notes"},
    {.name = "verbose", .letter = 'v', .kind = OPTION_COUNT, AT(verbose),
     .help = "every operation of a step; say where in the source an error arose"},
    {.name = "log", .kind = OPTION_STRING, AT(log), .once = true, .value = "FILE",
     .help = "append messages, with the time, to this file"},
    {.name = "color", .kind = OPTION_CHOICE, AT(color), .value = TERMINAL_COLOR_WORDS,
     .initial = "auto", .help = "colours on a terminal"},
    {.name = "no-view", .kind = OPTION_FLAG, AT(no_view),
     .help = "open no window (there is none yet)"},
    {.name = "version", .kind = OPTION_FLAG, AT(version), .help = "version and parts built in"},
};
// clang-format on

static const OptionDetail details[] = {
    {.topic = "gpus",
     .text =
         "Each rank has a device of its own. One number stands for itself and the powers of two "
         "below, the eight largest (--point: itself alone); more than a platform has are more of "
         "its nodes. The "
         "batch per device stays the same (weak scaling) unless --batch is given (strong)."},
    {.topic = "ranks",
     .text = "Processes that share the cores of a host, as train --ranks starts them. With --trace "
             "their operations cost what was recorded; else what the platform's calibration or "
             "its peaks say."},
    {.topic = "platform",
     .text =
         "Built in are " MACHINE_BUILTIN_NAMES
         ". Without it: with --gpus dgx-a100; with --trace DIR/machine.yaml, which train --trace "
         "left there; else laptop. train --calibrate FILE describes this host. "
         "docs/formats.md, \"Machine files\"."},
    {.topic = "link",
     .text = "All devices hang on one switch. A message takes LATENCY and its bytes at BW, shared "
             "with others on the way. The same option of train emulates such links."},
    {.topic = "topology",
     .text = "Devices, NVLinks, PCI and adapters are the file's, at the rates that NCCL counts, "
             "instead of the platform's; what devices compute and what a wire's and a rail's "
             "latency is stay the platform's. Messages go one by one; -v names the busiest wires. "
             "docs/formats.md, \"Machine files\".",
     .others = "xml nccl wires"},
    {.topic = "launch",
     .text =
         "A GPU starts an operation when it can and its host has launched it, in the plan's "
         "order. eager: each launch takes the host the time that the platform says, and a step "
         "begins when the one before has ended, whose loss is read then. ahead: the loss is not "
         "read, and hosts go on to the next step while GPUs are at this one. wait: as eager, and "
         "behind a stage's receive of a pipeline a host launches nothing until the message has "
         "come, as Megatron-LM's hosts do. graph: a step is launched at once, as a CUDA graph is "
         "replayed. What a GPU waits for launches is host in the table of a step."},
    {.topic = "network",
     .text = "nccl: each collective takes what NCCL's own tuning model says of the platform, for "
             "the algorithm and protocol that NCCL would choose. flow: the messages of the "
             "schedule that --all-reduce names share the links. store-forward: a link carries them "
             "one after another, each whole. alpha-beta, loggp: a formula for each collective, as "
             "if it were alone; loggp needs `loggp` in the machine file. auto: nccl where the "
             "platform has a section "
             "`collectives`, but flow with --link, with --all-reduce, for a plan or a recording of "
             "another schedule than direct, and for ranks that were recorded on a described "
             "device.",
     .others = "nccl"},
    {.topic = "hierarchical",
     .text = "An all-reduce is a reduce-scatter in each node, an all-reduce of each share among "
             "nodes, an all-gather in each node, all around rings; an all-gather and a "
             "reduce-scatter are parts of that. It concerns groups that have as many members on "
             "each of several nodes, and goes with --network flow, store-forward and the formulas.",
     .others = "levels rails"},
    {.topic = "nccl-algo",
     .text = "As NCCL_ALGO does; collectives that do not have it keep theirs."},
    {.topic = "collective",
     .text = "By NCCL's model, in its columns: algbw is bytes / time, busbw what a link carries of "
             "it. With --compare TABLE (text that nccl-tests or bench/collectives printed, or CSV "
             "with columns size and time) measured beside simulated, with the error.",
     .others = "collectives nccl-tests"},
    {.topic = "fit",
     .text = "Tables as --compare reads them, of one --collective (all_reduce); --gpus has a "
             "number for each, where they do not say on how many devices. Powers of two are "
             "fitted (or every second row); the error of the others is printed. At most six "
             "constants: latency, hops, bandwidths, and what small groups lose."},
    {.topic = "sizes",
     .text = "Of the whole array, of an all_to_all of what one rank has, as nccl-tests counts. "
             "1KiB and 1K are 1024 bytes, as nccl-tests has it; 1kB is 1000."},
    {.topic = "straggler",
     .text = "From 0; computations of that device take K times as long, launches of its host do "
             "not. The others wait for it where they communicate."},
    {.topic = "jitter",
     .text = "Each computation takes 1 - CV + CV E times its cost, E exponential with mean 1 from "
             "--seed: most are a little faster, a few much slower, and the mean is the cost. Up to "
             "64 steps are simulated; rows show their mean, the line below the table what 8 of 10 "
             "take. All ranks are simulated.\n"
             "recorded: with --trace, on ranks that share a host, steps are drawn from the "
             "recorded ones, as many as there are, or --steps; a replay is of these, and in a "
             "prediction operations vary as they did in them. apart: each rank draws by itself, "
             "as if it had a host of its own; what slowed all ranks in one step is left out.",
     .others = "noise variance"},
    {.topic = "mtbf",
     .text =
         "Devices fail at random, so that N of them fail N times as often; one whose node takes "
         "the others along has the node's time times the devices of a node. The run restarts "
         "from its last checkpoint. Below the table stand the interval between checkpoints by "
         "Young's and Daly's formulas and the best one simulated, the share of time that is "
         "progress (goodput), and where the rest goes. Llama 3 had 419 interruptions in 54 days "
         "on 16,384 H100: --mtbf 50700.",
     .others = "failures goodput checkpoints interruptions"},
    {.topic = "dilate", .text = "As train --device timed:PLATFORM --dilate K does, to compare."},
    {.topic = "trace",
     .text = "Alone, the recorded run is put together again, each step from its own durations (a "
             "replay). With other ranks, a platform, or an option of the job it is a prediction."},
    {.topic = "compare",
     .text = "The simulated and the measured step, and what their difference is made of: causes, "
             "phases, operations (-v: all). Says whether the prediction was there before the run. "
             "The error is of the step time: simulated over measured, less 1."},
    {.topic = "critical-path",
     .text = "The chain of operations from the step's end back to its beginning, each of which "
             "started when the one before it ended; their times sum to the step. A gain is found "
             "by simulating again with the item free on all ranks that have it; -v: of 100 items. "
             "For the number of devices of --gpus alone. docs/formats.md, \"Reports\".",
     .others = "critical bottleneck"},
    {.topic = "what-if",
     .text = "A column for each change: a factor, xN or /N, of bandwidth and latency (of links and "
             "collectives), flops, memory (its bandwidth) or launch; or any option of the job or "
             "the machine, overlap=no. Below each stands by how many ms of what the step differs. "
             "For the number of devices of --gpus alone.",
     .others = "whatif scenario"},
    {.topic = "sweep",
     .text =
         "Each row is what the line with these options gives on its number of devices (as with "
         "--point). An option of the job or the machine may have several values, 1..64 of "
         "numbers for doubling; bandwidth, latency, flops, memory and launch of the platform "
         "have factors, bandwidth=x1,x2. Two keys are all combinations. Rows appear in order; "
         "Ctrl-C keeps those that are done. --csv, --json, --plot. docs/formats.md, \"Summaries\".",
     .others = "grid product scan"},
    {.topic = "sensitivity",
     .text = "A tornado: peaks, bandwidths, latencies and NCCL's constants of the platform, each "
             "10 % less and 10 % more with the others as they are. Left of the middle the step is "
             "shorter. --csv, --json, --plot. docs/formats.md, \"Summaries\".",
     .others = "tornado"},
    {.topic = "advise",
     .text = "Chooses --tp, --cp, --pp, --ep, --zero, --recompute, --schedule, --accumulate and "
             "--bucket-kib, but for those that are given; the global batch stays. Combinations "
             "are sorted by closed forms, and the most promising are simulated; then what differs "
             "from the best by one option, until nothing is better. --json, --plot.",
     .others = "autotune planner"},
    {.topic = "batch",
     .text =
         "Without it, --gpus and --trace keep the batch per rank (weak scaling): 64, or that of "
         "the trace. --ranks without a trace means what it means to train: 64 in all.",
     .others = "batch-size bs global-batch-size"},
    {.topic = "csv",
     .text = "A line of names, then one for each number of ranks. The names carry the units and "
             "stay the same; new ones are added at the end. Append runs to a table with: ... --csv "
             "| tail -n +2 >> runs.csv"},
    {.topic = "report",
     .text = "What was simulated, how fast, where the time goes, how long each operation takes, "
             "for every number of ranks. .json.gz is compressed. docs/formats.md, \"Reports\".",
     .others = "output o"},
    {.topic = "predictions",
     .text = "One line of JSON for each number of ranks, with a hash of everything it depends on; "
             "of --gpus only when this option is given. docs/formats.md, \"Predictions\"."},
    {.topic = "plot",
     .text = "throughput, efficiency, scaling, laws (of three numbers of ranks or more), "
             "breakdown, of GPUs a roofline, and with --compare parity. With "
             "--sensitivity a tornado; with --sweep sweep or layout, and memory, where "
             "runs of --compare with the same options are measured beside simulated; with "
             "--advise layout; with --collective collective, and residuals of --compare. "
             "gnuplot draws the pictures. docs/formats.md, \"Figures\"."},
};

static const OptionExample examples[] = {
    {"sim --gpus 8", "a small convolutional network on 1 to 8 A100"},
    {"sim --gpus 1,2,4..64 --platform dgx-h100 --batch 4096", "strong scaling over nodes"},
    {"sim --trace run/", "replay a recorded run: simulated beside measured"},
    {"sim --trace run/ --ranks 1,2,4", "the same job on other numbers of ranks of this host"},
    {"sim --collective all_reduce --gpus 16", "one all-reduce by NCCL's model, size by size"},
    {"sim --gpus 4 --print-plan step", "what each of four devices would do in a step"},
};

const OptionTable sim_options = {
    .program = "sim",
    .one_process = true,
    .summary = "Simulate distributed training, as recorded or on other machines.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .examples = examples,
    .example_count = sizeof examples / sizeof *examples,
    .details = details,
    .detail_count = sizeof details / sizeof *details,
    .shared_details = job_details,
    .shared_detail_count = JOB_DETAILS,
    .words = words,
    .word_count = WORDS,
};
