// SPDX-License-Identifier: MIT
// Reading trusts no file: which elements a piece has is checked against the whole, and every one
// must come once.
#include "core/data/safetensors_index.h"

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/data/safetensors_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char ENDING[] = ".index.json";

bool safetensors_is_index(const char *path) {
    size_t n = strlen(path), m = sizeof ENDING - 1;
    return n > m && !strcmp(path + n - m, ENDING);
}

// --- writing

static json_t *describe(const SafetensorsEntry *e) {
    json_t *shape = json_array();
    for (int i = 0; i < e->dims; i++) json_array_append_new(shape, json_integer(e->shape[i]));
    return json_pack("{s:s, s:o}", "dtype", safetensors_dtype_name(e->dtype), "shape", shape);
}

static json_t *places_of(const SafetensorsPlace *p, const char *const *files) {
    if (p->file_count == 1) return json_string(files[p->files[0]]);
    json_t *list = json_array();
    for (int i = 0; i < p->file_count; i++)
        json_array_append_new(list, json_string(files[p->files[i]]));
    return list;
}

static json_t *index_of(const SafetensorsPlace *places, int count, const char *const *files,
                        const SafetensorsText *texts, int text_count) {
    json_t *metadata = json_object(), *tensors = json_object(), *map = json_object();
    int64_t bytes = 0;
    int failed = 0;
    for (int i = 0; i < count; i++) {
        const char *name = places[i].whole.name;
        bytes += safetensors_bytes(&places[i].whole);
        failed |= json_object_set_new(tensors, name, describe(&places[i].whole));
        failed |= json_object_set_new(map, name, places_of(&places[i], files));
    }
    failed |= json_object_set_new(metadata, "total_size", json_integer(bytes));
    for (int i = 0; i < text_count; i++)
        failed |= json_object_set_new(metadata, texts[i].key, json_string(texts[i].value));
    json_t *out =
        json_pack("{s:o, s:o, s:o}", "metadata", metadata, "tensors", tensors, "weight_map", map);
    if (!failed) return out;
    json_decref(out);
    return NULL;
}

Status safetensors_write_index(const char *path, const SafetensorsPlace *places, int count,
                               const char *const *files, const SafetensorsText *texts,
                               int text_count) {
    OutputFile f;
    json_t *index = index_of(places, count, files, texts, text_count);
    if (!index) FAIL(ERR_FORMAT, "%s: names and texts must be UTF-8", path);
    Status s = file_create(&f, path);
    if (s == OK) {
        json_write(f.stream, index);
        s = file_commit(&f);
    }
    json_decref(index);
    return s;
}

// --- reading

// A tensor that is being put together: a bit for every element that is there.
typedef struct {
    unsigned char *have;
    int64_t elements, found;
} Filling;

typedef struct {
    const char *path;  // of the index
    Arena *arena;      // of what is read
    Arena scratch;
    Safetensors *out;
    Filling *fillings;  // as out->entries; have NULL: not begun
    json_t *index;
    const char *part_of;  // in the index; NULL: it does not say
} Reader;

static int64_t elements_of(const SafetensorsEntry *e) {
    return safetensors_bytes(e) / dtype_bytes(e->dtype);
}

static Status read_texts(Reader *r) {
    const char *key;
    json_t *value, *metadata = json_object_get(r->index, "metadata");
    if (!metadata) return OK;
    if (!json_is_object(metadata)) FAIL(ERR_FORMAT, "%s: metadata: expected a map", r->path);
    r->out->texts = ARENA_NEW(r->arena, SafetensorsText, json_object_size(metadata) + 1);
    if (!r->out->texts) FAIL(ERR_MEMORY, "%s: out of memory", r->path);
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value)) continue;  // total_size
        if (!strcmp(key, SAFETENSORS_PART_OF)) {
            r->part_of = json_string_value(value);
            continue;
        }
        SafetensorsText t = {arena_string(r->arena, key),
                             arena_string(r->arena, json_string_value(value))};
        if (!t.key || !t.value) FAIL(ERR_MEMORY, "%s: out of memory", r->path);
        r->out->texts[r->out->text_count++] = t;
    }
    return OK;
}

