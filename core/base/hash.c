// SPDX-License-Identifier: MIT
// FNV-1a, 64 bits, byte by byte; see hash.h.
#include "core/base/hash.h"

static const uint64_t PRIME = 1099511628211u;

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count) {
    const unsigned char *b = bytes;
    for (size_t i = 0; i < count; i++) hash = (hash ^ b[i]) * PRIME;
    return hash;
}

uint64_t hash_u64(uint64_t hash, uint64_t value) {
    for (int i = 0; i < 8; i++) hash = (hash ^ (value >> 8 * i & 0xff)) * PRIME;
    return hash;
}
