// SPDX-License-Identifier: MIT
// The option table of train, what its options exclude, and the job that they describe.
#include "programs/train_options.h"

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/cli/terminal.h"
#include "core/platform/device_model.h"
#include "core/platform/device_traits.h"
#include "core/record/trace.h"
#include "core/record/values.h"
#include "core/report/report.h"
#include "parallel/calibrate/calibrate.h"
#include "parallel/comm/comm.h"
#include "programs/job_help.h"
#include "programs/outputs.h"
#include "programs/print_memory.h"
#include "programs/train_help.h"
#include "programs/words.h"
#include "viz/figures.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define AT(field) .at = offsetof(TrainOptions, field)

// clang-format off
static const Option options[] = {
    {.kind = OPTION_HEADING, .name = "training", .help = "What is trained"},
    JOB_ROW_MODEL(TrainOptions),
    {.name = "data", .kind = OPTION_STRING, AT(data), .value = "DIR|FILE|digits",
     .initial = "digits", .brief = true,
     .help = "MNIST's files, cifar10:DIR, text:FILE; digits or text are made here"},
    {.name = "test-fraction", .kind = OPTION_REAL, AT(test_fraction), .value = "X",
     .initial = "0.15", .min = 0, .max = 0.9,
     .help = "share of the samples held out, unless the data come split"},
    JOB_ROWS_TYPE_SEED(TrainOptions),

    {.kind = OPTION_HEADING, .name = "rule", .help = "How long, and by which rule"},
    {.name = "epochs", .kind = OPTION_INT, AT(epochs), .value = "N", .initial = "5", .min = 1,
     .max = 1e6, .brief = true, .help = "passes over the training samples"},
    {.name = "steps", .kind = OPTION_INT, AT(steps), .value = "N", .min = 1, .max = 1e9,
     .brief = true, .help = "steps in all, instead of --epochs"},
    {.name = "resume", .kind = OPTION_STRING, AT(resume), .value = "FILE",
     .help = "go on from a checkpoint of --save, on any number of ranks"},
    {.name = "load", .kind = OPTION_STRING, AT(load), .value = "FILE",
     .help = "begin with the weights of a safetensors file, PyTorch's too"},
    {.name = "evaluate", .kind = OPTION_FLAG, AT(evaluate),
     .help = "evaluate the weights of --resume or --load; do not train"},
    {.name = "generate", .kind = OPTION_INT, AT(generate), .value = "N", .min = 1, .max = 1e9,
     .help = "write N tokens of text with the weights of --resume or --load; do not train"},
    {.name = "prompt", .kind = OPTION_STRING, AT(prompt), .value = "TEXT",
     .help = "what the text of --generate goes on from, instead of a new line"},
    {.name = "temperature", .kind = OPTION_REAL, AT(temperature), .value = "T", .initial = "1",
     .min = 0, .max = 100, .help = "below 1 it writes what is likelier; 0: always the likeliest"},
    JOB_ROW_BATCH(TrainOptions),
    JOB_ROW_BATCH_PER_RANK(TrainOptions),
    {.name = "tail", .kind = OPTION_CHOICE, AT(tail), .value = "keep|drop|pad", .initial = "keep",
     .help = "an epoch's last, smaller batch: use it, leave it out, fill it up"},
    JOB_ROW_OPTIMIZER(TrainOptions),
    JOB_ROWS_LR(TrainOptions, true),
    JOB_ROWS_UPDATE(TrainOptions),

    {.kind = OPTION_HEADING, .name = "parallel", .help = "On how many, and how"},
    {.name = "ranks", .kind = OPTION_SMALL, JOB_AT(TrainOptions, ranks), .value = "N",
     .initial = "1", .min = 1, .max = 1 << 20, .offered = COMM_RANKS, .brief = true,
     .help = "ranks, data parallel (DDP from 2)"},
    JOB_ROWS_SHARDS(TrainOptions),
    JOB_ROWS_MESH(TrainOptions, COMM_RANKS), JOB_ROWS_EXPERTS(TrainOptions),
    {.name = "device", .kind = OPTION_STRING, JOB_AT(TrainOptions, device),
     .value = DEVICE_FORMS, .initial = device_traits_default, .brief = true,
     .help = "whose kernels compute; timed:PLATFORM waits, as a model says"},
    {.name = "comm", .kind = OPTION_CHOICE, AT(comm), .marks = JOB_BETWEEN_RANKS,
     .value = "serial|thread|shm", .initial = "shm", .brief = true,
     .others = "nccl= mpi= gloo=shm", .help = "ranks in lockstep, as threads, or as processes"},
    JOB_ROWS_STRATEGY(TrainOptions),
    {.name = "link", .kind = OPTION_STRING, AT(link), .marks = JOB_BETWEEN_RANKS,
     .value = "BANDWIDTH,LATENCY",
     .help = "emulate such a link of each rank to one switch: 1GB/s,50us"},
    {.name = "dilate", .kind = OPTION_REAL, AT(dilate), .value = "K", .initial = "1", .min = 1e-3,
     .max = 1e6, .help = "slow what is modelled, computation and links, by this factor"},
    {.name = "timeout", .kind = OPTION_DURATION, AT(timeout_ps), .value = "TIME", .initial = "30",
     .bare_ps = PS_PER_S, .min = 1e9, .max = 3.6e15, .help = "how long a rank waits for its peers"},
    JOB_ROW_PLAN(TrainOptions),

    {.kind = OPTION_HEADING, .name = "output", .help = "What is shown and kept"},
    {.name = "print-plan", .kind = OPTION_CHOICE, AT(print_plan), .value = PRINT_PLAN_WORDS,
     .initial = "no", .help = "print the plan as a table, or as a file for --plan; do not train"},
    PRINT_PLAN_ROW_CLASS(TrainOptions),
    PRINT_MEMORY_ROW(TrainOptions),
    {.name = "explain", .kind = OPTION_FLAG, AT(explain),
     .help = "say what each axis of the mesh costs in memory and traffic; do not train"},
    {.name = "print-mesh", .kind = OPTION_FLAG, AT(print_mesh),
     .help = "print where in the mesh each rank is; do not train"},
    {.name = "report", .kind = OPTION_STRING, AT(report), .once = true, .value = "FILE",
     .brief = true, .help = "write the report: .json, .md or .html"},
    {.name = "trace", .kind = OPTION_STRING, AT(trace), .once = true, .value = "DIR", .brief = true,
     .help = "write a timeline per rank, which Perfetto opens"},
    {.name = "plot", .kind = OPTION_STRING, AT(plot), .once = true, .value = "DIR",
     .help = "draw how it learned and where a step goes, with gnuplot"},
    {.name = "preview", .kind = OPTION_FLAG, AT(preview),
     .help = "draw the loss in the terminal, with gnuplot"},
    {.name = "require-plot", .kind = OPTION_FLAG, AT(require_plot),
     .help = "fail where --plot or --preview cannot draw, such as without gnuplot"},
    {.name = "record", .kind = OPTION_STRING, AT(record), .once = true, .value = "DIR",
     .help = "write activations, gradients and buckets of some steps"},
    {.name = "record-steps", .kind = OPTION_STRING, AT(record_steps), .value = "A:B",
     .initial = "0:0", .help = "which steps, both included"},
    {.name = "save", .kind = OPTION_STRING, AT(save), .once = true, .value = "FILE",
     .help = "write weights and all that --resume needs (safetensors)"},
    {.name = "save-every", .kind = OPTION_INT, AT(save_every), .value = "N", .min = 1, .max = 1e9,
     .help = "so also after every N steps; FILE is always the newest, and whole"},
    {.name = "save-shards", .kind = OPTION_FLAG, AT(save_shards),
     .help = "every rank writes the pieces that it holds; FILE.index.json names them"},
    {.name = "consolidate", .kind = OPTION_STRING, AT(consolidate), .value = "INDEX",
     .help = "write --save FILE from the files of --save-shards; do not train"},
    {.name = "keep", .kind = OPTION_SMALL, AT(keep), .value = "K", .min = 1, .max = 1e6,
     .help = "keep the last K of these, under names with their step, beside FILE"},
    {.name = "calibrate", .kind = OPTION_STRING, AT(calibrate), .once = true, .value = "FILE",
     .help = "measure this host for sim, write it as a machine (.yaml); do not train"},
    {.name = "calibrate-rows", .kind = OPTION_LIST, AT(calibrate_rows), .value = "B,...",
     .min = 1, .max = 1e7,
     .help = "rows a rank to measure operations at, instead of the batch and 1/2, 1/4 of it"},
    {.name = "advise", .kind = OPTION_FLAG, AT(advise),
     .help = "how to divide the job over this host's cores, fastest first; do not train"},
    {.name = "json", .kind = OPTION_FLAG, AT(json), .help = "print the report as JSON"},
    {.name = "csv", .kind = OPTION_FLAG, AT(csv),
     .help = "print the main figures as CSV: names, then values"},
    {.name = "plain", .kind = OPTION_FLAG, AT(plain),
     .help = "print the main figures, a line each: name, value, unit"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, AT(quiet),
     .help = "no progress, no notes"},
    {.name = "verbose", .letter = 'v', .kind = OPTION_COUNT, AT(verbose),
     .help = "say what was decided; twice: in detail"},
    {.name = "log", .kind = OPTION_STRING, AT(log), .once = true, .value = "FILE",
     .help = "append progress and messages, with the time, to this file"},
    {.name = "color", .kind = OPTION_CHOICE, AT(color), .value = TERMINAL_COLOR_WORDS,
     .initial = "auto", .help = "colours on a terminal"},
    {.name = "version", .kind = OPTION_FLAG, AT(version), .help = "version and parts built in"},
};
// clang-format on

