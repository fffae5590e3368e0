// SPDX-License-Identifier: MIT
#include "tests/support/figure_case.h"

#include "core/base/file.h"
#include "core/base/json.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const command[] = {"train", "--model", "it's"};

void figure_case_init(FigureCase *c, bool gnuplot) {
    *c = (FigureCase){0};
    snprintf(c->directory, sizeof c->directory, "%s/it's \"here\"", test_directory());
    c->options = (FigureOptions){.directory = c->directory, .argv = command, .argc = 3};
    c->options.measured.reports = c->measured;
    c->options.simulated.reports = c->simulated;
    if (!gnuplot) setenv("PATH", test_directory(), 1);
}

void figure_case_finish(FigureCase *c) { arena_finish(&c->arena); }

static Report *make(FigureCase *c, int ranks, double rate) {
    Report *r = ARENA_NEW(&c->arena, Report, 1);
    r->run = (RunInfo){.kind = "train", .model = "net", .device = "cpu", .dtype = "f32"};
    r->run.comm = ranks > 1 ? "shm" : "none";
    r->run.ranks = r->run.shards = ranks;
    r->run.batch = 64 * ranks;
    r->run.seed = 7;
    r->steps = 11;
    r->warm_up_steps = 1;
    r->samples_per_s = (Spread){rate, rate, rate, rate};
    double ms = 1e3 * (double)r->run.batch / rate;
    r->step_ms = (Spread){ms, ms, ms, ms};
    r->breakdown_steps = 10;
    r->breakdown_ms[TIME_COMPUTE] = r->breakdown_ms[TIME_WAITING] = 0.5;
    r->machine = (HostInfo){.cores = 2, .cpu = "A processor", .load = 0.25};
    return r;
}

Report *figure_case_measure(FigureCase *c, int ranks, double rate, double p10, double p90) {
    Report *r = make(c, ranks, rate);
    r->samples_per_s.p10 = p10;
    r->samples_per_s.p90 = p90;
    r->step_ms.p10 = 1e3 * (double)r->run.batch / p90;  // the fastest steps have the highest rate
    r->step_ms.p90 = 1e3 * (double)r->run.batch / p10;
    ck_assert_int_lt(c->options.measured.count, CASE_REPORTS);
    c->measured[c->options.measured.count++] = r;
    return r;
}

Report *figure_case_simulate(FigureCase *c, int ranks, double rate) {
    Report *r = make(c, ranks, rate);
    r->run.kind = "sim";
    ck_assert_int_lt(c->options.simulated.count, CASE_REPORTS);
    c->simulated[c->options.simulated.count++] = r;
    return r;
}

void figure_case_learn(FigureCase *c, Report *r, int steps) {
    double *loss = ARENA_NEW(&c->arena, double, steps),
           *end_s = ARENA_NEW(&c->arena, double, steps);
    int64_t *samples = ARENA_NEW(&c->arena, int64_t, steps);
    Evaluation *e = ARENA_NEW(&c->arena, Evaluation, 2);
    for (int i = 0; i < steps; i++) {
        loss[i] = 2.0 / (i + 1);
        end_s[i] = 0.01 * (i + 1);
        samples[i] = 64 * (i + 1);
    }
    e[0] = (Evaluation){1, steps / 2, 100, 0.5, 0.75};
    e[1] = (Evaluation){2, steps, 100, 0.25, 0.875};
    r->loss = loss;
    r->step_end_s = end_s;
    r->step_samples = samples;
    r->loss_count = r->steps = steps;
    r->evaluations = e;
    r->evaluation_count = r->epochs = 2;
}

char *figure_case_file(FigureCase *c, const char *name) {
    char path[256], *text;
    size_t length;
    snprintf(path, sizeof path, "%s/%s", c->directory, name);
    if (access(path, F_OK)) return NULL;
    ck_assert_ok(file_read(&text, &length, &c->arena, path));
    return text;
}

double figure_case_fact(FigureCase *c, const char *name, const char *at) {
    json_t *root;
    double value;
    char path[256];
    snprintf(path, sizeof path, "%s/%s", c->directory, name);
    ck_assert_ok(json_read_file(&root, path));
    ck_assert_ok(json_get_real(&value, root, path, "%s", at));
    json_decref(root);
    return value;
}

int figure_case_count(const char *text, const char *part) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) n++;
    return n;
}

const char *figure_case_program(const char *name, const char *line) {
    static char directory[64];
    char path[256], search[4096];
    strcpy(directory, test_directory());
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "w");
    fprintf(f, "#!/bin/sh\n%s\n", line);
    fclose(f);
    chmod(path, 0755);
    snprintf(search, sizeof search, "%s:%s", directory, getenv("PATH"));
    setenv("PATH", search, 1);
    return directory;
}

bool figure_case_has_gnuplot(void) { return figures_find_gnuplot() == OK; }

void figure_case_scaling(FigureCase *c) {
    figure_case_init(c, false);
    figure_case_measure(c, 2, 1800, 1500, 2000);
    figure_case_measure(c, 1, 1000, 900, 1050);
    figure_case_measure(c, 1, 1300, 1200, 1400);
    figure_case_measure(c, 1, 1200, 1100, 1250);
    figure_case_simulate(c, 1, 1260);
    figure_case_simulate(c, 2, 1620);
    figure_case_simulate(c, 4, 3600);
    c->options.oversubscribed_from = 2;
}

void figure_case_note_has(const FigureCase *c, const char *part) {
    for (int i = 0; i < c->notes.count; i++)
        if (strstr(c->notes.lines[i], part)) return;
    ck_abort_msg("no note says \"%s\"; the first is \"%s\"", part, c->notes.lines[0]);
}

int figure_case_count_files(const FigureCase *c) {
    int n = 0;
    DIR *d = opendir(c->directory);
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(d);
    return n;
}
