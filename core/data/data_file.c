// SPDX-License-Identifier: MIT
// Maps a file, or reads it where it is packed or no regular file.
#include "core/data/data_file.h"

#include "core/base/file.h"

#include <sys/stat.h>

static bool is_packed(const FileMap *map) {
    return map->length >= 2 && map->bytes[0] == 0x1f && map->bytes[1] == 0x8b;
}

Status data_file_open(DataFile *out, Arena *a, const char *path) {
    struct stat s;
    *out = (DataFile){0};
    if (stat(path, &s) == 0 && S_ISREG(s.st_mode)) {
        TRY(file_map(&out->map, path));
        out->bytes = out->map.bytes;
        out->length = (int64_t)out->map.length;
        if (!is_packed(&out->map)) return OK;
        data_file_close(out);
    }
    char *data;
    size_t length;
    TRY(file_read(&data, &length, a, path));
    out->bytes = (const uint8_t *)data;
    out->length = (int64_t)length;
    return OK;
}

void data_file_close(DataFile *f) {
    file_unmap(&f->map);
    *f = (DataFile){0};
}
