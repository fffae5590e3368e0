// SPDX-License-Identifier: MIT
// Appends lines and searches them. A write may be cut short by a full disk or a crash, so a line
// that is no JSON costs that line only: the next one begins anew, and the reader skips what it
// cannot parse and says so.
#include "sim/ledger.h"

#include "core/base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA "tandem.prediction.v1"

static json_t *make_line(const Prediction *p, const char *platform, int argc,
                         const char *const argv[]) {
    char made[CLOCK_TEXT], inputs[24];
    const RunInfo *run = &p->report.run;
    clock_print_utc(made, clock_utc_ns());
    snprintf(inputs, sizeof inputs, "%016" PRIx64, p->inputs);
    json_t *words = json_array();
    int failed = !words;
    for (int i = 0; i < argc && !failed; i++)
        failed |= json_array_append_new(words, json_text(argv[i]));
    json_t *line = json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:i, s:I, s:f, s:f, s:o}", "schema",
                             SCHEMA, "made", made, "inputs", inputs, "model", json_text(run->model),
                             "platform", platform, "device", run->device, "ranks", run->ranks,
                             "batch", (json_int_t)run->batch, "step_ms", p->step_ms,
                             "samples_per_s", (double)run->batch / p->step_ms * 1e3, "argv", words);
    if (!failed) return line;
    json_decref(line);
    return NULL;
}

// Does a regular file end inside a line?
static bool ends_inside_line(int fd) {
    struct stat info;
    char last = '\n';
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0) return false;
    return pread(fd, &last, 1, info.st_size - 1) == 1 && last != '\n';
}

// `text` is a newline and a whole line. One write, so that programs that append at the same time do
// not mix; the first newline is left out where the file is at the start of a line already.
static Status append(const char *path, const char *text) {
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);  // one that may only be written
    if (fd < 0)
        FAIL(ERR_IO, "%s: %s; predictions are kept there, give --predictions FILE or none", path,
             strerror(errno));
    if (!ends_inside_line(fd)) text++;
    size_t length = strlen(text);
    ssize_t written = write(fd, text, length);
    int error = errno, closed = close(fd);
    if (written != (ssize_t)length || closed)
        FAIL(ERR_IO, "%s: the prediction could not be written whole: %s", path,
             written < 0 ? strerror(error) : "is the disk full?");
    return OK;
}

Status ledger_append(const char *path, const Prediction *p, const char *platform, int argc,
                     const char *const argv[]) {
    json_t *line = make_line(p, platform, argc, argv);
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    size_t length = text ? strlen(text) : 0;
    char *whole = text ? malloc(length + 3) : NULL;
    Status s = OK;
    if (whole) {
        snprintf(whole, length + 3, "\n%s\n", text);
        s = append(path, whole);
    } else
        s = status_fail(ERR_MEMORY, __FILE__, __LINE__, "out of memory for a prediction");
    json_decref(line);
    free(text);
    free(whole);
    return s;
}

// --- searching

static bool is_time(const char *text) {
    static const char form[] = "0000-00-00T00:00:00.000Z";
    if (strlen(text) != sizeof form - 1) return false;
    for (size_t i = 0; i < sizeof form - 1; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == '0' ? !digit : text[i] != form[i]) return false;
    }
    return true;
}

static Status read_prediction(LedgerEntry *out, const json_t *line, const char *place,
                              const char *wanted) {
    const char *inputs, *when;
    TRY(json_get_string(&inputs, line, place, "inputs"));
    TRY(json_get_string(&when, line, place, "made"));
    if (strcmp(inputs, wanted)) return OK;
    if (!is_time(when))
        FAIL(ERR_FORMAT, "%s: made: expected a time such as 2026-01-31T12:00:00.000Z", place);
    if (!*out->made || strcmp(when, out->made) < 0) snprintf(out->made, CLOCK_TEXT, "%s", when);
    return OK;
}

static void skip(LedgerEntry *out, int number) {
    if (!out->skipped++) out->first_skipped_line = number;
}

static Status read_line(LedgerEntry *out, const char *text, const char *path, int number,
                        const char *wanted) {
    char place[4200];
    Status s = OK;
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *schema = json_string_value(json_object_get(line, "schema"));
    snprintf(place, sizeof place, "%s:%d", path, number);
    if (!json_is_object(line))
        skip(out, number);
    else if (schema && !strcmp(schema, SCHEMA))
        s = read_prediction(out, line, place, wanted);
    json_decref(line);
    return s;
}

enum { LONGEST_LINE = 4 << 20 };  // a command line is at most 2 MiB here

// A line without its end into text[LONGEST_LINE]; *whole: it had room. False at the file's end.
static bool next_line(FILE *f, char *text, bool *whole) {
    size_t length = 0;
    int c;
    *whole = true;
    while ((c = getc(f)) != EOF && c != '\n') {
        if (length + 1 < LONGEST_LINE)
            text[length++] = (char)c;
        else
            *whole = false;
    }
    *whole = *whole && !memchr(text, '\0', length);
    text[length] = '\0';
    return c != EOF || length > 0;
}

static Status search(LedgerEntry *out, FILE *f, const char *path, uint64_t inputs) {
    char wanted[24], *text = malloc(LONGEST_LINE);
    if (!text) FAIL(ERR_MEMORY, "out of memory for a line of %s", path);
    snprintf(wanted, sizeof wanted, "%016" PRIx64, inputs);
    Status s = OK;
    bool whole;
    for (int number = 1; s == OK && next_line(f, text, &whole); number++) {
        if (!whole)
            skip(out, number);
        else if (text[strspn(text, " \t\r")])
            s = read_line(out, text, path, number, wanted);
    }
    free(text);
    return s;
}

Status ledger_find(LedgerEntry *out, const char *path, uint64_t inputs) {
    struct stat info;
    *out = (LedgerEntry){0};
    if (stat(path, &info) != 0) {
        if (errno == ENOENT) return OK;
        FAIL(ERR_IO, "%s: %s; where the predictions are kept", path, strerror(errno));
    }
    if (S_ISCHR(info.st_mode) || S_ISFIFO(info.st_mode)) return OK;
    FILE *f = fopen(path, "r");
    if (!f) FAIL(ERR_IO, "%s: %s; where the predictions are kept", path, strerror(errno));
    Status s = search(out, f, path, inputs);
    int error = ferror(f) ? errno : 0;
    fclose(f);
    TRY(s);
    if (error) FAIL(ERR_IO, "%s: %s; where the predictions are kept", path, strerror(error));
    return OK;
}
