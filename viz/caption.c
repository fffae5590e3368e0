// SPDX-License-Identifier: MIT
// The words about runs in captions, heads of data files and .json files.
#include "core/base/printable.h"
#include "viz/figures_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *degrees_of(char out[RUN_DEGREES], const SizePoint *p) {
    return run_info_degrees(out, &p->reports[0]->run, false);
}

// World sizes, ascending; how ranks are divided beside the data: once, or at each where it differs.
static void say_sizes(FILE *out, const FigureOptions *o, const Series *s) {
    char first[RUN_DEGREES], own[RUN_DEGREES];
    bool alike = true;
    degrees_of(first, &s->points[0]);
    for (int i = 1; i < s->count; i++) alike &= !strcmp(degrees_of(own, &s->points[i]), first);
    if (alike && *first) fprintf(out, "%s, ", first);
    fprintf(out, "%ss ", caption_rank(o));
    for (int i = 0; i < s->count; i++) {
        fprintf(out, "%s%d", i ? ", " : "", s->points[i].ranks);
        if (!alike && *degrees_of(own, &s->points[i])) fprintf(out, " (%s)", own);
    }
}

typedef struct {
    int64_t batch, per_rank;  // NONE: differs
    int sizes, lowest, highest;
} Scaling;

static void add_scaling(Scaling *c, const Series *s) {
    for (int i = 0; i < s->count; i++)
        for (int k = 0; k < s->points[i].repeats; k++) {
            const Report *r = s->points[i].reports[k];
            int64_t per_rank = r->run.batch % r->run.ranks ? NONE : r->run.batch / r->run.ranks;
            if (c->sizes++ == 0)
                *c = (Scaling){r->run.batch, per_rank, 1, r->run.ranks, r->run.ranks};
            if (r->run.batch != c->batch) c->batch = NONE;
            if (per_rank != c->per_rank) c->per_rank = NONE;
            if (r->run.ranks < c->lowest) c->lowest = r->run.ranks;
            if (r->run.ranks > c->highest) c->highest = r->run.ranks;
        }
}

static void say_scaling(FILE *out, const FigureOptions *o, const Series *a, const Series *b) {
    Scaling c = {0};
    add_scaling(&c, a);
    add_scaling(&c, b);
    if (c.lowest == c.highest && c.batch != NONE)
        fprintf(out, "batch %lld", (long long)c.batch);
    else if (c.per_rank != NONE)
        fprintf(out, "weak scaling, %lld sample%s a %s", (long long)c.per_rank,
                c.per_rank == 1 ? "" : "s", caption_rank(o));
    else if (c.batch != NONE)
        fprintf(out, "strong scaling, batch %lld", (long long)c.batch);
    else
        fputs("batches that differ", out);
}

const char *caption_rank(const FigureOptions *o) { return o->devices ? "GPU" : "rank"; }

void caption_ranks(FILE *out, const FigureOptions *o, int count) {
    fprintf(out, "%d %s%s", count, caption_rank(o), count == 1 ? "" : "s");
}

// The cores of a simulated machine are in its description.
void caption_machine(FILE *out, const Report *r) {
    printable_write(out, *r->machine.cpu ? r->machine.cpu : "processor unknown");
    if (r->machine.cores > 0 && strcmp(r->run.kind, "sim") != 0)
        fprintf(out, ", %d core%s", r->machine.cores, r->machine.cores == 1 ? "" : "s");
}

Status figure_set_title(Figure *f, const char *what, const Series *a, const Series *b) {
    TextBuffer scaling = {0};
    scaling.stream = open_memstream(&scaling.text, &scaling.length);
    if (!scaling.stream) FAIL(ERR_MEMORY, "no memory for the figure %s", f->name);
    say_scaling(scaling.stream, f->options, a, b);
    bool failed = fclose(scaling.stream) != 0;
    if (!failed) figure_set_text(f, "TITLE", "%s %s, %s", what, f->run->run.model, scaling.text);
    free(scaling.text);
    if (failed) FAIL(ERR_MEMORY, "no memory for the figure %s", f->name);
    return OK;
}

static void say_repeats(FILE *out, const Series *s) {
    int least = s->most_repeats;
    for (int i = 0; i < s->count; i++)
        if (s->points[i].repeats < least) least = s->points[i].repeats;
    if (least == s->most_repeats)
        fprintf(out, "%d run%s a size", least, least == 1 ? "" : "s");
    else
        fprintf(out, "%d to %d runs a size", least, s->most_repeats);
}

