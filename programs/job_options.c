// SPDX-License-Identifier: MIT
// Checks of options that exclude or need each other, for train and sim alike.
#include "programs/job_options.h"

#include "core/base/text.h"
#include "core/plan_text/plan_table.h"
#include "core/plan_text/plan_text.h"
#include "parallel/strategy/pipeline_schedule.h"

#include <string.h>

// What is given and would not be used is an error.
static Status check_used(const JobSpec *job, const OptionLine *line) {
    static const struct {
        unsigned mark;
        const char *of;
    } owners[] = {{JOB_OF_SGD, "--optimizer sgd"},
                  {JOB_OF_ADAM, "--optimizer adam or adamw"},
                  {JOB_OF_ADAMW, "--optimizer adamw"},
                  {JOB_OF_STEP, "--lr-schedule step"},
                  {JOB_OF_COSINE, "--lr-schedule cosine"},
                  {JOB_OF_PIPELINE, "--pp of 2 ranks or more"},
                  {JOB_OF_BUCKETS, "DDP and ZeRO; leave out --data-parallel"}};
    for (int i = 0; i < (int)(sizeof owners / sizeof *owners); i++) {
        const Option *given = option_given_marked(line, owners[i].mark & job_spec_unused(job));
        if (given && !(job->plan_file && given->marks & JOB_STATED_BY_PLAN))
            FAIL(ERR_USAGE, "--%s belongs to %s", given->name, owners[i].of);
    }
    if (job->schedule == RATE_COSINE && job->lr_min > job->learning_rate)
        FAIL(ERR_USAGE, "--lr-min %g is more than --lr %g, from which the rate falls", job->lr_min,
             job->learning_rate);
    bool dynamic = job->loss_scale.word == LOSS_SCALE_DYNAMIC;
    if (option_given(line, "loss-scale-every") && !dynamic)
        FAIL(ERR_USAGE, "--loss-scale-every belongs to --loss-scale dynamic");
    if (option_given(line, "cp-kind") && job->mesh.context < 2 && !job->plan_file)
        FAIL(ERR_USAGE, "--cp-kind belongs to --cp of 2 ranks or more");
    if (option_given(line, "on-nan") && job->on_nan == ON_NAN_STOP && dynamic)
        FAIL(ERR_USAGE, "--loss-scale dynamic finds its size by steps that it skips; leave out "
                        "--on-nan stop");
    if (option_given(line, "prefetch") && job->strategy.zero != 3 && !job->plan_file)
        FAIL(ERR_USAGE, "--prefetch belongs to --zero 3, which alone gathers ahead; give "
                        "that, or leave --prefetch out");
    if (job->optimizer.nesterov && job->optimizer.momentum == 0)
        FAIL(ERR_USAGE, "--nesterov needs a --momentum above 0");
    return OK;
}

void job_options_take_ranks(JobSpec *job, const OptionLine *line) {
    int64_t ranks = job_spec_mesh_ranks(job);
    if (!option_given(line, "ranks") && !job->plan_file && ranks <= 1 << 20)
        job->ranks = (int)ranks;
}

void job_options_take_micro_batches(JobSpec *job, const OptionLine *line) {
    if (!option_given(line, "accumulate") && !job->plan_file && job->mesh.pipe > 1 &&
        job->mesh.pipe <= PIPELINE_RANKS)
        job->micro_batches = job_spec_pipeline_micro_batches(job);
}

Status job_options_check(const JobSpec *job, const OptionLine *line) {
    TRY(check_used(job, line));
    if (option_given(line, "class") && !option_given(line, "print-plan"))
        FAIL(ERR_USAGE, "--class says of which ranks --print-plan prints the plan; give both");
    const Option *stated = option_given_marked(line, JOB_STATED_BY_PLAN);
    if (job->plan_file && stated)
        FAIL(ERR_USAGE,
             "--%s is stated in the plan %s; change it there, or print another with --print-plan "
             "file",
             stated->name, job->plan_file);
    return OK;
}

// ERR_USAGE says which classes there are, as far as there is room.
static Status find_class(const ProgramSet *s, const char *name, int *out) {
    char names[200] = "";
    *out = NONE;
    if (!strcmp(name, "all")) return OK;
    *out = program_set_find(s, name);
    if (*out != NONE && *name) return OK;
    for (int i = 0; i < s->count && *program_set_name(s, i); i++)
        text_append(names, sizeof names, "%s%s", i ? ", " : "", program_set_name(s, i));
    if (!*names)
        FAIL(ERR_USAGE, "--class %s: all ranks are of one class, without a name; leave it out",
             name);
    FAIL(ERR_USAGE, "--class %s: the classes of ranks are %s", name, names);
}

Status print_plan_write(const ProgramSet *s, const char *class, PrintPlan what) {
    bool file = what == PRINT_PLAN_FILE || what == PRINT_PLAN_LOWERED_FILE;
    int only;
    TRY(find_class(s, class, &only));
    return file ? plan_text_print(s, only, stdout) : plan_table_print(s, only, stdout);
}
