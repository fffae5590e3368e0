// SPDX-License-Identifier: MIT
#include "programs/train_options.h"

#include "core/base/file.h"
#include "core/base/terminal.h"
#include "core/record/trace.h"
#include "core/record/values.h"
#include "parallel/run/calibrate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define AT(field) .at = offsetof(TrainOptions, field)

// clang-format off
static const Option options[] = {
    {.kind = OPTION_HEADING, .help = "What is trained"},
    {.name = "model", .kind = OPTION_STRING, AT(model), .value = "NAME|FILE", .initial = "net",
     .brief = true, .help = "net, mlp[:hidden=,layers=], linear, or a model file"},
    {.name = "data", .kind = OPTION_STRING, AT(data), .value = "DIR|FILE|digits",
     .initial = "digits", .brief = true,
     .help = "MNIST files (IDX, plain or .gz), or Tandem's own digits[:count=,seed=]"},
    {.name = "test-fraction", .kind = OPTION_REAL, AT(test_fraction), .value = "X",
     .initial = "0.15", .min = 0, .max = 0.9,
     .help = "share of the samples held out, unless the data come split"},
    {.name = "dtype", .kind = OPTION_CHOICE, AT(dtype), .value = "f32|f64", .initial = "f32",
     .help = "type of the arithmetic"},
    {.name = "seed", .kind = OPTION_INT, AT(seed), .value = "N", .initial = "1", .min = 0,
     .max = 4294967295.0, .brief = true, .help = "of initial weights, order of samples and split"},

    {.kind = OPTION_HEADING, .help = "How long, and by which rule"},
    {.name = "epochs", .kind = OPTION_INT, AT(epochs), .value = "N", .initial = "5", .min = 1,
     .max = 1e6, .brief = true, .help = "passes over the training samples"},
    {.name = "steps", .kind = OPTION_INT, AT(steps), .value = "N", .min = 1, .max = 1e9,
     .brief = true, .help = "steps, instead of --epochs"},
    {.name = "batch", .kind = OPTION_INT, AT(batch), .value = "B", .initial = "64", .min = 1,
     .max = 1e7, .brief = true, .help = "rows of the global batch"},
    {.name = "batch-per-rank", .kind = OPTION_INT, AT(batch_per_rank), .value = "B", .min = 1,
     .max = 1e7, .help = "the same, given per rank"},
    {.name = "tail", .kind = OPTION_CHOICE, AT(tail), .value = "keep|drop|pad", .initial = "keep",
     .help = "an epoch's last, smaller batch: use it, leave it out, fill it up"},
    {.name = "optimizer", .kind = OPTION_CHOICE, AT(optimizer), .value = "sgd", .initial = "sgd",
     .help = "update rule"},
    {.name = "lr", .kind = OPTION_REAL, AT(learning_rate), .value = "X", .initial = "0.01",
     .min = 0, .max = 1e6, .brief = true, .help = "learning rate"},
    {.name = "momentum", .kind = OPTION_REAL, AT(momentum), .value = "X", .initial = "0.9",
     .min = 0, .max = 1, .help = "momentum of SGD"},
    {.name = "nesterov", .kind = OPTION_FLAG, AT(nesterov), .help = "Nesterov's momentum"},
    {.name = "weight-decay", .kind = OPTION_REAL, AT(weight_decay), .value = "X", .initial = "0",
     .min = 0, .max = 1e3, .help = "L2 penalty, added to the gradient"},

    {.kind = OPTION_HEADING, .help = "On how many, and how"},
    {.name = "ranks", .kind = OPTION_INT, AT(ranks), .value = "N", .initial = "1", .min = 1,
     .max = COMM_RANKS, .brief = true, .help = "ranks, data parallel (DDP from 2)"},
    {.name = "shards", .kind = OPTION_INT, AT(shards), .value = "S", .min = 1, .max = 4096,
     .help = "pieces of a batch whose gradients are summed in order; as many as ranks"},
    {.name = "accumulate", .kind = OPTION_INT, AT(accumulate), .value = "N", .initial = "1",
     .min = 1, .max = 4096, .help = "micro-batches of a shard before gradients are synchronised"},
    {.name = "device", .kind = OPTION_CHOICE, AT(device), .value = "reference|cpu",
     .initial = "cpu", .brief = true, .help = "whose kernels compute"},
    {.name = "comm", .kind = OPTION_CHOICE, AT(comm), .value = "serial|thread|shm",
     .initial = "shm", .brief = true, .help = "ranks in lockstep, as threads, or as processes"},
    {.name = "all-reduce", .kind = OPTION_CHOICE, AT(all_reduce), .value = "direct|chain|ring",
     .initial = "direct", .help = "algorithm; direct and chain add in rank order"},
    {.name = "bucket-kib", .kind = OPTION_LIST, AT(buckets), .value = "FIRST,CAP",
     .initial = "4,32", .min = 0, .max = 1e9,
     .help = "gradient buckets close once they have passed so many KiB"},
    {.name = "no-overlap", .kind = OPTION_FLAG, AT(no_overlap),
     .help = "communicate only after the whole backward"},
    {.name = "timeout", .kind = OPTION_DURATION, AT(timeout_ps), .value = "TIME", .initial = "30",
     .bare_ps = PS_PER_S, .min = 1e9, .max = 3.6e15, .help = "how long a rank waits for its peers"},
    {.name = "plan", .kind = OPTION_STRING, AT(plan), .value = "FILE",
     .help = "execute this plan (see --print-plan)"},

    {.kind = OPTION_HEADING, .help = "What is shown and kept"},
    {.name = "print-plan", .kind = OPTION_CHOICE, AT(print_plan), .value = "no|step|lowered",
     .initial = "no", .help = "print the plan, as --plan reads it, or as it runs; do not train"},
    {.name = "report", .kind = OPTION_STRING, AT(report), .value = "FILE", .brief = true,
     .help = "write the report: .json, .md or .html"},
    {.name = "trace", .kind = OPTION_STRING, AT(trace), .value = "DIR", .brief = true,
     .help = "write a timeline per rank, which Perfetto opens"},
    {.name = "record", .kind = OPTION_STRING, AT(record), .value = "DIR",
     .help = "write activations, gradients and chunks of some steps"},
    {.name = "record-steps", .kind = OPTION_STRING, AT(record_steps), .value = "A:B",
     .initial = "0:0", .help = "which steps, both included"},
    {.name = "save", .kind = OPTION_STRING, AT(save), .value = "FILE",
     .help = "write parameters and optimiser state (safetensors)"},
    {.name = "calibrate", .kind = OPTION_STRING, AT(calibrate), .value = "FILE",
     .help = "measure this host for sim, write it as a machine (.yaml); do not train"},
    {.name = "calibrate-rows", .kind = OPTION_LIST, AT(calibrate_rows), .value = "B,...",
     .min = 1, .max = 1e7,
     .help = "rows a rank to measure operations at, instead of the batch and 1/2, 1/4 of it"},
    {.name = "json", .kind = OPTION_FLAG, AT(json), .help = "print the report as JSON"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, AT(quiet), .help = "no progress"},
    {.name = "verbose", .letter = 'v', .kind = OPTION_FLAG, AT(verbose),
     .help = "say where in the source an error arose"},
    {.name = "color", .kind = OPTION_CHOICE, AT(color), .value = TERMINAL_COLOR_WORDS,
     .initial = "auto", .help = "colours on a terminal"},
    {.name = "version", .kind = OPTION_FLAG, AT(version), .help = "version and parts built in"},
};
// clang-format on