static void say_steps(FILE *out, const Series *s) {
    int least = INT32_MAX, most = 0;
    for (int i = 0; i < s->count; i++)
        for (int k = 0; k < s->points[i].repeats; k++) {
            const Report *r = s->points[i].reports[k];
            int steps = r->steps - r->warm_up_steps;
            if (steps < least) least = steps;
            if (steps > most) most = steps;
        }
    if (least == most)
        fprintf(out, "%d step%s each", most, most == 1 ? "" : "s");
    else
        fprintf(out, "%d to %d steps each", least, most);
}

void caption_series(FILE *out, const FigureOptions *o, const Series *s, bool measured) {
    const Report *r = s->points[0].reports[0];
    const char *comm = s->points[s->count - 1].reports[0]->run.comm;
    bool described = !measured && o->devices;  // by the platform: no device or communicator runs
    fputs(measured ? "Measured: " : "Simulated: ", out);
    if (!measured && o->platform) fprintf(out, "%s, ", o->platform);
    if (measured) {
        caption_machine(out, r);
        fputs(", ", out);
    }
    if (!described) fprintf(out, "%s, ", r->run.device);
    fprintf(out, "%s, ", r->run.dtype);
    if (!described && strcmp(comm, "none")) fprintf(out, "%s, ", comm);
    say_sizes(out, o, s);
    if (measured) {
        fputs("; ", out);
        say_repeats(out, s);
        fputs("; ", out);
        say_steps(out, s);
    }
    fputs(". ", out);
}

void caption_job(FILE *out, const FigureOptions *o, const Report *r) {
    char degrees[RUN_DEGREES];
    fputs("Simulated: ", out);
    if (o->platform) fprintf(out, "%s, ", o->platform);
    fprintf(out, "%s, ", r->run.dtype);
    if (*run_info_degrees(degrees, &r->run, true)) fprintf(out, "%s, ", degrees);
    caption_ranks(out, o, r->run.ranks);
    fprintf(out, ", batch %lld. ", (long long)r->run.batch);
}

void caption_bars(FILE *out, const Series *measured) {
    if (measured->count) fputs("Points: medians", out);
    if (measured->has_intervals) fprintf(out, "; bars: %s", series_interval(measured));
    if (measured->most_repeats > 1) fputs("; faint beside them: single runs", out);
    if (measured->count) fputs(". ", out);
}

static int set_point(json_t *size, const char *key, const SizePoint *p) {
    if (!p) return 0;
    json_t *out = json_object();
    bool measured = strcmp(key, "measured") == 0;  // repeats and intervals are of measurements
    int failed = measured ? json_object_set_new(out, "repeats", json_integer(p->repeats)) : 0;
    failed |= json_object_set_new(out, "samples_per_s", json_number(p->rate));
    if (measured) failed |= json_object_set_new(out, "low", json_number(p->low));
    if (measured) failed |= json_object_set_new(out, "high", json_number(p->high));
    failed |= json_object_set_new(out, "step_ms", json_number(p->step_ms));
    return failed | json_object_set_new(size, key, out);
}

json_t *series_size_facts(const Series *measured, const Series *simulated) {
    json_t *list = json_array();
    int i = 0, k = 0, failed = 0;
    while (i < measured->count || k < simulated->count) {
        int left = i < measured->count ? measured->points[i].ranks : INT32_MAX;
        int right = k < simulated->count ? simulated->points[k].ranks : INT32_MAX;
        json_t *size = json_object();
        failed |= json_object_set_new(size, "ranks", json_integer(left < right ? left : right));
        failed |= set_point(size, "measured", left <= right ? &measured->points[i] : NULL);
        failed |= set_point(size, "simulated", right <= left ? &simulated->points[k] : NULL);
        failed |= json_array_append_new(list, size);
        i += left <= right;
        k += right <= left;
    }
    if (!failed) return list;
    json_decref(list);
    return NULL;
}

double figure_readable_scale(double most, const char **unit) {
    *unit = most >= 2e6 ? "million samples/s" : most >= 2e3 ? "thousand samples/s" : "samples/s";
    return most >= 2e6 ? 1e6 : most >= 2e3 ? 1e3 : 1;
}

const char *caption_ms(char out[CAPTION_MS], double ms, int digits) {
    int before = ms > 0 ? 1 + (int)floor(log10(ms)) : 1;  // digits before the point; less 0: zeros
    char number[CAPTION_MS - 8];
    snprintf(number, sizeof number, "%.*f", before < digits ? digits - before : 0, ms);
    size_t length = strlen(number);
    while (strchr(number, '.') && number[length - 1] == '0') number[--length] = 0;
    if (number[length - 1] == '.') number[--length] = 0;
    snprintf(out, CAPTION_MS, "%s ms", number);
    return out;
}
