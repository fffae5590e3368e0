// SPDX-License-Identifier: MIT
// Options become words of the line, factors scale the machine that the line names. Read
// sim_change_make(), at the end.
#include "programs/sim_change.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- numbers of the platform

// Times `up` / `down`, both in billionths.
typedef struct {
    int64_t up, down;
} Factor;

static int64_t scaled(int64_t value, Factor f) {
    __int128 out = (__int128)value * f.up / f.down;
    if (value > 0 && out < 1) return 1;
    return out > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)out;
}

static void scale_bandwidth(Machine *m, LinkModel *link, Factor f) {
    int64_t *rates[] = {&m->link.bytes_per_s,
                        &m->rail.bytes_per_s,
                        &link->bytes_per_s,
                        &m->collectives.channel_bytes_per_s,
                        &m->collectives.across_bytes_per_s,
                        &m->collectives.nvls_bytes_per_s};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) *rates[i] = scaled(*rates[i], f);
}

static void scale_latency(Machine *m, LinkModel *link, Factor f) {
    m->link.latency_ps = scaled(m->link.latency_ps, f);
    m->rail.latency_ps = scaled(m->rail.latency_ps, f);
    link->latency_ps = scaled(link->latency_ps, f);
    m->collectives.base_latency_ps = scaled(m->collectives.base_latency_ps, f);
    int32_t *hops[] = {&m->collectives.hop_within, &m->collectives.hop_across};
    for (int i = 0; i < 2; i++) {
        int64_t hop = scaled(*hops[i], f);
        *hops[i] = hop > INT32_MAX ? INT32_MAX : (int32_t)hop;
    }
}

static void scale_flops(Machine *m, LinkModel *link, Factor f) {
    (void)link;
    for (int d = 0; d < DTYPE_COUNT; d++)
        m->device.flops_per_s[d] = scaled(m->device.flops_per_s[d], f);
}

static void scale_memory(Machine *m, LinkModel *link, Factor f) {
    (void)link;
    m->device.memory_bytes_per_s = scaled(m->device.memory_bytes_per_s, f);
}

static void scale_launch(Machine *m, LinkModel *link, Factor f) {
    (void)link;
    m->device.launch_ps = scaled(m->device.launch_ps, f);
    m->device.graph_gap_ps = scaled(m->device.graph_gap_ps, f);
    m->device.issue_ps = scaled(m->device.issue_ps, f);
}

static const struct {
    const char *key;
    void (*scale)(Machine *m, LinkModel *link, Factor f);
} numbers[] = {{"bandwidth", scale_bandwidth},
               {"latency", scale_latency},
               {"flops", scale_flops},
               {"memory", scale_memory},
               {"launch", scale_launch}};

// "x2", "/1.5". In decimals: strtod() would take " 2" and "0x10", too.
static bool read_factor(Factor *out, const char *text) {
    char *end;
    if (*text != 'x' && *text != '/') return false;
    if (text[1 + strspn(text + 1, "0123456789.e-")]) return false;
    double value = strtod(text + 1, &end);
    if (*end || end == text + 1 || !(value >= 1e-3 && value <= 1e3)) return false;
    const int64_t one = 1000000000, given = llround(value * 1e9);
    *out = *text == 'x' ? (Factor){given, one} : (Factor){one, given};
    return true;
}

// Its place in the table above; NONE: it is no number of the platform.
static int find_number(const char *key) {
    for (int i = 0; i < (int)(sizeof numbers / sizeof *numbers); i++)
        if (!strcmp(numbers[i].key, key)) return i;
    return NONE;
}

static Status scale_number(SimChange *c, const char *option, const SimValue *v, Factor f) {
    int number = find_number(v->key);
    if (number == NONE)
        FAIL(ERR_USAGE,
             "%s %s=%s: a factor changes bandwidth, latency, flops, memory or launch; an option "
             "takes a value, such as dtype=bf16",
             option, v->key, v->value);
    if (c) numbers[number].scale(&c->sim.machine, &c->sim.setting.link, f);
    return OK;
}

// --- options

static const Option *find_option(const char *name) {
    for (int i = 0; i < sim_options.option_count; i++)
        if (sim_options.options[i].kind != OPTION_HEADING &&
            !strcmp(sim_options.options[i].name, name))
            return &sim_options.options[i];
    return NULL;
}

const Option *sim_change_option(const char *key) {
    const Option *option = find_option(key);
    return option && option->marks & (JOB_OPTION | SIM_PLACE) ? option : NULL;
}

