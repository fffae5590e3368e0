// SPDX-License-Identifier: MIT
// The table of a sweep is printed while it is made, so its columns have fixed widths; where the
// steps go (sim_parts.c) is a second table. Read sweep_row(), then sweep_end().
#include "core/base/printable.h"
#include "core/base/table.h"
#include "core/base/text.h"
#include "parallel/strategy/bucket_sizes.h"
#include "programs/sim_print.h"
#include "programs/sim_sweep_internal.h"

#include <math.h>
#include <string.h>

static bool is_table(const Sweep *s) { return !s->options->plain && !s->options->csv; }

double sweep_samples_per_s(const Prediction *p) {
    return (double)p->report.run.batch / p->step_ms * 1e3;
}

double sweep_speed_up(const Sweep *s, int i) {
    return sweep_samples_per_s(&s->rows[i]) / sweep_samples_per_s(&s->rows[0]);
}

double sweep_efficiency(const Sweep *s, int i) {
    return sweep_speed_up(s, i) * s->rows[0].report.run.ranks / s->rows[i].report.run.ranks;
}

// --- the title

// Degrees of the mesh; data has what they leave of the ranks of a row.
static void phrase_degrees(SweepPhrases *p, const JobSpec *s) {
    int stages = mesh_size(&s->mesh, MESH_PIPE), cut = mesh_size(&s->mesh, MESH_CONTEXT);
    int divided = mesh_size(&s->mesh, MESH_TENSOR);
    if (stages > 1) sweep_phrase(p, "pp %d", stages);
    if (cut > 1) sweep_phrase(p, "cp %d", cut);
    if (divided > 1) sweep_phrase(p, "tp %d", divided);
    if (s->strategy.experts > 1) sweep_phrase(p, "ep %d", s->strategy.experts);
}

static const char *algorithm_of(const Sweep *s) {
    const SimSetting *set = s->setting;
    if (sim_setting_is_priced(set)) return "NCCL";
    int ranks = s->asked[s->size_count - 1].spec.ranks;
    int per_node = set->machine->devices_per_node;
    if (set->levels && ranks > per_node)
        return ranks % per_node ? "hierarchical where nodes are full" : "hierarchical";
    return algorithm_name(s->asked[s->size_count - 1].spec.strategy.algorithm);
}

static void print_job(const Sweep *s) {
    const SimJob *job = &s->asked[s->size_count - 1];
    const char *thing = s->setting->devices ? "device" : "rank";
    const int data = job_spec_data_ranks(&job->spec);
    const long long each = job->spec.batch / data;
    SweepPhrases p = {s->width, 0};
    sweep_phrase(&p, "%s", job->spec.model);
    if (s->size_count == 1)
        sweep_phrase(&p, "batch %lld", (long long)job->spec.batch);
    else if (s->strong)
        sweep_phrase(&p, "batch %lld in all (strong scaling)", (long long)job->spec.batch);
    else if (data == job->spec.ranks)
        sweep_phrase(&p, "batch %lld a %s (weak scaling)", each, thing);
    else
        sweep_phrase(&p, "batch %lld for every %d %ss (weak scaling)", each, job->spec.ranks / data,
                     thing);
    sweep_phrase(&p, "%s", dtype_name(job->spec.dtype));
    if (!job->spec.plan_file) phrase_degrees(&p, &job->spec);
    if (job->spec.shards) sweep_phrase(&p, "%d shards in all", job->spec.shards);
    if (job->spec.micro_batches > 1) sweep_phrase(&p, "%d micro-batches", job->spec.micro_batches);
    if (job->spec.plan_file)
        sweep_phrase(&p, "plan %s", job->spec.plan_file);
    else if (job->spec.strategy.zero)
        sweep_phrase(&p, "ZeRO %d, %s", job->spec.strategy.zero, algorithm_of(s));
    else
        sweep_phrase(&p, "%s", job->spec.ranks > 1 ? algorithm_of(s) : "no all-reduce");
    sweep_phrase(&p, "[simulated]");
    putchar('\n');
}