// The whole that the index describes; without a description the file's own tensor is it.
static Status begin_tensor(Reader *r, const SafetensorsEntry *piece, SafetensorsEntry *whole) {
    const json_t *about = json_object_get(json_object_get(r->index, "tensors"), piece->name);
    *whole = *piece;
    whole->name = arena_string(r->arena, piece->name);
    if (!whole->name) FAIL(ERR_MEMORY, "%s: out of memory", r->path);
    if (about) TRY(safetensors_read_about(whole, about, r->path));
    if (whole->dtype == piece->dtype) return OK;
    FAIL(ERR_FORMAT, "%s: tensor '%s': its dtype is not that of its pieces", r->path, piece->name);
}

// Where out has the tensor of a piece, with memory for all of it.
static Status find_tensor(Reader *r, const SafetensorsEntry *piece, int *at) {
    Safetensors *out = r->out;
    for (*at = 0; *at < out->count; ++*at)
        if (!strcmp(out->entries[*at].name, piece->name)) break;
    SafetensorsEntry *e = &out->entries[*at];
    Filling *f = &r->fillings[*at];
    if (f->have) return OK;
    TRY(begin_tensor(r, piece, e));
    f->elements = elements_of(e);
    e->data = arena_push(r->arena, (size_t)safetensors_bytes(e));
    f->have = arena_push(&r->scratch, (size_t)(f->elements / 8 + 1));
    if (e->data && f->have) return OK;
    FAIL(ERR_MEMORY, "%s: out of memory for tensor '%s'", r->path, piece->name);
}

static Status put_run(Reader *r, int at, const SafetensorsEntry *piece, int64_t from, int64_t first,
                      int64_t count, const char *file) {
    SafetensorsEntry *e = &r->out->entries[at];
    Filling *f = &r->fillings[at];
    int64_t size = dtype_bytes(e->dtype);
    if (first < 0 || count < 0 || first > f->elements - count || from > elements_of(piece) - count)
        FAIL(ERR_FORMAT, "%s: tensor '%s': elements %lld to %lld are not within it", file, e->name,
             (long long)first, (long long)(first + count));
    for (int64_t i = first; i < first + count; i++) {
        if (f->have[i / 8] >> i % 8 & 1)
            FAIL(ERR_FORMAT, "%s: tensor '%s': element %lld is there twice", file, e->name,
                 (long long)i);
        f->have[i / 8] |= (unsigned char)(1 << i % 8);
    }
    f->found += count;
    memcpy((char *)e->data + first * size, (const char *)piece->data + from * size,
           (size_t)(count * size));
    return OK;
}

static bool read_number(const char **at, int64_t *out) {
    char *end;
    if (**at < '0' || **at > '9') return false;
    *out = strtoll(*at, &end, 10);
    *at = end;
    return *out >= 0 && *out < INT64_MAX / 4;
}

// "FIRST:COUNT" or "FIRST:COUNT:TIMES:STRIDE"
static bool read_run(const char **at, SafetensorsRun *run) {
    *run = (SafetensorsRun){.times = 1};
    if (!read_number(at, &run->first) || *(*at)++ != ':' || !read_number(at, &run->count))
        return false;
    if (**at != ':') return true;
    ++*at;
    return read_number(at, &run->times) && *(*at)++ == ':' && read_number(at, &run->stride);
}

static Status put_runs(Reader *r, int at, const SafetensorsEntry *piece, const char *text,
                       const char *file) {
    int64_t from = 0;
    for (const char *next = text; *next;) {
        SafetensorsRun run;
        while (*next == ' ') next++;
        if (!read_run(&next, &run) || (*next && *next != ' ') || run.count == 0)
            FAIL(ERR_FORMAT, "%s: __metadata__: '%s': expected FIRST:COUNT, found '%.40s'", file,
                 piece->name, text);
        for (int64_t i = 0, first = run.first; i < run.times; i++, first += run.stride) {
            TRY(put_run(r, at, piece, from, first, run.count, file));
            from += run.count;
        }
    }
    if (from == elements_of(piece)) return OK;
    FAIL(ERR_FORMAT, "%s: tensor '%s': %lld elements are placed, and it has %lld", file,
         piece->name, (long long)from, (long long)elements_of(piece));
}

static Status check_part(const Reader *r, const Safetensors *s, const char *file) {
    const char *part_of = safetensors_text(s, SAFETENSORS_PART_OF);
    if (!r->part_of || (part_of && !strcmp(part_of, r->part_of))) return OK;
    FAIL(ERR_FORMAT,
         "%s: it is part of another checkpoint than its index %s, which another run or step has "
         "written over; use a checkpoint of which all files are there",
         file, r->path);
}

