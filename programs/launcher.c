// SPDX-License-Identifier: MIT
// What each launcher says in the environment.
#include "programs/launcher.h"

#include <stdlib.h>
#include <string.h>

// The number of copies, as each launcher says it. SLURM_NTASKS also stands in a batch script, which
// runs once; SLURM_STEP_NUM_TASKS is srun's.
static const struct {
    const char *variable, *launcher;
} launchers[] = {
    {"WORLD_SIZE", "torchrun"},        {"OMPI_COMM_WORLD_SIZE", "mpirun"}, {"PMI_SIZE", "mpirun"},
    {"MV2_COMM_WORLD_SIZE", "mpirun"}, {"SLURM_STEP_NUM_TASKS", "srun"},
};

Status launcher_check(void) {
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        const char *text = getenv(launchers[i].variable);
        long copies = text ? strtol(text, NULL, 10) : 1;
        if (copies <= 1) continue;
        FAIL(ERR_USAGE,
             "%s=%ld is set: use --ranks %ld, without %s, which starts train %ld times, each alone "
             "(or unset %s)",
             launchers[i].variable, copies, copies, launchers[i].launcher, copies,
             launchers[i].variable);
    }
    return OK;
}

long launcher_mpi_copies(const char **launcher) {
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        const char *text = getenv(launchers[i].variable);
        long copies =
            text && strcmp(launchers[i].launcher, "torchrun") ? strtol(text, NULL, 10) : 1;
        *launcher = launchers[i].launcher;
        if (copies > 1) return copies;
    }
    return 1;
}
