// SPDX-License-Identifier: MIT
// Safetensors: any bytes are refused in one line, or are tensors that lie in memory whole, and that
// are written and read back equal.
#include "core/data/safetensors.h"
#include "tests/fuzz/fuzz.h"

#include <unistd.h>

#define NAME "fuzz.safetensors"

// Touches every byte, for a sanitizer to see.
static uint64_t sum_of(const Safetensors *s) {
    uint64_t sum = 0;
    for (int i = 0; i < s->count; i++) {
        const SafetensorsEntry *e = &s->entries[i];
        const unsigned char *bytes = e->data;
        REQUIRE(e->dims >= 0 && e->dims <= SAFETENSORS_DIMS, "%d dimensions", e->dims);
        REQUIRE(safetensors_find(s, e->name), "%s is not found", e->name);
        for (int64_t k = 0; k < safetensors_bytes(e); k++) sum = 31 * sum + bytes[k];
    }
    for (int i = 0; i < s->text_count; i++)
        REQUIRE(safetensors_text(s, s->texts[i].key), "%s is not found", s->texts[i].key);
    return sum;
}

static void write_again(const Safetensors *s) {
    char path[] = "/tmp/tandem-fuzz-XXXXXX";
    Arena a = {0};
    Safetensors again;
    int fd = mkstemp(path);
    REQUIRE(fd >= 0, "no file %s", path);
    close(fd);
    Status done = safetensors_write(path, s->entries, s->count, s->texts, s->text_count);
    if (done == OK) done = safetensors_read(&again, &a, path);
    unlink(path);
    REQUIRE(done == OK, "%s", status_message());
    REQUIRE(again.count == s->count && again.text_count == s->text_count, "%d", again.count);
    for (int i = 0; i < s->count; i++) {
        const SafetensorsEntry *x = &s->entries[i], *y = safetensors_find(&again, x->name);
        REQUIRE(y && y->dtype == x->dtype && y->dims == x->dims, "%s", x->name);
        REQUIRE(!memcmp(x->data, y->data, (size_t)safetensors_bytes(x)), "%s", x->name);
    }
    arena_finish(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = {0};
    Safetensors s;
    Status done = safetensors_parse(&s, &a, (const char *)data, size, NAME);
    if (done == OK) {
        sum_of(&s);
        write_again(&s);
    } else
        require_refusal(done, NAME);
    arena_finish(&a);
    return 0;
}
