// SPDX-License-Identifier: MIT
// sim --sweep under mpirun: the bytes of one process, or a sentence that says why not.
#include "tests/support/command.h"

#include <stdlib.h>
#include <string.h>

static Command it;

// Open MPI as root, on fewer cores than processes; what it leaves behind is no leak of ours.
#define MPIRUN                                                       \
    "env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 " \
    "OMPI_MCA_rmaps_base_oversubscribe=1 LSAN_OPTIONS=detect_leaks=0 timeout 60 mpirun -n %d "

static bool is_built(void) {
    ck_assert_int_eq(command_run(&it, "sim --version"), 0);
    bool built = strstr(it.out, "+mpi") != NULL;
    command_finish(&it);
    if (built) built = command_run(&it, "command -v mpirun") == 0;
    command_finish(&it);
    return built;
}

START_TEST(processes_print_what_one_prints) {
    static const char *const forms[] = {"", "--json"};
    const char *line = "--sweep tp=1,2,3,pp=1,2 --model mlp --gpus 6 --batch 240";
    if (!is_built()) return;
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(command_run(&it, "sim %s %s", line, forms[k]), 0);
        char *alone = strdup(it.out);
        command_finish(&it);
        ck_assert_ptr_nonnull(alone);
        ck_assert_int_eq(command_run(&it, MPIRUN "sim %s %s", 2 + k, line, forms[k]), 0);
        ck_assert_str_eq(it.out, alone);
        command_finish(&it);
        free(alone);
    }
}
END_TEST

START_TEST(a_refused_point_is_refused_once) {
    if (!is_built()) return;
    ck_assert_int_ne(command_run(&it, MPIRUN "sim --sweep tp=3,5 --gpus 8", 2), 0);
    const char *error = strstr(it.err, "sim: --sweep: no row can be made: 8 ranks");
    ck_assert_ptr_nonnull(error);
    ck_assert_ptr_null(strstr(error + 1, "sim: "));
    command_finish(&it);
}
END_TEST

// Of each process, or without MPI.
START_TEST(what_is_not_divided_is_not_printed_several_times) {
    if (is_built()) {
        ck_assert_int_ne(command_run(&it, MPIRUN "sim --gpus 8", 2), 0);
        ck_assert_ptr_nonnull(strstr(it.err, "only the rows of a --sweep are divided"));
        ck_assert_str_eq(it.out, "");
        command_finish(&it);
        return;
    }
    ck_assert_int_eq(command_run(&it, "env OMPI_COMM_WORLD_SIZE=3 sim --sweep tp=1,2"), 2);
    ck_assert_ptr_nonnull(strstr(it.err, "mpirun started 3 copies of sim"));
    ck_assert_str_eq(it.out, "");
    command_finish(&it);
}
END_TEST

SUITE("sim_spread", processes_print_what_one_prints, a_refused_point_is_refused_once,
      what_is_not_divided_is_not_printed_several_times)
