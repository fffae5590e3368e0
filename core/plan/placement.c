// SPDX-License-Identifier: MIT
// Placements and their texts. What operations make of placements: placement_rules.h.
#include "core/plan/placement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const letters[] = {
#define X(constant, letter, text) letter,
    PLACE_LIST(X)
#undef X
};
static const char *const cuts[] = {"contiguous", "zigzag", "interleaved", "flat"};

bool placement_equal(Placement a, Placement b) { return !memcmp(&a, &b, sizeof a); }

bool placement_is_partial(Placement p) {
    return p.place == PLACE_PARTIAL_SUM || p.place == PLACE_PARTIAL_MAX || p.terms;
}

Placement placement_summed(Placement p) {
    p.from = p.terms = 0;
    return p;
}

bool placements_are_flat(const Placement placement[], int axis_count) {
    for (int a = 0; a < axis_count; a++)
        if (placement[a].place == PLACE_SHARD && placement[a].cut == CUT_FLAT) return true;
    return false;
}

static bool cut_has_block(int cut) { return cut == CUT_INTERLEAVED || cut == CUT_FLAT; }

const char *placement_text(Placement p, char out[PLACEMENT_TEXT]) {
    char dim[8] = "", cut[16] = "", block[16] = "", shift[16] = "", terms[24] = "";
    if (p.place == PLACE_SHARD) {
        if (p.cut != CUT_FLAT) snprintf(dim, sizeof dim, "%d", p.dim);
        if (p.cut != CUT_CONTIGUOUS) snprintf(cut, sizeof cut, ":%s", cuts[p.cut]);
        if (cut_has_block(p.cut)) snprintf(block, sizeof block, "/%d", (int)p.block);
    }
    if (p.place == PLACE_ONLY && p.block) snprintf(block, sizeof block, ":%d", (int)p.block - 1);
    if (p.shift) snprintf(shift, sizeof shift, "@%d", (int)p.shift);
    if (p.terms) snprintf(terms, sizeof terms, ":sum%d-%d", p.from, p.from + p.terms - 1);
    snprintf(out, PLACEMENT_TEXT, "%s%s%s%s%s%s%s", letters[p.place], dim, cut, block,
             p.inner ? ":inner" : "", shift, terms);
    return out;
}

// The number that ends the text, from `least` on; false when there is another text.
static bool read_block(const char *text, int least, int32_t *out) {
    char *end;
    if (*text < '0' || *text > '9') return false;
    long long value = strtoll(text, &end, 10);
    *out = (int32_t)value;
    return !*end && value >= least && value < INT32_MAX;
}

// "zigzag", "interleaved/3", "flat/4096"
static bool read_cut(char *text, Placement *out) {
    char *block = strchr(text, '/');
    if (block) *block++ = '\0';
    for (out->cut = CUT_ZIGZAG; strcmp(text, cuts[out->cut]);)
        if (++out->cut == CUT_COUNT) return false;
    return cut_has_block(out->cut) ? block && read_block(block, 1, &out->block) : !block;
}

// The last word, ":sum0-1"; cut off.
static bool read_terms(char *text, Placement *out) {
    int from, last;
    char *word = strstr(text, ":sum"), end;
    if (!word) return true;
    *word = '\0';
    if (word[4] < '0' || word[4] > '9') return false;
    if (sscanf(word + 4, "%5d-%5d%c", &from, &last, &end) != 2 || last < from || last > INT16_MAX)
        return false;
    out->from = (int16_t)from;
    out->terms = (int16_t)(last - from + 1);
    return true;
}

// The word before that, "@2"; cut off.
static bool read_shift(char *text, Placement *out) {
    char *word = strchr(text, '@');
    if (!word) return true;
    *word = '\0';
    return read_block(word + 1, 1, &out->shift);
}

// What follows the S: "1", "1:zigzag:inner", "1@2:sum0-1", ":flat/4096".
static bool read_shard(char *text, Placement *out) {
    *out = PLACEMENT_SHARD(0);
    if (!read_terms(text, out) || !read_shift(text, out)) return false;
    bool dim = *text >= '0' && *text <= '3';
    if (dim) out->dim = (uint8_t)(*text++ - '0');
    char *end = text + strlen(text) - strlen(":inner");
    if (end >= text && !strcmp(end, ":inner")) {
        out->inner = 1;
        *end = '\0';
    }
    if (*text && (*text != ':' || !read_cut(text + 1, out))) return false;
    return dim == (out->cut != CUT_FLAT) && (dim || (!out->shift && !out->terms));
}

bool placement_parse(const char *text, Placement *out) {
    char copy[PLACEMENT_TEXT];
    *out = (Placement){0};
    if (*text == 'S') {
        int length = snprintf(copy, sizeof copy, "%s", text + 1);
        return length < PLACEMENT_TEXT && read_shard(copy, out);
    }
    if (!strncmp(text, "O:", 2)) {
        int32_t coordinate;
        bool read = read_block(text + 2, 0, &coordinate);
        if (read) *out = PLACEMENT_AT(coordinate);
        return read;
    }
    for (out->place = 0; strcmp(text, letters[out->place]);)
        if (++out->place == PLACE_COUNT) return false;
    return true;
}