static void phrase_link(SweepPhrases *p, const char *what, const LinkModel *l, int hops) {
    char rate[UNITS_TEXT], latency[UNITS_TEXT];
    sweep_phrase(p, "%s %s, %s", what, units_print_bandwidth(rate, l->bytes_per_s),
                 units_print_duration(latency, hops * l->latency_ps));
}

// The links that a message crosses: within a node up and down, between nodes two rails.
static void print_machine(const Sweep *s) {
    const SimSetting *set = s->setting;
    const Machine *m = set->machine;
    const SimJob *job = &s->asked[s->size_count - 1];
    SweepPhrases p = {s->width, 0};
    if (!set->devices)
        sweep_phrase(&p, "%s: %d core%s", m->name, m->host.cores, m->host.cores == 1 ? "" : "s");
    else {
        sweep_phrase(&p, "%s: %s", m->name, m->device.name);
        if (set->link.bytes_per_s)
            phrase_link(&p, "link", &set->link, 1);
        else {
            if (m->devices_per_node > 1) phrase_link(&p, "link", &m->link, 2);
            bool torus = m->fabric.kind == FABRIC_TORUS;
            if (m->mesh.devices && !sim_setting_is_priced(set)) sweep_phrase(&p, "mesh of wires");
            if (m->node.devices) sweep_phrase(&p, "wires of a topology");
            if (job->spec.ranks > m->devices_per_node) {
                phrase_link(&p, "rail", &m->rail, torus ? 1 : 2);
                if (m->fabric.kind != FABRIC_RAILS) sweep_phrase(&p, "%s", fabric_name(&m->fabric));
            }
        }
    }
    if (set->dilation && set->dilation != 1000)
        sweep_phrase(&p, "times x%g (--dilate)", (double)set->dilation / 1000);
    sweep_phrase(&p, "seed %lld", (long long)job->spec.seed);
    putchar('\n');
}

// --- the table of steps

typedef enum {
    RANKS,
    BATCH,
    STEP,
    SAMPLES,
    TOKENS,
    SPEED_UP,
    EFFICIENCY,
    UTILISATION,
    MEMORY_USE,
    NOTE,  // what the row lost its efficiency to, or that it does not fit; not padded
    COLUMNS
} Column;

static int digits(int64_t n) { return snprintf(NULL, 0, "%lld", (long long)n); }
static int larger(int a, int b) { return a > b ? a : b; }

// Widths of the columns; 0: it is left out, for one row, or on a narrow terminal: then what others
// tell, too, goes first. Samples are of little use beside tokens.
static void choose_columns(const Sweep *s, int width[COLUMNS]) {
    static const Column of_tokens[] = {SAMPLES, SPEED_UP, BATCH, UTILISATION, EFFICIENCY, TOKENS},
                        of_samples[] = {SPEED_UP, BATCH, UTILISATION, EFFICIENCY, SAMPLES};
    const Column *dispensable = s->tokens ? of_tokens : of_samples;
    const int dispensable_count = s->tokens ? 6 : 5;
    int64_t ranks = 0, batch = 0;
    for (int i = 0; i < s->size_count; i++) {
        if (s->asked[i].spec.ranks > ranks) ranks = s->asked[i].spec.ranks;
        if (s->asked[i].spec.batch > batch) batch = s->asked[i].spec.batch;
    }
    bool several = s->size_count > 1;
    const int wanted[COLUMNS] = {larger(s->setting->devices ? 4 : 5, digits(ranks)),
                                 larger(5, digits(batch)),
                                 9,
                                 9,
                                 s->tokens ? 9 : 0,
                                 several ? 8 : 0,
                                 several ? 5 : 0,
                                 s->setting->devices ? 5 : 0,
                                 7,
                                 12};
    int total = -2;
    for (int c = 0; c < COLUMNS; c++) total += (width[c] = wanted[c]) ? wanted[c] + 2 : 0;
    for (int i = 0; i < dispensable_count && total > s->width; i++) {
        if (width[dispensable[i]]) total -= width[dispensable[i]] + 2;
        width[dispensable[i]] = 0;
    }
}

