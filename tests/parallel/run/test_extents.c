// SPDX-License-Identifier: MIT
// Rows in use that the executor counts: several of each, and never more than a tensor has.
#include "tests/support/lockstep.h"
#include "tests/support/plan_maker.h"
#include "tests/support/testing.h"

#include <stdio.h>

// A tensor of rows of two, of which `extent` counts the half.
static void make_rows(Program *p, const char *name, int extent) {
    int logical, tensor;
    ck_assert_ok(program_add_logical(
        p,
        &(LogicalSpec){
            .name = name, .shape = {4, 2}, .dims = 2, .dtype = DTYPE_F32, .role = ROLE_OPTIMISER},
        &logical));
    ck_assert_ok(program_add_tensor(p,
                                    &(TensorSpec){.name = name,
                                                  .logical = logical,
                                                  .dtype = DTYPE_F32,
                                                  .role = ROLE_OPTIMISER,
                                                  .extent = TENSOR_REF(extent)},
                                    &tensor));
    p->tensors[tensor].extent_times = 2;
}

// y <- relu(x) of 4 rows, of which `extent` counts the half; the run writes rows, `count` may be a
// copy of it.
static void start_counted(Lockstep *m, const char *extent) {
    Program *p = &m->program;
    Plan *plan = make_program(p, 1);
    int rows, count;
    ck_assert_ok(program_add_scalar(p, "rows", DTYPE_I64, 1, &rows));
    ck_assert_ok(program_add_scalar(p, "count", DTYPE_I64, 1, &count));
    int by = program_find_tensor(p, extent);
    make_rows(p, "x", by);
    make_rows(p, "y", by);
    make_op(p, plan, (OpSpec){.name = "take", .kind = KIND_COPY, .dtype = DTYPE_I64}, "count",
            "rows");
    make_op(p, plan, (OpSpec){.name = "relu", .kind = KIND_RELU}, "y", "x");
    ck_assert_ok(plan_derive_deps(p, plan));
    lockstep_start(m, &device_reference, &lockstep_plain, NULL);
    for (int i = 0; i < 8; i++) lockstep_floats(m, 0, "x")[i] = (float)(i + 1);
}

// An extent of 1 counts 2 rows of 2.
START_TEST(an_extent_counts_several_rows_each) {
    for (int own = 0; own < 2; own++) {
        Lockstep m = {.logged = 0};
        start_counted(&m, own ? "count" : "rows");
        for (int64_t live = 0; live <= 2; live++) {
            for (int i = 0; i < 8; i++) lockstep_floats(&m, 0, "y")[i] = -1;
            executor_set_i64(&m.executors[0], program_find_tensor(&m.program, "rows"), live);
            lockstep_step(&m, live);
            for (int i = 0; i < 8; i++)
                ck_assert_exact(lockstep_floats(&m, 0, "y")[i], i < 4 * live ? (float)(i + 1) : -1);
        }
        lockstep_stop(&m);
    }
}
END_TEST

START_TEST(rows_that_a_tensor_has_no_room_for_stop_the_run) {
    static const int64_t wrong[] = {3, -1, INT64_MAX / 2 + 1};
    for (int own = 0; own < 2; own++) {
        Lockstep m = {.logged = 0};
        start_counted(&m, own ? "count" : "rows");
        Executor *e = &m.executors[0];
        for (int i = 0; i < 3; i++) {
            char message[160];
            snprintf(message, sizeof message,
                     "relu: extent %s of y is %lld, and there is room for 0 to 2 (rank 0, step 7)",
                     own ? "count" : "rows", (long long)wrong[i]);
            executor_set_i64(e, program_find_tensor(&m.program, "rows"), wrong[i]);
            ck_assert_fails(executor_run(e, 0, 7), ERR_FAILED, message);
        }
        lockstep_stop(&m);
    }
}
END_TEST

SUITE("extents", an_extent_counts_several_rows_each,
      rows_that_a_tensor_has_no_room_for_stop_the_run)
