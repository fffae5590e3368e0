// SPDX-License-Identifier: MIT
// Opens the files of CIFAR-10 and checks every size and label; cifar.h says what the format is.
#include "core/data/cifar.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const files[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                    "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};
enum { FILES = sizeof files / sizeof *files };
_Static_assert((int)FILES <= (int)DATASET_PARTS, "each file is a part");

static Status check_file(const DataFile *f, const char *path) {
    int64_t records = f->length / CIFAR_RECORD, rest = f->length % CIFAR_RECORD;
    if (!f->length)
        FAIL(
            ERR_FORMAT,
            "%s: expected records of %d bytes, a label and 3 × 32 × 32 pixels, found an empty file",
            path, CIFAR_RECORD);
    if (rest)
        FAIL(ERR_FORMAT,
             "%s: byte %lld: the file ends within record %lld: expected records of %d bytes, a "
             "label and 3 × 32 × 32 pixels, found %lld; fetch it again",
             path, (long long)f->length, (long long)records, CIFAR_RECORD, (long long)rest);
    if (records > INT32_MAX)
        FAIL(ERR_FORMAT, "%s: expected at most %d records, found %lld", path, INT32_MAX,
             (long long)records);
    for (int64_t i = 0; i < f->length; i += CIFAR_RECORD)
        if (f->bytes[i] >= CIFAR_CLASSES)
            FAIL(ERR_FORMAT, "%s: byte %lld: expected a label of 0 to %d, found %d", path,
                 (long long)i, CIFAR_CLASSES - 1, f->bytes[i]);
    return OK;
}

static Status add_file(Dataset *d, Arena *a, const char *path) {
    DatasetPart part = {.image_step = CIFAR_RECORD, .label_step = CIFAR_RECORD};
    DataFile *f = &part.files[0];
    part.path = arena_string(a, path);
    if (!part.path) FAIL(ERR_MEMORY, "%s: out of memory", path);
    TRY(data_file_open(f, a, path));
    Status s = check_file(f, path);
    if (s != OK) {
        data_file_close(f);
        return s;
    }
    part.labels = f->bytes;
    part.images = f->bytes + 1;
    part.count = f->length / CIFAR_RECORD;
    dataset_add(d, &part);
    if (d->count <= INT32_MAX) return OK;
    FAIL(ERR_FORMAT, "%s: expected at most %d records in all files, found %lld", path, INT32_MAX,
         (long long)d->count);
}

static Status add_directory(Dataset *d, Arena *a, const char *directory) {
    for (int i = 0; i < FILES; i++) {
        char path[PATH_MAX];
        int length = snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        if (length >= PATH_MAX || access(path, F_OK) != 0)
            FAIL(ERR_INPUT,
                 "%.3000s/%s: no such file; CIFAR-10's binary version has data_batch_1.bin to "
                 "data_batch_5.bin and test_batch.bin (cifar-10-binary.tar.gz of "
                 "www.cs.toronto.edu/~kriz/cifar.html, unpacked)",
                 directory, files[i]);
        d->train_count = d->count;  // what came before the last one
        TRY(add_file(d, a, path));
    }
    return OK;
}

Status cifar_open(Dataset *out, Arena *a, const char *path) {
    char source[PATH_MAX + 16];
    struct stat s;
    snprintf(source, sizeof source, "cifar10:%s", path);
    *out = (Dataset){.channels = CIFAR_CHANNELS,
                     .height = CIFAR_SIDE,
                     .width = CIFAR_SIDE,
                     .source = arena_string(a, source)};
    if (!out->source) FAIL(ERR_MEMORY, "%s: out of memory", path);
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode) ? add_directory(out, a, path)
                                                     : add_file(out, a, path);
}