static void print_cells(const Sweep *s, const char *const cells[COLUMNS]) {
    int width[COLUMNS], owed = 0;
    choose_columns(s, width);
    for (int c = 0; c < COLUMNS; c++) {
        if (!width[c] || (c == NOTE && !*cells[c])) continue;
        printf("%*s%*s", owed, "", c == NOTE ? 0 : width[c], cells[c]);
        owed = 2;
    }
}

static void print_heads(const Sweep *s) {
    const char *const heads[COLUMNS] = {s->setting->devices ? "gpus" : "ranks",
                                        "batch",
                                        "step ms",
                                        "samples/s",
                                        "tokens/s",
                                        "speed-up",
                                        "eff.",
                                        "MFU",
                                        "memory",
                                        s->size_count > 1 ? "lost to" : ""};
    print_cells(s, heads);
    putchar('\n');
}

static const char *note_of(const Sweep *s, int i) {
    int part = sweep_lost_part(s, i);
    if (!prediction_fits(&s->rows[i])) return "DOES NOT FIT";
    return part == NONE ? "" : sweep_part_name(s, part);
}

// What is less than 100 % is not rounded up to it.
static void print_efficiency(char *out, size_t size, double efficiency) {
    bool rounded = efficiency >= 0.995 && efficiency < SWEEP_WHOLE;
    snprintf(out, size, "%.*f%%", rounded,
             rounded ? fmin(99.9, 100 * efficiency) : 100 * efficiency);
}

static void print_rate(char *out, size_t size, double per_s) {
    snprintf(out, size, "%.*f", per_s < 10 ? 3 : per_s < 1000 ? 1 : 0, per_s);
}

static void print_row(const Sweep *s, int i) {
    enum { CELL = 48 };
    char text[COLUMNS][CELL], memory[UNITS_TEXT];
    const char *cells[COLUMNS];
    const Prediction *p = &s->rows[i];
    for (int c = 0; c < COLUMNS; c++) cells[c] = text[c];
    snprintf(text[RANKS], CELL, "%d", p->report.run.ranks);
    snprintf(text[BATCH], CELL, "%lld", (long long)p->report.run.batch);
    snprintf(text[STEP], CELL, "%.*f", sweep_decimals(s), p->step_ms);
    print_rate(text[SAMPLES], CELL, sweep_samples_per_s(p));
    print_rate(text[TOKENS], CELL, p->answers ? p->answers->tokens_per_s : (double)NAN);
    snprintf(text[SPEED_UP], CELL, "%.2fx", sweep_speed_up(s, i));
    print_efficiency(text[EFFICIENCY], CELL, sweep_efficiency(s, i));
    snprintf(text[UTILISATION], CELL, "%.1f%%", p->answers ? 100 * p->answers->mfu : (double)NAN);
    snprintf(text[MEMORY_USE], CELL, "%s", units_print_size(memory, p->memory_bytes));
    snprintf(text[NOTE], CELL, "%s", note_of(s, i));
    print_cells(s, cells);
    putchar('\n');
}

// --- where the numbers come from

void sweep_print_noise(const Recording *r) {
    const double most = 0.05;
    const HostUse *use = &r->traces[0].run.disturbed;
    if (host_use_disturbs(use)) print_disturbed("", "recorded", use);
    if (r->steps < 5) {
        printf("recorded: %d step%s, too few to tell how noisy the machine is\n", r->steps,
               r->steps == 1 ? "" : "s");
        return;
    }
    const double spread = (r->step_ms.p90 - r->step_ms.p10) / r->step_ms.median;
    printf("recorded: %d steps, 8 of 10 within %.1f %% of their median", r->steps, 100 * spread);
    puts(spread > most ? "\nMACHINE TOO NOISY: above 5 %, an error of 10 % and more is to be "
                         "expected"
                       : "");
}

