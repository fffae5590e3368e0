// SPDX-License-Identifier: MIT
// Writing and reading. A header from a file is checked before any of it is used: sizes, places
// without gaps, types. Read safetensors_read() first: of a file the header is read, then tensor by
// tensor, so that memory holds the data once.
#include "core/data/safetensors.h"

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/data/safetensors_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "tensors are stored as they lie in memory");

enum { PREFIX = 8 };                       // bytes of the header's length
enum { HEADER_MOST = 100 * 1000 * 1000 };  // the format's own limit
static const char METADATA[] = "__metadata__";

// Their names for our types are ours, in capitals.
static const char *const dtypes[DTYPE_COUNT] = {
#define X(constant, name, bytes) [DTYPE_##constant] = #constant,
    DTYPE_LIST(X)
#undef X
};

const char *safetensors_dtype_name(Dtype d) { return dtypes[d]; }

int64_t safetensors_bytes(const SafetensorsEntry *e) {
    int64_t bytes = dtype_bytes(e->dtype);
    for (int i = 0; i < e->dims; i++) bytes *= e->shape[i];
    return bytes;
}

const SafetensorsEntry *safetensors_find(const Safetensors *s, const char *name) {
    for (int i = 0; i < s->count; i++)
        if (!strcmp(s->entries[i].name, name)) return &s->entries[i];
    return NULL;
}

const char *safetensors_text(const Safetensors *s, const char *key) {
    for (int i = 0; i < s->text_count; i++)
        if (!strcmp(s->texts[i].key, key)) return s->texts[i].value;
    return NULL;
}

// --- writing

// Wide types first, the caller's order within them.
static int by_width(const void *a, const void *b) {
    const SafetensorsEntry *x = *(const SafetensorsEntry *const *)a,
                           *y = *(const SafetensorsEntry *const *)b;
    int64_t wider = dtype_bytes(y->dtype) - dtype_bytes(x->dtype);
    return wider ? (wider > 0 ? 1 : -1) : (x > y) - (x < y);
}

static Status add_text(json_t *header, const char *path, const SafetensorsText *t) {
    json_t *texts = json_object_get(header, METADATA);
    if (json_object_get(texts, t->key))
        FAIL(ERR_FORMAT, "%s: the key '%s' is given twice", path, t->key);
    if (json_object_set_new(texts, t->key, json_string(t->value)) != 0)
        FAIL(ERR_FORMAT, "%s: key '%s': expected text in UTF-8, found '%s'", path, t->key,
             t->value);
    return OK;
}

static Status add_entry(json_t *header, const char *path, const SafetensorsEntry *e,
                        int64_t offset) {
    json_t *shape = json_array();
    for (int i = 0; i < e->dims; i++) json_array_append_new(shape, json_integer(e->shape[i]));
    json_t *value =
        json_pack("{s:s, s:o, s:[I,I]}", "dtype", dtypes[e->dtype], "shape", shape, "data_offsets",
                  (json_int_t)offset, (json_int_t)(offset + safetensors_bytes(e)));
    if (json_object_get(header, e->name) || !strcmp(e->name, METADATA)) {
        json_decref(value);
        FAIL(ERR_FORMAT, "%s: the name '%s' is given twice or reserved", path, e->name);
    }
    if (json_object_set_new(header, e->name, value) != 0)
        FAIL(ERR_FORMAT, "%s: expected a name in UTF-8, found '%s'", path, e->name);
    return OK;
}

static Status make_header(json_t *header, const char *path, const SafetensorsEntry *const *order,
                          int count, const SafetensorsText *texts, int text_count) {
    if (text_count > 0) json_object_set_new(header, METADATA, json_object());
    for (int i = 0; i < text_count; i++) TRY(add_text(header, path, &texts[i]));
    int64_t offset = 0;
    for (int i = 0; i < count; i++) {
        TRY(add_entry(header, path, order[i], offset));
        offset += safetensors_bytes(order[i]);
    }
    return OK;
}

// The header is filled up with spaces, so that the data begin at a multiple of 8.
static Status write_file(const char *path, const char *header, const SafetensorsEntry *const *order,
                         int count) {
    OutputFile f;
    TRY(file_create(&f, path));
    size_t length = strlen(header);
    uint64_t padded = (length + 7) / 8 * 8;
    fwrite(&padded, sizeof padded, 1, f.stream);
    fprintf(f.stream, "%s%*s", header, (int)(padded - length), "");
    for (int i = 0; i < count; i++)
        if (safetensors_bytes(order[i]) > 0)
            fwrite(order[i]->data, (size_t)safetensors_bytes(order[i]), 1, f.stream);
    return file_commit(&f);  // reports what failed before
}