// The word that a command line would have for it, "--no-overlap" for overlap=no; NULL where it
// needs none, as for overlap=yes.
static Status make_word(char **word, Arena *a, const Sim *s, const char *what, const SimValue *v) {
    if (find_number(v->key) != NONE && !sim_change_option(v->key))
        FAIL(ERR_USAGE,
             "%s %s=%s: give a factor, xN or /N with N from 0.001 to 1000, such as %s=x2", what,
             v->key, v->value, v->key);
    size_t size = strlen(v->key) + 2 * strlen(v->value) + sizeof "--no-=,";
    char *name = arena_push(a, size);
    *word = arena_push(a, size);
    if (!name || !*word) FAIL(ERR_MEMORY, "out of memory");
    bool off = !strcmp(v->value, "no"), on = !strcmp(v->value, "yes");
    snprintf(name, size, "no-%s", v->key);
    const Option *option = find_option(v->key);
    bool flag = !option || option->kind == OPTION_FLAG;
    bool negated = !option && (off || on);
    if (negated) option = find_option(name);
    if (!option || !(option->marks & (JOB_OPTION | SIM_PLACE)))
        FAIL(ERR_USAGE,
             "%s %s=%s: expected an option of the job or of the machine, such as dtype=bf16 or "
             "overlap=no, or a factor, such as bandwidth=x2",
             what, v->key, v->value);
    if (negated && on && sim_given(s, name))
        FAIL(ERR_USAGE, "%s %s=%s: leave out --%s, which is given for all", what, v->key, v->value,
             name);
    if (negated && on)
        *word = NULL;
    else if (flag && (off || on))
        snprintf(*word, size, "--%s", off ? name : v->key);
    else if (option->kind == OPTION_PAIR && !strchr(v->value, ','))  // both are that
        snprintf(*word, size, "--%s=%s,%s", v->key, v->value, v->value);
    else
        snprintf(*word, size, "--%s=%s", v->key, v->value);
    return OK;
}

// The words of the line, with room for more.
static Status copy_words(char ***out, Arena *a, const Sim *s, int more) {
    char **argv = *out = ARENA_NEW(a, char *, s->argc + more + 1);
    if (!argv) FAIL(ERR_MEMORY, "out of memory");
    for (int i = 0; i < s->argc; i++) {
        argv[i] = arena_string(a, s->argv[i]);
        if (!argv[i]) FAIL(ERR_MEMORY, "out of memory");
    }
    return OK;
}

static Status parse_line(SimChange *c, Arena *a, const Sim *s, const SimChangeAsk *ask) {
    static char point[] = "--point";
    char **argv;
    Factor factor;
    int argc = s->argc;
    TRY(copy_words(&argv, a, s, ask->count + 1));
    for (int i = 0; i < ask->count; i++) {
        if (read_factor(&factor, ask->values[i].value)) continue;
        TRY(make_word(&argv[argc], a, s, ask->option, &ask->values[i]));
        argc += argv[argc] != NULL;
    }
    if (ask->point) argv[argc++] = point;
    TRY(option_parse(&c->line, &c->o, a, &sim_options, argc, argv));
    sim_request_default(&c->o);
    c->o.compare = NULL;
    c->sim = (Sim){
        .o = &c->o, .line = &c->line, .arena = a, .log = s->log, .argc = s->argc, .argv = s->argv};
    return OK;
}

Status sim_change_check(const Sim *s, Arena *a, const char *option, const SimValue *v) {
    Factor factor;
    if (read_factor(&factor, v->value)) return scale_number(NULL, option, v, factor);
    SimChange *c = ARENA_NEW(a, SimChange, 1);
    if (!c) FAIL(ERR_MEMORY, "out of memory");
    return parse_line(c, a, s, &(SimChangeAsk){.values = v, .count = 1, .option = option});
}

Status sim_change_make(SimChange *c, Arena *a, const Sim *s, const SimChangeAsk *ask) {
    Factor factor;
    TRY(parse_line(c, a, s, ask));
    TRY(sim_request_read(&c->sim, &c->o));
    TRY(sim_request_machine(&c->sim));
    for (int i = 0; i < ask->count; i++)
        if (read_factor(&factor, ask->values[i].value))
            TRY(scale_number(c, ask->option, &ask->values[i], factor));
    if (c->sim.sizes.count != 1)
        FAIL(ERR_USAGE, "%s %s=%s: this is not one number of devices", ask->option,
             ask->values[0].key, ask->values[0].value);
    c->sim.setting.unkept = true;
    int ranks = (int)c->sim.sizes.items[0];
    TRY(sim_request_job(&c->job, &c->sim, ranks));
    return predict_check_place(&c->sim.setting, ranks);
}
