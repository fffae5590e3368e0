// SPDX-License-Identifier: MIT
// Points of a scan: their values, how they are called and compared.
#include "viz/scan_internal.h"

#include "core/base/text.h"
#include "viz/caption.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool scan_is_made(const ScanPoint *p) {
    return p->state == SCAN_DONE || p->state == SCAN_TOO_LARGE;
}

const char *scan_value(const Scan *s, int point, int axis) {
    for (int k = s->axis_count - 1; k > axis; k--) point /= s->axes[k].count;
    return s->axes[axis].values[point % s->axes[axis].count];
}

char *scan_label(char out[SCAN_TEXT], const Scan *s, int point, int first, int end, bool keys) {
    *out = '\0';
    for (int k = first; k < end; k++)
        text_append(out, SCAN_TEXT, "%s%s%s%s", k > first ? ", " : "", keys ? s->axes[k].key : "",
                    keys ? " " : "", scan_value(s, point, k));
    return out;
}

double scan_number(const char *value) {
    const char *comma = strrchr(value, ','), *text = comma ? comma + 1 : value;
    char *end;
    double number = strtod(text, &end);
    return *text && !*end ? number : (double)NAN;
}

bool scan_has_one_batch(const Scan *s) {
    int64_t batch = 0;
    for (int i = 0; i < s->count; i++) {
        if (!scan_is_made(&s->points[i])) continue;
        if (batch && s->points[i].batch != batch) return false;
        batch = s->points[i].batch;
    }
    return true;
}

double scan_time_ms(const Scan *s, int point) {
    const ScanPoint *p = &s->points[point];
    return scan_has_one_batch(s) ? p->step_ms : p->step_ms * 1000 / (double)p->batch;
}

// What all points share; 0 where they differ.
static void common(const Scan *s, int *ranks, int64_t *batch) {
    bool any = false;
    *ranks = 0;
    *batch = 0;
    for (int i = 0; i < s->count; i++) {
        const ScanPoint *p = &s->points[i];
        if (!scan_is_made(p)) continue;
        *ranks = !any || p->ranks == *ranks ? p->ranks : 0;
        *batch = !any || p->batch == *batch ? p->batch : 0;
        any = true;
    }
}

void scan_caption(FILE *out, const FigureOptions *o, const Scan *s) {
    int ranks;
    int64_t batch;
    common(s, &ranks, &batch);
    fprintf(out, "Simulated: %s, %s, ", o->platform, s->run->run.dtype);
    if (ranks) {
        caption_ranks(out, o, ranks);
        fputs(", ", out);
    }
    if (batch) fprintf(out, "batch %lld, ", (long long)batch);
    if (s->advised)
        fprintf(out, "the best that was found of %d combinations at each of ", s->advised);
    else
        fprintf(out, "%d %s of ", s->count, s->axis_count > 1 ? "combinations" : "values");
    for (int k = 0; k < s->axis_count; k++)
        fprintf(out, "%s--%s",
                k == 0                  ? ""
                : k + 1 < s->axis_count ? ", "
                                        : " and ",
                s->axes[k].key);
    fputs(". ", out);
}