Status safetensors_write(const char *path, const SafetensorsEntry *entries, int count,
                         const SafetensorsText *texts, int text_count) {
    const SafetensorsEntry **order = calloc((size_t)count + 1, sizeof *order);
    json_t *header = json_object();
    char *text = NULL;
    Status s = OK;
    if (order && header) {
        for (int i = 0; i < count; i++) order[i] = &entries[i];
        qsort(order, (size_t)count, sizeof *order, by_width);
        s = make_header(header, path, order, count, texts, text_count);
        if (s == OK) text = json_dumps(header, JSON_COMPACT);
        if (text) s = write_file(path, text, order, count);
    }
    if (s == OK && !text)
        s = status_fail(ERR_MEMORY, __FILE__, __LINE__, "%s: out of memory", path);
    free(text);
    json_decref(header);
    free(order);
    return s;
}

// --- reading

// One file being read, or bytes in memory. Positions in messages count bytes of the file.
typedef struct {
    const char *path;
    const char *bytes;     // of a file, so many as have been read from its beginning
    int fd;                // of a file, else -1
    int64_t length, data;  // data: where the tensors begin
} File;

// Where a tensor's bytes are said to be.
typedef struct {
    SafetensorsEntry entry;
    int64_t begin, end;  // counted from File.data
} Place;

static Status read_at(const File *f, void *to, int64_t from, int64_t count) {
    if (f->fd < 0) {
        if (count) memcpy(to, f->bytes + from, (size_t)count);
        return OK;
    }
    for (int64_t done = 0; done < count;) {
        ssize_t got = pread(f->fd, (char *)to + done, (size_t)(count - done), from + done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) FAIL(ERR_INPUT, "%s: %s", f->path, strerror(errno));
        if (got == 0)
            FAIL(ERR_INPUT, "%s: byte %lld: the file became shorter while it was read", f->path,
                 (long long)(from + done));
        done += got;
    }
    return OK;
}

// Have the first `count` bytes of the file at f->bytes.
static Status have_bytes(File *f, Arena *a, int64_t count) {
    if (f->fd < 0) return OK;
    char *to = arena_push(a, (size_t)count);
    if (!to)
        FAIL(ERR_MEMORY, "%s: out of memory for a header of %lld bytes", f->path, (long long)count);
    f->bytes = to;
    return read_at(f, to, 0, count);
}

static Status read_header(json_t **out, File *f, Arena *scratch) {
    uint64_t length = 0;
    if (f->length < PREFIX)
        FAIL(ERR_FORMAT,
             "%s: byte %lld: the file ends too early: expected 8 bytes for the header's length, "
             "found %lld",
             f->path, (long long)f->length, (long long)f->length);
    TRY(read_at(f, &length, 0, PREFIX));
    int64_t most = f->length - PREFIX < HEADER_MOST ? f->length - PREFIX : HEADER_MOST;
    if (length < 2 || length > (uint64_t)most)
        FAIL(ERR_FORMAT,
             "%s: byte 0: expected a header's length of 2 to %lld, found %llu; the file is cut "
             "short or not a safetensors file",
             f->path, (long long)most, (unsigned long long)length);
    f->data = PREFIX + (int64_t)length;
    TRY(have_bytes(f, scratch, f->data));
    if (f->bytes[PREFIX] != '{')
        FAIL(ERR_FORMAT, "%s: byte %d: expected '{', found 0x%02x", f->path, PREFIX,
             (unsigned char)f->bytes[PREFIX]);
    json_error_t error;
    TRY(json_check_tree(f->bytes + PREFIX, length, JSON_MOST_TREE, f->path));
    *out = json_loadb(f->bytes + PREFIX, length, JSON_REJECT_DUPLICATES, &error);
    if (!*out)
        FAIL(ERR_FORMAT, "%s: byte %d: expected JSON: %s", f->path, PREFIX + error.position,
             json_error_words(&error));
    return OK;
}

