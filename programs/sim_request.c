// SPDX-License-Identifier: MIT
// What a command line of sim asks for: which ranks on what, which job, which sizes, which machine.
// Read sim_request_read() first, at the end.
#include "core/base/printable.h"
#include "core/platform/device_traits.h"
#include "parallel/strategy/bucket_sizes.h"
#include "programs/sim_internal.h"
#include "programs/sim_noise.h"
#include "sim/nccl_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 8 };  // that --gpus N prints at most

static Status check_line(const SimOptions *o, const OptionLine *line) {
    TRY(job_options_check(&o->job, line));
    if (o->gpus.count && o->ranks.count)
        FAIL(ERR_USAGE, "--gpus are devices, --ranks share a host's cores; give one of the two");
    if (option_given(line, "batch") && option_given(line, "batch-per-rank"))
        FAIL(ERR_USAGE, "--batch is of all ranks, --batch-per-rank of each; give one of the two");
    if (o->require_plot && !o->plot && !o->preview)
        FAIL(ERR_USAGE, "--require-plot says that --plot DIR or --preview must work; give one");
    if (o->json + o->csv + o->plain > 1)
        FAIL(ERR_USAGE, "--json, --csv and --plain are three forms of one output; give one");
    if (o->report) TRY(report_check_name(o->report));
    if (!strcmp(o->predictions, "-") || !*o->predictions)
        FAIL(ERR_USAGE, "--predictions takes a file to append to, or none");
    if (o->point && o->gpus.count != 1)
        FAIL(ERR_USAGE, "--point simulates just the one number that --gpus names");
    return OK;
}

// A report; for a table of measured collectives, what to give with it.
static Status read_compared(Report *out, Arena *a, const char *name) {
    char why[STATUS_TEXT], gpus[UNITS_TEXT] = "N";
    NcclTable table;
    Status status = report_read(out, a, name);
    if (status != ERR_FORMAT) return status;
    snprintf(why, sizeof why, "%s", status_message());
    if (nccl_table_read(&table, a, name) != OK) FAIL(status, "%s", why);
    if (table.ranks) snprintf(gpus, sizeof gpus, "%d", table.ranks);
    FAIL(ERR_USAGE,
         "%s is no report but looks like a table of nccl-tests; add --collective all_reduce, or "
         "whichever was measured, and --gpus %s",
         name, gpus);
}

Status sim_request_reports(Sim *s) {
    enum { REPORTS = 64 };
    if (!s->o->compare) return OK;
    Report *reports = ARENA_NEW(s->arena, Report, REPORTS);
    char *names = arena_string(s->arena, s->o->compare), *end;
    if (!reports || !names) FAIL(ERR_MEMORY, "out of memory for reports");
    for (char *name = strtok_r(names, ",", &end); name; name = strtok_r(NULL, ",", &end)) {
        if (s->measured_count == REPORTS)
            FAIL(ERR_USAGE, "--compare takes at most %d reports", REPORTS);
        TRY(read_compared(&reports[s->measured_count++], s->arena, name));
    }
    s->measured = reports;
    return OK;
}

// A schedule that is named is followed message by message, and so are the emulated links of ranks
// that were recorded on a described device.
static Status choose_network(Sim *s, bool emulated) {
    bool nccl = s->o->nccl_algorithm || s->o->nccl_protocol;
    bool hierarchical = s->o->hierarchical, schedule = sim_given(s, "all-reduce") || hierarchical;
    s->setting.network = (SimNetwork)s->o->network;
    s->setting.nccl_algorithm = (NcclAlgorithm)s->o->nccl_algorithm;
    s->setting.nccl_protocol = (NcclProtocol)s->o->nccl_protocol;
    s->setting.levels = hierarchical;
    if (schedule && (nccl || s->o->network == SIM_NETWORK_NCCL))
        FAIL(ERR_USAGE, "--%s names a schedule of messages, %s NCCL's model; give one",
             hierarchical ? "hierarchical" : "all-reduce",
             nccl ? "--nccl-algo and --nccl-proto are of" : "--network nccl is");
    if (s->o->network == SIM_NETWORK_AUTO && !nccl && (schedule || emulated))
        s->setting.network = SIM_NETWORK_FLOW;
    return OK;
}

