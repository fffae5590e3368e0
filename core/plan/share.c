// SPDX-License-Identifier: MIT
// Room for shares.
#include "core/plan/share.h"

static int64_t unit_of(Shares s) { return s.unit > 1 ? s.unit : 1; }

int64_t share_capacity(Shares s) {
    int64_t units = share_units(s);
    return (units / s.count + (units % s.count != 0)) * unit_of(s);
}

int64_t share_whole(Shares s) { return share_units(s) * unit_of(s); }
