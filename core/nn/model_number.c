// SPDX-License-Identifier: MIT
// Numbers of model files: digits, parameters that a $ names, products and quotients of these,
// and reals.
#include "core/base/nearest.h"
#include "core/base/text.h"
#include "core/nn/model_internal.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAIL_LINE(s, fmt, ...) FAIL((s), "%s:%d: " fmt, n->in->source, n->in->line, __VA_ARGS__)

// " (did you mean conv2d?)", or nothing.
static const char *suggestion(const Nearest *near, char out[64]) {
    out[0] = 0;
    if (near->best) snprintf(out, 64, " (did you mean %s?)", near->best);
    return out;
}

// --- words and numbers

static bool parse_number(const char *word, int64_t *out) {
    int64_t value = 0;
    for (const char *c = word; *c; c++) {
        if (!isdigit((unsigned char)*c) || (value = 10 * value + (*c - '0')) > MODEL_NUMBER_MAX)
            return false;
    }
    *out = value;
    return *word;
}

// A whole number of at least `least`, or the parameter that a $ names.
static Status read_factor(const ModelNumbers *n, const char *what, const char *word, int64_t least,
                          int64_t *out) {
    if (*word == '$') {
        Nearest near = {.word = word + 1};
        for (int i = 0; i < n->count; i++) {
            const ModelNumber *p = &n->numbers[i];
            if (!p->known) continue;
            nearest_offer(&near, p->name);
            if (strcmp(p->name, word + 1)) continue;
            *out = p->value;
            if (*out < least)
                FAIL_LINE(ERR_FORMAT, "%s: %s is %lld, not at least %lld", what, word,
                          (long long)*out, (long long)least);
            return OK;
        }
        char near_text[64];
        FAIL_LINE(ERR_FORMAT, "%s: no parameter %.40s%s", what, word + 1,
                  suggestion(&near, near_text));
    }
    if (!parse_number(word, out) || *out < least)
        FAIL_LINE(ERR_FORMAT, "%s: expected a whole number from %lld to %lld, found \"%.40s\"",
                  what, (long long)least, (long long)MODEL_NUMBER_MAX, word);
    return OK;
}

// "($depth-2)/6": a parameter less a number, which the divisor must divide.
static Status read_less(const ModelNumbers *n, const char *what, const char *word, int64_t least,
                        int64_t *out) {
    char name[48];
    int minus, divisor, used = 0;
    int64_t value;
    if (sscanf(word, "(%47[^-]-%6d)/%6d%n", name, &minus, &divisor, &used) != 3 || word[used] ||
        minus < 0 || divisor < 1)
        FAIL_LINE(ERR_FORMAT, "%s: expected a number, or one as in ($depth-2)/6, found \"%.40s\"",
                  what, word);
    TRY(read_factor(n, what, name, 0, &value));
    int64_t first = minus + least * divisor;
    if (value < first || (value - minus) % divisor)
        FAIL_LINE(ERR_FORMAT, "%s: %s is %lld; it may be %lld, %lld, %lld and so on", what, name,
                  (long long)value, (long long)first, (long long)(first + divisor),
                  (long long)(first + 2 * (int64_t)divisor));
    *out = (value - minus) / divisor;
    return OK;
}

// What is so far, times the next factor or over it, where that is a whole number.
static Status combine(const ModelNumbers *n, const char *what, const char *word, bool divides,
                      int64_t factor, int64_t *value) {
    int64_t whole = *value;
    if (divides && whole % factor)
        FAIL_LINE(ERR_FORMAT, "%s: %.40s is no whole number: %lld = %lld × %lld + %lld", what, word,
                  (long long)whole, (long long)factor, (long long)(whole / factor),
                  (long long)(whole % factor));
    if (divides) *value = whole / factor;
    if (divides) return OK;
    if (__builtin_mul_overflow(whole, factor, value) || *value > MODEL_NUMBER_MAX)
        FAIL_LINE(ERR_FORMAT, "%s: %.40s is more than %lld", what, word,
                  (long long)MODEL_NUMBER_MAX);
    return OK;
}

// A factor, or products and quotients of them from the left: "4*$hidden", "$hidden/$heads"; or a
// parameter less a number, over another.
Status model_numbers_read(const ModelNumbers *n, const char *what, const char *word, int64_t least,
                          int64_t *out) {
    int64_t value = 1, factor;
    bool divides = false;
    if (*word == '(') return read_less(n, what, word, least, out);
    if (!strpbrk(word, "*/")) return read_factor(n, what, word, least, out);
    for (const char *at = word;; at++) {
        char text[64];
        size_t length = strcspn(at, "*/");
        snprintf(text, sizeof text, "%.*s", (int)length, at);
        TRY(read_factor(n, what, text, divides ? 1 : least, &factor));
        TRY(combine(n, what, word, divides, factor, &value));
        at += length;
        if (!*at) break;
        divides = *at == '/';
    }
    *out = value;
    return OK;
}

