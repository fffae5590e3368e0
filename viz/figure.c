// SPDX-License-Identifier: MIT
// The files of one figure: data and script are written first and stay whatever becomes of the
// picture, which gnuplot draws under another name and which gets its own when it is complete.
#include "core/base/printable.h"
#include "viz/figures_internal.h"
#include "viz/gnuplot.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void figure_note(FigureNotes *n, const char *fmt, ...) {
    char line[STATUS_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    for (int i = 0; i < n->count; i++)
        if (!strcmp(n->lines[i], line)) return;  // said already, of another figure
    if (n->count < FIGURE_NOTES)
        strcpy(n->lines[n->count++], line);
    else
        snprintf(n->lines[FIGURE_NOTES - 1], STATUS_TEXT, "and %d more", ++n->left_out + 1);
}

// --- text that grows

static Status text_buffer_open(TextBuffer *w) {
    w->stream = open_memstream(&w->text, &w->length);
    if (!w->stream) FAIL(ERR_MEMORY, "no memory for a figure");
    return OK;
}

static Status text_buffer_close(TextBuffer *w) {
    bool failed = w->stream && (ferror(w->stream) || fclose(w->stream));
    w->stream = NULL;
    if (failed || !w->text) FAIL(ERR_MEMORY, "no memory for a figure");
    return OK;
}

static void text_buffer_finish(TextBuffer *w) {
    if (w->stream) fclose(w->stream);
    free(w->text);
    *w = (TextBuffer){0};
}

// --- the script's variables

// Between single quotes gnuplot takes everything as it is. A quote itself is joined on between
// double ones: gnuplot 5.4 loses its place at two quotes in a row that are each written twice.
static void write_quoted_part(FILE *out, const char *text, size_t length) {
    putc('\'', out);
    for (size_t i = 0; i < length;) {
        int bytes = printable_length(text + i);
        if (bytes == 0) putc('?', out);
        if (text[i] == '\'')
            fputs("'.\"'\".'", out);
        else
            fwrite(text + i, 1, (size_t)bytes, out);
        i += bytes ? (size_t)bytes : 1;
    }
    putc('\'', out);
}

void figure_write_quoted(FILE *out, const char *text) {
    write_quoted_part(out, text, strlen(text));
}

void figure_set(Figure *f, const char *name, double value) {
    fprintf(f->settings.stream, "%s = %.10g\n", name, value);
}

void figure_set_text(Figure *f, const char *name, const char *fmt, ...) {
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fprintf(f->settings.stream, "%s = ", name);
    figure_write_quoted(f->settings.stream, text);
    putc('\n', f->settings.stream);
}

void figure_set_names(Figure *f, const char *name, const char *first, const char *second) {
    const bool both = first && second;
    fprintf(f->settings.stream, "array %s[%d] = ['%s'%s%s%s]\n", name, 1 + both,
            first ? first : second, both ? ", '" : "", both ? second : "", both ? "'" : "");
}

// Where the line that begins at `text` ends: at a space, after at most `columns` characters.
static size_t line_end(const char *text, size_t columns) {
    size_t end = 0, characters = 0;
    for (size_t i = 0; text[i]; i++) {
        if (text[i] == ' ') end = i;
        characters += (text[i] & 0xC0) != 0x80;  // bytes that continue a character
        if (characters > columns) return end ? end : i;
    }
    return strlen(text);
}

// The caption as lines that fit under the picture.
static void write_caption(FILE *out, const char *text, int width) {
    size_t columns = (size_t)((width - 24) / 6.0);
    int lines = 0;
    for (const char *at = text; *at; lines++) {
        at += line_end(at, columns);
        at += *at == ' ';
    }
    fprintf(out, "array CAPTION[%d] = [", lines);
    for (const char *at = text; *at;) {
        size_t end = line_end(at, columns);
        fputs(at == text ? " \\\n    " : ", \\\n    ", out);
        write_quoted_part(out, at, end);
        at += end;
        at += *at == ' ';
    }
    fputs("]\n", out);
}

// --- opening

static void write_head(Figure *f, const char *columns) {
    FILE *out = f->data.stream;
    const Report *r = f->run;
    fputs("# command\t", out);
    printable_command(out, f->options->argv, f->options->argc);
    fputs("\n# run\t", out);
    printable_write(out, r->run.model);
    fputs(", ", out);
    printable_write(out, r->run.device);
    fprintf(out, ", %s, seed %lld", r->run.dtype, (long long)r->run.seed);
    fputs("\n# machine\t", out);
    caption_machine(out, r);
    if (f->options->platform && strcmp(r->run.kind, "sim") != 0) {
        fputs("; simulated: ", out);
        printable_write(out, f->options->platform);
    }
    fprintf(out, "\n# columns with units\n# %s\n", columns);
}

