// SPDX-License-Identifier: MIT
// The parts of a calibration in order, and the machine that follows from what they measured.
#include "parallel/calibrate/calibrate.h"
#include "parallel/calibrate/calibrate_internal.h"

#include "core/base/host.h"
#include "parallel/run/process.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const size_t FULL_BUFFER = 64 << 20, QUICK_BUFFER = 16 << 20;
enum { TYPICAL_SLICE = 16 * 1024 };  // bytes that a rank of two adds up in a bucket of 32 KiB

// --- the bench

static Status map_shared(void **out, size_t bytes) {
    *out = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (*out == MAP_FAILED) {
        *out = NULL;
        FAIL(ERR_MEMORY, "no memory for calibration: %zu bytes are needed", bytes);
    }
    return OK;
}

static Status bench_init(Bench *b) {
    b->core_count = process_cores(&b->cores);
    if (b->core_count < 1) b->core_count = 1;
    b->words_bytes = (size_t)b->core_count * sizeof *b->words;
    b->buffer_bytes = b->options->quick ? QUICK_BUFFER : FULL_BUFFER;
    void *words, *buffers;
    TRY(map_shared(&words, b->words_bytes));
    b->words = words;
    TRY(map_shared(&buffers, 2 * b->buffer_bytes));
    b->memory[0] = buffers;
    b->memory[1] = b->memory[0] + b->buffer_bytes;
    return OK;
}

static void bench_finish(Bench *b) {
    if (b->words) munmap(b->words, b->words_bytes);
    if (b->memory[0]) munmap(b->memory[0], 2 * b->buffer_bytes);
}

// --- what is measured

static void choose_rows(CalibrateOptions *o, const Job *job) {
    int64_t rows = calibrate_job_rows(job);
    int64_t least = calibrate_least_rows(job);
    if (o->row_count) return;
    o->rows[o->row_count++] = rows;
    for (int parts = 2; parts <= 4 && !o->quick && !job->options.spec.plan_file; parts *= 2)
        if (rows % parts == 0 && rows / parts >= least) o->rows[o->row_count++] = rows / parts;
}

static Status measure_parts(Bench *b) {
    const CalibrateOptions *o = b->options;
    static const struct {
        const char *name;
        Status (*measure)(Bench *b);
    } parts[] = {{"clocks", calibrate_clocks},
                 {"waiting", calibrate_waiting},
                 {"collectives", calibrate_collective},
                 {"memory", calibrate_memory}};
    int count = sizeof parts / sizeof *parts, rows = o->row_count;
    for (int i = 0; i < count + rows; i++) {
        char name[64];
        snprintf(name, sizeof name, "step of %lld rows",
                 (long long)(i < count ? 0 : o->rows[i - count]));
        if (o->progress) o->progress(o->context, i, count + rows, i < count ? parts[i].name : name);
        TRY(i < count ? parts[i].measure(b) : calibrate_step(b, o->rows[i - count]));
    }
    return OK;
}

static Status describe_job(Calibration *c, Arena *a, const Bench *b) {
    const JobOptions *o = &b->job->options;
    HostInfo info;
    char when[32];
    time_t now = time(NULL);
    struct tm utc;
    host_info_read(&info);
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    c->model = arena_string(a, o->spec.model);
    c->device = arena_string(a, o->spec.device);
    c->dtype = dtype_name(o->spec.dtype);
    c->cpu = arena_string(a, *info.cpu ? info.cpu : "unknown processor");
    c->when = arena_string(a, when);
    c->quick = b->options->quick;
    c->rows = b->options->rows[0];
    if (!c->model || !c->device || !c->cpu || !c->when)
        FAIL(ERR_MEMORY, "out of memory for a calibration");
    return OK;
}

// --- the machine that it makes

static const MemoryRate *rate_at(const MemoryRate *rates, int count, int64_t bytes) {
    int i = count - 1;
    while (i > 0 && rates[i].bytes > bytes) i--;
    return &rates[i];
}

