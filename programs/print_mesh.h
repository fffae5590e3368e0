// SPDX-License-Identifier: MIT
// --print-mesh of train and sim: which rank is where, and which layers are.
#ifndef PROGRAMS_PRINT_MESH_H
#define PROGRAMS_PRINT_MESH_H

#include "sim/job.h"

// To standard output: the sizes of the axes, the outermost first, and a line for each rank with its
// coordinates, which other programs can read; of a pipeline a line for each stage, with its layers.
// Errors are those of the job: a mesh that no run could have is not shown.
Status print_mesh(const SimJob *job, Arena *a) MUST_USE;

#endif
