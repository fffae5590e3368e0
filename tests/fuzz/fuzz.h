// SPDX-License-Identifier: MIT
// What targets and drivers share. A target is one file with LLVMFuzzerTestOneInput(): with
// -Dfuzz=enabled libFuzzer drives it, else replay.c with the corpus.
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "core/base/status.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What must hold for any input.
#define REQUIRE(condition, ...)                                         \
    do {                                                                \
        if (condition) break;                                           \
        fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
        fprintf(stderr, __VA_ARGS__);                                   \
        fprintf(stderr, "\n");                                          \
        abort();                                                        \
    } while (0)

// A refusal is one line that begins with the name of the file.
static inline void require_refusal(Status s, const char *name) {
    const char *text = status_message();
    REQUIRE(s == ERR_FORMAT || s == ERR_PLAN || s == ERR_SHAPE, "%s: %s", status_name(s), text);
    REQUIRE(!strncmp(text, name, strlen(name)) && !strchr(text, '\n'), "%s", text);
}

#endif
