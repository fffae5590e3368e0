// SPDX-License-Identifier: MIT
// What the figures of a scan share.
#ifndef VIZ_SCAN_INTERNAL_H
#define VIZ_SCAN_INTERNAL_H

#include "viz/scan.h"

bool scan_is_made(const ScanPoint *p);  // simulated, whether it fits or not
const char *scan_value(const Scan *s, int point, int axis);

// "tp 4, pp 2" of the axes from `first` up to but without `end`; without keys: "4, 2".
enum { SCAN_TEXT = 160 };
char *scan_label(char out[SCAN_TEXT], const Scan *s, int point, int first, int end, bool keys);

// A value as a number: of a pair such as "4,32" its last. NaN: it is none.
double scan_number(const char *value);

// What a step is compared by: its time, or where batches differ the time of 1000 samples; in ms.
bool scan_has_one_batch(const Scan *s);
double scan_time_ms(const Scan *s, int point);

// "Simulated: dgx-a100, f32, 8 GPUs, batch 64, 12 combinations of --tp and --pp. "
void scan_caption(FILE *out, const FigureOptions *o, const Scan *s);

#endif
