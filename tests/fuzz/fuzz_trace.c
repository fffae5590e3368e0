// SPDX-License-Identifier: MIT
// Traces and plan files. Any bytes are refused in one line, or what was read goes the way that `sim
// --trace` and `train --plan` would send it: checked, printed and read again, lowered, simulated.
#include "core/plan/check.h"
#include "core/plan/lower.h"
#include "core/plan/sequence.h"
#include "core/plan_text/plan_text.h"
#include "core/platform/device_traits.h"
#include "sim/predict.h"
#include "tests/fuzz/fuzz.h"

#define NAME "fuzz.json"

enum { RANKS = 4 };  // a run of more is checked, but not simulated

// --- plans

static char *printed(const Program *p, size_t *length) {
    char *text = NULL;
    FILE *f = open_memstream(&text, length);
    const ProgramSet set = program_set_of_one(p);
    Status s = plan_text_print(&set, NONE, f);
    fclose(f);
    REQUIRE(s == OK, "%s", status_message());
    return text;
}

static uint64_t fingerprint(const Program *p, int group) {
    uint64_t hash;
    Status s = sequence_fingerprint(p, (Sequence){.group = group}, &hash);
    REQUIRE(s == OK, "%s", status_message());
    return hash;
}

// What is printed is read back as the same program.
static void check_round_trip(const Program *p) {
    size_t length, second_length;
    Program again;
    char *text = printed(p, &length);
    Status s = plan_text_parse_class(&again, NULL, text, length, NAME);
    REQUIRE(s == OK, "%s\n%s", status_message(), text);
    char *second = printed(&again, &second_length);
    REQUIRE(!strcmp(text, second), "%s\n%s", text, second);
    for (int g = 0; g < p->group_count; g++)
        REQUIRE(fingerprint(p, g) == fingerprint(&again, g), "%s", text);
    program_finish(&again);
    free(text);
    free(second);
}

static Status check_together(const Program *p) {
    const ProgramSet set = program_set_of_one(p);
    if (program_ranks(p) > RANKS) return program_check(p);
    return plan_check(&set);
}

static void lower_and_check(Program *p, const char *device) {
    Status s = program_lower(p, device_traits(device));
    if (s != OK) return;
    check_round_trip(p);
    s = check_together(p);
    REQUIRE(s == OK, "lowered: %s", status_message());
}

// --- one step

static void replay(Arena *a, const Recording *r) {
    Prediction p;
    Status s = predict_replay(&p, a, r, NULL);
    bool refused = s == ERR_FAILED || s == ERR_FORMAT;
    REQUIRE(s == OK || refused, "%s: %s", status_name(s), status_message());
    REQUIRE(s != OK || p.step_ms >= 0, "a step of %g ms", p.step_ms);
}

// The same trace for every rank. Costs are those recorded; without a record, a machine's.
static void simulate(const Trace *t, int plan, const Machine *machine) {
    Arena a = {0};
    Recording r = {.ranks = t->run.ranks, .plan = plan};
    r.traces = ARENA_NEW(&a, Trace, r.ranks);
    for (int k = 0; k < r.ranks; k++) r.traces[k] = *t;
    if (!machine) {
        Status s = recording_measure(&r, &a);
        REQUIRE(s == OK || s == ERR_FORMAT, "%s", status_message());
        if (s == OK) replay(&a, &r);
        arena_finish(&a);
        return;
    }
    r.costs = ARENA_NEW(&a, Costs, r.ranks);
    for (int k = 0; k < r.ranks; k++) {
        Status s = costs_init(&r.costs[k], &a, &t->program);
        if (s == OK) s = costs_from_roofline(&r.costs[k], &machine->device);
        REQUIRE(s == OK, "%s", status_message());
        costs_from_host(&r.costs[k], &machine->host, NULL);
    }
    replay(&a, &r);
    arena_finish(&a);
}

static void simulate_plan(const Program *p) {
    Arena a = {0};
    Machine laptop;
    Trace t = {.program = *p,
               .run = {.model = "fuzz",
                       .device = "cpu",
                       .dtype = "f32",
                       .ranks = program_ranks(p),
                       .batch = 64}};
    Status s = machine_read(&laptop, &a, "laptop");
    REQUIRE(s == OK, "%s", status_message());
    for (int k = 0; k < p->plan_count; k++) simulate(&t, k, &laptop);
    arena_finish(&a);
}

static void run_plan(const char *text, size_t size, const char *device) {
    Program p;
    Status s = plan_text_parse_class(&p, NULL, text, size, NAME);
    if (s != OK) {
        require_refusal(s, NAME);
        return;
    }
    check_round_trip(&p);
    s = check_together(&p);
    if (s == OK && !p.lowered) lower_and_check(&p, device);
    if (s == OK && program_ranks(&p) <= RANKS) simulate_plan(&p);
    program_finish(&p);
}

// --- traces

// Every instant of a recorded step is counted once.
static void check_breakdowns(const Trace *t) {
    for (int i = 0; i < t->timeline.step_count; i++) {
        const StepRecord *s = &t->timeline.steps[i];
        int64_t times[TIME_COUNT], sum = 0;
        timeline_breakdown(&t->program, &t->timeline, s, times);
        for (int b = 0; b < TIME_COUNT; b++) {
            REQUIRE(times[b] >= 0, "%s %lld ps", time_category_name((TimeCategory)b),
                    (long long)times[b]);
            sum += times[b];
        }
        REQUIRE(sum == s->end_ps - s->start_ps, "%lld ps", (long long)sum);
    }
}

static void run_trace(const char *text, size_t size) {
    Arena a = {0};
    Trace t;
    Status s = trace_parse(&t, &a, text, size, NAME);
    if (s == OK) {
        int plan = program_find_plan(&t.program, "step");
        check_round_trip(&t.program);
        check_breakdowns(&t);
        if (plan != NONE && t.run.ranks <= RANKS && check_together(&t.program) == OK)
            simulate(&t, plan, NULL);
    } else
        require_refusal(s, NAME);
    trace_finish(&t);
    arena_finish(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    if (size >= 6 && !memcmp(text, "tandem", 6))
        run_plan(text, size, size % 2 ? "cpu" : "reference");
    else
        run_trace(text, size);
    return 0;
}