static const OptionExample examples[] = {
    {"train --steps 50", "a small convolutional network on built-in digits"},
    {"train --ranks 2 --steps 50 --report run.json",
     "distributed data parallel between two processes"},
    {"train --ranks 2 --steps 50 --trace run/", "one timeline per rank, for Perfetto"},
    {"train --ranks 2 --print-plan step", "what each rank will do in a step"},
    {"train --ranks 1 --shards 2 --steps 50", "bit for bit what two ranks compute"},
    {"train --model gpt --dp 2 --tp 2 --pp 2 --explain",
     "data, tensor and pipeline parallelism: what each costs"},
    {"train --model linear --calibrate machine.yaml", "what this host can do, for sim --platform"},
};

const OptionTable train_options = {
    .program = "train",
    .summary = "Train a neural network on one or many ranks, for real.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .examples = examples,
    .example_count = sizeof examples / sizeof *examples,
    .details = train_details,
    .detail_count = TRAIN_DETAILS,
    .shared_details = job_details,
    .shared_detail_count = JOB_DETAILS,
    .words = words,
    .word_count = WORDS,
};

// --- what a line asks for

// What a device that computes nothing cannot give, and what only a modelled one can.
static Status check_modelled(const TrainOptions *o, const OptionLine *line) {
    bool timed = device_traits_platform(o->job.device) != NULL;
    if (timed && (o->save || o->record))
        FAIL(ERR_USAGE, "--device %s computes nothing that --%s could keep; leave it out",
             o->job.device, o->save ? "save" : "record");
    if (option_given(line, "dilate") && !timed && !o->link)
        FAIL(ERR_USAGE,
             "--dilate slows what is modelled; give it with --device timed:PLATFORM or --link");
    if ((timed || o->link) && o->job.ranks > 1 && o->comm == COMM_SERIAL)
        FAIL(ERR_USAGE,
             "--comm serial performs a communication at once, without a link: "
             "%s needs --comm thread or shm",
             o->link ? "--link" : "a timed device");
    return OK;
}

