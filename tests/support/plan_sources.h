// SPDX-License-Identifier: MIT
// Right plans of a small network, as text: what tests edit at random and execute.
#ifndef TESTS_SUPPORT_PLAN_SOURCES_H
#define TESTS_SUPPORT_PLAN_SOURCES_H

#include "parallel/run/job.h"

enum { PLAN_SOURCES = 7 };

// What plan i is of, in one word; its text, owned by the caller.
const char *plan_source_name(int i);
char *plan_source_text(int i, size_t *length);

// The job that the plans are of: three steps of batches of 8 on the device reference.
JobOptions plan_source_options(void);

// What a line of a plan file may get at its end by mistake; ended by NULL.
extern const char *const plan_phrases[];

#endif
