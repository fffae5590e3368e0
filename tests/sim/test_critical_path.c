// SPDX-License-Identifier: MIT
// The critical path against brute force: each operation's cost set to zero, and simulated again. A
// step can gain no more from an operation than what it takes on a path that is critical, and
// nothing from one that is not on it.
#include "core/base/rng.h"
#include "core/platform/machine.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "sim/critical_bill.h"
#include "sim/critical_path.h"
#include "tests/support/mesh_job.h"
#include "tests/support/simulate_case.h"

#include <string.h>

// --- small plans from a seed

enum { PLANS_TRIED = 100, TENSORS = 6, OPS_MOST = 24, LANE_MORE = 3, LANE_SECOND = 4 };

static Status simulate_steps(Setup *s) {
    const SimulateOptions o = {.costs = s->cost_of, .ranks = s->ranks, .steps = s->steps};
    for (int r = 0; r < s->ranks; r++) s->lines[r].span_count = s->lines[r].step_count = 0;
    return simulate_devices(s->line_of, &o, NULL);
}

static int64_t last_end(Setup *s) {
    int64_t end = 0;
    ck_assert_ok(simulate_steps(s));
    for (int r = 0; r < s->ranks; r++)
        if (end_of(s, r) > end) end = end_of(s, r);
    return end;
}

static const char *tensor_of(char name[4], uint32_t i) {
    snprintf(name, 4, "t%u", i % TENSORS);
    return name;
}

// Work on two lanes, all-reduces on two, and messages to the next rank, sent on one and received on
// the other: messages with one tag match in the order in which they start.
static void make_random_op(Setup *s, Rng *rng) {
    char name[16], a[4], b[4];
    uint32_t kind = rng_below(rng, 10), x = rng_below(rng, TENSORS);
    uint32_t y = x + 1 + rng_below(rng, TENSORS - 1);
    int lane = rng_below(rng, 2) ? LANE_MORE : 2, n = s->plan->op_count;
    snprintf(name, sizeof name, "op%d", n);
    if (kind < 6)
        make_op(&s->p, s->plan,
                (OpSpec){.name = name, .kind = KIND_FOLD, .lane = kind % 2 ? 0 : LANE_SECOND},
                tensor_of(a, x), tensor_of(b, y));
    else if (kind < 8)
        make_op(&s->p, s->plan, (OpSpec){.name = name, .kind = KIND_ALL_REDUCE, .lane = lane},
                tensor_of(a, x), tensor_of(a, x));
    else {
        make_op(&s->p, s->plan, (OpSpec){.name = name, .kind = KIND_SEND, .lane = 2, .peer = 1}, "",
                tensor_of(a, x));
        snprintf(name, sizeof name, "op%d", n + 1);
        make_op(&s->p, s->plan,
                (OpSpec){.name = name, .kind = KIND_RECEIVE, .lane = LANE_MORE, .peer = -1},
                tensor_of(b, y), "");
    }
}

static bool is_message(const Setup *s, int op, bool sends) {
    return op_kind(&s->p, &s->plan->ops[op]) == (sends ? KIND_SEND : KIND_RECEIVE);
}

// Both ends of a message have its cost; the receive follows the send.
static void set_cost(Setup *s, int rank, int op, int64_t ps) {
    cost(s, rank, op, ps);
    if (is_message(s, op, true)) cost(s, (rank + 1) % s->ranks, op + 1, ps);
}

static void give_costs(Setup *s, Rng *rng) {
    bool launched = rng_below(rng, 2), waits = rng_below(rng, 2);
    for (int r = 0; r < s->ranks; r++) {
        int64_t issued = 0;
        for (int op = 0; op < s->plan->op_count; op++)
            if (!is_message(s, op, false)) set_cost(s, r, op, rng_below(rng, 3000));
        if (!launched) continue;
        s->costs[r].issued = s->plan->op_count;
        s->costs[r].waits = waits;
        s->costs[r].issued_ps = ARENA_NEW(&s->arena, int64_t, OPS_MOST);
        for (int op = 0; op < s->plan->op_count; op++)
            s->costs[r].issued_ps[op] = issued += rng_below(rng, 1500);
    }
}

