// SPDX-License-Identifier: MIT
// What a prediction answers besides its times (core/report/report_answers.h), from the programs of
// the job and the machine; and how a size compares with the first of a sweep.
#ifndef SIM_ANSWERS_H
#define SIM_ANSWERS_H

#include "sim/predict.h"

// Of a prediction whose times are known: answers of the job and the lowered programs that were
// simulated, in the arena; the report gets them. `place`: of ranks that have devices; NULL: they
// share a host, whose peak and links are not known. ERR_MEMORY.
typedef struct {
    const SimJob *job;
    const SimSetting *setting;
    const ProgramSet *set;
    const TopologyOptions *place;
} AnswersOf;
Status answers_make(Prediction *p, Arena *a, const AnswersOf *of) MUST_USE;

// Of a part of a step, REPORT_LAUNCH or a TimeCategory: computation without launches.
double answers_part_ms(const Prediction *p, int part);

// Fill in speed-up and efficiency against `base`, and what of the step grew: each part against what
// it would take if the base's time for it were divided evenly over the ranks and the batch.
void answers_relate(Prediction *p, const Prediction *base);

#endif
