// SPDX-License-Identifier: MIT
// A sweep for programs: names stay what they are and where they are (docs/formats.md, "Summaries").
#include "programs/sim_sweep_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SWEEP_SCHEMA "tandem.sweep.v1"

static const char *fits_text(const Prediction *p, const char *unknown) {
    if (!p->report.device_bytes) return unknown;
    return prediction_fits(p) ? "true" : "false";
}

// Numbers of the answers, in the order of the columns; NaN: not known.
typedef struct {
    const char *name, *unit;
    double value;
} Answer;
enum { ANSWERS = 5 };

static void list_answers(Answer out[ANSWERS], const ReportAnswers *a) {
    const ReportAnswers none = {.tokens_per_s = (double)NAN,
                                .mfu = (double)NAN,
                                .hfu = (double)NAN,
                                .node_bytes = (double)NAN,
                                .rail_bytes = (double)NAN};
    if (!a) a = &none;
    const Answer list[ANSWERS] = {{"tokens_per_s", "", a->tokens_per_s},
                                  {"mfu", "", a->mfu},
                                  {"hfu", "", a->hfu},
                                  {"sent_node_bytes", " B", a->node_bytes},
                                  {"sent_rail_bytes", " B", a->rail_bytes}};
    memcpy(out, list, sizeof list);
}

// What a row lost its efficiency to; NULL: nothing.
static const char *lost_to(const Prediction *p) {
    bool lost = p->answers && p->answers->lost_to != NONE;
    return lost ? report_part_name(p->answers->lost_to) : NULL;
}

static void print_csv_answers(const Prediction *p) {
    Answer list[ANSWERS];
    list_answers(list, p->answers);
    for (int i = 0; i < ANSWERS; i++)
        isnan(list[i].value) ? putchar(',') : printf(",%.9g", list[i].value);
    const char *lost = lost_to(p);
    printf(",%s,", lost ? lost : "");
    if (p->answers) printf("%.9g", p->answers->lost_ms);
    const Report *r = &p->report;
    printf(",%.9g,%.9g,%.9g,%.9g\n", r->step_tails_ms.p5, r->step_ms.median, r->step_tails_ms.p95,
           r->step_tails_ms.p99);
}

static void print_plain_answers(const Prediction *p) {
    Answer list[ANSWERS];
    int n = p->report.run.ranks;
    list_answers(list, p->answers);
    for (int i = 0; i < ANSWERS; i++)
        if (isnan(list[i].value))
            printf("ranks.%d.%s -\n", n, list[i].name);
        else
            printf("ranks.%d.%s %.9g%s\n", n, list[i].name, list[i].value, list[i].unit);
    const char *lost = lost_to(p);
    printf("ranks.%d.lost_to %s\n", n, lost ? lost : "-");
    if (p->answers)
        printf("ranks.%d.lost_ms %.9g ms\n", n, p->answers->lost_ms);
    else
        printf("ranks.%d.lost_ms -\n", n);
    const Report *r = &p->report;
    printf("ranks.%d.step_p5_ms %.9g ms\n", n, r->step_tails_ms.p5);
    printf("ranks.%d.step_p50_ms %.9g ms\n", n, r->step_ms.median);
    printf("ranks.%d.step_p95_ms %.9g ms\n", n, r->step_tails_ms.p95);
    printf("ranks.%d.step_p99_ms %.9g ms\n", n, r->step_tails_ms.p99);
}

void sweep_print_csv_heads(void) {
    printf("schema,ranks,batch,step_ms,samples_per_s,speed_up,efficiency");
    for (int b = 0; b < TIME_COUNT; b++) printf(",%s_ms", time_category_name((TimeCategory)b));
    puts(",launch_ms,comm_ms,comm_bytes,memory_bytes,device_bytes,fits"
         ",tokens_per_s,mfu,hfu,sent_node_bytes,sent_rail_bytes,lost_to,lost_ms"
         ",step_p5_ms,step_p50_ms,step_p95_ms,step_p99_ms");
}

void sweep_print_csv_row(const Sweep *s, int i) {
    const Prediction *p = &s->rows[i];
    printf(SWEEP_SCHEMA ",%d,%lld,%.9g,%.9g,%.9g,%.9g", p->report.run.ranks,
           (long long)p->report.run.batch, p->step_ms, sweep_samples_per_s(p), sweep_speed_up(s, i),
           sweep_efficiency(s, i));
    for (int b = 0; b < TIME_COUNT; b++) printf(",%.9g", p->report.breakdown_ms[b]);
    printf(",%.9g,%.9g,%lld,%lld,", p->launch_ms, p->comm_ms, (long long)p->comm_bytes,
           (long long)p->memory_bytes);
    if (p->report.device_bytes) printf("%lld", (long long)p->report.device_bytes);
    printf(",%s", fits_text(p, ""));
    print_csv_answers(p);
}

void sweep_print_plain_heads(void) { puts("schema " SWEEP_SCHEMA); }

void sweep_print_plain_row(const Sweep *s, int i) {
    const Prediction *p = &s->rows[i];
    int n = p->report.run.ranks;
    printf("ranks.%d.batch %lld\n", n, (long long)p->report.run.batch);
    printf("ranks.%d.step_ms %.9g ms\n", n, p->step_ms);
    printf("ranks.%d.samples_per_s %.9g\n", n, sweep_samples_per_s(p));
    printf("ranks.%d.speed_up %.9g\n", n, sweep_speed_up(s, i));
    printf("ranks.%d.efficiency %.9g\n", n, sweep_efficiency(s, i));
    for (int b = 0; b < TIME_COUNT; b++)
        printf("ranks.%d.%s_ms %.9g ms\n", n, time_category_name((TimeCategory)b),
               p->report.breakdown_ms[b]);
    printf("ranks.%d.launch_ms %.9g ms\n", n, p->launch_ms);
    printf("ranks.%d.comm_ms %.9g ms\n", n, p->comm_ms);
    printf("ranks.%d.comm_bytes %lld B\n", n, (long long)p->comm_bytes);
    printf("ranks.%d.memory_bytes %lld B\n", n, (long long)p->memory_bytes);
    if (p->report.device_bytes)
        printf("ranks.%d.device_bytes %lld B\n", n, (long long)p->report.device_bytes);
    else
        printf("ranks.%d.device_bytes -\n", n);
    printf("ranks.%d.fits %s\n", n, fits_text(p, "-"));
    print_plain_answers(p);
}
