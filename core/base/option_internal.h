// SPDX-License-Identifier: MIT
// What parsing and help share.
#ifndef CORE_BASE_OPTION_INTERNAL_H
#define CORE_BASE_OPTION_INTERNAL_H

#include "core/base/option.h"

// Parse a value into the option's field. ERR_USAGE says what is wrong with `text`, without the
// option's name.
Status option_set(const Option *o, void *values, const char *text) MUST_USE;

// Bytes of the field.
size_t option_field_bytes(const Option *o);

// A bound as a person would type it.
char *option_print_bound(char out[UNITS_TEXT], const Option *o, double bound);

static inline bool option_has_bounds(const Option *o) { return o->min != 0 || o->max != 0; }

#endif
