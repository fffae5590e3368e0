// SPDX-License-Identifier: MIT
// Tables of measured collectives. A line of heads says where the size and the first time stand;
// rows follow. In text of nccl-tests heads begin with '#', and lines of ranks name their hosts.
#include "sim/nccl_table.h"

#include "core/base/array.h"
#include "core/base/file.h"
#include "core/base/units.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WORDS_MOST = 64, HOSTS_MOST = 4096 };

// Where in a row the figures stand, -1: nowhere; and what a time of 1 is.
typedef struct {
    int size, time, ranks, nodes, library;
    int64_t unit_ps;
    bool is_csv;
} Heads;

typedef struct {
    NcclTable *table;
    Arena *arena;
    const char *name;
    int line, capacity;
    NcclTableRow *rows;  // owned
    Heads heads;
    const char *library;            // that the first row is of; rows of others are passed over
    const char *hosts[HOSTS_MOST];  // that lines of ranks name
    int host_count, rank_lines;
} Reader;

// Words between blanks; or fields between commas, of which quotes may hold some together.
static int split(char *line, bool is_csv, char *words[WORDS_MOST]) {
    int count = 0;
    for (char *p = line; *p && count < WORDS_MOST;) {
        if (!is_csv) p += strspn(p, " \t\r");
        if (!*p) break;
        bool quoted = is_csv && *p == '"';
        words[count++] = quoted ? ++p : p;
        if (quoted) p += strcspn(p, "\"");
        char *end = p + strcspn(p, is_csv ? ",\r" : " \t\r");
        if (quoted && *p) *p = '\0';
        p = *end ? end + 1 : end;
        *end = '\0';
    }
    return count;
}

static bool begins(const char *word, const char *with) {
    return !strncasecmp(word, with, strlen(with));
}

// "time(ns)", "time_us_oop": nccl-tests' own are microseconds.
static int64_t unit_of(const char *word) {
    if (strstr(word, "ns")) return PS_PER_NS;
    return strstr(word, "ms") ? PS_PER_MS : PS_PER_US;
}

static bool take_heads(Heads *out, char *words[], int count, bool is_csv) {
    Heads h = {-1, -1, -1, -1, -1, PS_PER_US, is_csv};
    for (int i = 0; i < count; i++) {
        if (h.size < 0 && (begins(words[i], "size") || begins(words[i], "bytes"))) h.size = i;
        if (h.ranks < 0 && (begins(words[i], "gpus") || begins(words[i], "ranks"))) h.ranks = i;
        if (h.nodes < 0 && begins(words[i], "nodes")) h.nodes = i;
        if (h.library < 0 && begins(words[i], "library")) h.library = i;
        if (h.time < 0 && begins(words[i], "time")) {
            h.time = i;
            if (is_csv) h.unit_ps = unit_of(words[i] + strlen("time"));
        }
    }
    if (h.size < 0 || h.time < 0) return false;
    *out = h;
    return true;
}

// "#  Rank  0 Group  0 Pid  4242 on    node-7 device  0 ..."
static void take_rank_line(Reader *r, char *words[], int count) {
    int on = 0;
    while (on < count && strcmp(words[on], "on")) on++;
    if (count < 3 || strcasecmp(words[0], "Rank") || on + 1 >= count) return;
    r->rank_lines++;
    for (int i = 0; i < r->host_count; i++)
        if (!strcmp(r->hosts[i], words[on + 1])) return;
    if (r->host_count < HOSTS_MOST) r->hosts[r->host_count++] = words[on + 1];
}

static Status take_number(double *out, const Reader *r, char *words[], int count, int at,
                          const char *what) {
    char *end = NULL;
    if (at < count) *out = strtod(words[at], &end);
    if (at >= count || end == words[at] || *end || !(*out >= 0) || *out > 1e18)
        FAIL(ERR_FORMAT, "%s:%d: expected a %s, found %s%.40s%s", r->name, r->line, what,
             at < count ? "\"" : "", at < count ? words[at] : "the end of the line",
             at < count ? "\"" : "");
    return OK;
}

