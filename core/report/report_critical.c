// SPDX-License-Identifier: MIT
// The critical path of a simulated step as JSON: docs/formats.md, "Reports".
#include "core/report/report_critical.h"

static json_t *item_to_json(const ReportCriticalItem *i) {
    json_t *out = json_object();
    int failed = json_object_set_new(out, "operation", json_text(i->name));
    failed |= json_object_set_new(out, "ranks", json_text(i->ranks));
    failed |= json_object_set_new(out, "times", json_integer(i->times));
    failed |= json_object_set_new(out, "ps", json_integer(i->ps));
    failed |=
        json_object_set_new(out, "gain_ps", i->freed ? json_integer(i->gain_ps) : json_null());
    failed |= json_object_set_new(out, "then", i->next ? json_text(i->next) : json_null());
    failed |= json_object_set_new(out, "then_ps", i->next ? json_integer(i->next_ps) : json_null());
    if (!failed) return out;
    json_decref(out);
    return NULL;
}

static json_t *stretch_to_json(const ReportCriticalStretch *s) {
    json_t *out = json_object();
    int failed = json_object_set_new(out, "operation", json_text(s->name));
    failed |= json_object_set_new(out, "rank", json_integer(s->rank));
    failed |= json_object_set_new(out, "stands_for", json_integer(s->stands_for));
    failed |= json_object_set_new(out, "start_ps", json_integer(s->start_ps));
    failed |= json_object_set_new(out, "ps", json_integer(s->ps));
    if (!failed) return out;
    json_decref(out);
    return NULL;
}

int report_set_critical(json_t *report, const ReportCritical *c) {
    if (!c) return 0;
    json_t *out = json_object(), *items = json_array(), *path = json_array();
    int failed = json_object_set_new(out, "step_ps", json_integer(c->step_ps));
    for (int i = 0; i < c->item_count; i++)
        failed |= json_array_append_new(items, item_to_json(&c->items[i]));
    for (int i = 0; i < c->stretch_count; i++)
        failed |= json_array_append_new(path, stretch_to_json(&c->stretches[i]));
    failed |=
        json_object_set_new(out, "items_are", json_string(c->by_kind ? "kinds" : "operations"));
    failed |= json_object_set_new(out, "items", items);
    failed |= json_object_set_new(out, "path", path);
    return failed | json_object_set_new(report, "critical_path", out);
}
