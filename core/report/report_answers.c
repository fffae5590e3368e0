// SPDX-License-Identifier: MIT
// The answers of a simulation as JSON: docs/formats.md, "Reports".
#include "core/report/report_answers.h"

const char *report_part_name(int part) {
    return part == REPORT_LAUNCH ? "launch" : time_category_name((TimeCategory)part);
}

static int set_text(json_t *out, const char *key, const char *text) {
    return json_object_set_new(out, key, text && *text ? json_text(text) : json_null());
}

static int set_number(json_t *out, const char *key, double value) {
    return json_object_set_new(out, key, json_number(value));
}

static int set_memory(json_t *out, const ReportAnswers *a) {
    json_t *memory = json_object(), *bytes = json_object();
    int64_t all = 0;
    int failed = json_object_set_new(memory, "rank", json_integer(a->rank));
    failed |= set_text(memory, "class", a->class);
    failed |= set_text(memory, "operation", a->peak_op);
    failed |= set_text(memory, "phase", a->peak_phase);
    for (int m = 0; m < MEMORY_COUNT; m++) {
        all += a->memory_bytes[m];
        failed |=
            json_object_set_new(bytes, memory_name((Memory)m), json_integer(a->memory_bytes[m]));
    }
    failed |= json_object_set_new(bytes, "all", json_integer(all));
    failed |= json_object_set_new(memory, "bytes", bytes);
    return failed | json_object_set_new(out, "memory", memory);
}

static int set_sent(json_t *out, const ReportAnswers *a) {
    json_t *sent = json_object();
    int failed = set_number(sent, "within_node", a->node_bytes);
    failed |= set_number(sent, "between_nodes", a->rail_bytes);
    return failed | json_object_set_new(out, "sent_bytes", sent);
}

int report_set_answers(json_t *report, const ReportAnswers *a) {
    if (!a) return json_object_set_new(report, "answers", json_null());
    json_t *out = json_object();
    int failed = set_number(out, "tokens_per_s", a->tokens_per_s);
    failed |= set_number(out, "speed_up", a->speed_up);
    failed |= set_number(out, "efficiency", a->efficiency);
    failed |= set_text(out, "lost_to", a->lost_to == NONE ? NULL : report_part_name(a->lost_to));
    failed |= set_number(out, "lost_ms", a->lost_ms);
    failed |= set_number(out, "model_flops", a->model_flops);
    failed |= set_number(out, "hardware_flops", a->hardware_flops);
    failed |= set_number(out, "mfu", a->mfu);
    failed |= set_number(out, "hfu", a->hfu);
    failed |= set_memory(out, a);
    failed |= set_sent(out, a);
    failed |= set_text(out, "fits_with", a->fits_with);
    return failed | json_object_set_new(report, "answers", out);
}
