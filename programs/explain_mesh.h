// SPDX-License-Identifier: MIT
// --explain of train and sim: what each axis of the mesh costs in memory and traffic, in words.
#ifndef PROGRAMS_EXPLAIN_MESH_H
#define PROGRAMS_EXPLAIN_MESH_H

#include "sim/job.h"

// To standard output, from plans alone: of the job, and of the same batch without each axis. Of
// several classes of ranks the one with the most memory is shown. Errors as job_spec_check() and
// those of strategies.
Status explain_mesh(const SimJob *job, Arena *a) MUST_USE;

#endif