// Rows may differ: with more shards than ranks a rank has more operations.
static bool same_sources(const Sweep *s) {
    for (int i = 1; i < s->count; i++)
        if (memcmp(s->rows[i].operations, s->rows[0].operations, sizeof s->rows[0].operations))
            return false;
    return true;
}

static void print_sources(const Sweep *s) {
    const Prediction *p = &s->rows[s->count - 1];
    const char *where = same_sources(s) ? "computation: " : "computation in the last row: ";
    const Recording *r = s->setting->recording;
    const char *recorded = r && r->has_machine ? r->machine.name : NULL;
    SweepPhrases line = {s->width, 0};
    for (int k = 0; k < SOURCE_COUNT; k++) {
        if (!p->operations[k]) continue;
        bool elsewhere =
            k == SOURCE_REPLAYED && strcmp(s->setting->machine->name, recorded ? recorded : "");
        sweep_phrase(&line, "%s%d %s operation%s%s%s", line.column ? "" : where, p->operations[k],
                     span_source_name((SpanSource)k), p->operations[k] == 1 ? "" : "s",
                     elsewhere ? " as recorded on " : "",
                     elsewhere ? recorded ? recorded : "another machine" : "");
    }
    putchar('\n');
    if (r && !s->setting->devices) sweep_print_noise(r);
}

// Of the largest size that does not fit.
static void print_misfit(const Sweep *s) {
    char need[UNITS_TEXT], have[UNITS_TEXT];
    int i = s->count - 1;
    while (i >= 0 && prediction_fits(&s->rows[i])) i--;
    if (i < 0) return;
    const Prediction *p = &s->rows[i];
    int ranks = p->report.run.ranks;
    SweepPhrases line = {s->width, 0};
    sweep_phrase(&line, "DOES NOT FIT on %d device%s: %s of %s%s%s;", ranks, ranks == 1 ? "" : "s",
                 units_print_size(need, p->memory_bytes),
                 units_print_size(have, p->report.device_bytes), *p->answers->class ? " on " : "",
                 p->answers->class);
    if (p->answers->fits_with)
        sweep_phrase(&line, "with %s it would", p->answers->fits_with);
    else if (s->count == s->size_count && !s->jobs[i].spec.plan_file) {
        sweep_phrase(&line,
                     "none of --zero, --recompute, --accumulate and --tp alone makes it fit,");
        sweep_phrase(&line, "nor those tried together; --advise tries more, with --pp");
    }
    putchar('\n');
}

// Of the last row, on the rank that needs most.
static void print_memory(const Sweep *s) {
    const ReportAnswers *a = s->rows[s->count - 1].answers;
    char bytes[UNITS_TEXT];
    char head[256];
    SweepPhrases line = {s->width, 0};
    snprintf(head, sizeof head, "memory%s%s%s: ", *a->class ? " on " : "", a->class,
             s->size_count > 1 ? ", last row" : "");
    for (int m = 0; m < MEMORY_COUNT; m++)
        if (a->memory_bytes[m] >= 1024)
            sweep_phrase(&line, "%s%s %s", line.column ? "" : head, memory_name((Memory)m),
                         units_print_size(bytes, a->memory_bytes[m]));
    if (a->peak_op) sweep_phrase(&line, "most at %s", a->peak_op);
    putchar('\n');
}

