// SPDX-License-Identifier: MIT
// A simulated point as --sweep --json and --advise --json print it.
#ifndef PROGRAMS_POINT_JSON_H
#define PROGRAMS_POINT_JSON_H

#include "sim/points.h"

#include <jansson.h>

// The numbers of a point that is done; NULL without memory.
json_t *point_json(const Point *p);

#endif
