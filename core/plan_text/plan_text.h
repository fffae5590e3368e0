// SPDX-License-Identifier: MIT
// Programs as text that a person can read and edit: docs/formats.md, "Plan files".
#ifndef CORE_PLAN_TEXT_PLAN_TEXT_H
#define CORE_PLAN_TEXT_PLAN_TEXT_H

#include "core/plan/program.h"

#include <stddef.h>
#include <stdio.h>

// Write the program. Data dependencies follow from the operands and are not written;
// explicit ones are. A lowered program is written with offsets, members of fused operations
// and reuse dependencies.
Status plan_text_print(const Program *p, FILE *out) MUST_USE;

// Read what plan_text_print wrote, or an edited version of it. `source` names the text in messages.
// Data dependencies are derived. ERR_FORMAT with source, line, what was expected and what was
// found. On failure *p is zeroed.
Status plan_text_parse(Program *p, const char *text, size_t length, const char *source) MUST_USE;

#endif