static const OptionExample examples[] = {
    {"train --steps 50", "the article's network on Tandem's digits"},
    {"train --ranks 2 --steps 50 --report run.json",
     "distributed data parallel between two processes"},
    {"train --ranks 2 --steps 50 --trace run/", "one timeline per rank, for Perfetto"},
    {"train --ranks 2 --print-plan step", "what each rank will do in a step"},
    {"train --ranks 1 --shards 2 --steps 50", "bit for bit what two ranks compute"},
    {"train --model linear --calibrate machine.yaml", "what this host can do, for sim --platform"},
};

const OptionTable train_options = {
    .program = "train",
    .summary = "Train a neural network on one or many ranks, for real.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .examples = examples,
    .example_count = sizeof examples / sizeof *examples,
};

// --- outputs

// Say which option named the path that a message is about.
static Status name_option(Status s, const char *option) {
    if (s != OK) FAIL(s, "%s %s", option, status_message());
    return OK;
}

static Status check_writable(const char *path) {
    OutputFile probe = {0};
    TRY(file_create(&probe, path));
    file_discard(&probe);
    return OK;
}

static Status check_traces(const char *directory, int64_t ranks) {
    TRY(file_make_directory(directory));
    for (int r = 0; r < ranks; r++) {
        char path[4096];
        TRY(trace_path(path, sizeof path, directory, r, false));
        TRY(check_writable(path));
    }
    char machine[4096];
    TRY(train_machine_path(machine, sizeof machine, directory));
    return check_writable(machine);
}

