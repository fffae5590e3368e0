// SPDX-License-Identifier: MIT
// Random edits of right plans (plan_sources.h) go through the fuzz target of plans, a batch of them
// in a process of its own; speaks TAP. What failed is told with its seed, which makes it again.
// Usage: edit_plans EDITS      edit_plans PLAN SEED: print that edit, and run it
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_plan.h"
#include "tests/support/mutate.h"
#include "tests/support/plan_sources.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 250, SECONDS = 120, ROOM = 4096 };  // room: bytes that edits may add

typedef struct {
    const char *text;
    size_t length;
    uint64_t *seed;     // the one at work, seen by the parent
    int64_t *executed;  // edits that ran to their end, as well
} Edits;

static void run_edit(const Edits *e, uint64_t seed, bool print) {
    char *text = malloc(e->length + ROOM);
    memcpy(text, e->text, e->length);
    size_t length = e->length;
    if (seed) length = mutate_text(text, length, length + ROOM, seed, plan_phrases);
    uint8_t *exact = malloc(length + 1);  // so that reading behind the end is seen
    memcpy(exact, text, length);
    if (print) fwrite(exact, 1, length, stdout);
    LLVMFuzzerTestOneInput(exact, length);
    free(exact);
    free(text);
}

static int run_batch(const Edits *e, uint64_t first, uint64_t end) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(SECONDS);
        for (*e->seed = first; *e->seed < end; ++*e->seed) {
            fuzz_plan_executed = 0;
            run_edit(e, *e->seed, false);
            *e->executed += fuzz_plan_executed;
        }
        _exit(0);
    }
    int status = -1;
    if (child > 0) waitpid(child, &status, 0);
    return status;
}

// A batch that fails goes on behind the edit that failed. Returns how many failed.
static int run_edits(const Edits *e, uint64_t count, const char *name) {
    int failed = 0;
    for (uint64_t at = 1; at <= count;) {
        uint64_t end = at + BATCH < count + 1 ? at + BATCH : count + 1;
        int status = run_batch(e, at, end);
        at = end;
        if (!status) continue;
        printf("# edit %llu of %s: %s %d\n", (unsigned long long)*e->seed, name,
               WIFSIGNALED(status) ? "signal" : "status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        failed++;
        at = *e->seed + 1;
    }
    return failed;
}

static int run_all(Edits *e, uint64_t edits) {
    int bad = 0;
    printf("1..%d\n", PLAN_SOURCES);
    for (int i = 0; i < PLAN_SOURCES; i++) {
        char *text = plan_source_text(i, &e->length);
        e->text = text;
        *e->executed = 0;
        int failed = run_batch(e, 0, 1) != 0 || *e->executed != 1;  // as it is
        if (failed) printf("# plan %s is not executed\n", plan_source_name(i));
        failed += run_edits(e, edits / PLAN_SOURCES, plan_source_name(i));
        if (edits >= 100 * PLAN_SOURCES && *e->executed < (int64_t)edits / PLAN_SOURCES / 20) {
            printf("# too few of the edits are executed to tell anything\n");
            failed++;
        }
        printf("%sok %d - edits of plan %s, %lld executed\n", failed ? "not " : "", i + 1,
               plan_source_name(i), (long long)*e->executed);
        bad += failed != 0;
        free(text);
    }
    return bad != 0;
}

static int run_one(Edits *e, const char *name, uint64_t seed) {
    for (int i = 0; i < PLAN_SOURCES; i++) {
        if (strcmp(plan_source_name(i), name)) continue;
        char *text = plan_source_text(i, &e->length);
        e->text = text;
        run_edit(e, seed, true);
        free(text);
        return 0;
    }
    return 2;
}

int main(int argc, char *argv[]) {
    void *seen = mmap(NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seen == MAP_FAILED) return 1;
    Edits e = {.seed = seen, .executed = (int64_t *)seen + 1};
    int result = 2;
    if (argc == 2) result = run_all(&e, strtoull(argv[1], NULL, 10));
    if (argc == 3) result = run_one(&e, argv[1], strtoull(argv[2], NULL, 10));
    if (result == 2) fprintf(stderr, "usage: %s EDITS, or PLAN SEED\n", argv[0]);
    return result;
}