// What belongs to training cannot be asked for besides a calibration.
static Status check_calibration(const TrainOptions *o, const OptionLine *line) {
    static const char *const others[] = {
        "epochs",       "steps",      "plan", "print-plan",  "report",      "trace",   "record",
        "record-steps", "save",       "json", "csv",         "plain",       "resume",  "load",
        "evaluate",     "save-every", "keep", "save-shards", "consolidate", "generate"};
    if (!o->calibrate) {
        if (option_given(line, "calibrate-rows"))
            FAIL(ERR_USAGE, "--calibrate-rows says what --calibrate FILE measures; give both");
        return OK;
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (option_given(line, others[i]))
            FAIL(ERR_USAGE, "--calibrate measures and does not train: leave out --%s", others[i]);
    if (!outputs_ends_in(o->calibrate, ".yaml") && !outputs_ends_in(o->calibrate, ".yml"))
        FAIL(ERR_USAGE, "--calibrate %s: the name of a machine file must end in .yaml",
             o->calibrate);
    if (o->calibrate_rows.count > CALIBRATE_ROWS)
        FAIL(ERR_USAGE, "--calibrate-rows takes at most %d numbers", CALIBRATE_ROWS);
    return OK;
}

// One division, and what belongs to a run or to described devices.
static Status check_advice(const TrainOptions *o, const OptionLine *line) {
    static const char *const others[] = {
        "dp",      "data-parallel", "plan",      "batch-per-rank", "print-plan", "print-memory",
        "explain", "print-mesh",    "calibrate", "evaluate",       "generate",   "consolidate",
        "link",    "dilate",        "csv",       "plain",          "preview"};
    if (!o->advise) return OK;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (option_given(line, others[i]))
            FAIL(ERR_USAGE, "--advise chooses how this host's ranks divide a batch: leave out --%s",
                 others[i]);
    if (device_traits_platform(o->job.device))
        FAIL(ERR_USAGE,
             "--advise measures this host, not --device %s; for described devices: sim "
             "--advise --platform %s",
             o->job.device, device_traits_platform(o->job.device));
    if (option_given(line, "comm") && o->comm == COMM_SERIAL)
        FAIL(ERR_USAGE, "--advise is of ranks that run at once: leave out --comm serial");
    return OK;
}

// A pipe or device is written to once, and has no name beside it.
static bool is_file(const char *path) {
    struct stat at;
    return strcmp(path, "-") && (stat(path, &at) != 0 || S_ISREG(at.st_mode));
}

// Who evaluates or generates has weights, and gets nothing of what a training makes.
static Status check_untrained(const TrainOptions *o, const OptionLine *line, const char *option) {
    static const char *const others[] = {"epochs",  "steps", "save", "trace", "record", "report",
                                         "preview", "plot",  "json", "csv",   "plain"};
    if (!o->resume && !o->load)
        FAIL(ERR_USAGE, "--%s needs weights: give --resume FILE or --load FILE", option);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (option_given(line, others[i]))
            FAIL(ERR_USAGE, "--%s does not train: leave out --%s", option, others[i]);
    return OK;
}

// "--dp 2 and --tp 2": the options on the command line that ask for several ranks.
static void name_degrees(char *out, size_t size, const JobSpec *job, const OptionLine *line) {
    const struct {
        const char *option;
        int value;
    } degrees[] = {{"ranks", job->ranks},     {"dp", job->mesh.data},
                   {"tp", job->mesh.tensor},  {"pp", job->mesh.pipe},
                   {"cp", job->mesh.context}, {"ep", job->strategy.experts}};
    size_t last = 0, count = sizeof degrees / sizeof *degrees;
    *out = '\0';
    for (size_t i = 0; i < count; i++)
        if (degrees[i].value > 1 && option_given(line, degrees[i].option)) last = i;
    for (size_t i = 0; i <= last; i++) {
        if (degrees[i].value <= 1 || !option_given(line, degrees[i].option)) continue;
        const char *between = !*out ? "" : i == last ? " and " : ", ";
        text_append(out, size, "%s--%s %d", between, degrees[i].option, degrees[i].value);
    }
}

static Status check_generation(const TrainOptions *o, const OptionLine *line) {
    static const char *const of_it[] = {"prompt", "temperature"};
    for (size_t i = 0; i < sizeof of_it / sizeof *of_it; i++)
        if (!o->generate && option_given(line, of_it[i]))
            FAIL(ERR_USAGE, "--%s says how --generate N writes; give both", of_it[i]);
    if (!o->generate) return OK;
    if (o->evaluate) FAIL(ERR_USAGE, "--generate writes text, --evaluate a line; give one");
    if (o->job.ranks > 1) {
        char degrees[128];
        name_degrees(degrees, sizeof degrees, &o->job, line);
        FAIL(ERR_USAGE, "--generate runs on one rank: leave out %s", degrees);
    }
    return check_untrained(o, line, "generate");
}

// Files become one file, and nothing else is done.
static Status check_consolidation(const TrainOptions *o, const OptionLine *line) {
    static const char *const others[] = {
        "epochs",      "steps", "resume", "load",       "evaluate", "save-every", "keep",
        "save-shards", "trace", "record", "report",     "preview",  "plot",       "json",
        "csv",         "plain", "plan",   "print-plan", "generate"};
    if (!o->consolidate) return OK;
    if (!o->save) FAIL(ERR_USAGE, "--consolidate INDEX needs --save FILE");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (option_given(line, others[i]))
            FAIL(ERR_USAGE, "--consolidate does not train: leave out --%s", others[i]);
    return OK;
}

static Status check_checkpoints(const TrainOptions *o, const OptionLine *line) {
    bool timed = device_traits_platform(o->job.device) != NULL;
    const char *from = o->resume ? "resume" : "load";
    if (o->evaluate) TRY(check_untrained(o, line, "evaluate"));
    TRY(check_generation(o, line));
    if (o->resume && o->load)
        FAIL(ERR_USAGE, "--resume goes on with all of a checkpoint, --load begins with weights "
                        "alone; give one");
    if (timed && (o->resume || o->load))
        FAIL(ERR_USAGE, "--device %s computes nothing that --%s could begin with; leave it out",
             o->job.device, from);
    if (o->save_every && !o->save)
        FAIL(ERR_USAGE, "--save-every says when --save FILE is written; give both");
    if (o->save_shards && !o->save)
        FAIL(ERR_USAGE, "--save-shards says how --save FILE is written; give both");
    if (o->save_shards && !is_file(o->save))
        FAIL(ERR_USAGE, "--save %s: files of ranks need a name; leave out --save-shards", o->save);
    if (o->save_shards && o->keep)
        FAIL(ERR_USAGE, "--keep keeps checkpoints in one file each; leave out --save-shards");
    TRY(check_consolidation(o, line));
    if (o->keep && !o->save_every)
        FAIL(ERR_USAGE, "--keep says how many checkpoints of --save-every stay; give both");
    if (o->save_every && !is_file(o->save))
        FAIL(ERR_USAGE,
             "--save %s: checkpoints that follow each other need a file; leave out "
             "--save-every",
             o->save);
    return OK;
}

static Status check_line(const TrainOptions *o, const OptionLine *line) {
    const JobSpec *job = &o->job;
    int ranks = job_spec_data_ranks(job);
    TRY(job_options_check(job, line));
    TRY(check_calibration(o, line));
    TRY(check_advice(o, line));
    if (option_given(line, "batch") && option_given(line, "batch-per-rank") &&
        job->batch != o->batch_per_rank * ranks)
        FAIL(ERR_USAGE,
             "--batch %lld is not %d rank%s times --batch-per-rank %lld; give one of the two",
             (long long)job->batch, ranks, ranks == 1 ? "" : "s", (long long)o->batch_per_rank);
    if (option_given(line, "epochs") && option_given(line, "steps"))
        FAIL(ERR_USAGE, "--epochs and --steps both say how long; give one");
    if (option_given(line, "record-steps") && !o->record)
        FAIL(ERR_USAGE, "--record-steps says which steps --record DIR keeps; give both");
    if (o->json + o->csv + o->plain > 1)
        FAIL(ERR_USAGE, "--json, --csv and --plain say how to print the report; give one");
    if (o->require_plot && !o->plot && !o->preview)
        FAIL(ERR_USAGE, "--require-plot says that --plot DIR or --preview must work; give one");
    if (o->preview && (o->json || o->csv || o->plain))
        FAIL(ERR_USAGE,
             "--preview writes to standard output, as --json, --csv and --plain do; give one, or "
             "--report FILE.json");
    if (o->report) TRY(outputs_name(report_check_name(o->report), "report"));
    TRY(check_checkpoints(o, line));
    return check_modelled(o, line);
}

// The words of --comm, in the order of the table.
static const CommKind comms[] = {COMM_SERIAL, COMM_THREAD, COMM_SHM};

// What traces and reports say of the job. Link and slowdown are there when given.
static Status describe(JobOptions *out, const TrainOptions *o, const OptionLine *line, Arena *a) {
    RunSetting more[2];
    char dilate[UNITS_TEXT];
    int count = 0;
    if (o->link) more[count++] = (RunSetting){"link", o->link};
    if (option_given(line, "dilate"))
        more[count++] = (RunSetting){"dilate", units_print_real(dilate, o->dilate)};
    TRY(job_spec_describe(&out->info, a, &out->spec, more, count));
    out->info.kind = "train";
    out->info.comm = out->spec.ranks > 1 ? comm_kind_name(out->comm) : "none";
    return OK;
}

Status train_job_options(JobOptions *out, TrainOptions *o, const OptionLine *line, Arena *a) {
    job_options_take_ranks(&o->job, line);
    job_options_take_micro_batches(&o->job, line);
    TRY(check_line(o, line));
    *out = (JobOptions){.spec = o->job,
                        .data = o->data,
                        .slowdown_permille = (int64_t)(o->dilate * 1000 + 0.5),
                        .epochs = o->epochs,
                        .steps = o->steps,
                        .test_fraction = o->test_fraction,
                        .tail = (Tail)o->tail,
                        .comm = o->job.strategy.data_parallel && !option_given(line, "comm")
                                    ? COMM_THREAD  // one process, as nn.DataParallel is
                                    : comms[o->comm],
                        .comm_options = {.timeout_ns = o->timeout_ps / 1000},
                        .spans = true,
                        .record = o->record,
                        .trace = o->trace,
                        .save = o->save,
                        .save_every = o->save_every,
                        .keep = o->keep,
                        .save_shards = o->save_shards,
                        .resume = o->resume,
                        .load = o->load,
                        .evaluate_only = o->evaluate || o->generate,
                        .generates = o->generate > 0};
    if (!option_given(line, "device"))
        out->spec.device = device_traits_default_for(out->spec.dtype);
    if (o->batch_per_rank) out->spec.batch = o->batch_per_rank * job_spec_data_ranks(&o->job);
    if (o->link) TRY(outputs_name(link_model_parse(&out->link, o->link), "link:"));
    if (o->record)
        TRY(outputs_name(values_parse_steps(&out->record_first, &out->record_last, o->record_steps),
                         "record-steps:"));
    return describe(out, o, line, a);
}
