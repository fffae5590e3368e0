// SPDX-License-Identifier: MIT
// A report of more ranks than there are timelines: where one stands for several that are alike, as
// in a simulation of many ranks (sim/fold.h).
#ifndef CORE_REPORT_REPORT_ALIKE_H
#define CORE_REPORT_REPORT_ALIKE_H

#include "core/report/report.h"

// Timelines that each stand for several ranks, which are all alike. Everything is borrowed.
typedef struct {
    const Program *const *programs;    // [count]
    const Timeline *const *timelines;  // [count]
    int count;
    int ranks;                      // of the run
    const int32_t *multiplicities;  // [count] ranks of each; NULL: one
    const int32_t *timeline_of;     // [ranks] the timeline of a rank; NULL: timeline r is rank r's
    int32_t warm_up;                // steps at the beginning that times leave out; 0: the first,
                                    // unless it is the only one
    bool brief;                     // leave out Report.operations, one for each of a step
} ReportTimelines;

// The report of all ranks, as report_from_timelines() would make it.
Status report_from_alike(Report *r, Arena *a, const ReportTimelines *of) MUST_USE;

#endif
