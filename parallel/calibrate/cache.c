// SPDX-License-Identifier: MIT
// Read calibrate_cached() at the end first.
#include "parallel/calibrate/cache.h"

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/host.h"
#include "core/base/text.h"
#include "parallel/calibrate/calibrate.h"
#include "parallel/calibrate/calibrate_internal.h"
#include "parallel/run/process.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY = 512, MOST_BYTES = 4 << 20 };

typedef struct {
    const CalibrateCache *cache;
    char key[KEY];  // the file's first line
    char path[4096];
} Entry;

static void say(const Entry *e, bool important, const char *fmt, ...) {
    char line[900];
    va_list list;
    va_start(list, fmt);
    vsnprintf(line, sizeof line, fmt, list);
    va_end(list);
    if (e->cache->say) e->cache->say(e->cache->context, important, line);
}

// --- what a calibration depends on

// The host, whatever it is called and whenever it was started.
static uint64_t host_hash(void) {
    char id[256] = "";
    HostInfo info;
    cpu_set_t cores;
    FILE *f = fopen("/etc/machine-id", "r");
    if (f && !fgets(id, sizeof id, f)) *id = '\0';
    if (f) fclose(f);
    host_info_read(&info);
    uint64_t hash = hash_bytes(HASH_START, id, strlen(id));
    hash = hash_bytes(hash, info.cpu, strlen(info.cpu));
    return hash_u64(hash, (uint64_t)process_cores(&cores));
}

// The program: two builds of one version may differ.
static uint64_t build_hash(const char *version) {
    struct stat s = {0};
    uint64_t hash = hash_bytes(HASH_START, version, strlen(version));
    if (stat("/proc/self/exe", &s) != 0) return hash;
    hash = hash_u64(hash, (uint64_t)s.st_size);
    hash = hash_u64(hash, (uint64_t)s.st_mtim.tv_sec);
    return hash_u64(hash, (uint64_t)s.st_mtim.tv_nsec);
}

// The job: the operations that are measured, and how many rows they work on.
static uint64_t job_hash(const Job *job) {
    const Program *p = job_program(job, 0);
    const Plan *plan = &p->plans[job->plan_step];
    const char *names[] = {job->options.spec.model, job->options.spec.device,
                           dtype_name(job->options.spec.dtype)};
    uint64_t hash = hash_u64(HASH_START, (uint64_t)calibrate_job_rows(job));
    for (int i = 0; i < 3; i++) hash = hash_bytes(hash, names[i], strlen(names[i]) + 1);
    for (int i = 0; i < plan->op_count; i++)
        hash = hash_u64(hash, p->works[plan->ops[i].work].cost_key);
    return hash;
}

// The folder of a user's caches; false when there is none.
static bool cache_folder(char *out, size_t size) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    *out = '\0';
    if (cache && *cache == '/')  // the standard: another path is to be ignored
        text_append(out, size, "%s/tandem", cache);
    else if (home && *home == '/')
        text_append(out, size, "%s/.cache/tandem", home);
    return *out && strlen(out) + 64 < size;
}

static bool entry_init(Entry *e, const Job *job, const CalibrateCache *cache) {
    char folder[sizeof e->path];
    *e = (Entry){.cache = cache};
    uint64_t host = host_hash(), build = build_hash(cache->version), work = job_hash(job);
    snprintf(e->key, KEY,
             "# calibration 2, host %016" PRIx64 ", program %016" PRIx64 ", job %016" PRIx64, host,
             build, work);
    if (!cache_folder(folder, sizeof folder)) return false;
    uint64_t name = hash_bytes(HASH_START, e->key, strlen(e->key));
    text_append(e->path, sizeof e->path, "%s/calibration-%016" PRIx64 ".yaml", folder, name);
    return true;
}

// --- the file

// Ours, and measured with the same host, program and job; or why it is not.
static const char *not_believed(const Entry *e, const struct stat *s, const char *text) {
    size_t length = strlen(e->key);
    if (s->st_uid != geteuid()) return "it belongs to somebody else";
    if (!S_ISREG(s->st_mode)) return "it is no file";
    if (text && (strncmp(text, e->key, length) || text[length] != '\n'))
        return "it is of another host, program or job";
    return NULL;
}

