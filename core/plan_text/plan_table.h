// SPDX-License-Identifier: MIT
// Programs as tables for people; plan_text.h has the form that can be edited and read back.
#ifndef CORE_PLAN_TEXT_PLAN_TABLE_H
#define CORE_PLAN_TEXT_PLAN_TABLE_H

#include "core/plan/set.h"

#include <stdio.h>

// A table for each plan, in 80 columns: one row an operation, with its lane, the shape of its first
// output, the bytes that it moves, its floating-point operations, and what it waits for. Before
// lowering or after. Of several classes one after the other, each below a line with its name and
// place; or of class `only` alone (NONE: all). ERR_MEMORY, ERR_IO.
Status plan_table_print(const ProgramSet *s, int only, FILE *out) MUST_USE;

#endif