Status figure_open(Figure *f, const char *columns) {
    char path[4200];
    f->facts = json_object();
    if (!f->facts) FAIL(ERR_MEMORY, "no memory for a figure");
    TRY(text_buffer_open(&f->settings));
    TRY(text_buffer_open(&f->caption));
    snprintf(path, sizeof path, "%s/%s.dat", f->directory, f->name);
    TRY(file_create(&f->data, path));
    figure_set_text(f, "MODEL", "%s", f->run->run.model);
    figure_set_text(f, "RANKS", "%ss", caption_rank(f->options));
    write_head(f, columns);
    return OK;
}

// gnuplot tells blocks by two empty lines, and names them by the comment before.
void figure_block(Figure *f, const char *name) {
    fprintf(f->data.stream, "%s# %s\n", f->blocks++ ? "\n\n" : "", name);
}

// --- closing

static const char *part_text(const char *name) {
    for (int i = 0; i < figure_files_count; i++)
        if (!strcmp(figure_files[i].name, name)) return figure_files[i].text;
    return NULL;
}

static Status write_script(const Figure *f, const char *const parts[]) {
    OutputFile script = {0};
    char path[4200];
    snprintf(path, sizeof path, "%s/%s.gp", f->directory, f->name);
    TRY(file_create(&script, path));
    fprintf(script.stream,
            "if (!exists(\"TERM\")) TERM=\"svg\"\n"
            "if (!exists(\"STYLE\")) STYLE=\"style.gp\"\n"
            "NAME = '%s'\nDATA = NAME.\".dat\"\nWIDTH = %d\nHEIGHT = %d\n",
            f->name, f->width, f->height);
    fputs(f->settings.text, script.stream);
    write_caption(script.stream, f->caption.text, f->width);
    fputs("load STYLE\n\n", script.stream);
    for (int i = 0; parts[i]; i++) {
        const char *text = part_text(parts[i]);
        fprintf(script.stream, "%s%s", text ? text : parts[i], text ? "" : "\n");
    }
    return file_commit(&script);
}

static json_t *machine_facts(const Report *r) {
    json_t *out = json_object();
    int failed = json_object_set_new(out, "cores", json_integer(r->machine.cores));
    failed |= json_object_set_new(out, "cpu", json_text(r->machine.cpu));
    failed |= json_object_set_new(out, "load", json_number(r->machine.load));
    if (!failed) return out;
    json_decref(out);
    return NULL;
}

static Status write_facts(Figure *f, bool drawn) {
    char path[4200];
    json_t *out = json_object(), *argv = json_array();
    int failed = json_object_set_new(out, "schema", json_string("tandem.figure.v1"));
    for (int i = 0; i < f->options->argc; i++)
        failed |= json_array_append_new(argv, json_text(f->options->argv[i]));
    failed |= json_object_set_new(out, "name", json_string(f->name));
    failed |= json_object_set_new(out, "argv", argv);
    failed |= json_object_set_new(out, "model", json_text(f->run->run.model));
    failed |= json_object_set_new(out, "machine", machine_facts(f->run));
    failed |= json_object_set_new(
        out, "platform", f->options->platform ? json_text(f->options->platform) : json_null());
    failed |= json_object_update(out, f->facts);
    failed |= json_object_set_new(out, "caption", json_text(f->caption.text));
    failed |= json_object_set_new(out, "data", json_sprintf("%s.dat", f->name));
    failed |= json_object_set_new(out, "script", json_sprintf("%s.gp", f->name));
    failed |=
        json_object_set_new(out, "picture", drawn ? json_sprintf("%s.svg", f->name) : json_null());
    snprintf(path, sizeof path, "%s/%s.json", f->directory, f->name);
    Status s = failed ? status_fail(ERR_MEMORY, __FILE__, __LINE__, "no memory for %s", path)
                      : json_write_file(out, path);
    json_decref(out);
    return s;
}

// Missing and failing gnuplot are notes unless the caller requires it. An interrupt is always a
// note, because what follows is still written.
static Status forgive(const Figure *f, Status s) {
    bool interrupted = s == ERR_INTERRUPTED;
    f->notes->interrupted |= interrupted;
    if (s != ERR_UNAVAILABLE && s != ERR_FAILED && !interrupted) return s;
    if (f->options->require && !interrupted) return s;
    if (s == ERR_UNAVAILABLE && f->options->directory)
        figure_note(f->notes, "%s; data and scripts were written", status_message());
    else
        figure_note(f->notes, "%s", status_message());
    return OK;
}

// gnuplot in the directory of the figure, unless it hung or was interrupted before.
static Status run_gnuplot(char **out, char *said, const Figure *f, const char *settings,
                          const char *script) {
    GnuplotWatch watch = {.seconds = f->options->gnuplot_seconds,
                          .interrupted = f->options->interrupted};
    *said = '\0';
    if (f->notes->interrupted)
        FAIL(ERR_INTERRUPTED, "%s: not drawn: interrupted; data and script were written", script);
    if (f->notes->hung)
        FAIL(ERR_FAILED, "%s: not drawn: gnuplot hung before; data and script were written",
             script);
    Status s = gnuplot_run(out, said, f->arena, f->directory, settings, script, &watch);
    f->notes->hung |= watch.hung;
    return s;
}

