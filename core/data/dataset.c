// SPDX-License-Identifier: MIT
// Finds out where a data set lies and reads it; idx.c and corpus.c read the files, digits.c and
// sentences.c make up data.
#include "core/data/dataset.h"

#include "core/base/bf16.h"
#include "core/base/nearest.h"
#include "core/base/rng.h"
#include "core/base/text.h"
#include "core/base/units.h"
#include "core/data/digits.h"
#include "core/data/idx.h"
#include "core/data/masking.h"
#include "core/data/sentences.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHAT_TO_DO "use --data digits (made here), or fetch MNIST with tools/get-mnist"

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

// --- IDX files

typedef struct {
    char images[PATH_MAX], labels[PATH_MAX];
} Pair;  // of files

static bool is_file(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && !S_ISDIR(s.st_mode);
}

// The first spelling of STEM"train-images-idx3-ubyte" that exists; STEM is "DIR/", or for a set of
// EMNIST "DIR/emnist-letters-".
static bool find_part(char out[PATH_MAX], const char *stem, const char *set, const char *what,
                      int dims) {
    static const char *const forms[] = {"%s%s-%s-idx%d-ubyte", "%s%s-%s-idx%d-ubyte.gz",
                                        "%s%s-%s.idx%d-ubyte", "%s%s-%s.idx%d-ubyte.gz"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (snprintf(out, PATH_MAX, forms[i], stem, set, what, dims) < PATH_MAX && is_file(out))
            return true;
    return false;
}

// The files of a set ("train", "t10k"); *found is false when there are none.
static Status find_pair(Pair *out, bool *found, const char *stem, const char *set) {
    bool images = find_part(out->images, stem, set, "images", 3);
    bool labels = find_part(out->labels, stem, set, "labels", 1);
    if (images != labels)
        FAIL(ERR_INPUT, "%s%s-%s-idx%d-ubyte[.gz]: expected it beside %s, found no such file", stem,
             set, images ? "labels" : "images", images ? 1 : 3, images ? out->images : out->labels);
    *found = images;
    return OK;
}

// The training pair, then the testing pair, which MNIST calls t10k and EMNIST test.
static Status find_pairs(Pair pairs[2], int *count, const char *stem) {
    static const char *const sets[] = {"train", "t10k", "test"};
    *count = 0;
    for (int i = 0; i < 3 && *count < 2; i++) {
        bool found = false;
        TRY(find_pair(&pairs[*count], &found, stem, sets[i]));
        *count += found;
    }
    return OK;
}

// --- a directory with sets whose files have a name before "train": EMNIST's

enum { PREFIXES = 16, PREFIX = 64 };
typedef struct {
    char names[PREFIXES][PREFIX];  // sorted: "emnist-digits", "emnist-letters"
    int count;
} Prefixes;

// Bytes of what stands before "-train-images-idx3-ubyte" and its kin; 0: it is no such name.
static size_t prefix_length(const char *name) {
    static const char *const middles[] = {"-train-images", "-t10k-images", "-test-images"};
    for (int i = 0; i < 3; i++) {
        const char *at = strstr(name, middles[i]);
        const char *end = at ? at + strlen(middles[i]) : "";
        if (!at || (*end != '-' && *end != '.')) continue;
        if (!strcmp(end + 1, "idx3-ubyte") || !strcmp(end + 1, "idx3-ubyte.gz"))
            return (size_t)(at - name);
    }
    return 0;
}

static void add_prefix(Prefixes *p, const char *name, size_t length) {
    char prefix[PREFIX];
    if (length == 0 || length >= PREFIX || p->count == PREFIXES) return;
    snprintf(prefix, sizeof prefix, "%.*s", (int)length, name);
    int at = 0;
    while (at < p->count && strcmp(p->names[at], prefix) < 0) at++;
    if (at < p->count && !strcmp(p->names[at], prefix)) return;
    memmove(p->names[at + 1], p->names[at], (size_t)(p->count - at) * PREFIX);
    memcpy(p->names[at], prefix, PREFIX);
    p->count++;
}

static void find_prefixes(Prefixes *out, const char *directory) {
    *out = (Prefixes){.count = 0};
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d));)
        add_prefix(out, e->d_name, prefix_length(e->d_name));
    if (d) closedir(d);
}

// --- a file of images

// "images" to "labels", "idx3" to "idx1" in the last part of a path; false when it has no "images".
static bool labels_name(char out[PATH_MAX], const char *images) {
    snprintf(out, PATH_MAX, "%s", images);
    char *base = strrchr(out, '/');
    base = base ? base + 1 : out;
    char *what = strstr(base, "images"), *dims = strstr(base, "idx3");
    if (what) memcpy(what, "labels", 6);
    if (dims) dims[3] = '1';
    return what != NULL;
}

