// SPDX-License-Identifier: MIT
// Learners' files: where they are, what they begin with.
#include "lessons/build/build.h"

#include "core/base/file.h"
#include "lessons/engine/translate.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Status exercise_find(const Exercise **out, const char *word) {
    int count;
    const Exercise *const *all = exercises_all(&count);
    for (int i = 0; i < count; i++) {
        char *end;
        long number = strtol(word, &end, 10);
        *out = all[i];
        if (strcmp(word, all[i]->name) == 0 || (*word && !*end && number == all[i]->number))
            return OK;
    }
    FAIL(ERR_USAGE, "build %s: there is no such exercise; lesson build shows all", word);
}

void exercise_path(char out[BUILD_PATH], const char *folder, const Exercise *e) {
    snprintf(out, BUILD_PATH, "%s/%02d_%s.c", folder, e->number, e->name);
}

bool exercise_exists(const char *path) { return access(path, F_OK) == 0; }

// An embedded file behind its licence line.
static const char *text_of(const EmbeddedFile *files, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(files[i].name, name) == 0) return strchr(files[i].text, '\n') + 1;
    return "\n";
}

Status exercise_begin(const Exercise *e, const char *path) {
    OutputFile file;
    char folder[FILE_FOLDER];
    file_folder(folder, path);
    TRY(file_make_directory(folder));
    TRY(file_create(&file, path));
    fprintf(file.stream, "// %d. %s\n", e->number, _(e->title));
    fprintf(file.stream, "//\n");
    for (const char *line = _(e->task), *end; (end = strchr(line, '\n')); line = end + 1)
        fprintf(file.stream, "//%s%.*s\n", end > line ? " " : "", (int)(end - line), line);
    const char *stub = text_of(exercise_stubs, exercise_stubs_count, e->name);
    fputs(strchr(stub, '\n') + 1, file.stream);  // behind its head comment
    return file_commit(&file);
}

void exercise_show_solution(const Exercise *e, FILE *out) {
    fputs(text_of(exercise_solutions, exercise_solutions_count, e->name), out);
}
