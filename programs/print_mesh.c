// SPDX-License-Identifier: MIT
// A table of ranks and coordinates, and one of a pipeline's stages. Axes of one rank, but data, are
// left out: all are at 0 of them.
#include "programs/print_mesh.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_shown(const Mesh *m, MeshAxis a) { return a == MESH_DATA || mesh_size(m, a) > 1; }

// The ranks that share experts are neighbours along data.
static void print_place(const Mesh *m, const Program *p, MeshAxis a, int rank) {
    int at[AXES], sharers = mesh_size(m, MESH_EXPERT);
    int64_t places, of_data = program_position(p, mesh_batch_axes(p), rank, &places);
    program_coordinates(p, rank, at);
    if (a != MESH_DATA) printf("%9d", at[mesh_find_axis(p, a)]);
    if (a == MESH_DATA) printf("%9" PRId64, of_data);
    if (a == MESH_DATA && sharers > 1) printf("%9" PRId64, of_data % sharers);
}

static void print_sharers(const Mesh *m) {
    int sharers = mesh_size(m, MESH_EXPERT);
    if (m->wide_experts && sharers == 1)
        printf(" (experts are shared along context)");
    else if (sharers > 1)
        printf(" (groups of %d%s share experts)", sharers,
               m->wide_experts ? ", with all along context," : "");
}

static Status print_table(const Mesh *m, const Program *p) {
    int64_t ranks = mesh_ranks(m);
    const char *between = ": ";
    printf("%" PRId64 " rank%s", ranks, ranks == 1 ? "" : "s");
    for (int place = 0; place < MESH_AXES; place++) {
        MeshAxis a = mesh_at(m, place);
        if (!is_shown(m, a)) continue;
        printf("%s%s %d", between, mesh_axis_name(a), mesh_size(m, a));
        if (a == MESH_DATA) print_sharers(m);
        between = " × ";
    }
    printf("\n\n%8s", "rank");
    for (int place = 0; place < MESH_AXES; place++) {
        MeshAxis a = mesh_at(m, place);
        if (is_shown(m, a)) printf("%9s", mesh_axis_name(a));
        if (a == MESH_DATA && mesh_size(m, MESH_EXPERT) > 1)
            printf("%9s", mesh_axis_name(MESH_EXPERT));
    }
    printf("\n");
    for (int rank = 0; rank < ranks; rank++) {
        printf("%8d", rank);
        for (int place = 0; place < MESH_AXES; place++)
            if (is_shown(m, mesh_at(m, place))) print_place(m, p, mesh_at(m, place), rank);
        printf("\n");
    }
    return OK;
}

static Status print_ranks(const Mesh *m) {
    Program p = {0};
    Status s = mesh_add_axes(&p, m);
    if (s == OK) s = print_table(m, &p);
    program_finish(&p);
    return s;
}

// The first and the last layer of a stage, the last on a line of its own where it must be.
static void print_range(const char *from, const char *to) {
    enum { INDENT = 8 + 9 + 9 + 3, WIDTH = 80 };
    bool breaks = INDENT + strlen(from) + strlen(" .. ") + strlen(to) > WIDTH;
    printf("   %s%s%*s.. %s\n", from, breaks ? "\n" : "", breaks ? INDENT : 1, "", to);
}

// A line for each stage of a pipeline: the layers that it has, as --stages takes them.
static Status print_stages(const JobSpec *job, int ranks) {
    Arena a = {0};
    Model m;
    int *stage;
    Status s = job_spec_model(&m, &a, job);
    if (s == OK) s = job_spec_stages(&stage, &a, job, &m);
    if (s == OK) printf("\n%8s%9s%9s   from .. to\n", "stage", "pipe", "layers");
    for (int first = 0, end; s == OK && first < m.layer_count; first = end) {
        char layers[32];
        for (end = first + 1; end < m.layer_count && stage[end] == stage[first];) end++;
        snprintf(layers, sizeof layers, "%d:%d", first, end);
        printf("%8d%9d%9s", stage[first], stage[first] % ranks, layers);
        if (end > first + 1)
            print_range(m.layers[first].name, m.layers[end - 1].name);
        else
            printf("   %s\n", m.layers[first].name);
    }
    arena_finish(&a);
    return s;
}

// Whether its ranks can do the job that way is known once their programs are made.
static Status check(const SimJob *job, Arena *a) {
    ProgramSet set;
    TRY(job_spec_check(&job->spec));
    Status s = sim_job_programs(&set, a, job);
    program_set_finish(&set);
    return s;
}

Status print_mesh(const SimJob *job, Arena *a) {
    const JobSpec *spec = &job->spec;
    Mesh mesh;
    TRY(job_spec_mesh(&mesh, spec));
    if (!spec->plan_file) TRY(check(job, a));
    TRY(print_ranks(&mesh));
    int pipe = mesh_size(&mesh, MESH_PIPE);
    return pipe > 1 && !spec->plan_file ? print_stages(spec, pipe) : OK;
}
