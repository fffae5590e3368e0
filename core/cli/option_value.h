// SPDX-License-Identifier: MIT
// Values of options that come from elsewhere than a command line, or go there: the settings of a
// trace are read and written with the same rows as --all-reduce.
#ifndef CORE_CLI_OPTION_VALUE_H
#define CORE_CLI_OPTION_VALUE_H

#include "core/cli/option.h"

// Set the defaults of `count` rows. ERR_USAGE for one that does not parse: the table is wrong.
Status option_set_defaults(const Option *rows, int count, void *values) MUST_USE;

// Parse a value into its field. ERR_USAGE says what is wrong with `text`, not which option it is.
Status option_set(const Option *o, void *values, const char *text) MUST_USE;

// A value as it would be typed, in `out`, which is returned; a flag as "yes" or "no", a string that
// is NULL as "".
enum { OPTION_VALUE = 256 };
char *option_print_value(char out[OPTION_VALUE], const Option *o, const void *values);

size_t option_field_bytes(const Option *o);  // of the field that the value lies in

#endif
