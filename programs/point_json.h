// SPDX-License-Identifier: MIT
// A simulated point as --sweep, --what-if and --advise print it with --json.
#ifndef PROGRAMS_POINT_JSON_H
#define PROGRAMS_POINT_JSON_H

#include "sim/points.h"

#include <jansson.h>

#define POINTS_SCHEMA "tandem.points.v1"

// The numbers of a point that is done; NULL without memory.
json_t *point_json(const Point *p);

// A row: `values`, which is taken, are the options that make it; NULL without memory.
json_t *point_row_json(json_t *values, const Point *p);

// Print `rows`, which is taken. ERR_MEMORY where it is NULL.
Status points_print_json(json_t *rows) MUST_USE;

#endif