Status train_machine_path(char *out, size_t size, const char *directory) {
    int length = snprintf(out, size, "%s/machine.yaml", directory);
    if (length < 0 || (size_t)length >= size) FAIL(ERR_USAGE, "the path is too long");
    return OK;
}

Status train_check_outputs(const TrainOptions *o) {
    if (o->calibrate) TRY(name_option(check_writable(o->calibrate), "--calibrate"));
    if (o->report) TRY(name_option(check_writable(o->report), "--report"));
    if (o->save) TRY(name_option(check_writable(o->save), "--save"));
    if (o->trace) TRY(name_option(check_traces(o->trace, o->ranks), "--trace"));
    if (o->record) TRY(name_option(file_make_directory(o->record), "--record"));
    return OK;
}

// --- what a line asks for

static bool ends_in(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n > m && !strcmp(s + n - m, end);
}

static Status check_report_name(const char *path) {
    static const char *const endings[] = {".json", ".json.gz", ".md", ".html"};
    for (int i = 0; i < 4; i++)
        if (ends_in(path, endings[i])) return OK;
    FAIL(ERR_USAGE, "--report %s: the name must end in .json, .md or .html", path);
}

// What a plan states cannot be asked for besides it.
static Status check_plan_options(const TrainOptions *o, const OptionLine *line) {
    static const char *const stated[] = {"optimizer",  "momentum",   "nesterov",  "weight-decay",
                                         "all-reduce", "bucket-kib", "no-overlap"};
    for (size_t i = 0; i < sizeof stated / sizeof *stated; i++)
        if (option_given(line, stated[i]))
            FAIL(ERR_USAGE,
                 "--%s is stated in the plan %s; change it there, or print another with "
                 "--print-plan step",
                 stated[i], o->plan);
    if (o->print_plan == PRINT_PLAN_STEP)
        FAIL(ERR_USAGE,
             "--print-plan step prints what a strategy makes, %s is that already; give "
             "--print-plan lowered",
             o->plan);
    return OK;
}

