// SPDX-License-Identifier: MIT
// The words of plan files that printing and parsing share.
#ifndef CORE_PLAN_TEXT_PLAN_TEXT_WORDS_H
#define CORE_PLAN_TEXT_PLAN_TEXT_WORDS_H

#include "core/plan/program.h"

#include <stdbool.h>

#define TEXT_HEADER "tandem plan 2"

// The closed lists that kind.h has no names for, ended by NULL; in the order of their enums.
extern const char *const plan_text_orders[], *const plan_text_reduces[],
                                                 *const plan_text_flags[], *const plan_text_pools[];

// Can the name stand in a plan file? Letters, digits and _ . / + : - after a first
// letter, digit or _.
bool plan_text_is_name(const char *name);

// The type of arithmetic that an operation has unless it says otherwise: that of its first operand
// in f32, f64 or bf16, inputs first; f32 without any.
Dtype plan_text_default_dtype(const Program *p, const int32_t *outputs, int output_count,
                              const int32_t *inputs, int input_count);

#endif
