// SPDX-License-Identifier: MIT
// Scenes: pictures of what a step does and what comes out, each a pure function from numbers to a
// draw list. All have a width in columns and choose their height.
#ifndef VIZ_SCENE_SCENE_H
#define VIZ_SCENE_SCENE_H

#include "viz/scene/draw.h"

#include <stdint.h>

// --- bars: a name, a bar from zero, its value; and where it ought to be

typedef struct {
    const char *name;
    double value, target;
    bool has_target;
    Tone tone;
} SceneBar;

typedef struct {
    const SceneBar *bars;
    int count;
    const char *form;  // of a value, for printf: "%.3f"
    double most;       // what the longest bar stands for; 0: the largest value or target
} SceneBars;
void scene_bars(DrawList *d, Arena *a, int columns, const SceneBars *s);

// --- a timeline: rows of spans over time

typedef struct {
    int row;
    double start, end;
    Tone tone;
    const char *label;  // within the span, where it fits; NULL: none
} SceneSpan;

typedef struct {
    const char *const *rows;  // names
    int row_count;
    const SceneSpan *spans;  // in any order; later ones lie on earlier ones
    int span_count;
    const char *unit;  // of times: "ms"
    bool grid;         // spans are cells of a grid: lines between them, no axis of time
} SceneTimeline;
void scene_timeline(DrawList *d, Arena *a, int columns, const SceneTimeline *s);

// --- a board: a table of values, one cell a chunk, some of which are moving

typedef enum { CELL_PLAIN, CELL_MOVING, CELL_DONE } SceneCellKind;
typedef struct {
    char text[16];
    SceneCellKind kind;
} SceneCell;

typedef struct {
    const char *const *rows, *const *columns;  // names
    int row_count, column_count;
    const SceneCell *cells;  // [row * column_count + column]
} SceneBoard;
void scene_board(DrawList *d, Arena *a, int columns, const SceneBoard *s);

// --- a curve: series of points on two axes

typedef struct {
    const char *name;
    const double *x, *y;
    int count;
    Tone tone;
} SceneSeries;

typedef struct {
    const SceneSeries *series;
    int count;
    const char *x_name, *y_name;
    bool log_x, log_y;
    int rows;  // of the drawing's height; 0: 12
} SceneCurve;
void scene_curve(DrawList *d, Arena *a, int columns, const SceneCurve *s);

#endif
