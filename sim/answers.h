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

// What part of the base's time this run would take if that were divided evenly over its ranks and
// its batch: 1 in weak scaling.
double answers_share(const Prediction *p, const Prediction *base);

// Does a step take as long as its host takes to issue it, within 1 %? Then whatever the devices do
// meanwhile, only fewer operations, or issuing them faster, makes it shorter.
bool answers_host_binds(const Prediction *p);

// Fill in speed-up and efficiency against `base`, and what of the step grew: each part against its
// share of the base's time. What is lost by a step that its host binds is lost to the host.
void answers_relate(Prediction *p, const Prediction *base);

#endif
