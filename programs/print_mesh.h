// SPDX-License-Identifier: MIT
// --print-mesh of train: which rank is where.
#ifndef PROGRAMS_PRINT_MESH_H
#define PROGRAMS_PRINT_MESH_H

#include "core/plan/mesh.h"

// To standard output: the sizes of the axes, the outermost first, and a line for each rank with its
// coordinates, which other programs can read. ERR_PLAN, ERR_MEMORY.
Status print_mesh(const Mesh *m) MUST_USE;

#endif
