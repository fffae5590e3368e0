// SPDX-License-Identifier: MIT
// The value of one option: parsed from text into its field, and printed from there.
#include "core/base/nearest.h"
#include "core/base/text.h"
#include "core/cli/option_internal.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t option_field_bytes(const Option *o) {
    switch (o->kind) {
    case OPTION_HEADING: return 0;
    case OPTION_FLAG: return sizeof(bool);
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_DURATION: return sizeof(int64_t);
    case OPTION_REAL: return sizeof(double);
    case OPTION_STRING: return sizeof(const char *);
    case OPTION_SMALL:
    case OPTION_CHOICE:
    case OPTION_COUNT: return sizeof(int);
    case OPTION_LIST: return sizeof(IntList);
    case OPTION_PAIR: return 2 * sizeof(int64_t);
    case OPTION_FORM: return sizeof(OptionForm);
    }
    return 0;
}

char *option_print_bound(char out[UNITS_TEXT], const Option *o, double bound) {
    if (o->kind == OPTION_SIZE) return units_print_size(out, (int64_t)bound);
    if (o->kind == OPTION_DURATION) return units_print_duration(out, (int64_t)bound);
    snprintf(out, UNITS_TEXT, "%.15g", bound);
    return out;
}

static Status check_bounds(const Option *o, double value, const char *text) {
    if (!option_has_bounds(o) || (value >= o->min && value <= o->max)) return OK;
    char min[UNITS_TEXT], max[UNITS_TEXT];
    const char *what = value < o->min ? "small" : "large";
    if (isinf(o->max))
        FAIL(ERR_USAGE, "%.60s is too %s: give at least %s", text, what,
             option_print_bound(min, o, o->min));
    if (isinf(o->min))
        FAIL(ERR_USAGE, "%.60s is too %s: give at most %s", text, what,
             option_print_bound(max, o, o->max));
    FAIL(ERR_USAGE, "%.60s is too %s: give %s to %s", text, what,
         option_print_bound(min, o, o->min),
         option_print_bound(max, o, option_most(o)));
}

static Status set_int(int64_t *out, const Option *o, const char *text) {
    int64_t value = 0;
    bool negative = text[0] == '-' && isdigit((unsigned char)text[1]);
    TRY(units_parse_count(&value, text + negative));
    if (negative) value = -value;
    TRY(check_bounds(o, (double)value, text));
    *out = value;
    return OK;
}

static Status set_small(int *out, const Option *o, const char *text) {
    int64_t value = 0;
    TRY(set_int(&value, o, text));
    *out = (int)value;
    return OK;
}

static Status set_real(double *out, const Option *o, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (*end == '%' && end > text) {
        value /= 100;
        end++;
    }
    if (end == text || *end || !isfinite(value) || isspace((unsigned char)*text))
        FAIL(ERR_USAGE, "\"%.60s\" is not a number: give one such as 0.01, 1e-2 or 1%%", text);
    TRY(check_bounds(o, value, text));
    *out = value;
    return OK;
}

// What a word of other programs is among these: empty when it is not built, NULL when unknown.
static const char *word_of_others(char out[32], const Option *o, const char *text) {
    size_t length = strlen(text);
    for (const char *s = o->others; s && *s; s += strcspn(s, " "), s += *s == ' ') {
        if (strncasecmp(s, text, length) != 0 || s[length] != '=') continue;
        const char *here = s + length + 1;
        snprintf(out, 32, "%.*s", (int)strcspn(here, " "), here);
        return out;
    }
    return NULL;
}

static Status set_choice(int *out, const Option *o, const char *text) {
    char words[256], lower[64];
    snprintf(words, sizeof words, "%s", o->value);
    snprintf(lower, sizeof lower, "%s", text);
    for (char *c = lower; *c; c++) *c = (char)tolower((unsigned char)*c);
    Nearest near = {.word = lower};
    char *rest = words;
    for (int i = 0; rest; i++) {
        char *word = strsep(&rest, "|");
        word[strcspn(word, "[")] = '\0';
        if (strcmp(word, text) == 0) {
            *out = i;
            return OK;
        }
        nearest_offer(&near, word);
    }
    char list[512] = "";
    for (size_t i = 0, n = 0; o->value[i] && n + 3 < sizeof list; i++) {
        list[n++] = o->value[i] == '|' ? ',' : o->value[i];
        if (o->value[i] == '|') list[n++] = ' ';
    }
    char other[32];
    const char *meant = word_of_others(other, o, text);
    bool one = !strchr(o->value, '|');
    if (meant && !*meant)
        FAIL(ERR_USAGE, "%.60s is not built: there %s %s", text, one ? "is" : "are", list);
    if (meant) near.best = meant;
    if (!near.best) FAIL(ERR_USAGE, "\"%.60s\" is not one of %s", text, list);
    FAIL(ERR_USAGE, "\"%.60s\" is not one of %s (did you mean %s?)", text, list, near.best);
}

// The word of a choice or a form, and what follows it.
static const char *word_of(const Option *o, int index, int *length) {
    const char *word = o->value;
    for (; index > 0; index--) word += strcspn(word, "|") + 1;
    *length = (int)strcspn(word, "|[");
    return word;
}