// What a device sends; what it computes again.
static void print_use(const Sweep *s) {
    const Prediction *p = &s->rows[s->count - 1];
    const ReportAnswers *a = p->answers;
    char node[UNITS_TEXT], rail[UNITS_TEXT];
    const char *of = s->size_count > 1 ? ", last row" : "";
    if (a->node_bytes + a->rail_bytes > 0) {
        units_print_size(node, (int64_t)(a->node_bytes + 0.5));
        units_print_size(rail, (int64_t)(a->rail_bytes + 0.5));
        sweep_say(s->width, 0, "sent by a device%s: %s within its node%s%s%s", of, node,
                  a->rail_bytes > 0 ? ", " : "", a->rail_bytes > 0 ? rail : "",
                  a->rail_bytes > 0 ? " to other nodes" : "");
    }
    if (s->setting->devices && s->jobs[s->count - 1].spec.strategy.recompute)
        sweep_say(s->width, 0,
                  "with what is computed again devices do %.1f%% of their peak (HFU)%s",
                  100 * a->hfu, of);
}

static void print_slowed(const DeviceModel *d, int width) {
    if (!d->slowed_permille[SLOWED_PRODUCTS])
        sweep_say(width, 0,
                  "beside collectives work takes as long as alone (1.00): no factor is known");
    else
        sweep_say(width, 0,
                  "beside collectives products take %.2f times as long, other work %.2f times",
                  d->slowed_permille[SLOWED_PRODUCTS] / 1000.0,
                  d->slowed_permille[SLOWED_OTHER] / 1000.0);
}

static void print_network(const Sweep *s) {
    if (!s->setting->devices || !sweep_communicates(s)) return;
    const SimSetting *set = s->setting;
    bool priced = sim_setting_is_priced(set);
    if (priced) print_slowed(&set->machine->device, s->width);
    if (priced && (set->nccl_algorithm || set->nccl_protocol))
        sweep_say(s->width, 0,
                  "network: NCCL's own model, algorithm %s, protocol %s (docs/validation.md)",
                  nccl_algorithm_name(set->nccl_algorithm), nccl_protocol_name(set->nccl_protocol));
    else if (priced)
        sweep_say(s->width, 0,
                  "network: NCCL's own model, the fastest of its algorithms and protocols for each "
                  "size; collectives that overlap share the links (docs/validation.md)");
    else if (set->network == SIM_NETWORK_STORE_FORWARD)
        sweep_say(s->width, 0,
                  "network: links that carry whole messages one after another, store and forward, "
                  "without NCCL's launches and protocols (docs/validation.md)");
    else if (set->network == SIM_NETWORK_ALPHA_BETA || set->network == SIM_NETWORK_LOGGP)
        sweep_say(s->width, 0,
                  "network: a formula (%s) for each collective and message, as if it were "
                  "alone; without NCCL's launches and protocols (docs/formats.md)",
                  set->network == SIM_NETWORK_LOGGP ? "LogGP" : "alpha-beta");
    else
        sweep_say(s->width, 0,
                  "network: links only, without NCCL's launches, protocols and hierarchy: small "
                  "messages take longer on real devices (docs/validation.md)");
}

static void print_quantiles(const Sweep *s, const Report *r, int d) {
    const Tails *tails = &r->step_tails_ms;
    sweep_say(s->width, 0, "%d steps, last row: mean %.*f ms, median %.*f",
              r->steps - r->warm_up_steps, d, r->step_ms.mean, d, r->step_ms.median);
    sweep_say(s->width, 2, "8 of 10 from %.*f to %.*f; p5 %.*f, p95 %.*f, p99 %.*f", d,
              r->step_ms.p10, d, r->step_ms.p90, d, tails->p5, d, tails->p95, d, tails->p99);
}

// Where they grow with the ranks.
static void print_buckets(const Sweep *s) {
    const JobSpec *job = &s->jobs[s->count - 1].spec;
    StrategyOptions settled = job->strategy;
    char bytes[UNITS_TEXT], each[UNITS_TEXT];
    bucket_sizes_settle(&settled, job_spec_data_ranks(job));
    if (settled.bucket_bytes[1] == job->strategy.bucket_bytes[1]) return;
    sweep_say(s->width, 0,
              "ZeRO: buckets of %s, last row, %s for each data-parallel rank (--bucket-kib)",
              units_print_size(bytes, settled.bucket_bytes[1]),
              units_print_size(each, job->strategy.bucket_rank_bytes));
}