static Status take_group(int32_t *known, const Reader *r, char *words[], int count, int at,
                         const char *what) {
    double number = 0;
    if (at < 0) return OK;
    TRY(take_number(&number, r, words, count, at, what));
    if (number < 1 || number > 1 << 30 || (*known && *known != (int32_t)number))
        FAIL(ERR_FORMAT,
             "%s:%d: a row of %g %ss after rows of %d: keep the rows of one group in a file",
             r->name, r->line, number, what, *known);
    *known = (int32_t)number;
    return OK;
}

// bench/collectives has a row of each library for a size.
static bool is_of_another_library(Reader *r, char *words[], int count) {
    int at = r->heads.library;
    if (at < 0 || at >= count) return false;
    if (!r->library) r->library = words[at];
    return strcmp(r->library, words[at]);
}

static Status take_row(Reader *r, char *words[], int count) {
    const Heads *h = &r->heads;
    double bytes = 0, time = 0;
    if (is_of_another_library(r, words, count)) return OK;
    if (h->is_csv && h->time < count && !*words[h->time]) return OK;  // not measured
    TRY(take_number(&bytes, r, words, count, h->size, "size"));
    TRY(take_number(&time, r, words, count, h->time, "time"));
    TRY(take_group(&r->table->ranks, r, words, count, h->ranks, "rank"));
    TRY(take_group(&r->table->nodes, r, words, count, h->nodes, "node"));
    double ps = time * (double)h->unit_ps;
    if (ps > 9e18) FAIL(ERR_FORMAT, "%s:%d: a time of more than 104 days", r->name, r->line);
    if (bytes < 1 || ps < 1) return OK;
    TRY(ARRAY_RESERVE(r->rows, r->capacity, r->table->count + 1));
    r->rows[r->table->count++] = (NcclTableRow){(int64_t)bytes, (int64_t)(ps + 0.5)};
    return OK;
}

// A row begins with its size.
static bool is_row(const Reader *r, const char *line) {
    line += strspn(line, " \t");
    return r->heads.is_csv ? *line != '\0' && *line != '#' : *line >= '0' && *line <= '9';
}

static Status take_line(Reader *r, char *line) {
    char *words[WORDS_MOST];
    char *text = line + strspn(line, " \t");
    bool comment = *text == '#';
    if (r->heads.size >= 0 && !comment) {
        if (!is_row(r, line)) return OK;
        int count = split(line, r->heads.is_csv, words);
        return take_row(r, words, count);
    }
    bool is_csv = strchr(text, ',') && !comment;
    int count = split(text + comment, is_csv, words);
    if (!take_heads(&r->heads, words, count, is_csv)) take_rank_line(r, words, count);
    return OK;
}

static Status read_lines(Reader *r, char *text) {
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        r->line++;
        TRY(take_line(r, line));
    }
    if (r->heads.size < 0)
        FAIL(ERR_FORMAT,
             "%s: no line of heads with \"size\" and \"time\": give what nccl-tests prints, or CSV",
             r->name);
    if (!r->table->count) FAIL(ERR_FORMAT, "%s: no row with a size and a time", r->name);
    return OK;
}

Status nccl_table_parse(NcclTable *out, Arena *a, char *text, const char *name) {
    *out = (NcclTable){0};
    Reader r = {.table = out, .arena = a, .name = name, .heads = {.size = -1, .time = -1}};
    Status s = read_lines(&r, text);
    if (s == OK) {
        out->rows = ARENA_NEW(a, NcclTableRow, out->count);
        if (out->rows) memcpy(out->rows, r.rows, (size_t)out->count * sizeof *r.rows);
        if (!out->ranks && r.rank_lines) {
            out->ranks = r.rank_lines;
            out->nodes = r.host_count;
        }
    }
    free(r.rows);
    if (s == OK && !out->rows) FAIL(ERR_MEMORY, "out of memory for %s", name);
    return s;
}

Status nccl_table_read(NcclTable *out, Arena *a, const char *path) {
    char *text;
    size_t length;
    TRY(file_read_most(&text, &length, a, (size_t)64 << 20, path));
    return nccl_table_parse(out, a, text, path);
}