// The last line of a file, a comment, has the hash of all before it: a part of a calibration may
// well be a calibration, of fewer operations or with a number that lacks its last digits.
static const char last_line[] = "# hash %016" PRIx64 "\n";
enum { LAST_LINE = 24 };  // bytes

static const char *not_whole(const char *text, size_t length) {
    char line[LAST_LINE + 1];
    size_t before = length < LAST_LINE ? 0 : length - LAST_LINE;
    snprintf(line, sizeof line, last_line, hash_bytes(HASH_START, text, before));
    return strcmp(text + before, line) ? "it is cut off or was changed" : NULL;
}

static bool load(Machine *out, Arena *a, const Entry *e) {
    struct stat s;
    char *text = NULL;
    size_t length = 0;
    if (lstat(e->path, &s) != 0) return false;
    const char *why = not_believed(e, &s, NULL);
    if (!why && file_read_most(&text, &length, a, MOST_BYTES, e->path) != OK)
        why = status_message();
    if (!why) why = not_believed(e, &s, text);
    if (!why) why = not_whole(text, length);
    if (!why && machine_parse(out, a, text, length, e->path) != OK) why = status_message();
    if (!why && !out->is_calibrated) why = "it holds no calibration";
    if (why)
        say(e, false, "cache %s is not used: %s", e->path, why);
    else
        say(e, false, "this host as measured on %s, from %s", out->calibration.when, e->path);
    return !why;
}

// The entry as text, on the heap.
static Status print_entry(char **out, size_t *length, const Entry *e, const Machine *m) {
    FILE *f = open_memstream(out, length);
    if (!f) FAIL(ERR_MEMORY, "out of memory for a calibration");
    fprintf(f, "%s\n", e->key);
    machine_print(m, f);
    fflush(f);
    fprintf(f, last_line, hash_bytes(HASH_START, *out, *length));
    bool failed = ferror(f) != 0;
    if (fclose(f) != 0 || failed) FAIL(ERR_MEMORY, "out of memory for a calibration");
    return OK;
}

static Status write_file(const char *path, const char *text, size_t length) {
    char folder[FILE_FOLDER];
    OutputFile f;
    file_folder(folder, path);
    TRY(file_make_directory(folder));
    TRY(file_create(&f, path));
    fwrite(text, 1, length, f.stream);
    return file_commit(&f);
}

static Status write_entry(const Entry *e, const Machine *m) {
    char *text = NULL;
    size_t length = 0;
    Status s = print_entry(&text, &length, e, m);
    if (s == OK) s = write_file(e->path, text, length);
    free(text);
    return s;
}

static bool steady(const Machine *m, const CalibrateCache *c) {
    const Measured *step = &m->calibration.step_ps;
    double most = (c->spread_permille ? c->spread_permille : 200) * 1e-3;
    return !step->known || (double)(step->high - step->low) <= most * (double)step->median;
}

static void keep(const Entry *e, const Machine *m, double seconds) {
    const char *why = !*e->path ? "there is no home for a cache" : NULL;
    struct stat s;
    if (!why && lstat(e->path, &s) == 0 && !S_ISREG(s.st_mode))
        why = "what has the name of the entry is no file";
    if (!why && !steady(m, e->cache)) why = "it varied too much";
    if (!why && write_entry(e, m) != OK) why = status_message();
    if (why)
        say(e, true, "measured this host for sim in %.1f s", seconds);
    else
        say(e, true, "measured this host for sim in %.1f s; the next --trace of this job need not",
            seconds);
    say(e, false, why ? "not kept: %s" : "kept in %s", why ? why : e->path);
}

bool calibrate_find_cached(Machine *out, Arena *a, const Job *job, const CalibrateCache *cache) {
    Entry e;
    return entry_init(&e, job, cache) && load(out, a, &e);
}

Status calibrate_cached(Machine *out, Arena *a, const Job *job, const CalibrateCache *cache) {
    Entry e;
    if (entry_init(&e, job, cache) && load(out, a, &e)) return OK;
    int64_t start_ns = clock_ns();
    TRY(calibrate(out, a, job, &(CalibrateOptions){.quick = true}));
    keep(&e, out, (double)(clock_ns() - start_ns) * 1e-9);
    return OK;
}