static Status read_texts(Safetensors *out, Arena *a, const File *f, const json_t *texts) {
    if (!texts) return OK;
    if (!json_is_object(texts))
        FAIL(ERR_FORMAT, "%s: %s: expected a map of strings", f->path, METADATA);
    out->texts = ARENA_NEW(a, SafetensorsText, json_object_size(texts));
    if (!out->texts) FAIL(ERR_MEMORY, "%s: out of memory", f->path);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)texts, key, value) {
        if (!json_is_string(value))
            FAIL(ERR_FORMAT, "%s: %s: '%s': expected a string", f->path, METADATA, key);
        SafetensorsText t = {arena_string(a, key), arena_string(a, json_string_value(value))};
        if (!t.key || !t.value) FAIL(ERR_MEMORY, "%s: out of memory", f->path);
        out->texts[out->text_count++] = t;
    }
    return OK;
}

static Status read_dtype(Dtype *out, const File *f, const char *name, const json_t *value) {
    const char *found = json_string_value(value);
    for (int d = 0; found && d < DTYPE_COUNT; d++)
        if (!strcmp(dtypes[d], found)) {
            *out = (Dtype)d;
            return OK;
        }
    FAIL(ERR_FORMAT,
         "%s: tensor '%s': expected dtype F32, F64, F16, BF16, I32, I64 or U8, found %s", f->path,
         name, found ? found : "none");
}

