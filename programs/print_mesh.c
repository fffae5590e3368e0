// SPDX-License-Identifier: MIT
// A table of ranks and coordinates. Axes of one rank, but data, are left out: all are at 0 of them.
#include "programs/print_mesh.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_shown(const Mesh *m, MeshAxis a) { return a == MESH_DATA || mesh_size(m, a) > 1; }

static Status print_table(const Mesh *m, const Program *p) {
    int64_t ranks = mesh_ranks(m);
    const char *between = ": ";
    printf("%" PRId64 " rank%s", ranks, ranks == 1 ? "" : "s");
    for (int place = 0; place < MESH_AXES; place++) {
        MeshAxis a = mesh_at(m, place);
        if (!is_shown(m, a)) continue;
        printf("%s%s %d", between, mesh_axis_name(a), mesh_size(m, a));
        between = " x ";
    }
    printf("\n\n%8s", "rank");
    for (int place = 0; place < MESH_AXES; place++)
        if (is_shown(m, mesh_at(m, place))) printf("%9s", mesh_axis_name(mesh_at(m, place)));
    printf("\n");
    for (int rank = 0; rank < ranks; rank++) {
        int at[AXES];
        program_coordinates(p, rank, at);
        printf("%8d", rank);
        for (int place = 0; place < MESH_AXES; place++)
            if (is_shown(m, mesh_at(m, place)))
                printf("%9d", at[mesh_find_axis(p, mesh_at(m, place))]);
        printf("\n");
    }
    return OK;
}

Status print_mesh(const Mesh *m) {
    Program p = {0};
    Status s = mesh_add_axes(&p, m);
    if (s == OK) s = print_table(m, &p);
    program_finish(&p);
    return s;
}
