// SPDX-License-Identifier: MIT
// The place where figures are kept, and what lies there beside them.
#include "viz/figures_internal.h"
#include "viz/gnuplot.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Status figure_enter_directory(FigureDirectory *d, const FigureOptions *o) {
    *d = (FigureDirectory){.temporary = !o->directory};
    if (!d->temporary) {
        if (strlen(o->directory) >= sizeof d->path)
            FAIL(ERR_IO, "%.80s...: %s", o->directory, strerror(ENAMETOOLONG));
        strcpy(d->path, o->directory);
        return file_make_directory(d->path);
    }
    const char *top = getenv("TMPDIR");
    snprintf(d->path, sizeof d->path, "%s/tandem-figures-XXXXXX", top && *top ? top : "/tmp");
    if (!mkdtemp(d->path)) {
        d->temporary = false;
        FAIL(ERR_IO, "%s: %s", d->path, strerror(errno));
    }
    return OK;
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f) {
    return remove(path);
}

void figure_leave_directory(const FigureDirectory *d) {
    if (d->temporary) nftw(d->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static Status write_unless_there(const char *directory, const char *name, const char *part) {
    OutputFile f = {0};
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    if (access(path, F_OK) == 0) return OK;  // somebody's own, or ours of before
    for (int i = 0; i < figure_files_count; i++)
        if (!strcmp(figure_files[i].name, part)) {
            TRY(file_create(&f, path));
            fputs(figure_files[i].text, f.stream);
            return file_commit(&f);
        }
    FAIL(ERR_IO, "%s: this program lacks the file", path);
}

Status figure_write_shared(const char *directory) {
    TRY(write_unless_there(directory, "style.gp", "style"));
    return write_unless_there(directory, "Makefile", "figures");
}

// --- what earlier runs left

static bool is_written(const FigureNotes *n, const char *name) {
    for (int i = 0; i < n->written; i++)
        if (!strcmp(n->names[i], name)) return true;
    return false;
}

// Whether DIR/NAME.json says that NAME is a figure of ours.
static bool is_figure(const char *directory, const char *name) {
    char path[4200];
    json_t *facts;
    snprintf(path, sizeof path, "%s/%s.json", directory, name);
    if (access(path, F_OK) != 0 || json_read_file(&facts, path) != OK) return false;
    const char *schema = json_string_value(json_object_get(facts, "schema"));
    const char *said = json_string_value(json_object_get(facts, "name"));
    bool ours = schema && said && !strcmp(schema, "tandem.figure.v1") && !strcmp(said, name);
    json_decref(facts);
    return ours;
}

static Status remove_files(int *removed, const char *directory, const char *name,
                           const char *const endings[]) {
    for (int i = 0; endings[i]; i++) {
        char path[4200];
        snprintf(path, sizeof path, "%s/%s.%s", directory, name, endings[i]);
        if (unlink(path) == 0)
            ++*removed;
        else if (errno != ENOENT)
            FAIL(ERR_IO, "%s, of an earlier run, cannot be removed: %s", path, strerror(errno));
    }
    return OK;
}

Status figures_remove_stale(const FigureOptions *o, FigureNotes *notes) {
    static const char *const figures[] = {
        "breakdown", "collective", "efficiency", "laws",    "layout", "learning",   "memory",
        "parity",    "residuals",  "roofline",   "scaling", "sweep",  "throughput", "tornado"};
    // The .json last: while it is there, the rest can still be recognised.
    static const char *const all[] = {"svg", "png", "pdf", "eps", "gp", "dat", "json", NULL};
    static const char *const others[] = {"png", "pdf", "eps", NULL};
    int removed = 0;
    if (!o->directory) return OK;
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        bool written = is_written(notes, figures[i]);
        if (written || is_figure(o->directory, figures[i]))
            TRY(remove_files(&removed, o->directory, figures[i], written ? others : all));
    }
    if (removed)
        figure_note(notes, "%s: removed %d file%s of figures that an earlier run left",
                    o->directory, removed, removed == 1 ? "" : "s");
    return OK;
}

Status figures_find_gnuplot(void) {
    Arena a = {0};
    char said[STATUS_TEXT];
    GnuplotWatch watch = {.seconds = 10};
    Status s = gnuplot_run(NULL, said, &a, NULL, "", "/dev/null", &watch);
    arena_finish(&a);
    return s;
}