// Ranks have devices where --gpus says so, and where they had described ones when recorded: other
// numbers of them are then on the same devices and links, unless options say otherwise.
static Status choose_place(Sim *s) {
    const RunInfo *run = s->recorded ? &s->recording.traces[0].run : NULL;
    const char *recorded_on = run ? device_traits_platform(run->device) : NULL;
    bool host = s->o->ranks.count > 0 || (s->recorded && !s->o->gpus.count);
    s->setting.devices = s->o->gpus.count > 0 || recorded_on;
    s->link = s->o->link;
    s->dilate = s->o->dilate;
    s->platform = s->o->platform ? s->o->platform : "dgx-a100";
    if (recorded_on && host) {
        const char *dilate = job_spec_setting(run, "dilate");
        if (!s->o->platform) s->platform = recorded_on;
        if (!s->link) s->link = job_spec_setting(run, "link");
        if (dilate && !sim_given(s, "dilate")) s->dilate = strtod(dilate, NULL);
        if (!(s->dilate >= 1e-3 && s->dilate <= 1e6))
            FAIL(ERR_FORMAT, "the trace was recorded with dilate %s: expected 0.001 to 1e6",
                 dilate);
    }
    TRY(choose_network(s, recorded_on && host));
    if (s->o->hierarchical && (!s->setting.devices || s->link))
        FAIL(ERR_USAGE, "--hierarchical is of nodes of devices; give --gpus, and not --link");
    if (!s->setting.devices && (s->link || sim_given(s, "dilate")))
        FAIL(ERR_USAGE,
             "--link and --dilate are of devices, not of ranks that share a host; give --gpus");
    return OK;
}

// A link that the communicator emulated is not in the costs of ranks that share a host.
static Status check_recorded_link(const Sim *s) {
    if (!s->recorded || s->setting.devices) return OK;
    const char *link = job_spec_setting(&s->recording.traces[0].run, "link");
    if (!link) return OK;
    FAIL(
        ERR_USAGE,
        "%s was recorded with --link %s, which a prediction for ranks of a host leaves out; record "
        "it without, or predict devices with --gpus and --link",
        s->o->trace, link);
}

// Options that were given change the recorded job; without a recording all of them make it.
static Status make_job(Sim *s) {
    const size_t size = strlen(s->platform) + sizeof "timed:";
    char *device = arena_push(s->arena, size);
    if (!device) FAIL(ERR_MEMORY, "out of memory");
    snprintf(device, size, "timed:%s", s->platform);
    s->job.spec = s->o->job;
    s->job.spec.ranks = (int)job_spec_mesh_ranks(&s->job.spec);
    if (s->setting.devices && !sim_given(s, "batch"))  // so much for each
        s->job.spec.batch *= job_spec_data_ranks(&s->job.spec);
    job_options_take_micro_batches(&s->job.spec, s->line);
    if (s->setting.devices && !sim_given(s, "bucket-kib"))
        bucket_sizes_of_devices(&s->job.spec.strategy);
    s->job.spec.device = s->setting.devices ? device : device_traits_default_for(s->o->job.dtype);
    if (!s->recorded) return OK;
    const Recording *r = &s->recording;
    TRY(sim_job_recorded(&s->job, &r->traces[0].run, &r->set));
    s->recorded_job = s->job;
    if (s->setting.devices) s->job.spec.device = device;
    job_spec_take_given(&s->job.spec, &s->o->job, s->line);
    return OK;
}

// What --plan FILE says of its job counts where no option does; of its ranks always.
static Status take_plan(Sim *s, SimOptions *o) {
    if (!o->job.plan_file) return OK;
    const SimJobGiven given_here = {.batch = s->recorded || sim_given(s, "batch") ||
                                             sim_given(s, "batch-per-rank"),
                                    .shards = s->recorded || sim_given(s, "shards"),
                                    .micro_batches = s->recorded || sim_given(s, "accumulate"),
                                    .dtype = s->recorded || sim_given(s, "dtype")};
    if (s->recorded && !o->gpus.count && !o->ranks.count) return OK;
    TRY(sim_job_take_plan(&s->job, s->arena, &given_here));
    if (!s->recorded && !s->setting.devices)
        s->job.spec.device = device_traits_default_for(s->job.spec.dtype);
    if (!sim_given(s, "gpus") && !sim_given(s, "ranks"))
        o->gpus = (IntList){{s->job.spec.ranks}, 1};
    return OK;
}

