// SPDX-License-Identifier: MIT
// What a simulation answers besides its times: throughput in tokens, utilisation of the devices,
// memory of the rank that needs most, bytes on links, and what a size loses against the first.
#ifndef CORE_REPORT_REPORT_ANSWERS_H
#define CORE_REPORT_REPORT_ANSWERS_H

#include "core/base/json.h"
#include "core/plan/kind.h"
#include "core/record/timeline.h"

// Parts of a step: the breakdown, with what launching operations takes out of its computation.
enum { REPORT_LAUNCH = TIME_COUNT, REPORT_PARTS };

// NaN, 0, NULL and NONE: not known. Texts are borrowed.
typedef struct {
    int64_t tokens;  // of a sample, where the model is one of language
    double tokens_per_s;
    double model_flops;     // that the model needs for a step, on all ranks, whatever the plan does
    double hardware_flops;  // that the plan does
    double mfu, hfu;        // these over the step's time and the peak of all devices, 0 to 1
    int rank;               // the first of those that need most memory,
    const char *class;      // its class, "stage 0"; empty where all ranks do the same,
    int64_t memory_bytes[MEMORY_COUNT];  // what is planned for a step of it,
    const char *peak_op, *peak_phase;    // and the operation at which most of that is in use
    double node_bytes, rail_bytes;  // that a device sends in a step, within its node and out of it,
                                    // mean over all
    double speed_up, efficiency;    // against the first size
    int lost_to;     // part of a step that grew most above its share of the first size's; or NONE
    double lost_ms;  // by so much
    const char *fits_with;  // options with which a step fits its device, "--zero 1"; of a step that
                            // does not
} ReportAnswers;

const char *report_part_name(int part);  // "exposed_comm", "launch"

// The object `answers` of a report; null without them. ERR as jansson's: not 0.
int report_set_answers(json_t *report, const ReportAnswers *a);

#endif