static void make_random(Setup *s, uint64_t seed) {
    Rng rng;
    rng_init(&rng, seed, RNG_TEST, 0, 0);
    memset(s, 0, sizeof *s);
    s->ranks = 2 + (int)rng_below(&rng, 3);
    s->steps = 1;
    s->plan = make_program(&s->p, s->ranks);
    int group = program_find_group(&s->p, "data"), ops = 6 + (int)rng_below(&rng, 12);
    ck_assert_ok(program_add_lane(&s->p, "more", LANE_COMMUNICATION, group, NULL));
    ck_assert_ok(program_add_lane(&s->p, "second", LANE_COMPUTE, NONE, NULL));
    for (uint32_t i = 0; i < TENSORS; i++) {
        char name[4];
        make_tensor(&s->p, tensor_of(name, i), ROLE_GRADIENT, PLACEMENT_SUM, SHAPE(16), DTYPE_F32);
    }
    while (s->plan->op_count < ops) make_random_op(s, &rng);
    prepare(s);
    give_costs(s, &rng);
}

static int64_t time_on(const CriticalPath *path, int rank, int op) {
    int64_t ps = 0;
    for (int i = 0; i < path->count; i++) {
        const CriticalStretch *s = &path->stretches[i];
        if (s->rank == rank && s->op == op) ps += s->end_ps - s->start_ps;
    }
    return ps;
}

// Without a gap from the beginning to the end.
static void check_whole(const CriticalPath *path) {
    int64_t at = path->start_ps;
    for (int i = 0; i < path->count; i++) {
        ck_assert_int_eq(path->stretches[i].start_ps, at);
        at = path->stretches[i].end_ps;
    }
    ck_assert_int_eq(at, path->end_ps);
}

static void find(CriticalPath *path, Setup *s) {
    const SimulateOptions o = {.costs = s->cost_of, .ranks = s->ranks, .steps = s->steps};
    ck_assert_ok(critical_path_find(path, &s->arena, &o, s->line_of));
    check_whole(path);
}

static int64_t gain_without(Setup *s, int rank, int op, int64_t end) {
    int64_t ps = s->costs[rank].ops[0][op].ps;
    set_cost(s, rank, op, 0);
    int64_t gain = end - last_end(s);
    set_cost(s, rank, op, ps);
    return gain;
}

static int64_t gain_without_host(Setup *s, int rank, int64_t end) {
    int64_t *issued = s->costs[rank].issued_ps, at_once[OPS_MOST] = {0};
    if (issued) s->costs[rank].issued_ps = at_once;
    int64_t gain = end - last_end(s);
    s->costs[rank].issued_ps = issued;
    return gain;
}

typedef struct {
    int gained, off_path, hosts, messages;
} Tally;

static void check_against_brute_force(Setup *s, Tally *t) {
    CriticalPath path;
    int64_t end = last_end(s);
    find(&path, s);
    ck_assert_int_eq(path.end_ps - path.start_ps, end);
    for (int r = 0; r < s->ranks; r++)
        for (int op = NONE; op < s->plan->op_count; op++) {
            int64_t on = time_on(&path, r, op);
            if (op != NONE && is_message(s, op, false)) continue;
            int64_t gain = op == NONE ? gain_without_host(s, r, end) : gain_without(s, r, op, end);
            ck_assert_int_ge(gain, 0);
            ck_assert_msg(gain <= on, "rank %d op %d gains %lld, and is on the path for %lld", r,
                          op, (long long)gain, (long long)on);
            t->gained += gain > 0;
            t->off_path += on == 0;
            t->hosts += gain > 0 && op == NONE;
            t->messages += gain > 0 && op != NONE && is_message(s, op, true);
        }
}

