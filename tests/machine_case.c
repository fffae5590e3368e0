// SPDX-License-Identifier: MIT
#include "tests/machine_case.h"

#include "core/platform/machine.h"

#include <stdio.h>

void machine_refused(const char *text, const char *message) {
    Arena a = {0};
    Machine m;
    char path[128];
    snprintf(path, sizeof path, "%s/m.yaml", test_directory());
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    ck_assert_fails(machine_read(&m, &a, path), ERR_FORMAT, message);
    arena_finish(&a);
}