static Status put_file(Reader *r, const char *file) {
    Arena pieces = {0};
    Safetensors s;
    Status done = safetensors_read(&s, &pieces, file);
    if (done == OK) done = check_part(r, &s, file);
    for (int i = 0; i < s.count && done == OK; i++) {
        const SafetensorsEntry *e = &s.entries[i];
        const char *runs = safetensors_text(&s, e->name);
        int at;
        if (!json_object_get(json_object_get(r->index, "weight_map"), e->name)) continue;
        done = find_tensor(r, e, &at);
        if (done != OK) break;
        done =
            runs ? put_runs(r, at, e, runs, file) : put_run(r, at, e, 0, 0, elements_of(e), file);
    }
    arena_finish(&pieces);
    return done;
}

// The folder of the index and a name of it; a name with a folder of its own leads elsewhere.
static Status read_file_named(Reader *r, const char *name) {
    char file[PATH_MAX];
    const char *slash = strrchr(r->path, '/');
    if (!*name || strchr(name, '/'))
        FAIL(ERR_FORMAT, "%s: weight_map: expected the name of a file beside it, found '%.80s'",
             r->path, name);
    int length = snprintf(file, sizeof file, "%.*s%s", slash ? (int)(slash - r->path) + 1 : 0,
                          r->path, name);
    if (length < 0 || (size_t)length >= sizeof file)
        FAIL(ERR_FORMAT, "%s: weight_map: a name is too long", r->path);
    return put_file(r, file);
}

// Each file once, in the order in which the index names them.
static Status read_files(Reader *r, const json_t *map) {
    const char *name;
    json_t *value, *seen = json_object();
    Status s = OK;
    if (!seen) FAIL(ERR_MEMORY, "%s: out of memory", r->path);
    json_object_foreach((json_t *)map, name, value) {
        size_t count = json_is_array(value) ? json_array_size(value) : 1;
        for (size_t i = 0; i < count && s == OK; i++) {
            const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
            const char *file = json_string_value(item);
            if (!file)
                s = status_fail(ERR_FORMAT, __FILE__, __LINE__,
                                "%s: weight_map: '%s': expected names of files", r->path, name);
            else if (!json_object_get(seen, file)) {
                json_object_set_new(seen, file, json_true());
                s = read_file_named(r, file);
            }
        }
    }
    json_decref(seen);
    return s;
}

// In the order of the index, which is that of the run's table.
static Status prepare(Reader *r, const json_t *map) {
    size_t count = json_object_size(map);
    const char *name;
    json_t *value;
    r->out->entries = ARENA_NEW(r->arena, SafetensorsEntry, count + 1);
    r->fillings = ARENA_NEW(&r->scratch, Filling, count + 1);
    if (!r->out->entries || !r->fillings) FAIL(ERR_MEMORY, "%s: out of memory", r->path);
    json_object_foreach((json_t *)map, name, value) {
        r->out->entries[r->out->count].name = arena_string(r->arena, name);
        if (!r->out->entries[r->out->count++].name) FAIL(ERR_MEMORY, "%s: out of memory", r->path);
    }
    return OK;
}

static Status read_all(Reader *r) {
    const json_t *map = json_object_get(r->index, "weight_map");
    if (!json_is_object(map) || !json_object_size(map))
        FAIL(ERR_FORMAT, "%s: weight_map: expected a map of names to files", r->path);
    TRY(read_texts(r));
    TRY(prepare(r, map));
    TRY(read_files(r, map));
    for (int i = 0; i < r->out->count; i++) {
        const Filling *f = &r->fillings[i];
        if (f->have && f->found == f->elements) continue;
        if (!f->have)
            FAIL(ERR_FORMAT, "%s: tensor '%s' is in none of the files that weight_map names for it",
                 r->path, r->out->entries[i].name);
        FAIL(ERR_FORMAT, "%s: tensor '%s': of %lld elements %lld are in the files", r->path,
             r->out->entries[i].name, (long long)f->elements, (long long)f->found);
    }
    return OK;
}

Status safetensors_read_index(Safetensors *out, Arena *a, const char *path) {
    Reader r = {.path = path, .arena = a, .out = out};
    *out = (Safetensors){0};
    Status s = json_read_file(&r.index, path);
    if (s == OK) s = read_all(&r);
    json_decref(r.index);
    arena_finish(&r.scratch);
    return s;
}
