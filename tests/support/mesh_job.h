// SPDX-License-Identifier: MIT
// Small jobs on a mesh, to be simulated.
#ifndef TESTS_SUPPORT_MESH_JOB_H
#define TESTS_SUPPORT_MESH_JOB_H

#include "sim/job.h"

#define SMALL_GPT "gpt:layers=4,hidden=16,heads=4,seq=16"

// A job of 8 samples a data-parallel rank, in 4 micro-batches where there are stages.
static inline SimJob mesh_job(const char *model, Mesh mesh) {
    SimJob job = {.spec = job_spec_default()};
    job.spec.model = model;
    job.spec.device = "timed:laptop";
    job.spec.mesh = mesh;
    job.spec.ranks = (int)mesh_ranks(&mesh);
    job.spec.micro_batches = mesh_size(&mesh, MESH_PIPE) > 1 ? 4 : 1;
    job.spec.batch = 8 * mesh_size(&mesh, MESH_DATA);
    return job;
}

#endif
