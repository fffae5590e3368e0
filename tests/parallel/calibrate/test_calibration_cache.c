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

// A calibration of a small job by a program of this version; what it said.
static Said calibrate_once(Machine *m, Arena *a, const JobOptions *o, const char *version) {
    Said said = {.notes = 0};
    Job job;
    ck_assert_ok(job_create(&job, o));
    ck_assert_ok(
        calibrate_cached(m, a, &job,
                         &(CalibrateCache){.version = version,
                                           .spread_permille = INT32_MAX,  // a busy host's, too
                                           .context = &said,
                                           .say = note}));
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

static void spoil(const char *path, const char *first_line) {
    char text[1 << 16];
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    size_t length = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[length] = '\0';
    f = fopen(path, "w");
    fputs(first_line, f);
    fputs(strchr(text, '\n'), f);
    fclose(f);
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
    // Cut in the middle, as no writer of ours leaves it.
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
              a_cache_that_cannot_be_written_fails_no_run)
