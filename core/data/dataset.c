// SPDX-License-Identifier: MIT
// Finds out what a data set is; idx_set.c, cifar.c and corpus.c open files, digits.c and
// sentences.c make up data, dataset_gather.c loads samples.
#include "core/data/dataset.h"

#include "core/base/nearest.h"
#include "core/base/rng.h"
#include "core/base/units.h"
#include "core/data/cifar.h"
#include "core/data/digits.h"
#include "core/data/idx_set.h"
#include "core/data/masking.h"
#include "core/data/sentences.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

// --- what is made here: "digits[:count=N,seed=S]", "text[:count=N,seed=S]"

typedef struct {
    const char *what;
    int64_t count, seed;
} Made;

static Status parse_option(Made *m, const char *text, int length) {
    char key[32], value[32] = "";
    int name = (int)strcspn(text, "=,");
    snprintf(key, sizeof key, "%.*s", name, text);
    if (name < length) snprintf(value, sizeof value, "%.*s", length - name - 1, text + name + 1);
    bool is_count = !strcmp(key, "count");
    if (!is_count && strcmp(key, "seed")) {
        Nearest n = {.word = key};
        nearest_offer(&n, "count");
        nearest_offer(&n, "seed");
        FAIL(ERR_USAGE, "--data %s: unknown parameter '%s'%s%s; there are count=N and seed=S",
             m->what, key, n.best ? ", did you mean " : "", n.best ? n.best : "");
    }
    if (units_parse_count(is_count ? &m->count : &m->seed, value) != OK)
        FAIL(ERR_USAGE, "--data %s: %s: %s", m->what, key, status_message());
    if (m->count < 1 || m->count > INT32_MAX)
        FAIL(ERR_USAGE, "--data %s: count must be 1 to %d, not %s", m->what, INT32_MAX, value);
    return OK;
}

// Parameters over what `m` holds; the source's full name, in the arena.
static Status parse_made(Made *m, Arena *a, const char *parameters, const char **source) {
    for (const char *p = parameters; *p;) {
        int length = (int)strcspn(p, ",");
        TRY(parse_option(m, p, length));
        p += length + (p[length] == ',');
    }
    char name[64];
    snprintf(name, sizeof name, "%s:count=%lld,seed=%lld", m->what, (long long)m->count,
             (long long)m->seed);
    *source = arena_string(a, name);
    if (!*source) FAIL(ERR_MEMORY, "%s: out of memory", name);
    return OK;
}

static Status read_digits(Dataset *out, Arena *a, const char *parameters, bool draw,
                          const DatasetProgress *progress) {
    Made m = {"digits", DIGITS_COUNT, DIGITS_SEED};
    const char *source;
    TRY(parse_made(&m, a, parameters, &source));
    if (draw)
        TRY(digits_make(out, a, m.count, (uint64_t)m.seed, progress));
    else
        *out = digits_describe(m.count);
    out->source = source;
    return OK;
}

// --- text

static Status make_text(Dataset *out, Arena *a, const char *parameters) {
    Made m = {"text", SENTENCES_COUNT, SENTENCES_SEED};
    const char *source;
    TRY(parse_made(&m, a, parameters, &source));
    char *text = ARENA_NEW(a, char, m.count);
    if (!text) FAIL(ERR_MEMORY, "%s: out of memory", source);
    sentences_write(text, (size_t)m.count, (uint64_t)m.seed);
    *out = (Dataset){.source = source};
    return corpus_from(&out->text, a, text, (size_t)m.count, source, TOKENS_CHARACTERS);
}

// "FILE", "FILE,tokens=bytes". A file's name may have commas.
static Status read_text(Dataset *out, Arena *a, const char *spec) {
    static const char *const ends[] = {",tokens=characters", ",tokens=bytes"};
    char path[PATH_MAX];
    Tokens tokens = TOKENS_CHARACTERS;
    size_t length = strlen(spec);
    const char *option = strstr(spec, ",tokens=");
    if (option) length = (size_t)(option - spec);
    if (option && !strcmp(option, ends[TOKENS_BYTES]))
        tokens = TOKENS_BYTES;
    else if (option && strcmp(option, ends[TOKENS_CHARACTERS]))
        FAIL(ERR_USAGE, "--data text: tokens are characters or bytes, not \"%s\"",
             option + strlen(",tokens="));
    if (length >= sizeof path) FAIL(ERR_INPUT, "%.80s...: %s", spec, strerror(ENAMETOOLONG));
    snprintf(path, sizeof path, "%.*s", (int)length, spec);
    *out = (Dataset){.source = arena_string(a, spec)};
    if (!out->source) FAIL(ERR_MEMORY, "%s: out of memory", path);
    return corpus_read(&out->text, a, path, tokens);
}

static Status read_dataset(Dataset *out, Arena *a, const char *spec, bool draw,
                           const DatasetProgress *progress) {
    if (!strcmp(spec, "digits")) return read_digits(out, a, "", draw, progress);
    if (!strncmp(spec, "digits:", 7)) return read_digits(out, a, spec + 7, draw, progress);
    if (!strcmp(spec, "text")) return make_text(out, a, "");
    if (!strncmp(spec, "text:count=", 11) || !strncmp(spec, "text:seed=", 10))
        return make_text(out, a, spec + 5);
    if (!strncmp(spec, "text:", 5)) return read_text(out, a, spec + 5);
    if (!strncmp(spec, "cifar10:", 8)) return cifar_open(out, a, spec + 8);
    return idx_set_open(out, a, spec);
}