// Whoever chose another schedule than the default, when a plan was printed or a run recorded, has
// named it as --all-reduce does here.
static void follow_schedule(Sim *s) {
    bool nccl = s->o->nccl_algorithm || s->o->nccl_protocol;
    if (s->setting.network == SIM_NETWORK_AUTO && !nccl &&
        s->job.spec.strategy.algorithm != ALGORITHM_DIRECT)
        s->setting.network = SIM_NETWORK_FLOW;
}

bool sim_request_is_replay(const Sim *s) {
    const OptionLine *l = s->line;
    if (!s->recorded) return false;
    for (int i = 0; i < l->table->option_count; i++) {
        const Option *o = &l->table->options[i];
        if (l->given[i] && o->marks & (JOB_OPTION | SIM_PLACE) && !sim_noise_suits_replay(s, o))
            return false;
    }
    return s->sizes.count == 1 && s->sizes.items[0] == s->recording.ranks;
}

// Of a sweep: what the degrees of the mesh need, twice that for what divides among data ranks.
static int64_t least_ranks(const JobSpec *job) {
    int64_t all = job_spec_mesh_ranks(job);
    bool divides = job->strategy.zero && all == job_spec_model_ranks(job);
    return job->mesh.data ? INT64_MAX : divides ? 2 * all : all;
}

// --gpus N: N and the powers of two below it, at most the last ROWS; from 2 on what takes several.
static IntList sweep_of(const Sim *s) {
    const SimOptions *o = s->o;
    IntList list = o->gpus.count ? o->gpus : o->ranks;
    bool alone = o->point || o->what_if || o->critical_path;  // these are of one number
    if (o->gpus.count != 1 || alone || s->job.spec.plan_file) return list;
    int64_t most = o->gpus.items[0];
    list.count = 0;
    for (int64_t n = least_ranks(&s->job.spec); n < most; n *= 2) list.items[list.count++] = n;
    list.items[list.count++] = most;
    int extra = list.count > ROWS ? list.count - ROWS : 0;
    for (int i = 0; i < list.count - extra; i++) list.items[i] = list.items[i + extra];
    list.count -= extra;
    return list;
}

static void choose_sizes(Sim *s) {
    s->sizes = sweep_of(s);
    for (int i = 0; i < s->measured_count && !s->o->gpus.count && !s->o->ranks.count; i++) {
        bool known = false;
        for (int k = 0; k < s->sizes.count; k++)
            known |= s->sizes.items[k] == s->measured[i].run.ranks;
        if (!known && s->sizes.count < UNITS_LIST)
            s->sizes.items[s->sizes.count++] = s->measured[i].run.ranks;
    }
    if (!s->sizes.count && s->recorded) s->sizes = (IntList){{s->recording.ranks}, 1};
    // A global batch that is given, or train's default without devices, stays the same.
    bool train_like = !s->recorded && !s->setting.devices && !sim_given(s, "batch-per-rank");
    s->strong = sim_given(s, "batch") || train_like;
}

static Status check_compared(const Sim *s) {
    for (int i = 0; i < s->measured_count; i++) {
        bool simulated = false;
        for (int k = 0; k < s->sizes.count; k++)
            simulated |= s->sizes.items[k] == s->measured[i].run.ranks;
        if (!simulated)
            FAIL(ERR_USAGE, "a report is of %d ranks, which are not simulated; add them to --%s",
                 s->measured[i].run.ranks, s->setting.devices ? "gpus" : "ranks");
    }
    return OK;
}

static Status choose_launch(Sim *s) {
    const SimOptions *o = s->o;
    DeviceModel *d = &s->machine.device;
    if (o->launch == SIM_LAUNCH_PLATFORM) return OK;
    if (!s->setting.devices) FAIL(ERR_USAGE, "--launch is how GPUs are launched; give --gpus");
    if (!d->issue_ps)
        FAIL(ERR_USAGE,
             "%s does not say what a launch takes its host; --launch needs a platform with "
             "\"launch: eager\" and \"issue: 5us\", such as dgx-a100",
             s->machine.name);
    d->graph = o->launch == SIM_LAUNCH_GRAPH;
    d->ahead = o->launch == SIM_LAUNCH_AHEAD;
    d->waits = o->launch == SIM_LAUNCH_WAIT;
    return OK;
}