// Of the last row, where steps differ.
static void print_steps(const Sweep *s) {
    const Report *r = &s->rows[s->count - 1].report;
    const Noise *n = &s->setting->noise;
    const StepDraws *draws = s->setting->draws;
    if (n->variation || draws) print_quantiles(s, r, sweep_decimals(s));
    if (n->variation)
        sweep_say(s->width, 2, "with computations that vary by %.4g %% (--jitter), from seed %lld",
                  n->variation * 100.0 / NOISE_UNIT, (long long)n->seed);
    if (draws)
        sweep_say(s->width, 2, "with operations that vary as in recorded steps, %s; seed %lld",
                  draws->apart ? "each rank by itself" : "all ranks alike", (long long)draws->seed);
    for (int i = 0; i < n->straggler_count; i++)
        if (n->stragglers[i].rank < r->run.ranks)
            sweep_say(s->width, 0, "rank %d computes %.4g times as long (--straggler)",
                      n->stragglers[i].rank, n->stragglers[i].permille / 1000.0);
}

// -v: of the last row.
static void print_simulated(const Sweep *s) {
    const Prediction *p = &s->rows[s->count - 1];
    int ranks = p->report.run.ranks;
    if (!s->options->verbose || !s->setting->devices || ranks == 1) return;
    if (p->simulated < ranks)
        sweep_say(s->width, 0,
                  "simulated: %d of %d devices; each of the others is like one of them",
                  p->simulated, ranks);
    else
        sweep_say(s->width, 0, "simulated: all %d devices%s%s", ranks, p->not_folded ? ": " : "",
                  p->not_folded ? p->not_folded : "");
}

// --- all of it

void sweep_begin(const Sweep *s) {
    if (s->options->csv) sweep_print_csv_heads();
    if (s->options->plain) sweep_print_plain_heads();
    if (!is_table(s)) return;
    print_job(s);
    print_machine(s);
    print_heads(s);
}

void sweep_row(const Sweep *s) {
    int i = s->count - 1;
    if (s->options->csv)
        sweep_print_csv_row(s, i);
    else if (s->options->plain)
        sweep_print_plain_row(s, i);
    else
        print_row(s, i);
    fflush(stdout);  // seen now, also in a pipe; errors show at the end
}

bool sweep_refused(const Sweep *s, int64_t ranks, const char *why) {
    int width[COLUMNS];
    if (!is_table(s)) return false;
    choose_columns(s, width);
    printf("%*lld  ", width[RANKS], (long long)ranks);
    sweep_print_not_for(s->width, width[RANKS] + 2, ranks, s->setting->devices, why);
    return true;
}

Status sweep_end(const Sweep *s, Arena *a) {
    if (!is_table(s) || !s->count) return OK;
    if (s->size_count > 1)
        sweep_say(s->width, 0, "speed-up and efficiency against %d %s%s; memory: planned a %s",
                  s->rows[0].report.run.ranks, s->setting->devices ? "device" : "rank",
                  s->rows[0].report.run.ranks == 1 ? "" : "s",
                  s->setting->devices ? "device" : "rank");
    if (s->size_count > 1 && s->jobs[0].spec.shards)
        sweep_say(s->width, 0,
                  "the same %d shards in every row: fewer ranks compute more, one after the other",
                  s->jobs[0].spec.shards);
    print_misfit(s);
    putchar('\n');
    TRY(sweep_print_parts(s, a));
    print_use(s);
    print_memory(s);
    print_sources(s);
    print_network(s);
    print_buckets(s);
    print_steps(s);
    print_simulated(s);
    TRY(sweep_print_links(s, a));
    return s->options->verbose ? sweep_print_operations(s, a) : OK;
}
