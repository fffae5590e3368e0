// SPDX-License-Identifier: MIT
// Programs as text that a person can read and edit: docs/formats.md, "Plan files".
#ifndef CORE_PLAN_TEXT_PLAN_TEXT_H
#define CORE_PLAN_TEXT_PLAN_TEXT_H

#include "core/plan/set.h"

#include <stddef.h>
#include <stdio.h>

// Write the programs of all classes, or of class `only` alone (NONE: all). A set of one class
// without a name is written without a class line. Data dependencies follow from the operands and
// are not written; explicit ones are. A lowered program is written with offsets, members of fused
// operations and reuse dependencies. ERR_PLAN: a name cannot stand in a file. ERR_MEMORY, ERR_IO.
Status plan_text_print(const ProgramSet *s, int only, FILE *out) MUST_USE;

// Read what plan_text_print() wrote, or an edited version of it; classes may be missing.
// `source` names the text in messages. Data dependencies are derived. ERR_FORMAT with source, line,
// class, what was expected and what was found. On failure *out is zeroed.
Status plan_text_parse(ProgramSet *out, const char *text, size_t length,
                       const char *source) MUST_USE;

// The same for a text that has the program of one class only, such as a rank's trace; `class` NULL:
// not wanted. ERR_FORMAT for more. On failure *p is zeroed.
Status plan_text_parse_class(Program *p, RankClass *class, const char *text, size_t length,
                             const char *source) MUST_USE;

#endif