static Status read_or_close(Dataset *out, Arena *a, const char *spec, bool draw,
                            const DatasetProgress *progress) {
    *out = (Dataset){0};
    Status s = read_dataset(out, a, spec, draw, progress);
    if (s != OK) dataset_finish(out);
    return s;
}

Status dataset_read(Dataset *out, Arena *a, const char *spec) {
    return dataset_read_watched(out, a, spec, NULL);
}

Status dataset_read_watched(Dataset *out, Arena *a, const char *spec,
                            const DatasetProgress *progress) {
    return read_or_close(out, a, spec, true, progress);
}

Status dataset_describe(Dataset *out, Arena *a, const char *spec) {
    return read_or_close(out, a, spec, false, NULL);
}

void dataset_add(Dataset *d, const DatasetPart *part) {
    d->parts[d->part_count++] = *part;
    d->count += part->count;
}

void dataset_finish(Dataset *d) {
    corpus_finish(&d->text);
    for (int i = 0; i < d->part_count; i++) {
        data_file_close(&d->parts[i].files[0]);
        data_file_close(&d->parts[i].files[1]);
    }
    *d = (Dataset){0};
}

Status dataset_cut(Dataset *d, int64_t window, double test_fraction) {
    TRY(corpus_cut(&d->text, window, test_fraction, d->source));
    int64_t count = d->text.train_windows + d->text.test_windows;
    if (count > INT32_MAX)
        FAIL(ERR_USAGE,
             "%s: expected at most %d windows, found %lld of %lld tokens; make them longer",
             d->source, INT32_MAX, (long long)count, (long long)window);
    d->count = count;
    d->train_count = d->text.train_windows;
    return OK;
}

// A model that knows fewer tokens than the text has.
static Status check_tokens(const Dataset *d, int64_t vocabulary, const char *who) {
    const Corpus *c = &d->text;
    if (d->masked && vocabulary <= masking_token(c))
        FAIL(ERR_SHAPE,
             "%s: its %d tokens and [MASK] need a vocabulary of %d or more, and %s has one of "
             "%lld; give vocabulary=%d",
             d->source, c->vocabulary, c->vocabulary + 1, who, (long long)vocabulary,
             c->vocabulary + 1);
    int64_t at = vocabulary < c->vocabulary ? corpus_find_token(c, (int)vocabulary) : -1;
    char token[CORPUS_TOKEN];
    if (at < 0) return OK;
    FAIL(ERR_SHAPE,
         "%s: token %lld: expected one of 0 to %lld (%s has a vocabulary of %lld), found %d (%s); "
         "the text has %d different tokens",
         d->source, (long long)at, (long long)vocabulary - 1, who, (long long)vocabulary,
         corpus_token(c, at), corpus_describe(c, corpus_token(c, at), token), c->vocabulary);
}

// Digits that are only described have no labels in memory, but known ones.
static int label_of(const DatasetPart *p, int64_t i) {
    return p->labels ? p->labels[i * p->label_step] : digits_label((uint32_t)i);
}

static Status check_part(const Dataset *d, const DatasetPart *p, int64_t classes, const char *who) {
    bool all = p->labels || p->count < DIGITS_CLASSES;  // digits repeat after their classes
    for (int64_t i = 0; i < (all ? p->count : DIGITS_CLASSES); i++) {
        int label = label_of(p, i);
        if (label < classes) continue;
        if (!p->path)
            FAIL(ERR_SHAPE, "%s tells %lld classes apart, sample %lld of %s has the label %d", who,
                 (long long)classes, (long long)i, d->source, label);
        FAIL(ERR_SHAPE,
             "%s: byte %lld: expected a label of 0 to %lld (%s tells %lld classes apart), found %d",
             p->path, (long long)(p->label_offset + i * p->label_step), (long long)classes - 1, who,
             (long long)classes, label);
    }
    return OK;
}

Status dataset_check_labels(const Dataset *d, int64_t classes, const char *who) {
    if (dataset_is_text(d)) return check_tokens(d, classes, who);
    for (int k = 0; k < d->part_count; k++) TRY(check_part(d, &d->parts[k], classes, who));
    return OK;
}

// --- training and testing rows

Status dataset_split(Split *out, Arena *a, const Dataset *d, double test_fraction, uint64_t seed) {
    if (!(test_fraction >= 0 && test_fraction < 1))
        FAIL(ERR_USAGE, "--test-fraction must be at least 0 and below 1, not %g", test_fraction);
    int64_t testing = d->train_count ? d->count - d->train_count
                                     : (int64_t)((double)d->count * test_fraction + 0.5);
    if (testing >= d->count)
        FAIL(ERR_USAGE, "--test-fraction %g of %lld samples leaves none for training",
             test_fraction, (long long)d->count);
    int32_t *rows = ARENA_NEW(a, int32_t, d->count);
    if (!rows) FAIL(ERR_MEMORY, "%s: out of memory for %lld rows", d->source, (long long)d->count);
    for (int64_t i = 0; i < d->count; i++) rows[i] = (int32_t)i;
    Rng r;
    rng_init(&r, seed, RNG_SPLIT, 0, 0);
    if (!d->train_count) rng_shuffle(&r, rows, d->count);
    *out = (Split){.train = rows,
                   .test = rows + d->count - testing,
                   .train_count = d->count - testing,
                   .test_count = testing};
    return OK;
}
