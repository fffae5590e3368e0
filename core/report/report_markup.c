// SPDX-License-Identifier: MIT
// The two ways to write a document: Markdown, and one page of HTML without anything that would have
// to be loaded. Tables and figures that are wider than the screen scroll by themselves, so that the
// page never does.
#include "core/base/printable.h"
#include "core/base/units.h"
#include "core/report/report_internal.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

enum { CELL = 64 };

static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<style>\n"
    "body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 "
    "1rem; color: #222 }\n"
    "h1, h2 { line-height: 1.2; overflow-wrap: anywhere } h2 { margin-top: 2rem }\n"
    "p { max-width: 48rem }\n"
    ".wide { overflow-x: auto }\n"
    "table { border-collapse: collapse; font-variant-numeric: tabular-nums }\n"
    "th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid #ddd; "
    "white-space: nowrap }\n"
    "th:first-child, td:first-child { text-align: left; padding-left: 0 }\n"
    ".facts td { text-align: left; vertical-align: top }\n"
    ".facts td:last-child { white-space: normal; overflow-wrap: anywhere }\n"
    "svg { display: block; width: 100%; min-width: 30rem; max-width: 40rem; height: auto; margin: "
    "1rem 0 }\n"
    "</style>\n<title>";

// Characters that mean something to the format are escaped, control characters become '?'.
static void write_escaped(const Markup *m, const char *s) {
    for (int length; *s; s += length) {
        const char *html = *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '&' ? "&amp;" : NULL;
        length = printable_length(s);
        if (m->html && html)
            fputs(html, m->out);
        else if (!m->html && strchr("|\\`*_<[", *s))
            fprintf(m->out, "\\%c", *s);
        else if (length == 0)
            putc('?', m->out);
        else
            fwrite(s, 1, (size_t)length, m->out);
        if (length == 0) length = 1;
    }
}

void markup_begin(const Markup *m, const char *title) {
    if (m->html) {
        fputs(page_head, m->out);
        write_escaped(m, title);
        fputs("</title>\n</head>\n<body>\n<h1>", m->out);
    } else {
        fputs("# ", m->out);
    }
    write_escaped(m, title);
    fputs(m->html ? "</h1>\n" : "\n\n", m->out);
}

void markup_end(const Markup *m) { fputs(m->html ? "</body>\n</html>\n" : "", m->out); }

void markup_section(const Markup *m, const char *title) {
    fprintf(m->out, m->html ? "<h2>%s</h2>\n" : "\n## %s\n\n", title);
}

void markup_paragraph(const Markup *m, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs(m->html ? "<p>" : "\n", m->out);
    vfprintf(m->out, fmt, args);
    fputs(m->html ? "</p>\n" : "\n", m->out);
    va_end(args);
}

// --- tables

static void write_cell(const Markup *m, bool head, const char *text) {
    const char *tag = head ? "th" : "td";
    if (m->html)
        fprintf(m->out, "<%s>", tag);
    else
        fputs("| ", m->out);
    write_escaped(m, text);
    if (m->html)
        fprintf(m->out, "</%s>", tag);
    else
        putc(' ', m->out);
}

void markup_begin_row(const Markup *m) { fputs(m->html ? "<tr>" : "", m->out); }
void markup_end_row(const Markup *m) { fputs(m->html ? "</tr>\n" : "|\n", m->out); }

// The first column stands left, numbers right.
void markup_table(const Markup *m, int columns, const char *const head[]) {
    fputs(m->html ? "<div class=\"wide\"><table>\n" : "", m->out);
    markup_begin_row(m);
    for (int i = 0; i < columns; i++) write_cell(m, true, head[i]);
    markup_end_row(m);
    if (m->html) return;
    for (int i = 0; i < columns; i++) fputs(i ? "|---:" : "|---", m->out);
    fputs("|\n", m->out);
}

void markup_facts(const Markup *m) {
    fputs(m->html ? "<div class=\"wide\"><table class=\"facts\">\n" : "|  |  |\n|---|---|\n",
          m->out);
}

void markup_end_table(const Markup *m) { fputs(m->html ? "</table></div>\n" : "", m->out); }

// --- cells

void markup_text(const Markup *m, const char *text) { write_cell(m, false, *text ? text : "–"); }

void markup_number(const Markup *m, double value) {
    char text[CELL] = "";
    int decimals = value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 4;
    if (isfinite(value)) snprintf(text, sizeof text, "%.*f", decimals, value);
    markup_text(m, text);
}

void markup_count(const Markup *m, int64_t value) {
    char text[CELL] = "";
    if (value != NONE) snprintf(text, sizeof text, "%lld", (long long)value);
    markup_text(m, text);
}

void markup_size(const Markup *m, int64_t bytes) {
    char text[UNITS_TEXT];
    markup_text(m, bytes == NONE ? "" : units_print_size(text, bytes));
}

void markup_percent(const Markup *m, double share) {
    char text[CELL] = "";
    if (isfinite(share)) snprintf(text, sizeof text, "%.2f %%", share * 100);
    markup_text(m, text);
}

void markup_fact(const Markup *m, const char *name, const char *fmt, ...) {
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    markup_begin_row(m);
    markup_text(m, name);
    markup_text(m, text);
    markup_end_row(m);
}

// --- figures

void markup_begin_figure(const Markup *m) { fputs("<div class=\"wide\">\n", m->out); }
void markup_end_figure(const Markup *m) { fputs("</div>\n", m->out); }