static Status draw(const Figure *f, bool *drawn) {
    char settings[128], script[64], said[STATUS_TEXT], temporary[4300], path[4200];
    struct stat made;
    snprintf(script, sizeof script, "%s.gp", f->name);
    snprintf(settings, sizeof settings, "TERM=\"svg\"; OUTPUT=\".%s.svg.%d\"", f->name,
             (int)getpid());
    snprintf(temporary, sizeof temporary, "%s/.%s.svg.%d", f->directory, f->name, (int)getpid());
    snprintf(path, sizeof path, "%s/%s.svg", f->directory, f->name);
    Status s = run_gnuplot(NULL, said, f, settings, script);
    if (s == OK && (stat(temporary, &made) != 0 || made.st_size == 0))
        s = status_fail(ERR_FAILED, __FILE__, __LINE__, "%s: gnuplot drew nothing%s%s", script,
                        *said ? ": " : "", said);
    if (s == OK && rename(temporary, path) != 0)
        s = status_fail(ERR_IO, __FILE__, __LINE__, "%s: %s", path, strerror(errno));
    *drawn = s == OK;
    if (s != OK) unlink(temporary);
    if (s != OK) unlink(path);  // a picture of before would belie the data beside it
    if (s == OK && *said) figure_note(f->notes, "%s: gnuplot: %s", script, said);
    return forgive(f, s);
}

// Whether a line has more than spaces and escape sequences.
static bool is_visible(const char *line, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (line[i] == '\033')
            i += strcspn(line + i, "m");
        else if (line[i] != ' ')
            return true;
    }
    return false;
}

// Lines without the spaces that gnuplot fills them with, none empty at either end.
static void print_trimmed(FILE *out, const char *text, int most, bool color) {
    int empty = 0, printed = 0;
    for (const char *at = text; *at && printed < most;) {
        size_t length = strcspn(at, "\n\f"), end = length;
        while (end && at[end - 1] == ' ') end--;
        if (!is_visible(at, end)) {
            empty += printed > 0;
        } else {
            for (; empty && printed < most - 1; empty--, printed++) putc('\n', out);
            fprintf(out, "%.*s\n", (int)end, at);
            empty = 0;
            printed++;
        }
        at += length + (at[length] != '\0');
    }
    if (color) fputs("\033[0m", out);
}

static Status show(const Figure *f) {
    enum { ROWS = 24 };
    char settings[128], script[64], said[STATUS_TEXT], *text;
    int width = f->options->preview_width ? f->options->preview_width : 80;
    snprintf(script, sizeof script, "%s.gp", f->name);
    snprintf(settings, sizeof settings, "TERM=\"dumb\"; COLUMNS=%d; ROWS=%d; ANSI=\"%s\"", width,
             ROWS - 1, f->options->preview_color ? "ansi256" : "mono");
    Status s = run_gnuplot(&text, said, f, settings, script);
    if (s == OK) print_trimmed(f->options->preview, text, ROWS, f->options->preview_color);
    return forgive(f, s);
}

static Status finish(Figure *f, const char *const parts[], bool preview) {
    bool drawn = false;
    TRY(text_buffer_close(&f->settings));
    TRY(text_buffer_close(&f->caption));
    TRY(file_commit(&f->data));
    TRY(write_script(f, parts));
    TRY(figure_write_shared(f->directory));
    if (f->options->directory) {
        Status s = draw(f, &drawn), facts = write_facts(f, drawn);
        TRY(s);
        TRY(facts);
        f->notes->names[f->notes->written++] = f->name;
        f->notes->drawn += drawn;
    }
    return preview && f->options->preview ? show(f) : OK;
}

Status figure_close(Figure *f, Status s, const char *const parts[], bool preview) {
    if (s == OK) s = finish(f, parts, preview);
    file_discard(&f->data);
    text_buffer_finish(&f->settings);
    text_buffer_finish(&f->caption);
    json_decref(f->facts);
    f->facts = NULL;
    return s;
}

// Whatever the data are, their caption ends with the command.
static Status write_form(Figure *f, const FigureForm *form) {
    TRY(form->write(f, form->data));
    fputs(" Command: ", f->caption.stream);
    printable_command(f->caption.stream, f->options->argv, f->options->argc);
    putc('.', f->caption.stream);
    return OK;
}

Status figure_make(const FigureOptions *o, FigureNotes *n, const FigureForm *form) {
    Arena a = {0};
    FigureDirectory d;
    Status s = figure_enter_directory(&d, o);
    if (s == OK) {
        Figure f = {.options = o,
                    .notes = n,
                    .arena = &a,
                    .name = form->name,
                    .directory = d.path,
                    .run = form->run,
                    .width = form->width,
                    .height = form->height};
        s = figure_close(&f, write_form(&f, form), form->parts, false);
        figure_leave_directory(&d);
    }
    arena_finish(&a);
    return s;
}
