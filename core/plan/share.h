// SPDX-License-Identifier: MIT
// Shares of an array: `elements` of them are cut for `count` ranks into intervals that begin at
// multiples of `unit` and differ by at most one unit, so that a rank may get none. Placements,
// schedules of collectives and views of a rank's own share all ask these functions.
//
//   10 elements for 4 ranks, unit 1:  0 1 | 2 3 4 | 5 6 | 7 8 9
//   10 elements for 4 ranks, unit 4:        | 0 1 2 3 | 4 5 6 7 | 8 9
#ifndef CORE_PLAN_SHARE_H
#define CORE_PLAN_SHARE_H

#include <stdint.h>

// unit: 1 or more, and 0 means 1.
typedef struct {
    int64_t elements, unit;
    int count;
} Shares;

// Units, of which the last may be cut off. No division where a unit is an element: that is what a
// small collective would notice.
static inline int64_t share_units(Shares s) {
    return s.unit > 1 ? s.elements / s.unit + (s.elements % s.unit != 0) : s.elements;
}

// Where share i begins; for i = count, where the last one ends: floor(i U / count) units, U being
// their number, but no more than the elements. In whole numbers and without overflow:
// i U / n = i (U / n) + i (U mod n) / n.
static inline int64_t share_begin(Shares s, int64_t i) {
    int64_t units = share_units(s), at = i * (units / s.count) + i * (units % s.count) / s.count;
    if (s.unit <= 1) return at;
    return at == units ? s.elements : at * s.unit;
}
static inline int64_t share_elements(Shares s, int64_t i) {
    return share_begin(s, i + 1) - share_begin(s, i);
}

// The sizes of many shares of one array: the divisions that they have in common, done once. Where
// units are elements, share i has one more if it begins in the last (U mod n)/n of a unit.
typedef struct {
    Shares of;
    int64_t each, rest;  // U / n and U mod n
} ShareSizes;

static inline ShareSizes share_sizes(Shares s) {
    int64_t units = share_units(s);
    return (ShareSizes){s, units / s.count, units % s.count};
}
static inline int64_t share_size(const ShareSizes *s, int64_t i) {
    if (s->of.unit > 1) return share_elements(s->of, i);
    if (!s->rest) return s->each;
    return s->each + (i * s->rest % s->of.count + s->rest >= s->of.count);
}

// Elements that every share has room for: ceil(U / count) units, or all elements where these are
// fewer; and how many the whole array needs for each share to have that room from its own begin on.
int64_t share_capacity(Shares s);
int64_t share_room(Shares s);

#endif
