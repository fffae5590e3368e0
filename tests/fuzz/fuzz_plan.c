// SPDX-License-Identifier: MIT
// Plan files go the way that train --plan sends them, and are executed: each is refused in one
// line, or every communicator ends with the same parameters, or refuses it too. Every tensor has
// memory of its own, between gaps that nobody may write (nor, under AddressSanitizer, read).
#include "tests/fuzz/fuzz_plan.h"

#include "core/plan_text/plan_text.h"
#include "parallel/run/launch.h"
#include "parallel/strategy/plan_job.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/mutate.h"
#include "tests/support/plan_sources.h"

#include <unistd.h>

#if defined __SANITIZE_ADDRESS__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

enum { GAP = 128, RANKS = 4, PIECES = 8 };
enum { UNTOUCHED = 0xA5 };
static const int64_t LARGEST = 1 << 26;  // bytes of the pools of a plan that is executed
static const int64_t TIMEOUT_NS = INT64_C(2000000000);

int64_t fuzz_plan_executed;

// --- memory

static int64_t rounded(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Give every tensor that has memory its own, with a gap before and behind.
static void separate(Program *p) {
    int64_t next[POOL_COUNT] = {0};
    for (int t = 0; t < p->tensor_count; t++) {
        Tensor *tensor = &p->tensors[t];
        if (tensor->alias != NONE || tensor->offset == NONE) continue;
        int64_t *at = &next[tensor->pool];
        tensor->offset = *at + GAP;
        *at = tensor->offset + rounded(tensor->bytes);
    }
    for (int t = 0; t < p->tensor_count; t++) {
        Tensor *tensor = &p->tensors[t];
        if (tensor->alias == NONE || tensor->offset == NONE) continue;
        tensor->offset = p->tensors[program_root(p, t)].offset;
    }
    for (int pool = 0; pool < POOL_COUNT; pool++)
        if (next[pool]) p->pool_bytes[pool] = next[pool] + GAP;
}

typedef void GapCall(unsigned char *gap, size_t bytes, const char *name);

static void each_gap(const Executor *e, GapCall *call) {
    const Program *p = e->program;
    for (int t = 0; t < p->tensor_count; t++) {
        const Tensor *tensor = &p->tensors[t];
        if (tensor->alias != NONE || tensor->offset == NONE) continue;
        unsigned char *at = e->pools[tensor->pool] + tensor->offset;
        if (tensor->offset == GAP) call(at - GAP, GAP, tensor_name(p, t));
        call(at + tensor->bytes, (size_t)(rounded(tensor->bytes) - tensor->bytes + GAP),
             tensor_name(p, t));
    }
}

static void close_gap(unsigned char *gap, size_t bytes, const char *name) {
    memset(gap, UNTOUCHED, bytes);
    ASAN_POISON_MEMORY_REGION(gap, bytes);
}

static void open_gap(unsigned char *gap, size_t bytes, const char *name) {
    ASAN_UNPOISON_MEMORY_REGION(gap, bytes);
    for (size_t i = 0; i < bytes; i++)
        REQUIRE(gap[i] == UNTOUCHED, "byte %zu behind %s is written", i, name);
}

// Memory of ranks, to be opened again after a run that failed.
typedef struct {
    struct {
        unsigned char *at;
        size_t bytes;
    } pools[RANKS][POOL_COUNT];
} Closed;

static void ready(void *context, Executor *e) {
    Closed *closed = context;
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        closed->pools[e->rank][pool].at = e->pools[pool];
        closed->pools[e->rank][pool].bytes = (size_t)e->program->pool_bytes[pool];
    }
    each_gap(e, close_gap);
}

static void finished(void *context, Executor *e) { each_gap(e, open_gap); }

static void open_all(const Closed *closed) {
    for (int r = 0; r < RANKS; r++)
        for (int pool = 0; pool < POOL_COUNT; pool++)
            if (closed->pools[r][pool].bytes)
                ASAN_UNPOISON_MEMORY_REGION(closed->pools[r][pool].at,
                                            closed->pools[r][pool].bytes);
}

// --- one plan

// How an execution ended: two communicators must agree.
typedef struct {
    Status status;
    uint64_t hash;
} Ending;