// What belongs to training cannot be asked for besides a calibration.
static Status check_calibration(const TrainOptions *o, const OptionLine *line) {
    static const char *const others[] = {"epochs", "steps",  "plan",         "print-plan", "report",
                                         "trace",  "record", "record-steps", "save",       "json"};
    if (!o->calibrate) {
        if (option_given(line, "calibrate-rows"))
            FAIL(ERR_USAGE, "--calibrate-rows says what --calibrate FILE measures; give both");
        return OK;
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (option_given(line, others[i]))
            FAIL(ERR_USAGE, "--calibrate measures and does not train: leave out --%s", others[i]);
    if (!ends_in(o->calibrate, ".yaml") && !ends_in(o->calibrate, ".yml"))
        FAIL(ERR_USAGE, "--calibrate %s: the name of a machine file must end in .yaml",
             o->calibrate);
    if (o->calibrate_rows.count > CALIBRATE_ROWS)
        FAIL(ERR_USAGE, "--calibrate-rows takes at most %d numbers", CALIBRATE_ROWS);
    return OK;
}

static Status check_line(const TrainOptions *o, const OptionLine *line) {
    TRY(check_calibration(o, line));
    if (option_given(line, "batch") && option_given(line, "batch-per-rank") &&
        o->batch != o->batch_per_rank * o->ranks)
        FAIL(ERR_USAGE,
             "--batch %lld is not %lld ranks times --batch-per-rank %lld; give one of the two",
             (long long)o->batch, (long long)o->ranks, (long long)o->batch_per_rank);
    if (o->buckets.count != 2)
        FAIL(ERR_USAGE, "--bucket-kib takes two numbers, FIRST,CAP, such as 4,32");
    if (o->nesterov && o->momentum == 0) FAIL(ERR_USAGE, "--nesterov needs a --momentum above 0");
    if (option_given(line, "epochs") && option_given(line, "steps"))
        FAIL(ERR_USAGE, "--epochs and --steps both say how long; give one");
    if (option_given(line, "record-steps") && !o->record)
        FAIL(ERR_USAGE, "--record-steps says which steps --record DIR keeps; give both");
    if (o->report) TRY(check_report_name(o->report));
    return o->plan ? check_plan_options(o, line) : OK;
}

// The words of --device, --comm, --dtype and --all-reduce, in the order of the table.
static const char *const devices[] = {"reference", "cpu"};
static const CommKind comms[] = {COMM_SERIAL, COMM_THREAD, COMM_SHM};
static const Dtype dtypes[] = {DTYPE_F32, DTYPE_F64};
static const Algorithm algorithms[] = {ALGORITHM_DIRECT, ALGORITHM_CHAIN, ALGORITHM_RING};

static Status print_setting(const char **out, Arena *a, const char *fmt, ...) PRINTF_LIKE(3, 4);
static Status print_setting(const char **out, Arena *a, const char *fmt, ...) {
    char text[64];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    *out = arena_string(a, text);
    if (!*out) FAIL(ERR_MEMORY, "out of memory");
    return OK;
}

static Status fill_settings(RunInfo *info, const TrainOptions *o, RunSetting *settings, Arena *a) {
    const char *buckets, *dp, *accumulate;
    TRY(print_setting(&buckets, a, "%lld,%lld", (long long)o->buckets.items[0],
                      (long long)o->buckets.items[1]));
    TRY(print_setting(&dp, a, "%lld", (long long)o->ranks));
    TRY(print_setting(&accumulate, a, "%lld", (long long)o->accumulate));
    int n = 0;
    settings[n++] = (RunSetting){"name", o->plan ? "plan" : o->ranks > 1 ? "ddp" : "single"};
    settings[n++] = (RunSetting){"dp", dp};
    settings[n++] = (RunSetting){"accumulate", accumulate};
    if (o->plan) settings[n++] = (RunSetting){"plan", o->plan};
    if (o->ranks > 1 && !o->plan) {
        settings[n++] = (RunSetting){"all_reduce", algorithm_name(algorithms[o->all_reduce])};
        settings[n++] = (RunSetting){"bucket_kib", buckets};
        settings[n++] = (RunSetting){"overlap", o->no_overlap ? "false" : "true"};
    }
    info->strategy = settings;
    info->strategy_count = n;
    return OK;
}

Status train_job_options(JobOptions *out, const TrainOptions *o, const OptionLine *line,
                         RunSetting settings[TRAIN_SETTINGS], Arena *a) {
    TRY(check_line(o, line));
    *out = (JobOptions){
        .model = o->model,
        .data = o->data,
        .device = devices[o->device],
        .plan_file = o->plan,
        .dtype = dtypes[o->dtype],
        .ranks = (int)o->ranks,
        .shards = (int)o->shards,
        .micro_batches = (int)o->accumulate,
        .batch = o->batch_per_rank ? o->batch_per_rank * o->ranks : o->batch,
        .epochs = o->epochs,
        .steps = o->steps,
        .learning_rate = o->learning_rate,
        .test_fraction = o->test_fraction,
        .sgd = {.momentum = o->momentum, .weight_decay = o->weight_decay, .nesterov = o->nesterov},
        .seed = (uint64_t)o->seed,
        .tail = (Tail)o->tail,
        .strategy = {.first_bucket_bytes = o->buckets.items[0] * 1024,
                     .bucket_bytes = o->buckets.items[1] * 1024,
                     .no_overlap = o->no_overlap,
                     .algorithm = algorithms[o->all_reduce]},
        .comm = comms[o->comm],
        .comm_options = {.timeout_ns = o->timeout_ps / 1000},
        .spans = true,
        .record = o->record,
        .trace = o->trace,
        .save = o->save};
    if (o->record)
        TRY(name_option(values_parse_steps(&out->record_first, &out->record_last, o->record_steps),
                        "--record-steps:"));
    out->info = (RunInfo){.kind = "train",
                          .model = o->model,
                          .device = out->device,
                          .comm = o->ranks > 1 ? comm_kind_name(out->comm) : "none",
                          .dtype = dtype_name(out->dtype),
                          .ranks = out->ranks,
                          .shards = (int32_t)(o->shards ? o->shards : o->ranks),
                          .batch = out->batch,
                          .seed = o->seed};
    return fill_settings(&out->info, o, settings, a);
}