// The labels file beside an images file, packed or not.
static Status find_labels(Pair *out, const char *images) {
    if (snprintf(out->images, PATH_MAX, "%s", images) >= PATH_MAX || strlen(images) + 4 > PATH_MAX)
        FAIL(ERR_INPUT, "%.80s...: %s", images, strerror(ENAMETOOLONG));
    if (!labels_name(out->labels, images))
        FAIL(ERR_INPUT,
             "%s: expected a directory, or a file named like train-images-idx3-ubyte with its "
             "labels beside it",
             images);
    if (is_file(out->labels)) return OK;
    char *end = out->labels + strlen(out->labels);
    if (end - out->labels > 3 && !strcmp(end - 3, ".gz"))
        end[-3] = '\0';
    else
        strcpy(end, ".gz");
    if (is_file(out->labels)) return OK;
    labels_name(out->labels, images);
    FAIL(ERR_INPUT, "%s: expected its labels in %s, found no such file", images, out->labels);
}

// Two sets that become one: training, then testing.
static Status join(Dataset *out, Arena *a, const Pair *pairs, const Idx *train, const Idx *test) {
    if (test->height != train->height || test->width != train->width)
        FAIL(ERR_FORMAT, "%s: byte 8: expected images of %d x %d as in %s, found %d x %d",
             pairs[1].images, train->height, train->width, pairs[0].images, test->height,
             test->width);
    int64_t count = train->count + test->count, size = (int64_t)train->height * train->width;
    if (count > INT32_MAX)
        FAIL(ERR_FORMAT, "%s: byte 4: expected at most %lld images beside those of %s, found %lld",
             pairs[1].images, (long long)(INT32_MAX - train->count), pairs[0].images,
             (long long)test->count);
    uint8_t *images = ARENA_NEW(a, uint8_t, count * size), *labels = ARENA_NEW(a, uint8_t, count);
    if (!images || !labels)
        FAIL(ERR_MEMORY, "%s: out of memory for %lld images", out->source, (long long)count);
    memcpy(images, train->images, (size_t)(train->count * size));
    memcpy(images + train->count * size, test->images, (size_t)(test->count * size));
    memcpy(labels, train->labels, (size_t)train->count);
    memcpy(labels + train->count, test->labels, (size_t)test->count);
    out->images = images;
    out->labels = labels;
    out->count = count;
    out->train_count = train->count;
    return OK;
}

// One pair, or two: then the first is for training.
static Status read_pairs(Dataset *out, Arena *a, const Pair *pairs, int count, const char *source) {
    Idx idx[2] = {0};
    for (int i = 0; i < count; i++) TRY(idx_read(&idx[i], a, pairs[i].images, pairs[i].labels));
    *out = (Dataset){.images = idx[0].images,
                     .labels = idx[0].labels,
                     .count = idx[0].count,
                     .height = idx[0].height,
                     .width = idx[0].width,
                     .source = arena_string(a, source)};
    if (!out->source) FAIL(ERR_MEMORY, "%s: out of memory", source);
    for (int i = 0; i < count; i++) {
        out->labels_path[i] = arena_string(a, pairs[i].labels);
        if (!out->labels_path[i]) FAIL(ERR_MEMORY, "%s: out of memory", source);
    }
    return count == 2 ? join(out, a, pairs, &idx[0], &idx[1]) : OK;
}

// The only set of a directory: the files of MNIST, or one whose names have something before them.
static Status read_directory(Dataset *out, Arena *a, const char *directory) {
    char stem[PATH_MAX + PREFIX + 2], list[400] = "";
    Pair pairs[2];
    int count;
    snprintf(stem, sizeof stem, "%s/", directory);
    TRY(find_pairs(pairs, &count, stem));
    if (count) return read_pairs(out, a, pairs, count, directory);
    Prefixes prefixes;
    find_prefixes(&prefixes, directory);
    if (!prefixes.count)
        FAIL(ERR_INPUT,
             "%s: expected train-images-idx3-ubyte[.gz] or t10k-images-idx3-ubyte[.gz] in it, "
             "found neither; " WHAT_TO_DO,
             directory);
    for (int i = 0; i < prefixes.count; i++)
        text_append(list, sizeof list, "%s%s", i ? ", " : "", prefixes.names[i]);
    if (prefixes.count > 1)
        FAIL(ERR_INPUT, "%s: found %d data sets in it; give one of them, as in --data %s/%s: %s",
             directory, prefixes.count, directory, prefixes.names[0], list);
    snprintf(stem, sizeof stem, "%s/%s-", directory, prefixes.names[0]);
    TRY(find_pairs(pairs, &count, stem));
    return read_pairs(out, a, pairs, count, directory);
}

// What is neither a file nor a directory may be the first part of the files' names.
static Status read_named(Dataset *out, Arena *a, const char *name, int error) {
    char stem[PATH_MAX + 1];
    Pair pairs[2];
    int count = 0;
    if (snprintf(stem, sizeof stem, "%s-", name) < PATH_MAX) TRY(find_pairs(pairs, &count, stem));
    if (!count) FAIL(ERR_INPUT, "%s: %s; %s", name, strerror(error), WHAT_TO_DO);
    return read_pairs(out, a, pairs, count, name);
}