static Status set_form(OptionForm *out, const Option *o, const char *text) {
    char word[64];
    OptionForm form = {0};
    size_t length = strcspn(text, ":");
    int known;
    snprintf(word, sizeof word, "%.*s", (int)length, text);
    TRY(set_choice(&form.word, o, length < sizeof word ? word : text));
    const char *pattern = word_of(o, form.word, &known);
    if (text[length] && pattern[known] != '[')
        FAIL(ERR_USAGE, "\"%.60s\": %s takes no number", text, word);
    if (text[length]) TRY(set_real(&form.number, o, text + length + 1));
    if (text[length] && !(form.number > 0))
        FAIL(ERR_USAGE, "\"%.60s\": the number is above 0; without one there is a default", text);
    *out = form;
    return OK;
}

static Status set_list(IntList *out, const Option *o, const char *text) {
    IntList list;
    TRY(units_parse_list(&list, text));
    for (int i = 0; i < list.count; i++) {
        char item[UNITS_TEXT];
        snprintf(item, sizeof item, "%lld", (long long)list.items[i]);
        TRY(check_bounds(o, (double)list.items[i], item));
    }
    *out = list;
    return OK;
}

static Status set_pair(int64_t *out, const Option *o, const char *text) {
    IntList list = {0};
    TRY(set_list(&list, o, text));
    if (list.count != 2)
        FAIL(ERR_USAGE, "\"%.60s\" is not two numbers: give %s, such as %s", text, o->value,
             o->initial ? o->initial : "1,2");
    for (int i = 0; i < 2; i++) out[i] = list.items[i] * o->unit;
    return OK;
}

static Status set_quantity(int64_t *out, const Option *o, const char *text) {
    int64_t value;
    TRY(o->kind == OPTION_SIZE ? units_parse_size(&value, text)
                               : units_parse_duration(&value, text, o->bare_ps));
    TRY(check_bounds(o, (double)value, text));
    *out = value;
    return OK;
}

Status option_set(const Option *o, void *values, const char *text) {
    void *field = (char *)values + o->at;
    switch (o->kind) {
    case OPTION_HEADING: return OK;
    case OPTION_FLAG: *(bool *)field = strcmp(text, "yes") == 0; return OK;
    case OPTION_COUNT: ++*(int *)field; return OK;
    case OPTION_INT: return set_int(field, o, text);
    case OPTION_SMALL: return set_small(field, o, text);
    case OPTION_REAL: return set_real(field, o, text);
    case OPTION_STRING: *(const char **)field = text; return OK;
    case OPTION_CHOICE: return set_choice(field, o, text);
    case OPTION_SIZE:
    case OPTION_DURATION: return set_quantity(field, o, text);
    case OPTION_LIST: return set_list(field, o, text);
    case OPTION_PAIR: return set_pair(field, o, text);
    case OPTION_FORM: return set_form(field, o, text);
    }
    return OK;
}

Status option_set_defaults(const Option *rows, int count, void *values) {
    for (const Option *o = rows; o < rows + count; o++) {
        memset((char *)values + o->at, 0, option_field_bytes(o));
        if (o->initial && option_set(o, values, o->initial) != OK)
            FAIL(ERR_USAGE, "default of --%s: %s", o->name, status_message());
    }
    return OK;
}

// --- printing

static void print_list(char out[OPTION_VALUE], const int64_t *items, int count, int64_t unit) {
    *out = '\0';
    for (int i = 0; i < count; i++)
        text_append(out, OPTION_VALUE, "%s%lld", i ? "," : "", (long long)(items[i] / unit));
}

static void print_choice(char out[OPTION_VALUE], const Option *o, int index) {
    int length;
    const char *word = word_of(o, index, &length);
    snprintf(out, OPTION_VALUE, "%.*s", length, word);
}

static void print_form(char out[OPTION_VALUE], const Option *o, const OptionForm *form) {
    char number[UNITS_TEXT];
    print_choice(out, o, form->word);
    if (form->number > 0)
        text_append(out, OPTION_VALUE, ":%s", units_print_real(number, form->number));
}

char *option_print_value(char out[OPTION_VALUE], const Option *o, const void *values) {
    const void *field = (const char *)values + o->at;
    const IntList *list = field;
    const char *const *string = field;
    *out = '\0';
    switch (o->kind) {
    case OPTION_HEADING: break;
    case OPTION_FLAG: snprintf(out, OPTION_VALUE, "%s", *(const bool *)field ? "yes" : "no"); break;
    case OPTION_SMALL:
    case OPTION_COUNT: snprintf(out, OPTION_VALUE, "%d", *(const int *)field); break;
    case OPTION_INT: snprintf(out, OPTION_VALUE, "%lld", (long long)*(const int64_t *)field); break;
    case OPTION_REAL: units_print_real(out, *(const double *)field); break;
    case OPTION_STRING: snprintf(out, OPTION_VALUE, "%s", *string ? *string : ""); break;
    case OPTION_CHOICE: print_choice(out, o, *(const int *)field); break;
    case OPTION_SIZE: units_print_size(out, *(const int64_t *)field); break;
    case OPTION_DURATION: units_print_duration(out, *(const int64_t *)field); break;
    case OPTION_LIST: print_list(out, list->items, list->count, 1); break;
    case OPTION_PAIR: print_list(out, field, 2, o->unit); break;
    case OPTION_FORM: print_form(out, o, field); break;
    }
    return out;
}
