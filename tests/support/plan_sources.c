// SPDX-License-Identifier: MIT
#include "tests/support/plan_sources.h"

#include "core/plan_text/plan_text.h"
#include "tests/support/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
    const char *name;
    int ranks, shards, micro_batches, stages;
    double momentum;
    Algorithm algorithm;
} sources[PLAN_SOURCES] = {
    {"single", 1, 1, 1, 1, 0.9, ALGORITHM_DIRECT},    {"shards", 1, 2, 2, 1, 0, ALGORITHM_DIRECT},
    {"ddp", 2, 2, 1, 1, 0, ALGORITHM_DIRECT},         {"ring", 3, 3, 1, 1, 0.9, ALGORITHM_RING},
    {"accumulate", 2, 4, 2, 1, 0, ALGORITHM_CHAIN},   {"pipeline", 2, 1, 3, 2, 0, ALGORITHM_DIRECT},
    {"dp-pipeline", 4, 2, 2, 2, 0, ALGORITHM_DIRECT},
};

const char *const plan_phrases[] = {" extent=rows.0.0",
                                    " extent=evaluate.rows",
                                    " extent=first_row.0.0",
                                    " alias=x",
                                    " alias=labels",
                                    " alias=loss",
                                    " alias=fc1.y",
                                    " alias=x/0.0",
                                    " flags=accumulate",
                                    " guard=rows.0.0",
                                    " guard=loss",
                                    " place=S0",
                                    " place=S1",
                                    " place=P+",
                                    " place=R",
                                    " place=O",
                                    " place=D",
                                    " place=S:flat/4096",
                                    " slice=0.0",
                                    " slice=0.1",
                                    " after=load",
                                    " peer=1",
                                    " tag=3",
                                    " root=1",
                                    " algorithm=ring",
                                    " order=schedule",
                                    " parts=2",
                                    " group=data",
                                    " group=pipe",
                                    " unit=4",
                                    " result=loss",
                                    " source=rows",
                                    " source=first_row",
                                    " when=once",
                                    " trainable=0",
                                    " fan_in=9",
                                    NULL};

// A model file that lies nowhere else.
static const char *model_path(void) {
    static const char text[] = "model small\ninput 1 28 28\nclasses 10\n"
                               "conv2d conv out=2 kernel=7 stride=3\nrelu\nmax_pool kernel=2\n"
                               "flatten\nlinear fc1 out=12\nrelu\nlinear fc2 out=10\n";
    static char path[64];
    static FILE *file;
    if (file) return path;
    file = tmpfile();
    if (!file || fputs(text, file) < 0 || fflush(file)) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(file));
    return path;
}

JobOptions plan_source_options(void) {
    JobSpec spec = job_spec_default();
    spec.model = model_path();
    spec.device = "reference";
    spec.batch = 16;
    spec.learning_rate = 0.05;
    return (JobOptions){.spec = spec,
                        .data = "digits:count=40",
                        .steps = 3,
                        .test_fraction = 0.15,
                        .tail = TAIL_DROP,
                        .comm = COMM_SERIAL};
}

static Status make_programs(ProgramSet *out, int i, const Model *m) {
    JobSpec spec = plan_source_options().spec;
    spec.ranks = sources[i].ranks;
    spec.shards = sources[i].shards;
    spec.micro_batches = sources[i].micro_batches;
    spec.optimizer.momentum = sources[i].momentum;
    spec.strategy.algorithm = sources[i].algorithm;
    if (sources[i].stages == 1) return job_spec_programs(out, &spec, m);
    const int data_ranks = spec.ranks / sources[i].stages;
    const StepSpec step = {.dtype = DTYPE_F32,
                           .batch = spec.batch,
                           .shards = spec.shards,
                           .local_shards = spec.shards / data_ranks,
                           .micro_batches = spec.micro_batches,
                           .evaluation_rows = EVALUATION_ROWS,
                           .mesh.data = data_ranks};
    const PipelineSpec pipeline = {
        .stages = sources[i].stages, .schedule = SCHEDULE_1F1B, .last_layer = {"pool1"}};
    StrategyOptions options = spec.strategy;
    options.local_shards = step.local_shards;
    return pipeline_programs(out, m, &step, &options, &pipeline);
}

const char *plan_source_name(int i) { return sources[i].name; }

char *plan_source_text(int i, size_t *length) {
    Arena a = {0};
    Model m;
    ProgramSet set = {0};
    char *text = NULL;
    FILE *f = open_memstream(&text, length);
    Status s = f ? model_read(&m, &a, model_path()) : ERR_MEMORY;
    if (s == OK) s = make_programs(&set, i, &m);
    if (s == OK) s = plan_text_print(&set, NONE, f);
    if (s != OK || fclose(f)) {
        fprintf(stderr, "plan %s: %s\n", sources[i].name, status_message());
        abort();
    }
    program_set_finish(&set);
    arena_finish(&a);
    return text;
}
