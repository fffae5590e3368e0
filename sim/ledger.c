// SPDX-License-Identifier: MIT
#include "sim/ledger.h"

#include "core/base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

// One write of a whole line, so that programs that append at the same time do not mix.
static Status append(const char *path, const char *text) {
    size_t length = strlen(text);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        FAIL(ERR_IO, "%s: %s; predictions are kept there, give --predictions FILE or none", path,
             strerror(errno));
    ssize_t written = write(fd, text, length);
    int error = errno, closed = close(fd);
    if (written != (ssize_t)length || closed)
        FAIL(ERR_IO, "%s: the prediction could not be written whole: %s", path,
             strerror(written < 0 ? error : EIO));
    return OK;
}

Status ledger_append(const char *path, const Prediction *p, const char *platform, int argc,
                     const char *const argv[]) {
    json_t *line = make_line(p, platform, argc, argv);
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    size_t length = text ? strlen(text) : 0;
    char *whole = text ? malloc(length + 2) : NULL;
    Status s = OK;
    if (whole) {
        memcpy(whole, text, length);
        memcpy(whole + length, "\n", 2);
        s = append(path, whole);
    } else
        s = status_fail(ERR_MEMORY, __FILE__, __LINE__, "out of memory for a prediction");
    json_decref(line);
    free(text);
    free(whole);
    return s;
}

static Status read_line(char made[CLOCK_TEXT], const char *text, const char *place,
                        const char *wanted) {
    json_error_t error;
    const char *schema, *inputs, *when;
    json_t *line = json_loads(text, 0, &error);
    if (!line)
        FAIL(ERR_FORMAT, "%s: expected a prediction, a JSON object: %s; remove the line", place,
             error.text);
    Status s = json_get_string(&schema, line, place, "schema");
    if (s == OK) s = json_get_string(&inputs, line, place, "inputs");
    if (s == OK) s = json_get_string(&when, line, place, "made");
    bool found = s == OK && !strcmp(schema, SCHEMA) && !strcmp(inputs, wanted);
    if (found && (!*made || strcmp(when, made) < 0)) snprintf(made, CLOCK_TEXT, "%s", when);
    json_decref(line);
    return s;
}

Status ledger_find(char made[CLOCK_TEXT], const char *path, uint64_t inputs) {
    char wanted[24], place[4200], *text = NULL;
    size_t size = 0;
    made[0] = '\0';
    snprintf(wanted, sizeof wanted, "%016" PRIx64, inputs);
    FILE *f = fopen(path, "r");
    if (!f && errno == ENOENT) return OK;
    if (!f) FAIL(ERR_IO, "%s: %s; where the predictions are kept", path, strerror(errno));
    Status s = OK;
    for (int line = 1; s == OK && getline(&text, &size, f) > 0; line++) {
        snprintf(place, sizeof place, "%s:%d", path, line);
        if (strspn(text, " \t\n") < strlen(text)) s = read_line(made, text, place, wanted);
    }
    int error = ferror(f) ? errno : 0;
    free(text);
    fclose(f);
    TRY(s);
    if (error) FAIL(ERR_IO, "%s: %s; where the predictions are kept", path, strerror(error));
    return OK;
}