START_TEST(no_operation_gains_more_than_its_time_on_the_path) {
    Tally t = {0};
    for (uint64_t seed = 1; seed <= PLANS_TRIED; seed++) {
        Setup s;
        make_random(&s, seed);
        check_against_brute_force(&s, &t);
        finish(&s);
    }
    ck_assert_int_gt(t.gained, 2 * PLANS_TRIED);
    ck_assert_int_gt(t.off_path, 10 * PLANS_TRIED);
    ck_assert_int_gt(t.hosts, PLANS_TRIED / 20);
    ck_assert_int_gt(t.messages, PLANS_TRIED / 20);
}
END_TEST

// Of the last of several steps: what an operation took before the step began is not in it.
START_TEST(the_path_of_a_later_step_is_that_step) {
    for (uint64_t seed = 1; seed <= PLANS_TRIED; seed++) {
        Setup s;
        CriticalPath path;
        make_random(&s, seed);
        int64_t ends[3];
        for (s.steps = 1; s.steps <= 3; s.steps++) ends[s.steps - 1] = last_end(&s);
        s.steps = 3;
        find(&path, &s);
        ck_assert_int_eq(path.start_ps, ends[1]);
        ck_assert_int_eq(path.end_ps, ends[2]);
        finish(&s);
    }
}
END_TEST

// --- strategies

enum { JOB_RANKS = 8, JOB_CLASSES = 8, FREED = 8 };

static Arena arena;  // finished by each test

typedef struct {
    ProgramSet set;
    int plan, ranks;
    Costs costs[JOB_CLASSES];
    const Costs *cost_of[JOB_RANKS];
    Machine machine;
    TopologyOptions topology;
    const TopologyOptions *network;  // NULL: communication takes a cost of its own
    Fold fold;
    Timeline lines[JOB_RANKS], *line_of[JOB_RANKS];
} Simulated;

static void give_class_costs(Simulated *x, int class) {
    const Program *p = &x->set.programs[class];
    ck_assert_ok(costs_init(&x->costs[class], &arena, p));
    for (int i = 0; i < p->plans[x->plan].op_count; i++) {
        const Work *w = op_work(p, &p->plans[x->plan].ops[i]);
        int64_t ps = 1000 * (1000 + (int64_t)(w->cost_key % 7919) + class);
        if (work_communicates(w)) ps = x->network ? 0 : 5000000 + w->payload_bytes * 300;
        x->costs[class].ops[x->plan][i] = (OpCost){ps, SOURCE_REPLAYED, true};
    }
}

static SimulateOptions options_of(const Simulated *x, const Fold *fold) {
    return (SimulateOptions){
        .costs = x->cost_of, .plan = x->plan, .ranks = x->ranks, .steps = 2, .fold = fold};
}

// The time of the last step.
static int64_t run(Simulated *x, const Fold *fold) {
    const SimulateOptions o = options_of(x, fold);
    int64_t begin = 0, end = 0;
    for (int i = 0; i < fold_count(fold, x->ranks); i++) {
        const Program *p = x->cost_of[fold_rank(fold, i)]->program;
        timeline_destroy(&x->lines[i]);
        ck_assert_ok(timeline_create(&x->lines[i], i, 2, 2 * p->plans[x->plan].op_count + 1));
        x->line_of[i] = &x->lines[i];
    }
    ck_assert_ok(simulate_devices(x->line_of, &o, x->network));
    for (int i = 0; i < fold_count(fold, x->ranks); i++) {
        if (x->lines[i].steps[1].start_ps > begin) begin = x->lines[i].steps[1].start_ps;
        if (x->lines[i].steps[1].end_ps > end) end = x->lines[i].steps[1].end_ps;
    }
    return end - begin;
}

static void check_sums(const ReportCritical *c, int64_t step_ps) {
    int64_t items = 0, stretches = 0;
    int32_t times = 0;
    for (int i = 0; i < c->item_count; i++) {
        items += c->items[i].ps;
        times += c->items[i].times;
    }
    for (int i = 0; i < c->stretch_count; i++) {
        ck_assert_int_eq(c->stretches[i].start_ps, stretches);
        stretches += c->stretches[i].ps;
    }
    ck_assert_int_eq(c->step_ps, step_ps);
    ck_assert_int_eq(items, step_ps);
    ck_assert_int_eq(stretches, step_ps);
    ck_assert_int_eq(times, c->stretch_count);
}

