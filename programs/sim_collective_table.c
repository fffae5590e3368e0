// SPDX-License-Identifier: MIT
// The columns of nccl-tests, as wide as their widest cell; beside a measured table fewer, and what
// was measured. Read sim_collective_table() first.
#include "core/base/units.h"
#include "programs/sim_collective_internal.h"
#include "programs/sweep_phrases.h"

#include <stdio.h>
#include <string.h>

enum { CELL = 32 };

typedef enum {
    SIZE,
    COUNT,
    TYPE,
    ALGORITHM,
    PROTOCOL,
    TIME,
    ALGBW,
    BUSBW,
    MEASURED,
    MEASURED_BUSBW,
    ERROR,
    COLUMNS
} Column;

typedef struct {
    const char *head;
    int gap, width;  // width 0: left out
} Place;

// Times of more than a second need no hundredths of microseconds.
static void print_time(char *out, double us) {
    snprintf(out, CELL, "%.*f", us < 1e5 ? 2 : us < 1e8 ? 1 : 0, us);
}

static void fill_cells(char cells[COLUMNS][CELL], const SheetRow *r) {
    snprintf(cells[SIZE], CELL, "%lld", (long long)r->bytes);
    snprintf(cells[COUNT], CELL, "%lld", (long long)r->count);
    snprintf(cells[TYPE], CELL, "float");
    snprintf(cells[ALGORITHM], CELL, "%s", nccl_algorithm_name(r->price.algorithm));
    snprintf(cells[PROTOCOL], CELL, "%s", nccl_protocol_name(r->price.protocol));
    print_time(cells[TIME], r->us);
    snprintf(cells[ALGBW], CELL, "%.2f", r->algbw);
    snprintf(cells[BUSBW], CELL, "%.2f", r->busbw);
    print_time(cells[MEASURED], r->measured_us);
    snprintf(cells[MEASURED_BUSBW], CELL, "%.2f", r->measured_busbw);
    snprintf(cells[ERROR], CELL, "%+.1f%%", 100 * r->error);
}

static int total_width(const Place places[COLUMNS]) {
    int total = 0;
    for (int c = 0; c < COLUMNS; c++)
        if (places[c].width) total += places[c].gap + places[c].width;
    return total;
}

static void widen(Place places[COLUMNS], const Sheet *s) {
    char cells[COLUMNS][CELL];
    for (int i = 0; i < s->row_count; i++) {
        fill_cells(cells, &s->rows[i]);
        for (int c = 0; c < COLUMNS; c++) {
            int width = (int)strlen(cells[c]);
            if (places[c].width && width > places[c].width) places[c].width = width;
        }
    }
}

// Where lines are short, first gaps and heads get smaller; then columns go, first those that
// others tell, too.
static void choose_places(Place places[COLUMNS], const Sheet *s, int width) {
    static const Place
        plain[COLUMNS] = {[SIZE] = {"size", 0, 11},        [COUNT] = {"count", 1, 11},
                          [TYPE] = {"type", 2, 5},         [ALGORITHM] = {"algorithm", 1, 13},
                          [PROTOCOL] = {"protocol", 1, 8}, [TIME] = {"time us", 1, 10},
                          [ALGBW] = {"algbw", 1, 7},       [BUSBW] = {"busbw", 1, 7}},
        compared[COLUMNS] = {[SIZE] = {"size", 0, 11},           [ALGORITHM] = {"algorithm", 2, 13},
                             [PROTOCOL] = {"proto", 1, 6},       [TIME] = {"time us", 1, 10},
                             [BUSBW] = {"busbw", 1, 7},          [MEASURED] = {"measured", 1, 10},
                             [MEASURED_BUSBW] = {"busbw", 1, 7}, [ERROR] = {"error", 1, 7}};
    static const Column dispensable[] = {TYPE,  COUNT,          PROTOCOL, ALGORITHM,
                                         ALGBW, MEASURED_BUSBW, BUSBW,    MEASURED};
    memcpy(places, s->measured ? compared : plain, COLUMNS * sizeof *places);
    widen(places, s);
    for (int c = 0; c < COLUMNS && total_width(places) > width; c++)
        if (places[c].gap > 1) places[c].gap = 1;
    if (total_width(places) > width && !s->measured)
        places[PROTOCOL] = (Place){"proto", 1, 6};  // the longest is Simple
    for (size_t i = 0; i < sizeof dispensable / sizeof *dispensable; i++)
        if (total_width(places) > width) places[dispensable[i]].width = 0;
}

static void print_cell(const Place *p, const char *text) {
    if (p->width) printf("%*s", p->gap + p->width, text);
}

static void print_rows(const Sheet *s, int width) {
    Place places[COLUMNS];
    char cells[COLUMNS][CELL];
    choose_places(places, s, width);
    for (int c = 0; c < COLUMNS; c++) print_cell(&places[c], places[c].head);
    putchar('\n');
    for (int i = 0; i < s->row_count; i++) {
        fill_cells(cells, &s->rows[i]);
        for (int c = 0; c < COLUMNS; c++) print_cell(&places[c], cells[c]);
        putchar('\n');
    }
}

static void print_title(const Sheet *s, int width) {
    SweepPhrases title = {width, 0};
    sweep_phrase(&title, "%s on %d device%s of %s, %d node%s: NCCL's model",
                 collective_name(s->kind), s->ranks, s->ranks == 1 ? "" : "s", s->machine->name,
                 s->nodes, s->nodes == 1 ? "" : "s");
    sweep_phrase(&title, "[simulated]");
    putchar('\n');
}

static void print_end(const Sheet *s, int width) {
    char size[UNITS_TEXT], text[CELL * 4] = "time: of one call; algbw: bytes / time, "
                                            "busbw: what a link carries of it, GB/s";
    int rows = s->row_count;
    if (s->measured)
        snprintf(text, sizeof text, "%d row%s: mean error %.1f %%, at most %+.1f %% at %s", rows,
                 rows == 1 ? "" : "s", 100 * s->errors / rows, 100 * s->worst,
                 units_print_size(size, s->worst_bytes));
    sweep_print_words(width, 0, text);
}

void sim_collective_table(const Sheet *s, int width) {
    print_title(s, width);
    if (s->refused) {
        fputs("  ", stdout);
        sweep_print_not_for(width, 2, s->ranks, true, s->refused);
        return;
    }
    print_rows(s, width);
    print_end(s, width);
}
