// SPDX-License-Identifier: MIT
// One function makes the line for terminals and logs; the rest decides when it is due.
#include "core/cli/progress.h"

#include "core/base/text.h"
#include "core/base/units.h"
#include "core/cli/terminal.h"

#include <string.h>

enum { LINE = 512 };
static const int64_t SECOND_NS = 1000000000, PAUSE_NS = 100000000;

void progress_init(Progress *p, FILE *stream, const char *label, const char *unit, int64_t total,
                   bool quiet, int64_t now_ns) {
    *p = (Progress){.stream = stream,
                    .label = label,
                    .unit = unit,
                    .total = total,
                    .quiet = quiet,
                    .terminal = terminal_smart(stream),
                    .ascii = terminal_ascii(),
                    .width = terminal_width(stream),
                    .start_ns = now_ns,
                    .last_ns = now_ns - PAUSE_NS};
}

// "1:02:03" or "2:03".
static void print_time(char out[32], int64_t seconds) {
    long long s = seconds;
    if (s >= 3600)
        snprintf(out, 32, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 32, "%lld:%02lld", s / 60, s % 60);
}

// Short, so that with counts, rate, time left and a loss a line fits 80 columns.
static void append_bar(char line[LINE], const Progress *p, int64_t done) {
    enum { CELLS = 6 };
    static const char full[] = "######", empty[] = "------";
    int cells = (int)((double)CELLS * (double)done / (double)p->total);
    cells = cells < 0 ? 0 : cells > CELLS ? CELLS : cells;
    text_append(line, LINE, " [%.*s%.*s]", cells, full, CELLS - cells, empty);
}

// What was measured so far; before that, what is expected.
static double items_per_s(const Progress *p, int64_t done, int64_t now_ns) {
    double seconds = (double)(now_ns - p->start_ns) / (double)SECOND_NS;
    if (done > 0 && seconds > 0) return (double)done / seconds;
    return p->expected_ns_per_item > 0 ? (double)SECOND_NS / p->expected_ns_per_item : 0;
}

static const char *dot(const Progress *p) { return p->ascii ? " |" : " ·"; }

// "24k/60k samples · 12.3k/s"
static void append_counts(char line[LINE], const Progress *p, int64_t done, double per_s) {
    char count[UNITS_TEXT], total[UNITS_TEXT], rate[UNITS_TEXT];
    if (p->total) text_append(line, LINE, "%s", dot(p));
    text_append(line, LINE, " %s", units_print_count(count, done));
    if (p->total) text_append(line, LINE, "/%s", units_print_count(total, p->total));
    text_append(line, LINE, " %s", p->unit);
    if (per_s >= 1 && done > 0 && !p->uneven)
        text_append(line, LINE, "%s %s/s", dot(p), units_print_count(rate, (int64_t)per_s));
}

// "train [##----]  40 % · 24k/60k samples · 12.3k/s · 0:03 left · loss 0.31"
static void print_line(char line[LINE], const Progress *p, int64_t done, int64_t now_ns,
                       const char *note, bool bar) {
    char left[32];
    double per_s = items_per_s(p, done, now_ns);
    line[0] = '\0';
    text_append(line, LINE, "%s", p->label);
    if (p->total && bar) append_bar(line, p, done);
    if (p->total)
        text_append(line, LINE, " %3d %%", (int)(100.0 * (double)done / (double)p->total));
    if (p->unit) append_counts(line, p, done, per_s);
    if (per_s > 0 && done < p->total) {
        print_time(left, (int64_t)((double)(p->total - done) / per_s + 0.5));
        text_append(line, LINE, "%s %s left", dot(p), left);
    }
    if (*note) text_append(line, LINE, "%s %s", dot(p), note);
}

// Cut after `width` characters: a line that wraps could not be rewritten.
static void cut(char *line, int width) {
    for (; *line; line++)
        if ((*line & 0xC0) != 0x80 && width-- == 0) break;
    *line = '\0';
}

static void show(Progress *p, int64_t done, int64_t now_ns, const char *note) {
    char line[LINE];
    print_line(line, p, done, now_ns, note, p->terminal);
    if (p->terminal) {
        cut(line, p->width - 1);
        fprintf(p->stream, "\r%s\033[K", line);
    } else
        fprintf(p->stream, "%s\n", line);
    fflush(p->stream);
    p->open = p->terminal;
    p->last_ns = now_ns;
}

void progress_update(Progress *p, int64_t done, int64_t now_ns, const char *note) {
    int tenths = p->total ? (int)(10.0 * (double)done / (double)p->total) : 0;
    bool next_tenth = tenths > p->tenths;
    bool reached_end = next_tenth && tenths >= 10;  // shown at once, so that the last line is right
    bool due = p->terminal ? now_ns - p->last_ns >= PAUSE_NS || reached_end : next_tenth;
    if (due && !p->quiet) show(p, done, now_ns, note);
    if (!next_tenth) return;
    p->tenths = tenths;
    if (!p->tenth) return;
    char line[LINE];
    print_line(line, p, done, now_ns, note, false);
    p->tenth(p->context, line);
}

void progress_clear(Progress *p) {
    if (!p->open) return;
    fputs("\r\033[K", p->stream);
    fflush(p->stream);
    p->open = false;
}
