// SPDX-License-Identifier: MIT
// Checks of options that exclude or need each other, for train and sim alike.
#include "programs/job_options.h"

#include "core/plan_text/plan_table.h"
#include "core/plan_text/plan_text.h"

Status job_options_check(const JobSpec *job, const OptionLine *line) {
    if (job->sgd.nesterov && job->sgd.momentum == 0)
        FAIL(ERR_USAGE, "--nesterov needs a --momentum above 0");
    const Option *stated = option_given_marked(line, JOB_STATED_BY_PLAN);
    if (job->plan_file && stated)
        FAIL(ERR_USAGE,
             "--%s is stated in the plan %s; change it there, or print another with --print-plan "
             "file",
             stated->name, job->plan_file);
    return OK;
}

Status print_plan_write(const Program *p, PrintPlan what) {
    bool file = what == PRINT_PLAN_FILE || what == PRINT_PLAN_LOWERED_FILE;
    return file ? plan_text_print(p, stdout) : plan_table_print(p, stdout);
}
