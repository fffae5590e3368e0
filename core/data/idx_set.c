// SPDX-License-Identifier: MIT
// Finds pairs of IDX files by their names: MNIST's, EMNIST's, or an images file with its labels
// beside it. Read idx_set_open() at the end first; idx.c opens a pair.
#include "core/data/idx_set.h"

#include "core/base/text.h"
#include "core/data/idx.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define WHAT_TO_DO "use --data digits (made here), or fetch MNIST with tools/get-mnist"

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

static Status add_pair(Dataset *d, Arena *a, const Pair *pair, const Idx *idx) {
    const DatasetPart part = {.images = idx->images,
                              .labels = idx->labels,
                              .count = idx->count,
                              .image_step = (int64_t)idx->height * idx->width,
                              .label_step = 1,
                              .path = arena_string(a, pair->labels),
                              .label_offset = idx_label_offset(0),
                              .files = {idx->images_file, idx->labels_file}};
    dataset_add(d, &part);
    if (!part.path) FAIL(ERR_MEMORY, "%s: out of memory", pair->labels);
    return OK;
}

// The second of two sets: it tests.
static Status check_second(const Dataset *d, const Pair *pairs, const Idx *test) {
    if (test->height != d->height || test->width != d->width)
        FAIL(ERR_FORMAT, "%s: byte 8: expected images of %d × %d as in %s, found %d × %d",
             pairs[1].images, d->height, d->width, pairs[0].images, test->height, test->width);
    if (d->count + test->count > INT32_MAX)
        FAIL(ERR_FORMAT, "%s: byte 4: expected at most %lld images beside those of %s, found %lld",
             pairs[1].images, (long long)(INT32_MAX - d->count), pairs[0].images,
             (long long)test->count);
    return OK;
}

static Status open_second(Dataset *d, Arena *a, const Pair *pairs) {
    Idx idx;
    TRY(idx_open(&idx, a, pairs[1].images, pairs[1].labels));
    Status s = check_second(d, pairs, &idx);
    if (s != OK) {
        idx_close(&idx);
        return s;
    }
    d->train_count = d->count;
    return add_pair(d, a, &pairs[1], &idx);
}

// One pair, or two: then the first is for training.
static Status open_pairs(Dataset *out, Arena *a, const Pair *pairs, int count, const char *source) {
    Idx idx;
    TRY(idx_open(&idx, a, pairs[0].images, pairs[0].labels));
    *out = (Dataset){
        .channels = 1, .height = idx.height, .width = idx.width, .source = arena_string(a, source)};
    TRY(add_pair(out, a, &pairs[0], &idx));
    if (!out->source) FAIL(ERR_MEMORY, "%s: out of memory", source);
    return count == 2 ? open_second(out, a, pairs) : OK;
}

// The only set of a directory: the files of MNIST, or one whose names have something before them.
static Status open_directory(Dataset *out, Arena *a, const char *directory) {
    char stem[PATH_MAX + PREFIX + 2], list[400] = "";
    Pair pairs[2];
    int count;
    snprintf(stem, sizeof stem, "%s/", directory);
    TRY(find_pairs(pairs, &count, stem));
    if (count) return open_pairs(out, a, pairs, count, directory);
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
    return open_pairs(out, a, pairs, count, directory);
}

// What is neither a file nor a directory may be the first part of the files' names.
static Status open_named(Dataset *out, Arena *a, const char *name, int error) {
    char stem[PATH_MAX + 1];
    Pair pairs[2];
    int count = 0;
    if (snprintf(stem, sizeof stem, "%s-", name) < PATH_MAX) TRY(find_pairs(pairs, &count, stem));
    if (!count) FAIL(ERR_INPUT, "%s: %s; %s", name, strerror(error), WHAT_TO_DO);
    return open_pairs(out, a, pairs, count, name);
}

Status idx_set_open(Dataset *out, Arena *a, const char *spec) {
    struct stat s;
    if (stat(spec, &s) != 0) return open_named(out, a, spec, errno);
    if (S_ISDIR(s.st_mode)) return open_directory(out, a, spec);
    Pair pair;
    TRY(find_labels(&pair, spec));
    return open_pairs(out, a, &pair, 1, spec);
}
