// SPDX-License-Identifier: MIT
// The cache of quick calibrations: what is taken from it, and what is not believed.
#include "parallel/calibrate/cache.h"
#include "tests/support/machine_case.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char said[4096];
    int notes;  // of them important
} Said;

static void note(void *context, bool important, const char *line) {
    Said *s = context;
    size_t used = strlen(s->said);
    snprintf(s->said + used, sizeof s->said - used, "%s\n", line);
    s->notes += important;
}

static CalibrateCache cache_of(const char *version, Said *said) {
    return (CalibrateCache){.version = version,
                            .spread_permille = INT32_MAX,  // a busy host's, too
                            .context = said,
                            .say = note};
}

// A calibration of a small job by a program of this version; what it said.
static Said calibrate_once(Machine *m, Arena *a, const JobOptions *o, const char *version) {
    Said said = {.notes = 0};
    Job job;
    ck_assert_ok(job_create(&job, o));
    CalibrateCache cache = cache_of(version, &said);
    ck_assert_ok(calibrate_cached(m, a, &job, &cache));
    ck_assert(m->is_calibrated && m->calibration.quick);
    ck_assert_str_eq(m->calibration.model, o->spec.model);
    job_destroy(&job);
    return said;
}

static bool measured(const Said *s) {
    ck_assert_int_eq(s->notes, strstr(s->said, "measured this host for sim") != NULL);
    return s->notes;
}

// The only file of the cache, to be spoilt.
static const char *cached_file(const char *home) {
    static char path[1024];
    char folder[512];
    snprintf(folder, sizeof folder, "%s/tandem", home);
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    closedir(d);
    return path;
}

static const char *new_home(void) {
    const char *home = test_directory();
    ck_assert_int_eq(setenv("XDG_CACHE_HOME", home, 1), 0);
    return home;
}

START_TEST(a_host_is_measured_once_for_a_job_and_a_version) {
    Arena a = {0};
    Machine first, second, other;
    JobOptions o = training_options();
    new_home();
    Said s = calibrate_once(&first, &a, &o, "1.0");
    ck_assert(measured(&s));
    s = calibrate_once(&second, &a, &o, "1.0");
    ck_assert_msg(!measured(&s), "%s", s.said);
    machine_same(&first, &second);
    ck_assert_str_eq(first.calibration.when, second.calibration.when);
    s = calibrate_once(&other, &a, &o, "1.1");
    ck_assert(measured(&s));
    o.spec.batch = 30;
    s = calibrate_once(&other, &a, &o, "1.0");
    ck_assert(measured(&s));
    ck_assert_int_eq(other.calibration.rows, 30);
    arena_finish(&a);
}
END_TEST

static size_t read_file(const char *path, char *text, size_t size) {
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    size_t length = fread(text, 1, size - 1, f);
    fclose(f);
    text[length] = '\0';
    return length;
}

static void write_file(const char *path, const char *text, size_t length) {
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, length, f), length);
    ck_assert_int_eq(fclose(f), 0);
}

static void spoil(const char *path, const char *first_line) {
    char text[1 << 16], other[1 << 16];
    read_file(path, text, sizeof text);
    int length = snprintf(other, sizeof other, "%s%s", first_line, strchr(text, '\n'));
    write_file(path, other, (size_t)length);
}

START_TEST(a_file_that_is_not_believed_is_measured_anew) {
    Arena a = {0};
    Machine m;
    const JobOptions o = training_options();
    const char *home = new_home();
    Said s = calibrate_once(&m, &a, &o, "1.0");
    char path[1024];
    snprintf(path, sizeof path, "%s", cached_file(home));
    spoil(path, "# calibration 1, host 0, program 0, job 0");
    s = calibrate_once(&m, &a, &o, "1.0");
    ck_assert(measured(&s) && strstr(s.said, "of another host, program or job"));
    // Cut, as no writer of ours leaves it.
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(truncate(path, st.st_size / 2), 0);
    s = calibrate_once(&m, &a, &o, "1.0");
    ck_assert(measured(&s) && strstr(s.said, "is not used"));
    // Somebody else's, and no file at all.
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    s = calibrate_once(&m, &a, &o, "1.0");
    ck_assert(measured(&s) && strstr(s.said, "it is no file"));
    // A pipe that nobody reads: opening it to write would wait for ever.
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    s = calibrate_once(&m, &a, &o, "1.0");
    ck_assert(measured(&s) && strstr(s.said, "not kept"));
    arena_finish(&a);
}
END_TEST

// A part of a calibration may well be one: with fewer operations, or 12 us where there were 123.
START_TEST(a_file_is_not_believed_wherever_it_is_cut_or_changed) {
    Arena a = {0}, scratch = {0};
    Machine whole, m;
    Job job;
    Said said = {.notes = 0};
    const JobOptions o = training_options();
    const CalibrateCache cache = cache_of("1.0", &said);
    const char *home = new_home();
    calibrate_once(&whole, &a, &o, "1.0");
    char path[1024], text[1 << 16];
    snprintf(path, sizeof path, "%s", cached_file(home));
    size_t length = read_file(path, text, sizeof text);
    ck_assert_ok(job_create(&job, &o));
    ck_assert(calibrate_find_cached(&m, &scratch, &job, &cache));
    machine_same(&m, &whole);
    for (size_t at = 0; at < length; at++) {
        said = (Said){.notes = 0};
        if (at % 7 == 0) {  // a digit, a letter or a line's end
            text[at] ^= 1;
            write_file(path, text, length);
            text[at] ^= 1;
            ck_assert_msg(!calibrate_find_cached(&m, &scratch, &job, &cache), "byte %zu", at);
        }
        if (at % 3 && text[at] != '\n' && at + 100 < length) continue;  // enough of all cuts
        write_file(path, text, at);
        ck_assert_msg(!calibrate_find_cached(&m, &scratch, &job, &cache), "cut at %zu", at);
        ck_assert_msg(strstr(said.said, "is not used"), "cut at %zu: %s", at, said.said);
        arena_finish(&scratch);
    }
    write_file(path, text, length);
    ck_assert(calibrate_find_cached(&m, &scratch, &job, &cache));
    job_destroy(&job);
    arena_finish(&scratch);
    arena_finish(&a);
}
END_TEST

START_TEST(a_cache_that_cannot_be_written_fails_no_run) {
    Arena a = {0};
    Machine m;
    const JobOptions o = training_options();
    const char *home = new_home();
    char path[1024];
    snprintf(path, sizeof path, "%s/tandem", home);
    fclose(fopen(path, "w"));
    Said s = calibrate_once(&m, &a, &o, "1.0");
    ck_assert(measured(&s) && strstr(s.said, "not kept"));
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    s = calibrate_once(&m, &a, &o, "1.0");
    ck_assert(measured(&s) && strstr(s.said, "not kept"));
    arena_finish(&a);
}
END_TEST

SUITE_SECONDS("calibration_cache", 60, a_host_is_measured_once_for_a_job_and_a_version,
              a_file_that_is_not_believed_is_measured_anew,
              a_file_is_not_believed_wherever_it_is_cut_or_changed,
              a_cache_that_cannot_be_written_fails_no_run)
