// SPDX-License-Identifier: MIT
// docs/formats.md has the members' meanings, under summaries.
#include "programs/point_json.h"

#include "core/base/json.h"

#include <stdio.h>

json_t *point_row_json(json_t *values, const Point *p) {
    bool done = p->state == POINT_DONE;
    return json_pack("{s:o, s:o, s:o}", "values", values, "step",
                     done ? point_json(p) : json_null(), "refused",
                     done ? json_null() : json_text(p->why));
}

Status points_print_json(json_t *rows) {
    json_t *all = json_pack("{s:s, s:o}", "schema", POINTS_SCHEMA, "points", rows);
    if (!all) FAIL(ERR_MEMORY, "out of memory for a table");
    json_write(stdout, all);
    json_decref(all);
    return OK;
}

json_t *point_json(const Point *p) {
    json_t *parts = json_object();
    for (int part = 0; part < REPORT_PARTS; part++) {
        char name[64];
        snprintf(name, sizeof name, "%s_ms", report_part_name(part));
        json_object_set_new(parts, name, json_number(p->parts_ms[part]));
    }
    return json_pack("{s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:b}", "devices", p->ranks,
                     "batch", (json_int_t)p->batch, "step_ms", json_number(p->step_ms),
                     "samples_per_s", json_number(p->samples_per_s), "tokens_per_s",
                     json_number(p->tokens_per_s), "mfu", json_number(p->mfu), "breakdown", parts,
                     "comm_ms", json_number(p->comm_ms), "memory_bytes",
                     (json_int_t)p->memory_bytes, "device_bytes", (json_int_t)p->device_bytes,
                     "fits", point_fits(p));
}
