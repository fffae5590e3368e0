// SPDX-License-Identifier: MIT
// Exercise 9: the order of passes of a pipeline, 1F1B. Ours is that of the trainer's strategies,
// whose checker and clock judge the learner's.
#include "lessons/build/exercises.h"
#include "lessons/engine/translate.h"
#include "parallel/strategy/pipeline_schedule.h"

#include <string.h>

typedef void Schedule(int *tasks, int stage, int stages, int micro_batches);

// A rank's tasks into a schedule.
static Status read_tasks(BuildCheck *c, PipelineSchedule *out, const int *tasks, int rank) {
    int micro_batches = out->shape.micro_batches;
    for (int i = 0; i < out->count; i++) {
        int m = tasks[i] >= 0 ? tasks[i] : -1 - tasks[i];
        if (m >= micro_batches || tasks[i] < -micro_batches)
            return exercise_fail(c, _("stage %d: tasks[%d] is %d, which is no micro-batch of %d"),
                                 rank, i, tasks[i], micro_batches);
        out->tasks[rank * out->count + i] =
            (PipelineTask){rank, m, tasks[i] >= 0 ? PASS_FORWARD : PASS_BACKWARD};
    }
    return OK;
}

static Status one_case(BuildCheck *c, int stages, int micro_batches, bool last) {
    const PipelineShape shape = {SCHEDULE_1F1B, stages, 1, micro_batches};
    const PipelineCosts costs = {.forward = 1, .backward_input = 1, .backward_weight = 1};
    PipelineSchedule ours, yours;
    PipelineTimes our_times, your_times;
    exercise_case(c, _("stages: %d, micro-batches: %d"), stages, micro_batches);
    TRY(pipeline_schedule_create(&ours, c->arena, &shape));
    TRY(pipeline_schedule_create(&yours, c->arena, &shape));
    for (int r = 0; r < stages; r++) {
        int fill[64];
        for (int i = 0; i < ours.count; i++) fill[i] = micro_batches;  // none
        int *tasks = exercise_inout(c, "tasks", fill, ours.count, sizeof *tasks);
        ((Schedule *)c->function)(tasks, r, stages, micro_batches);
        TRY(exercise_intact(c));
        TRY(read_tasks(c, &yours, tasks, r));
    }
    if (pipeline_schedule_check(&yours) != OK) return exercise_fail(c, "%s", status_message());
    TRY(pipeline_schedule_time(&our_times, &ours, &costs));
    TRY(pipeline_schedule_time(&your_times, &yours, &costs));
    for (int r = 0; r < stages; r++)
        if (your_times.peak[r] > our_times.peak[r])
            return exercise_fail(c,
                                 _("stage %d holds activations of %d micro-batches at once; "
                                   "%d are enough"),
                                 r, your_times.peak[r], our_times.peak[r]);
    if (your_times.step > our_times.step)
        return exercise_fail(c,
                             _("a step takes %lld units; in another order of the same tasks %lld "
                               "(a forward takes 1, a backward 2)"),
                             (long long)your_times.step, (long long)our_times.step);
    if (last) {
        exercise_score(c, N_("step"), "units", (double)your_times.step, (double)our_times.step);
        exercise_score(c, N_("held by stage 0"), "micro-batches", your_times.peak[0],
                       our_times.peak[0]);
    }
    return OK;
}

static Status check_schedule(BuildCheck *c) {
    TRY(one_case(c, 1, exercise_draw(c, 1, 4), false));
    TRY(one_case(c, 2, exercise_draw(c, 2, 5), false));
    TRY(one_case(c, 4, 4, false));
    TRY(one_case(c, exercise_draw(c, 5, 8), exercise_draw(c, 1, 4), false));  // never full
    TRY(one_case(c, exercise_draw(c, 3, 6), exercise_draw(c, 7, 12), false));
    return one_case(c, exercise_draw(c, 4, 8), exercise_draw(c, 16, 32), true);
}

const Exercise exercise_one_forward_one_backward = {
    .number = 9,
    .name = "one_forward_one_backward",
    .title = N_("The 1F1B schedule of a pipeline"),
    .function = "schedule_1f1b",
    .task = N_("The order in which one stage of a pipeline does its passes: 1F1B.\n"
               "\n"
               "Write 2 * micro_batches tasks: m is the forward of micro-batch m, and\n"
               "-1 - m its backward. Stage 0 comes first in the forward. A forward needs\n"
               "that of the same micro-batch on the stage before, a backward the one on\n"
               "the stage behind; each micro-batch's activations are held from its\n"
               "forward to its backward. A backward takes twice as long as a forward. No\n"
               "stage may hold more than 1F1B does, and no step may take longer. Backwards\n"
               "are in the order of the micro-batches.\n"),
    .hints = {N_("Three phases: some forwards first; then a forward and a backward in turn; then "
                 "the backwards that are left."),
              N_("The last stage can begin with a backward right after its first forward; each "
                 "stage before it must have started one micro-batch more."),
              N_("stages - 1 - stage forwards come first, or micro_batches where these are "
                 "fewer.")},
    .check = check_schedule,
};