static void make_bill(ReportCritical *c, Simulated *x, const Fold *fold,
                      const CriticalBillForm *form) {
    const SimulateOptions o = options_of(x, fold);
    int64_t step_ps = run(x, fold);
    ck_assert_ok(critical_bill_make(c, &arena, &o, x->network, x->line_of, form));
    check_sums(c, step_ps);
}

// Costs of nothing for all operations of that name: a message's are those of both its ends, which
// its lane and plan order pair.
static int set_free(Simulated *x, const char *name) {
    int classes = 0;
    for (int c = 0; c < x->set.count; c++) {
        const Program *p = &x->set.programs[c];
        bool has = false;
        for (int i = 0; i < p->plans[x->plan].op_count; i++) {
            if (strcmp(op_name(p, &p->plans[x->plan].ops[i]), name)) continue;
            x->costs[c].ops[x->plan][i].ps = 0;
            has = true;
        }
        classes += has;
    }
    return classes;
}

static bool is_message_name(const Simulated *x, const char *name) {
    for (int c = 0; c < x->set.count; c++) {
        const Program *p = &x->set.programs[c];
        for (int i = 0; i < p->plans[x->plan].op_count; i++)
            if (!strcmp(op_name(p, &p->plans[x->plan].ops[i]), name) &&
                work_is_message(op_work(p, &p->plans[x->plan].ops[i])))
                return true;
    }
    return false;
}

// Where one class has the operation, or all communicate by it. On no network costs are all there
// is, so that setting them to zero is what the bill must have done.
static int check_gains(Simulated *x, const ReportCritical *c, const Fold *fold) {
    int checked = 0;
    for (int i = 0; i < c->item_count && c->items[i].freed; i++) {
        const ReportCriticalItem *item = &c->items[i];
        ck_assert_int_le(item->gain_ps, item->ps);
        ck_assert_int_ge(item->gain_ps, 0);
        ck_assert(item->next || item->gain_ps == item->ps);
        int classes = is_message_name(x, item->name) ? 0 : set_free(x, item->name);
        if (classes == 1 || (classes && strstr(item->name, "reduce"))) {
            ck_assert_int_eq(c->step_ps - run(x, fold), item->gain_ps);
            checked++;
        }
        for (int k = 0; k < x->set.count; k++) give_class_costs(x, k);
    }
    return checked;
}

static void check_same_bill(const ReportCritical *a, const ReportCritical *b) {
    ck_assert_int_eq(a->step_ps, b->step_ps);
    ck_assert_int_eq(a->item_count, b->item_count);
    for (int i = 0; i < a->item_count; i++) {
        ck_assert_str_eq(a->items[i].name, b->items[i].name);
        ck_assert_str_eq(a->items[i].ranks, b->items[i].ranks);
        ck_assert_int_eq(a->items[i].ps, b->items[i].ps);
        ck_assert_int_eq(a->items[i].gain_ps, b->items[i].gain_ps);
    }
}

static void set_kind_free(Simulated *x, const char *name) {
    for (int c = 0; c < x->set.count; c++) {
        const Program *p = &x->set.programs[c];
        for (int i = 0; i < p->plans[x->plan].op_count; i++) {
            const Work *w = op_work(p, &p->plans[x->plan].ops[i]);
            const char *kind = kind_name(work_kind(w));
            char whole[64];
            snprintf(whole, sizeof whole, "%s %s", kind, phase_name((Phase)w->phase));
            bool is = strstr(kind, "backward") ? !strcmp(kind, name) : !strcmp(whole, name);
            if (is) x->costs[c].ops[x->plan][i].ps = 0;
        }
    }
}