// The sum of a time of all operations that have it, over the sum of their times alone.
static int32_t permille_of(const Calibration *c, size_t field) {
    int64_t solo = 0, sum = 0;
    for (int i = 0; i < c->operation_count; i++) {
        const Measured *m = (const Measured *)((const char *)&c->operations[i] + field);
        if (!m->known) continue;
        solo += c->operations[i].solo_ps.median;
        sum += m->median;
    }
    return solo ? (int32_t)lround(1000 * (double)sum / (double)solo) : 1000;
}

static HostModel host_of(const Calibration *c, int cores) {
    const MemoryRate *fold = rate_at(c->reduce, c->reduce_count, TYPICAL_SLICE);
    return (HostModel){
        .cores = cores,
        .dispatch_ps = c->dispatch_ps.median,
        .turn_ps = c->turn_ps.median,
        .spin_ps = COMM_SPIN_NS * 1000,
        .poll_ps = c->ping_ps.median,
        .wake_ps = c->wake_ps.known ? c->wake_ps.median : c->wake_same_core_ps.median,
        .wake_same_core_ps = c->wake_same_core_ps.median,
        .switch_ps = c->switch_ps.median,
        .yield_ps = COMM_YIELDS * c->yield_ps.median,
        .fold_bytes_per_s = fold->peer.known ? fold->peer.median : fold->own.median,
        .co_run_permille = permille_of(c, offsetof(OperationTime, co_run_ps)),
        .oversubscribed_permille = permille_of(c, offsetof(OperationTime, oversubscribed_ps))};
}

// The best rate of an operation is the peak, the rate of all of them together what is reached.
static DeviceModel device_of(const Calibration *c, Dtype dtype, int cores) {
    DeviceModel d = {.name = c->cpu,
                     .memory_bytes =
                         (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / cores,
                     .memory_bytes_per_s = c->copy[c->copy_count - 1].own.median,
                     .flops_permille = 1000,
                     .memory_permille = 1000};
    double best = 0, flops = 0, seconds = 0;
    for (int i = 0; i < c->operation_count; i++) {
        const OperationTime *o = &c->operations[i];
        double s = (double)o->solo_ps.median * 1e-12;
        if (!o->flops || s <= 0) continue;
        if ((double)o->flops / s > best) best = (double)o->flops / s;
        flops += (double)o->flops;
        seconds += s;
    }
    if (best <= 0) return d;
    d.flops_per_s[dtype] = llround(best);
    d.flops_permille = (int32_t)ceil(1000 * flops / seconds / best);
    return d;
}

static Status make_machine(Machine *out, Arena *a, const Bench *b) {
    char name[128];
    snprintf(name, sizeof name, "%d x %s", b->core_count, b->out->cpu);
    *out = (Machine){.name = arena_string(a, name),
                     .source = "calibration",
                     .is_host = true,
                     .nodes = 1,
                     .devices_per_node = b->core_count,
                     .device = device_of(b->out, b->job->options.spec.dtype, b->core_count),
                     .host = host_of(b->out, b->core_count),
                     .is_calibrated = true,
                     .calibration = *b->out};
    if (!out->name) FAIL(ERR_MEMORY, "out of memory for a machine");
    return OK;
}

Status calibrate(Machine *out, Arena *a, const Job *job, const CalibrateOptions *options) {
    Calibration c = {0};
    CalibrateOptions o = *options;
    choose_rows(&o, job);
    Bench b = {.job = job, .options = &o, .arena = a, .out = &c};
    Status s = bench_init(&b);
    if (s == OK) {
        process_pin(&b.cores, 0);
        s = measure_parts(&b);
        process_unpin(&b.cores);
    }
    if (s == OK) s = describe_job(&c, a, &b);
    if (s == OK) s = make_machine(out, a, &b);
    bench_finish(&b);
    return s;
}
