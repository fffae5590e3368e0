// SPDX-License-Identifier: MIT
// Machine files: any bytes are refused in one line, or make a machine that is written
// and read back equal.
#include "core/platform/machine.h"
#include "tests/fuzz/fuzz.h"

#define NAME "fuzz.yaml"

static char *printed(const Machine *m, size_t *length) {
    char *text = NULL;
    FILE *f = open_memstream(&text, length);
    machine_print(m, f);
    fclose(f);
    return text;
}

static void check_machine(const Machine *m) {
    REQUIRE(machine_devices(m) >= 1, "%d devices", machine_devices(m));
    REQUIRE(m->nodes == 1 || m->rail.bytes_per_s > 0, "%d nodes", m->nodes);
    REQUIRE(m->is_host || m->devices_per_node == 1 || m->link.bytes_per_s > 0, "no link");
    const int64_t *flops = m->device.flops_per_s;
    REQUIRE(flops[DTYPE_F32] > 0 || flops[DTYPE_F64] > 0, "no rate");
    REQUIRE(m->device.memory_bytes_per_s > 0, "no rate");
    REQUIRE(!m->is_host || (m->host.cores > 0 && m->host.fold_bytes_per_s > 0), "no host");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = {0};
    Machine m, again;
    Status s = machine_parse(&m, &a, (const char *)data, size, NAME);
    if (s == OK) {
        size_t length, second_length;
        check_machine(&m);
        char *text = printed(&m, &length);
        s = machine_parse(&again, &a, text, length, NAME);
        REQUIRE(s == OK, "%s\n%s", status_message(), text);
        char *second = printed(&again, &second_length);
        REQUIRE(!strcmp(text, second), "%s\n%s", text, second);
        free(text);
        free(second);
    } else
        require_refusal(s, NAME);
    arena_finish(&a);
    return 0;
}