static int64_t pools_bytes(const ProgramSet *set) {
    int64_t bytes = 0;
    for (int i = 0; i < set->count; i++)
        for (int pool = 0; pool < POOL_COUNT; pool++) bytes += set->programs[i].pool_bytes[pool];
    return bytes;
}

static Ending execute(const Job *base, const JobOptions *options, CommKind comm) {
    JobOptions o = *options;
    Job job;
    Training t = {0};
    Closed closed = {0};
    const RunHooks hooks = {.context = &closed, .ready = ready, .finished = finished};
    o.comm = comm;
    Ending end = {.status = job_derive(&job, base, &o)};
    if (end.status == OK && pools_bytes(&job.set) <= LARGEST) {
        for (int i = 0; i < job.set.count; i++) separate(&job.set.programs[i]);
        end.status = launch_run(&t, &job, &hooks);
        if (end.status == OK) end.hash = t.shared->results[0].parameters_hash;
        open_all(&closed);
        REQUIRE(!t.stuck, "%s", status_message());
    }
    launch_finish(&t);
    job_destroy(&job);
    return end;
}

// What train is told on the command line: the cut of the batch that the plan was printed for.
static Status take_cut(JobSpec *spec, const ProgramSet *set) {
    PlanJob plan;
    TRY(plan_job_read(&plan, set, "fuzz.plan"));
    spec->ranks = plan.ranks;
    spec->mesh.data = plan.data_ranks;
    spec->shards = plan.local_shards * plan.data_ranks;
    spec->micro_batches = plan.micro_batches;
    return OK;
}

// The model and the data are read once.
static const Job *base_job(void) {
    static Job base;
    if (base.batches) return &base;
    JobOptions o = plan_source_options();
    Status s = job_create(&base, &o);
    REQUIRE(s == OK, "%s", status_message());
    return &base;
}

// A file that is written anew for every input.
static const char *plan_path(const uint8_t *data, size_t size) {
    static char path[64];
    static FILE *file;
    if (!file) file = tmpfile();
    REQUIRE(file != NULL, "no temporary file");
    rewind(file);
    REQUIRE(ftruncate(fileno(file), 0) == 0, "ftruncate");
    REQUIRE(fwrite(data, 1, size, file) == size && fflush(file) == 0, "%zu bytes", size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(file));
    return path;
}

static void run_plan(JobOptions *o) {
    const Job *base = base_job();
    Ending serial = execute(base, o, COMM_SERIAL);
    REQUIRE(serial.status != ERR_MEMORY, "%s", status_message());
    fuzz_plan_executed += serial.status == OK;
    if (o->spec.ranks == 1) return;
    char text[STATUS_TEXT];
    snprintf(text, sizeof text, "%s", serial.status == OK ? "" : status_message());
    Ending thread = execute(base, o, COMM_THREAD);
    REQUIRE((serial.status == OK) == (thread.status == OK), "serial: %s %s; threads: %s %s",
            status_name(serial.status), text, status_name(thread.status), status_message());
    REQUIRE(serial.hash == thread.hash, "%016llx in serial, %016llx between threads",
            (unsigned long long)serial.hash, (unsigned long long)thread.hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ProgramSet set = {0};
    JobOptions o = plan_source_options();
    o.comm_options.timeout_ns = TIMEOUT_NS;
    Status s = plan_text_parse(&set, (const char *)data, size, "fuzz.plan");
    if (s == OK) s = take_cut(&o.spec, &set);
    program_set_finish(&set);
    if (s != OK)
        require_refusal(s, "fuzz.plan");
    else if (o.spec.ranks <= RANKS && o.spec.micro_batches * o.spec.shards <= PIECES * RANKS) {
        o.spec.plan_file = plan_path(data, size);
        run_plan(&o);
    }
    return 0;
}

#ifdef DRIVEN_BY_LIBFUZZER
// libFuzzer's own edits find bytes that the reader refuses; ours find plans that are executed. Now
// and then it begins with a plan that is right.
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    if (seed % 16 == 0) return LLVMFuzzerMutate(data, size, max_size);
    if (seed % 64 == 1 || size < 64) {
        char *text = plan_source_text((int)(seed / 64 % PLAN_SOURCES), &size);
        if (size > max_size) size = max_size;
        memcpy(data, text, size);
        free(text);
    }
    return mutate_text((char *)data, size, max_size, seed, plan_phrases);
}
#endif
