// SPDX-License-Identifier: MIT
// Checks of options that exclude or need each other, for train and sim alike.
#include "programs/job_options.h"

Status job_options_check(const JobSpec *job, const OptionLine *line) {
    if (job->sgd.nesterov && job->sgd.momentum == 0)
        FAIL(ERR_USAGE, "--nesterov needs a --momentum above 0");
    const Option *stated = option_given_marked(line, JOB_STATED_BY_PLAN);
    if (job->plan_file && stated)
        FAIL(ERR_USAGE,
             "--%s is stated in the plan %s; change it there, or print another with --print-plan "
             "step",
             stated->name, job->plan_file);
    return OK;
}
