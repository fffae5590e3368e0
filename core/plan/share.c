// SPDX-License-Identifier: MIT
// Room for shares.
#include "core/plan/share.h"

static int64_t unit_of(Shares s) { return s.unit > 1 ? s.unit : 1; }

int64_t share_capacity(Shares s) {
    int64_t units = share_units(s);
    int64_t most = (units / s.count + (units % s.count != 0)) * unit_of(s);
    return most < s.elements ? most : s.elements;
}

int64_t share_room(Shares s) { return share_begin(s, s.count - 1) + share_capacity(s); }
