// SPDX-License-Identifier: MIT
// A report as a document: one text, written as Markdown or as HTML.
#include "core/base/text.h"
#include "core/base/units.h"
#include "core/report/report_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

typedef struct {
    FILE *out;
    bool html;
} Document;

// --- the two ways to write

static void write_escaped(const Document *d, const char *s) {
    for (; *s; s++) {
        const char *html = *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '&' ? "&amp;" : NULL;
        if (d->html && html)
            fputs(html, d->out);
        else if (!d->html && strchr("|\\`*_<[", *s))
            fprintf(d->out, "\\%c", *s);
        else
            putc(*s, d->out);
    }
}

static void write_section(const Document *d, const char *title) {
    fprintf(d->out, d->html ? "<h2>%s</h2>\n" : "\n## %s\n\n", title);
}

static void write_paragraph(const Document *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void write_paragraph(const Document *d, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs(d->html ? "<p>" : "\n", d->out);
    vfprintf(d->out, fmt, args);
    fputs(d->html ? "</p>\n" : "\n", d->out);
    va_end(args);
}

static void write_cell(const Document *d, bool head, const char *text) {
    const char *tag = head ? "th" : "td";
    if (d->html)
        fprintf(d->out, "<%s>", tag);
    else
        fputs("| ", d->out);
    write_escaped(d, text);
    if (d->html)
        fprintf(d->out, "</%s>", tag);
    else
        putc(' ', d->out);
}

static void begin_row(const Document *d) { fputs(d->html ? "<tr>" : "", d->out); }
static void end_row(const Document *d) { fputs(d->html ? "</tr>\n" : "|\n", d->out); }

// A table begins with its head. The first column stands left, numbers right.
static void begin_table(const Document *d, int columns, const char *const head[]) {
    fputs(d->html ? "<table>\n" : "", d->out);
    begin_row(d);
    for (int i = 0; i < columns; i++) write_cell(d, true, head[i]);
    end_row(d);
    if (d->html) return;
    for (int i = 0; i < columns; i++) fputs(i ? "|---:" : "|---", d->out);
    fputs("|\n", d->out);
}

static void end_table(const Document *d) { fputs(d->html ? "</table>\n" : "", d->out); }

// --- cells

enum { CELL = 64 };

static void write_number(const Document *d, double value) {
    char text[CELL];
    int decimals = value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 4;
    if (isfinite(value)) snprintf(text, sizeof text, "%.*f", decimals, value);
    write_cell(d, false, isfinite(value) ? text : "–");
}

static void write_count(const Document *d, int64_t value) {
    char text[CELL];
    snprintf(text, sizeof text, "%lld", (long long)value);
    write_cell(d, false, text);
}

static void write_size(const Document *d, int64_t bytes) {
    char text[UNITS_TEXT];
    write_cell(d, false, bytes == NONE ? "–" : units_print_size(text, bytes));
}

static void write_percent(const Document *d, double share) {
    char text[CELL];
    if (isfinite(share)) snprintf(text, sizeof text, "%.2f %%", share * 100);
    write_cell(d, false, isfinite(share) ? text : "–");
}

// --- the text

static void write_fact(const Document *d, const char *name, const char *value) {
    begin_row(d);
    write_cell(d, false, name);
    write_cell(d, false, *value ? value : "–");
    end_row(d);
}

static void write_number_fact(const Document *d, const char *name, int64_t value) {
    begin_row(d);
    write_cell(d, false, name);
    write_count(d, value);
    end_row(d);
}

static void write_facts(const Document *d, const Report *r) {
    char command[2048] = "", strategy[512] = "", text[256];
    for (int i = 0; i < r->run.argc; i++)
        text_append(command, sizeof command, "%s%s", i ? " " : "", r->run.argv[i]);
    for (int i = 0; i < r->run.strategy_count; i++)
        text_append(strategy, sizeof strategy, "%s%s=%s", i ? " " : "", r->run.strategy[i].key,
                    r->run.strategy[i].value);
    fputs(d->html ? "<table class=\"facts\">\n" : "|  |  |\n|---|---|\n", d->out);
    write_fact(d, "model", r->run.model);
    write_fact(d, "strategy", strategy);
    write_number_fact(d, "ranks", r->run.ranks);
    write_fact(d, "device", r->run.device);
    write_fact(d, "communicator", r->run.comm);
    write_fact(d, "type", r->run.dtype);
    write_number_fact(d, "shards", r->run.shards);
    write_number_fact(d, "global batch", r->run.batch);
    write_number_fact(d, "steps", r->steps);
    write_number_fact(d, "epochs", r->epochs);
    write_number_fact(d, "seed", r->run.seed);
    snprintf(text, sizeof text, "%d cores, %s, load %.2f", r->machine.cores, r->machine.cpu,
             r->machine.load);
    if (r->machine.cores) write_fact(d, "machine", text);
    if (*r->started) write_fact(d, "first step", r->started);
    snprintf(text, sizeof text, "%.1f s", r->wall_s);
    if (isfinite(r->wall_s)) write_fact(d, "wall time", text);
    snprintf(text, sizeof text, "%016" PRIx64, r->parameters_hash);
    if (r->parameters_hash) write_fact(d, "hash of the parameters", text);
    write_fact(d, "command", command);
    end_table(d);
}

static void write_spread(const Document *d, const char *name, const Spread *s) {
    begin_row(d);
    write_cell(d, false, name);
    write_number(d, s->median);
    write_number(d, s->p10);
    write_number(d, s->p90);
    write_number(d, s->mean);
    end_row(d);
}

static void write_speed(const Document *d, const Report *r) {
    write_section(d, "Speed");
    begin_table(d, 5, (const char *const[]){"", "median", "p10", "p90", "mean"});
    write_spread(d, "samples/s", &r->samples_per_s);
    write_spread(d, "step, ms", &r->step_ms);
    end_table(d);
    if (r->warm_up_steps) write_paragraph(d, "Without the first step, which warms up.");
}

static void write_breakdown(const Document *d, const Report *r) {
    write_section(d, "Where a step goes");
    if (!r->breakdown_steps) {
        write_paragraph(d, "No spans were recorded.");
        return;
    }
    double total = 0;
    for (int b = 0; b < BILL_COUNT; b++) total += r->breakdown_ms[b];
    begin_table(d, 3, (const char *const[]){"", "ms", "share"});
    for (int b = 0; b <= BILL_COUNT; b++) {
        double ms = b < BILL_COUNT ? r->breakdown_ms[b] : total;
        begin_row(d);
        write_cell(d, false, b < BILL_COUNT ? bill_name((Bill)b) : "step");
        write_number(d, ms);
        write_percent(d, ms / total);
        end_row(d);
    }
    end_table(d);
    if (d->html) report_svg_breakdown(r, d->out);
    write_paragraph(
        d,
        "Mean over ranks and %d steps; each instant is billed to the first line that applies. "
        "Spans cover %.2f %% of the steps on the rank where they cover least.",
        r->breakdown_steps, r->coverage * 100);
    if (isfinite(r->tracing_overhead))
        write_paragraph(d, "Recording them takes %.2f %% of a step.", r->tracing_overhead * 100);
}

enum { OPERATIONS_SHOWN = 10 };

static double step_share(const OperationTimes *o) { return o->executions * o->duration_ms.median; }

// The next in decreasing order of time, equal ones in the order of the plan; after NONE the first.
static int next_operation(const Report *r, int after) {
    int best = NONE;
    for (int i = 0; i < r->operation_count; i++) {
        double ms = step_share(&r->operations[i]);
        double limit = after == NONE ? (double)INFINITY : step_share(&r->operations[after]);
        bool follows = ms < limit || (ms == limit && i > after);  // not one without a time: NaN
        if (follows && (best == NONE || ms > step_share(&r->operations[best]))) best = i;
    }
    return best;
}

static void write_operation(const Document *d, const OperationTimes *o) {
    char name[256];
    snprintf(name, sizeof name, o->shard || o->micro_batch ? "%s /%d.%d" : "%s", o->name, o->shard,
             o->micro_batch);
    begin_row(d);
    write_cell(d, false, name);
    write_cell(d, false, o->phase);
    write_cell(d, false, o->lane);
    write_number(d, o->duration_ms.median);
    write_number(d, o->duration_ms.p10);
    write_number(d, o->duration_ms.p90);
    write_number(d, o->wait_ms);
    write_number(d, o->cpu_ms);
    write_number(d, o->start_ms);
    end_row(d);
}

static void write_operations(const Document *d, const Report *r) {
    if (!r->operation_count) return;
    write_section(d, "The longest operations");
    begin_table(d, 9,
                (const char *const[]){"", "phase", "lane", "median, ms", "p10", "p90", "wait",
                                      "CPU", "start"});
    int shown = 0;
    for (int i = next_operation(r, NONE); i != NONE && shown < OPERATIONS_SHOWN;
         i = next_operation(r, i), shown++)
        write_operation(d, &r->operations[i]);
    end_table(d);
    write_paragraph(d,
                    "%d of %d operations of a step; medians over its executions on a rank, mean "
                    "over ranks. Wait: until the last member of a communication arrived. Start: "
                    "since the step began.",
                    shown, r->operation_count);
}

enum { RANKS_SHOWN = 16 };

static void write_memory(const Document *d, const Report *r) {
    write_section(d, "Memory and communication");
    const char *head[MEMORY_COUNT + 3] = {"rank"};
    for (int m = 0; m < MEMORY_COUNT; m++) head[m + 1] = memory_name((Memory)m);
    head[MEMORY_COUNT + 1] = "unplanned";
    head[MEMORY_COUNT + 2] = "payload a step";
    begin_table(d, MEMORY_COUNT + 3, head);
    for (int rank = 0; rank < r->run.ranks && rank < RANKS_SHOWN; rank++) {
        begin_row(d);
        write_count(d, rank);
        for (int m = 0; m < MEMORY_COUNT; m++) write_size(d, r->memory[rank].planned[m]);
        write_size(d, r->memory[rank].unplanned);
        write_size(d, r->comm_bytes[rank]);
        end_row(d);
    }
    end_table(d);
    if (r->run.ranks > RANKS_SHOWN)
        write_paragraph(d, "%d more ranks are in the .json report.", r->run.ranks - RANKS_SHOWN);
}

static void write_learning(const Document *d, const Report *r) {
    write_section(d, "Learning");
    if (r->evaluation_count) {
        begin_table(d, 5, (const char *const[]){"epoch", "step", "loss", "accuracy", "samples"});
        for (int i = 0; i < r->evaluation_count; i++) {
            const Evaluation *e = &r->evaluations[i];
            begin_row(d);
            write_count(d, e->epoch);
            write_count(d, e->step);
            write_number(d, e->loss);
            write_percent(d, e->accuracy);
            write_count(d, e->samples);
            end_row(d);
        }
        end_table(d);
    }
    if (!r->loss_count || !isfinite(r->loss[0])) return;
    write_paragraph(d, "Training loss: %.4f at the first step, %.4f at the last.", r->loss[0],
                    r->loss[r->loss_count - 1]);
    if (d->html) report_svg_loss(r, d->out);
}

static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<style>\n"
    "body { font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 "
    "1rem; color: #222 }\n"
    "h1, h2 { line-height: 1.2 } h2 { margin-top: 2rem }\n"
    "table { border-collapse: collapse; font-variant-numeric: tabular-nums }\n"
    "th, td { padding: .15rem .8rem; text-align: right; border-bottom: 1px solid #ddd; "
    "overflow-wrap: anywhere }\n"
    "th:first-child, td:first-child { text-align: left; padding-left: 0 }\n"
    ".facts td { text-align: left }\n"
    "svg { display: block; max-width: 100%; height: auto; margin: 1rem 0 }\n"
    "</style>\n<title>";

void report_write_document(const Report *r, FILE *out, bool html) {
    Document d = {out, html};
    char title[256];
    bool simulated = !strcmp(r->run.kind, "sim");
    snprintf(title, sizeof title, "%s %s on %d rank%s", simulated ? "Simulating" : "Training",
             r->run.model, r->run.ranks, r->run.ranks == 1 ? "" : "s");
    if (html) {
        fputs(page_head, out);
        write_escaped(&d, title);
        fputs("</title>\n</head>\n<body>\n<h1>", out);
    } else {
        fputs("# ", out);
    }
    write_escaped(&d, title);
    fputs(html ? "</h1>\n" : "\n\n", out);
    write_facts(&d, r);
    write_learning(&d, r);
    write_speed(&d, r);
    write_breakdown(&d, r);
    write_operations(&d, r);
    write_memory(&d, r);
    fputs(html ? "</body>\n</html>\n" : "", out);
}