// "$capacity" or "$capacity/100".
static Status read_ratio(const ModelNumbers *n, const char *what, const char *word, double *out) {
    char name[64];
    size_t length = strcspn(word, "/");
    int64_t value, divisor = 1;
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    TRY(model_numbers_read(n, what, name, 1, &value));
    if (word[length]) TRY(model_numbers_read(n, what, word + length + 1, 1, &divisor));
    *out = (double)value / (double)divisor;
    return OK;
}

// "1e-5", "0.02", "0.02/sqrt(2*$layers)" or "$capacity/100".
Status model_numbers_read_real(const ModelNumbers *n, const char *what, const char *word,
                               double *out) {
    static const char root[] = "/sqrt(";
    if (*word == '$') return read_ratio(n, what, word, out);
    char *end, under[64];
    double value = strtod(word, &end);
    bool decimal = strspn(word, "0123456789.e+-") >= (size_t)(end - word);  // strtod takes more
    bool number = end != word && decimal && isdigit((unsigned char)*word);
    size_t length = strlen(end), head = sizeof root - 1;
    if (number && length > head + 1 && length - head <= sizeof under && !strncmp(end, root, head) &&
        end[length - 1] == ')') {
        int64_t divisor;
        memcpy(under, end + head, length - head - 1);
        under[length - head - 1] = '\0';
        TRY(model_numbers_read(n, what, under, 1, &divisor));
        value /= sqrt((double)divisor);
        end += length;
    }
    if (!number || *end || !isfinite(value) || value <= 0)
        FAIL_LINE(ERR_FORMAT,
                  "%s: expected a number above 0, or one divided as in 0.02/sqrt(2*$layers), found "
                  "\"%.40s\"",
                  what, word);
    *out = value;
    return OK;
}

// --- parameters

static ModelNumber *find_parameter(ModelNumbers *n, const char *name, size_t length) {
    for (int i = 0; i < n->count; i++) {
        ModelNumber *p = &n->numbers[i];
        if (strlen(p->name) == length && !memcmp(p->name, name, length)) return p;
    }
    return NULL;
}

// "hidden=256,layers=3": what the user gave.
Status model_numbers_give(ModelNumbers *n, const char *text) {
    while (*text) {
        size_t length = strcspn(text, ","), name = strcspn(text, "=,");
        char value[32];
        ModelNumber *p = &n->numbers[n->count];
        if (n->count == MODEL_NUMBERS)
            FAIL(ERR_USAGE, "%s: more than %d parameters", n->in->source, MODEL_NUMBERS);
        snprintf(value, sizeof value, "%.*s", name < length ? (int)(length - name - 1) : 0,
                 text + name + 1);
        if (name == length || name == 0 || name >= sizeof p->name ||
            !parse_number(value, &p->value))
            FAIL(ERR_USAGE, "%s: expected NAME=NUMBER, found \"%.*s\"", n->in->source,
                 (int)(length < 60 ? length : 60), text);
        if (find_parameter(n, text, name))
            FAIL(ERR_USAGE, "%s: parameter %.*s is given twice", n->in->source, (int)name, text);
        memcpy(p->name, text, name);
        n->count++;
        text += length + (text[length] == ',');
    }
    return OK;
}

Status model_numbers_add(ModelNumbers *n, const char *name, int64_t value) {
    ModelNumber *p = find_parameter(n, name, strlen(name));
    if (p && p->known) FAIL_LINE(ERR_FORMAT, "parameter %s is there twice", name);
    if (!p) {
        if (n->count == MODEL_NUMBERS)
            FAIL_LINE(ERR_FORMAT, "more than %d parameters", MODEL_NUMBERS);
        p = &n->numbers[n->count++];
        snprintf(p->name, sizeof p->name, "%s", name);
        p->value = value;
    }
    p->known = true;
    return OK;
}

// The user may only set what the file knows.
Status model_numbers_check(const ModelNumbers *n) {
    for (int i = 0; i < n->count; i++) {
        const ModelNumber *p = &n->numbers[i];
        if (p->known) continue;
        Nearest near = {.word = p->name};
        char near_text[64], list[256] = "";
        for (int k = 0; k < n->count; k++) {
            const ModelNumber *other = &n->numbers[k];
            if (!other->known) continue;
            nearest_offer(&near, other->name);
            text_append(list, sizeof list, "%s%s", *list ? ", " : "", other->name);
        }
        FAIL(ERR_USAGE, "%s: no parameter %s%s; it has %s", n->in->source, p->name,
             suggestion(&near, near_text), *list ? list : "none");
    }
    return OK;
}