// Fewer items than operations, and each gains what costs of zero do where there is no network.
static void check_kinds(Simulated *x, const ReportCritical *kinds, const ReportCritical *one) {
    ck_assert(kinds->by_kind && !one->by_kind);
    ck_assert_int_lt(kinds->item_count, one->item_count);
    ck_assert_int_eq(kinds->stretch_count, one->stretch_count);
    for (int i = 0; i < kinds->stretch_count; i++)
        ck_assert_str_eq(kinds->stretches[i].name, one->stretches[i].name);
    for (int i = 0; i < kinds->item_count && kinds->items[i].freed && !x->network; i++) {
        if (!strncmp(kinds->items[i].name, "send", 4)) continue;  // a receive has its cost, too
        set_kind_free(x, kinds->items[i].name);
        ck_assert_int_eq(kinds->step_ps - run(x, &x->fold), kinds->items[i].gain_ps);
        for (int c = 0; c < x->set.count; c++) give_class_costs(x, c);
    }
}

static void check_job(SimJob *job) {
    static Simulated x;
    ReportCritical all, one, kinds;
    const CriticalBillForm form = {.freed = FREED};
    x = (Simulated){.ranks = job->spec.ranks};
    ck_assert_ok(sim_job_lowered(&x.set, &arena, job));
    ck_assert_int_le(x.set.count, JOB_CLASSES);
    x.plan = program_find_when(&x.set.programs[0], WHEN_EACH_STEP, 0);
    ck_assert_ok(machine_read(&x.machine, &arena, "dgx-a100"));
    x.topology = (TopologyOptions){.nodes = 2,
                                   .devices_per_node = 4,
                                   .link = x.machine.link,
                                   .rail = x.machine.rail,
                                   .pricing = {.constants = &x.machine.collectives}};
    for (int r = 0; r < x.ranks; r++) x.cost_of[r] = &x.costs[program_set_class(&x.set, r)];
    for (int c = 0; c < x.set.count; c++) x.costs[c].program = &x.set.programs[c];
    ck_assert_ok(fold_init(&x.fold, &arena, &(FoldInput){x.cost_of, x.plan, x.ranks, 4}));
    for (int k = 0; k < 2; k++) {
        x.network = k ? &x.topology : NULL;
        for (int c = 0; c < x.set.count; c++) give_class_costs(&x, c);
        make_bill(&all, &x, NULL, &form);
        make_bill(&one, &x, &x.fold, &form);
        check_same_bill(&all, &one);
        if (!k) ck_assert_int_gt(check_gains(&x, &one, &x.fold), 2);
        make_bill(&kinds, &x, &x.fold, &(CriticalBillForm){FREED, 1});
        check_kinds(&x, &kinds, &one);
    }
    for (int r = 0; r < x.ranks; r++) timeline_destroy(&x.lines[r]);
    program_set_finish(&x.set);
}

START_TEST(a_bill_of_data_parallel_ranks_holds) {
    for (int zero = 0; zero <= 3; zero += 3) {
        SimJob job = mesh_job("mlp:hidden=16,layers=2", (Mesh){.data = 8});
        job.spec.strategy.zero = zero;
        check_job(&job);
    }
    arena_finish(&arena);
}
END_TEST

START_TEST(a_bill_of_tensor_parallel_ranks_holds) {
    SimJob job = mesh_job(SMALL_GPT, (Mesh){.data = 2, .tensor = 4});
    check_job(&job);
    arena_finish(&arena);
}
END_TEST

START_TEST(a_bill_of_a_pipeline_holds) {
    for (int k = 0; k <= SCHEDULE_ZERO_BUBBLE; k++) {
        SimJob job = mesh_job(SMALL_GPT, (Mesh){.pipe = 4, .data = 2});
        if (k == SCHEDULE_INTERLEAVED) job.spec.mesh = (Mesh){.pipe = 2, .data = 4};
        if (k == SCHEDULE_INTERLEAVED) job.spec.batch = 32;
        job.spec.strategy.schedule = (OptionForm){k, k == SCHEDULE_INTERLEAVED ? 2 : 0};
        check_job(&job);
    }
    arena_finish(&arena);
}
END_TEST

SUITE("critical_path", no_operation_gains_more_than_its_time_on_the_path,
      the_path_of_a_later_step_is_that_step, a_bill_of_data_parallel_ranks_holds,
      a_bill_of_tensor_parallel_ranks_holds, a_bill_of_a_pipeline_holds)
