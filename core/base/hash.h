// SPDX-License-Identifier: MIT
// FNV-1a, 64 bits (Fowler, Noll, Vo): plain, the same on every machine, not for adversaries. A hash
// begins as HASH_START and takes in one value after the other.
#ifndef CORE_BASE_HASH_H
#define CORE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START 14695981039346656037u

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count);

// The eight bytes of a value, the lowest first, whatever this machine's order.
uint64_t hash_u64(uint64_t hash, uint64_t value);

#endif