// Prices of NCCL are of the platform's own wires, which the file replaces.
static Status choose_topology(Sim *s) {
    const SimOptions *o = s->o;
    NodeGraph node;
    if (!o->topology) return OK;
    if (!s->setting.devices) FAIL(ERR_USAGE, "--topology is of devices; give --gpus");
    if (s->link)
        FAIL(ERR_USAGE, "--link and --topology both say how devices are connected; give one");
    if (s->setting.network == SIM_NETWORK_NCCL || o->nccl_algorithm || o->nccl_protocol)
        FAIL(ERR_USAGE,
             "--topology: NCCL's model knows the platform's own wires alone; leave out %s, and "
             "messages go one by one",
             o->nccl_algorithm  ? "--nccl-algo"
             : o->nccl_protocol ? "--nccl-proto"
                                : "--network nccl");
    TRY(node_graph_read(&node, o->topology));
    return machine_take_node(&s->machine, &node);
}

// Before the first row: also of those whose one device sends nothing.
static Status check_formula(const Sim *s) {
    bool formula =
        s->setting.network == SIM_NETWORK_ALPHA_BETA || s->setting.network == SIM_NETWORK_LOGGP;
    if (!formula || s->job.spec.strategy.algorithm != ALGORITHM_CHAIN) return OK;
    FAIL(ERR_USAGE, "a chain has no closed form, since sums and results pass each other on it; "
                    "give --all-reduce direct or ring, or --network flow");
}

static Status choose_machine(Sim *s) {
    const SimOptions *o = s->o;
    const char *name = s->setting.devices ? s->platform : o->platform ? o->platform : "laptop";
    bool own = !o->platform && !s->setting.devices && s->recording.has_machine;
    if (own)
        s->machine = s->recording.machine;
    else if (!o->platform && s->recorded && !s->setting.devices)
        FAIL(ERR_USAGE,
             "%s holds no machine.yaml that describes the host; give --platform FILE, which train "
             "--calibrate FILE makes",
             o->trace);
    else
        TRY(machine_read(&s->machine, s->arena, name));
    if (!printable(s->machine.name) || !printable(s->machine.device.name))
        FAIL(ERR_FORMAT, "%s: the name of the machine or of its device has control characters",
             name);
    TRY(choose_launch(s));
    TRY(choose_topology(s));
    TRY(check_formula(s));
    if (s->link) TRY(link_model_parse(&s->setting.link, s->link));
    s->setting.machine = &s->machine;
    s->setting.recording = s->recorded ? &s->recording : NULL;
    s->setting.dilation = (int64_t)llround(s->dilate * 1000);
    return sim_noise_choose(s);
}

Status sim_request_job(SimJob *out, const Sim *s, int ranks) {
    SimJob base = s->job;
    RunSetting *settings = ARENA_NEW(s->arena, RunSetting, 7);
    char *dilate = arena_push(s->arena, UNITS_TEXT);
    if (!settings || !dilate) FAIL(ERR_MEMORY, "out of memory");
    snprintf(dilate, UNITS_TEXT, "%g", s->dilate);
    if (sim_given(s, "batch-per-rank"))
        base.spec.batch = s->o->batch_per_rank * job_spec_data_ranks(&base.spec);
    TRY(sim_job_resize(out, &base, ranks, s->strong));
    out->settings = settings;
    TRY(sim_noise_describe(settings, &out->setting_count, s));
    if (s->link) settings[out->setting_count++] = (RunSetting){"link", s->link};
    if (s->o->topology) settings[out->setting_count++] = (RunSetting){"topology", s->o->topology};
    if (s->o->hierarchical) settings[out->setting_count++] = (RunSetting){"hierarchical", "yes"};
    if (s->dilate != 1) settings[out->setting_count++] = (RunSetting){"dilate", dilate};
    return OK;
}

void sim_request_default(SimOptions *o) {
    bool what = o->trace || o->compare || o->ranks.count || o->gpus.count;
    int64_t mesh = job_spec_mesh_ranks(&o->job);
    if (!what) o->gpus = (IntList){{o->job.mesh.data || mesh > 8 ? mesh : 8}, 1};
}

Status sim_request_read(Sim *s, SimOptions *o) {
    TRY(check_line(s->o, s->line));
    TRY(sim_noise_read(s));
    if (s->o->trace) {
        TRY(recording_read(&s->recording, s->arena, s->o->trace));
        s->recorded = true;
    }
    TRY(choose_place(s));
    TRY(sim_request_reports(s));
    TRY(make_job(s));
    TRY(take_plan(s, o));
    follow_schedule(s);
    choose_sizes(s);
    return check_compared(s);
}

Status sim_request_machine(Sim *s) {
    TRY(check_recorded_link(s));
    return choose_machine(s);
}
