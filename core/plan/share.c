// SPDX-License-Identifier: MIT
// Where shares begin, in whole numbers and without overflow: i U / n = i (U / n) + i (U mod n) / n.
#include "core/plan/share.h"

static int64_t unit_of(Shares s) { return s.unit > 1 ? s.unit : 1; }

static int64_t units_of(Shares s) {
    return s.elements / unit_of(s) + (s.elements % unit_of(s) != 0);
}

int64_t share_begin(Shares s, int64_t i) {
    int64_t units = units_of(s), at = i * (units / s.count) + i * (units % s.count) / s.count;
    return at == units ? s.elements : at * unit_of(s);
}

int64_t share_capacity(Shares s) {
    int64_t units = units_of(s);
    return (units / s.count + (units % s.count != 0)) * unit_of(s);
}

int64_t share_whole(Shares s) { return units_of(s) * unit_of(s); }