// A whole number of at least 0.
static bool is_size(const json_t *value) {
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

// The shape, and in *bytes, the size of an element, what all of them need.
static Status read_shape(SafetensorsEntry *e, int64_t *bytes, const File *f, const json_t *shape) {
    if (!json_is_array(shape) || json_array_size(shape) > SAFETENSORS_DIMS)
        FAIL(ERR_FORMAT, "%s: tensor '%s': expected a shape of at most %d sizes, found %s", f->path,
             e->name, SAFETENSORS_DIMS, json_is_array(shape) ? "more" : "none");
    e->dims = (int)json_array_size(shape);
    for (int i = 0; i < e->dims; i++) {
        const json_t *size = json_array_get(shape, (size_t)i);
        if (!is_size(size) || __builtin_mul_overflow(*bytes, json_integer_value(size), bytes))
            FAIL(ERR_FORMAT,
                 "%s: tensor '%s': size %d of its shape is not a whole number, negative or too "
                 "large",
                 f->path, e->name, i);
        e->shape[i] = json_integer_value(size);
    }
    return OK;
}

Status safetensors_read_about(SafetensorsEntry *out, const json_t *about, const char *path) {
    const File f = {.path = path, .fd = -1};
    TRY(read_dtype(&out->dtype, &f, out->name, json_object_get(about, "dtype")));
    int64_t bytes = dtype_bytes(out->dtype);
    return read_shape(out, &bytes, &f, json_object_get(about, "shape"));
}

static Status read_place(Place *out, Arena *a, const File *f, const char *name,
                         const json_t *value) {
    *out = (Place){.entry.name = arena_string(a, name)};
    SafetensorsEntry *e = &out->entry;
    if (!e->name) FAIL(ERR_MEMORY, "%s: out of memory", f->path);
    if (!json_is_object(value))
        FAIL(ERR_FORMAT, "%s: tensor '%s': expected an object with dtype, shape and data_offsets",
             f->path, name);
    TRY(read_dtype(&e->dtype, f, name, json_object_get(value, "dtype")));
    int64_t bytes = dtype_bytes(e->dtype);
    TRY(read_shape(e, &bytes, f, json_object_get(value, "shape")));
    const json_t *offsets = json_object_get(value, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !is_size(begin) || !is_size(end))
        FAIL(ERR_FORMAT, "%s: tensor '%s': expected data_offsets [begin, end], two whole numbers",
             f->path, name);
    out->begin = json_integer_value(begin);
    out->end = json_integer_value(end);
    if (out->end - out->begin != bytes)
        FAIL(ERR_FORMAT,
             "%s: tensor '%s': expected %lld bytes for its shape and dtype, found data_offsets "
             "[%lld, %lld]",
             f->path, name, (long long)bytes, (long long)out->begin, (long long)out->end);
    return OK;
}

// Empty tensors come before the one that begins at the same place.
static int by_offset(const void *a, const void *b) {
    const Place *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

// Tensors lie one after the other and fill the file.
static Status check_places(const File *f, const Place *places, int count) {
    int64_t at = 0;
    for (int i = 0; i < count; i++) {
        const Place *p = &places[i];
        if (p->begin != at)
            FAIL(ERR_FORMAT,
                 "%s: tensor '%s': expected its data at offset %lld, where %s%s%s, found %lld: %s",
                 f->path, p->entry.name, (long long)at, i ? "'" : "the data begin",
                 i ? places[i - 1].entry.name : "", i ? "' ends" : "", (long long)p->begin,
                 p->begin < at ? "they overlap" : "there is a hole");
        at = p->end;
    }
    int64_t have = f->length - f->data;
    if (have != at)
        FAIL(ERR_FORMAT, "%s: byte %lld: expected %lld bytes of data, found %lld; %s", f->path,
             (long long)(f->data + (have < at ? have : at)), (long long)at, (long long)have,
             have < at ? "the file is cut short" : "the header does not describe the rest");
    return OK;
}

static Status read_places(Place *places, Arena *a, const File *f, json_t *header) {
    const char *name;
    json_t *value;
    json_object_foreach(header, name, value) {
        if (!strcmp(name, METADATA)) continue;
        TRY(read_place(places, a, f, name, value));
        places++;
    }
    return OK;
}

// Every tensor into memory of its own: in the file it need not be aligned.
static Status copy_data(Safetensors *out, Arena *a, const File *f, const Place *places) {
    out->entries = ARENA_NEW(a, SafetensorsEntry, out->count);
    if (!out->entries) FAIL(ERR_MEMORY, "%s: out of memory", f->path);
    for (int i = 0; i < out->count; i++) {
        int64_t bytes = places[i].end - places[i].begin;
        void *data = arena_push(a, (size_t)bytes);
        if (!data)
            FAIL(ERR_MEMORY, "%s: out of memory for tensor '%s'", f->path, places[i].entry.name);
        TRY(read_at(f, data, f->data + places[i].begin, bytes));
        out->entries[i] = places[i].entry;
        out->entries[i].data = data;
    }
    return OK;
}

static Status read_body(Safetensors *out, Arena *a, Arena *scratch, const File *f, json_t *header) {
    json_t *texts = json_object_get(header, METADATA);
    TRY(read_texts(out, a, f, texts));
    out->count = (int)json_object_size(header) - (texts != NULL);
    Place *places = ARENA_NEW(scratch, Place, out->count);
    if (!places) FAIL(ERR_MEMORY, "%s: out of memory", f->path);
    TRY(read_places(places, a, f, header));
    qsort(places, (size_t)out->count, sizeof *places, by_offset);
    TRY(check_places(f, places, out->count));
    return copy_data(out, a, f, places);
}

static Status read_whole(Safetensors *out, Arena *a, File *f) {
    Arena scratch = {0};
    json_t *header = NULL;
    *out = (Safetensors){0};
    Status s = read_header(&header, f, &scratch);
    if (s == OK) s = read_body(out, a, &scratch, f, header);
    json_decref(header);
    arena_finish(&scratch);
    return s;
}

Status safetensors_parse(Safetensors *out, Arena *a, const char *bytes, size_t length,
                         const char *name) {
    File f = {.path = name, .bytes = bytes, .fd = -1, .length = (int64_t)length};
    return read_whole(out, a, &f);
}

// What is packed, or no regular file, is unpacked into memory first.
static Status read_stream(Safetensors *out, Arena *a, const char *path) {
    Arena scratch = {0};
    char *bytes;
    size_t length;
    Status s = file_read(&bytes, &length, &scratch, path);
    if (s == OK) s = safetensors_parse(out, a, bytes, length, path);
    arena_finish(&scratch);
    return s;
}

// A regular file that is not packed: open to read, else -1. A pipe is not opened twice.
static int open_plain(const char *path, int64_t *length) {
    unsigned char first[2];
    struct stat at;
    if (stat(path, &at) != 0 || !S_ISREG(at.st_mode)) return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool packed = pread(fd, first, 2, 0) == 2 && first[0] == 0x1f && first[1] == 0x8b;
    if (!packed && fstat(fd, &at) == 0) {
        *length = at.st_size;
        return fd;
    }
    if (fd >= 0) close(fd);
    return -1;
}

Status safetensors_read(Safetensors *out, Arena *a, const char *path) {
    File f = {.path = path};
    *out = (Safetensors){0};
    f.fd = open_plain(path, &f.length);
    if (f.fd < 0) return read_stream(out, a, path);  // which says why a file cannot be read
    Status s = read_whole(out, a, &f);
    close(f.fd);
    return s;
}
