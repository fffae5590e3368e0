// SPDX-License-Identifier: MIT
// Opens a pair of IDX files and checks every size; idx.h says what the format is.
#include "core/data/idx.h"

#include <stdio.h>

enum { GZIP = 0x1f8b };  // the first two bytes of gzip data

typedef struct {
    const char *path;
    const uint8_t *bytes;
    int64_t length;
} File;  // as a message names it

static uint32_t word_at(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static const char *magic_name(uint32_t magic) {
    if (magic == IDX_IMAGES) return " (IDX images)";
    return magic == IDX_LABELS ? " (IDX labels)" : "";
}

// Names two things that people save under the name of a data set: the error page of a web server,
// and an archive that was packed once more than its name says.
static Status check_magic(const File *f, uint32_t magic) {
    uint32_t found = word_at(f->bytes);
    if (found == magic) return OK;
    if (f->bytes[0] == '<')
        FAIL(
            ERR_FORMAT,
            "%s: byte 0: expected magic 0x%08x%s, found a web page (it begins with '<'): fetch the "
            "file again",
            f->path, magic, magic_name(magic));
    if (found >> 16 == GZIP)
        FAIL(ERR_FORMAT,
             "%s: byte 0: expected magic 0x%08x%s, found gzip data within gzip data: the file is "
             "packed twice, unpack it once with gunzip",
             f->path, magic, magic_name(magic));
    FAIL(ERR_FORMAT, "%s: byte 0: expected magic 0x%08x%s, found 0x%08x%s", f->path, magic,
         magic_name(magic), found, magic_name(found));
}

// Open a file and check its header: the magic number, then sizes, the first of them a count.
static Status open_file(File *f, DataFile *file, int64_t *count, Arena *a, const char *path,
                        uint32_t magic, int sizes) {
    TRY(data_file_open(file, a, path));
    *f = (File){.path = path, .bytes = file->bytes, .length = file->length};
    if (f->length >= 4) TRY(check_magic(f, magic));
    int header = 4 * (1 + sizes);
    if (f->length < header)
        FAIL(ERR_FORMAT,
             "%s: byte %lld: the file ends in its header: expected %d bytes, found %lld; fetch it "
             "again",
             path, (long long)f->length, header, (long long)f->length);
    *count = word_at(f->bytes + 4);
    if (*count < 1 || *count > INT32_MAX)
        FAIL(ERR_FORMAT, "%s: byte 4: expected a count of 1 to %d, found %lld", path, INT32_MAX,
             (long long)*count);
    return OK;
}

// The file must end after `bytes`.
static Status check_length(const File *f, int64_t bytes, const char *what) {
    if (f->length < bytes)
        FAIL(ERR_FORMAT,
             "%s: byte %lld: the file ends too early: expected %lld bytes for %s, found %lld; "
             "fetch it again",
             f->path, (long long)f->length, (long long)bytes, what, (long long)f->length);
    if (f->length > bytes)
        FAIL(ERR_FORMAT,
             "%s: byte %lld: expected the end of the file after %s, found %lld more bytes", f->path,
             (long long)bytes, what, (long long)(f->length - bytes));
    return OK;
}

static Status read_side(int *out, const File *f, int offset, const char *name) {
    uint32_t side = word_at(f->bytes + offset);
    if (side < 1 || side > IDX_SIDE)
        FAIL(ERR_FORMAT, "%s: byte %d: expected a %s of 1 to %d pixels, found %u", f->path, offset,
             name, IDX_SIDE, side);
    *out = (int)side;
    return OK;
}

static Status open_pair(Idx *idx, Arena *a, const char *images_path, const char *labels_path) {
    File images, labels;
    int64_t label_count;
    char what[96];
    TRY(open_file(&images, &idx->images_file, &idx->count, a, images_path, IDX_IMAGES, 3));
    TRY(read_side(&idx->height, &images, 8, "height"));
    TRY(read_side(&idx->width, &images, 12, "width"));
    snprintf(what, sizeof what, "%lld images of %d × %d", (long long)idx->count, idx->height,
             idx->width);
    TRY(check_length(&images, 16 + idx->count * idx->height * idx->width, what));
    TRY(open_file(&labels, &idx->labels_file, &label_count, a, labels_path, IDX_LABELS, 1));
    snprintf(what, sizeof what, "%lld labels", (long long)label_count);
    TRY(check_length(&labels, idx_label_offset(label_count), what));
    if (label_count != idx->count)
        FAIL(ERR_FORMAT,
             "%s: byte 4: expected %lld labels, as many as %s has images (its byte 4), found %lld",
             labels_path, (long long)idx->count, images_path, (long long)label_count);
    idx->images = images.bytes + 16;
    idx->labels = labels.bytes + idx_label_offset(0);
    return OK;
}

Status idx_open(Idx *out, Arena *a, const char *images_path, const char *labels_path) {
    *out = (Idx){0};
    Status s = open_pair(out, a, images_path, labels_path);
    if (s != OK) idx_close(out);
    return s;
}

void idx_close(Idx *idx) {
    data_file_close(&idx->images_file);
    data_file_close(&idx->labels_file);
    *idx = (Idx){0};
}