static Status read_dataset(Dataset *out, Arena *a, const char *spec, bool draw,
                           const DatasetProgress *progress) {
    if (!strcmp(spec, "digits")) return read_digits(out, a, "", draw, progress);
    if (!strncmp(spec, "digits:", 7)) return read_digits(out, a, spec + 7, draw, progress);
    if (!strcmp(spec, "text")) return make_text(out, a, "");
    if (!strncmp(spec, "text:count=", 11) || !strncmp(spec, "text:seed=", 10))
        return make_text(out, a, spec + 5);
    if (!strncmp(spec, "text:", 5)) return read_text(out, a, spec + 5);
    struct stat s;
    if (stat(spec, &s) != 0) return read_named(out, a, spec, errno);
    if (S_ISDIR(s.st_mode)) return read_directory(out, a, spec);
    Pair pair;
    TRY(find_labels(&pair, spec));
    return read_pairs(out, a, &pair, 1, spec);
}

Status dataset_read(Dataset *out, Arena *a, const char *spec) {
    return dataset_read_watched(out, a, spec, NULL);
}

Status dataset_read_watched(Dataset *out, Arena *a, const char *spec,
                            const DatasetProgress *progress) {
    return read_dataset(out, a, spec, true, progress);
}

Status dataset_describe(Dataset *out, Arena *a, const char *spec) {
    return read_dataset(out, a, spec, false, NULL);
}

void dataset_finish(Dataset *d) {
    corpus_finish(&d->text);
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
static int label_of(const Dataset *d, int64_t i) {
    return d->labels ? d->labels[i] : digits_label((uint32_t)i);
}

Status dataset_check_labels(const Dataset *d, int64_t classes, const char *who) {
    if (dataset_is_text(d)) return check_tokens(d, classes, who);
    bool all = d->labels || d->count < DIGITS_CLASSES;  // digits repeat after their classes
    for (int64_t i = 0; i < (all ? d->count : DIGITS_CLASSES); i++) {
        if (label_of(d, i) < classes) continue;
        bool second = d->train_count && i >= d->train_count;
        const char *path = d->labels_path[second];
        if (!path)
            FAIL(ERR_SHAPE, "%s tells %lld classes apart, sample %lld of %s has the label %d", who,
                 (long long)classes, (long long)i, d->source, label_of(d, i));
        int64_t offset = idx_label_offset(second ? i - d->train_count : i);
        FAIL(ERR_SHAPE,
             "%s: byte %lld: expected a label of 0 to %lld (%s tells %lld classes apart), found %d",
             path, (long long)offset, (long long)classes - 1, who, (long long)classes,
             d->labels[i]);
    }
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

// --- loading

// The 256 pixels, normalised in double by the compiler and rounded once: the same on every machine.
#define PIXEL_1(x) (((x) / 255.0 - 0.1307) / 0.3081)
#define PIXEL_4(x) PIXEL_1(x), PIXEL_1(x + 1), PIXEL_1(x + 2), PIXEL_1(x + 3)
#define PIXEL_16(x) PIXEL_4(x), PIXEL_4(x + 4), PIXEL_4(x + 8), PIXEL_4(x + 12)
#define PIXEL_64(x) PIXEL_16(x), PIXEL_16(x + 16), PIXEL_16(x + 32), PIXEL_16(x + 48)
#define PIXEL_256 PIXEL_64(0), PIXEL_64(64), PIXEL_64(128), PIXEL_64(192)
static const double pixels_f64[256] = {PIXEL_256};
static const float pixels_f32[256] = {PIXEL_256};

static void gather_images(const Dataset *d, const int32_t *rows, int64_t n, Dtype dtype, void *x,
                          int32_t *y) {
    assert(dtype_is_real(dtype));
    int64_t size = (int64_t)d->height * d->width;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *image = d->images + rows[i] * size;
        if (x && dtype == DTYPE_F64)
            for (int64_t j = 0; j < size; j++) ((double *)x)[i * size + j] = pixels_f64[image[j]];
        else if (x && dtype == DTYPE_F32)
            for (int64_t j = 0; j < size; j++) ((float *)x)[i * size + j] = pixels_f32[image[j]];
        else if (x)
            for (int64_t j = 0; j < size; j++)
                ((Bf16 *)x)[i * size + j] = bf16_from_f32(pixels_f32[image[j]]);
        if (y) y[i] = d->labels[rows[i]];
    }
}

void dataset_gather(const Dataset *d, const int32_t *rows, int64_t n, Dtype dtype, DatasetTime time,
                    void *x, int32_t *y) {
    if (!dataset_is_text(d)) {
        gather_images(d, rows, n, dtype, x, y);
        return;
    }
    assert(dtype == DTYPE_I32);
    int64_t window = d->text.window;
    void (*gather)(const Corpus *, uint64_t, int64_t, int64_t, int32_t *, int32_t *) =
        d->masked ? masking_window : corpus_window;
    for (int64_t i = 0; i < n; i++)
        gather(&d->text, time.seed, time.epoch, rows[i], x ? (int32_t *)x + i * window : NULL,
               y ? y + i * window : NULL);
}

int64_t dataset_counted(const Dataset *d, const int32_t *rows, int64_t n, DatasetTime time) {
    if (!d->masked) return n * dataset_labels(d);
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += masking_count(&d->text, time.seed, time.epoch, rows[i]);
    return count;
}
