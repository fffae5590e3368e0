// SPDX-License-Identifier: MIT
// What --sweep reads, and how its rows look: sim_grid.c reads and runs, sim_grid_rows.c prints.
#ifndef PROGRAMS_SIM_GRID_INTERNAL_H
#define PROGRAMS_SIM_GRID_INTERNAL_H

#include "programs/sim_change.h"
#include "sim/points.h"

enum { GRID_KEYS = 6, GRID_VALUES = UNITS_LIST, GRID_POINTS = 100000 };

// An option, and what it is in turn. In the arena of the Sim.
typedef struct {
    const char *key;
    const char *values[GRID_VALUES];
    int count, width;  // width: columns of the longest of key and values
} GridAxis;

typedef struct {
    Sim *sim;
    GridAxis axes[GRID_KEYS];
    int axis_count, count;
    Point *points;
    int printed;  // rows, the first of all
    bool tokens;  // throughput is counted in them
    int width;    // of the terminal
} Grid;

// The value of an axis at a point; the last axis changes fastest.
const char *grid_value(const Grid *g, int point, int axis);

// What comes before the rows, row i, and what comes after them: of a table or of CSV.
void grid_print_heads(const Grid *g);
void grid_print_row(const Grid *g, int i);
void grid_print_end(const Grid *g);

// All points, those that were not made left out. ERR_MEMORY.
Status grid_print_json(const Grid *g) MUST_USE;

// The figures of --plot, once all points have ended and one at least is done. ERR_IO; ERR_MEMORY.
Status grid_plot(const Grid *g) MUST_USE;

#endif
