// SPDX-License-Identifier: MIT
// From options to a lowered program, a device and data: job_create() has the order.
#include "parallel/run/job.h"

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/device/timed/timed.h"
#include "core/plan/check.h"
#include "core/platform/device_model.h"
#include "core/platform/device_traits.h"
#include "parallel/run/plan_file.h"
#include "parallel/strategy/collective_work.h"

#include <string.h>

// Say which option named the file that a message is about.
static Status name_option(Status s, const char *option) {
    if (s == ERR_INPUT || s == ERR_FORMAT || s == ERR_SHAPE)
        FAIL(s, "%s %s", option, status_message());
    return s;
}

// An error in a plan tells of operations and ranks; which file they are of, is told here.
static Status name_plan_file(Status s, const JobSpec *spec) {
    if (s == ERR_PLAN && spec->plan_file)
        FAIL(s, "--plan %s: %s", spec->plan_file, status_message());
    return s;
}

// A plan from a file says which ranks have parts of a batch.
static Status check_numbers(Job *job) {
    const JobSpec *spec = &job->options.spec;
    if (spec->ranks > COMM_RANKS)
        FAIL(ERR_USAGE, "--ranks: %d is too large: give 1 to %d", spec->ranks, COMM_RANKS);
    if (spec->plan_file) TRY(name_option(plan_file_read(job), "--plan"));
    return job_spec_check(spec);
}

// --- the device, and the links between ranks

static int64_t slowdown_of(const JobOptions *o) {
    return o->slowdown_permille ? o->slowdown_permille : 1000;
}

// A message passes two links of a machine: from a device to the switch, and on to another.
static Status link_of_machine(LinkModel *out, const JobOptions *o, const Machine *m) {
    if (!m->link.bytes_per_s)
        FAIL(ERR_USAGE,
             "--device %s: %s has no link between devices, which %d ranks need: add --link such as "
             "1GB/s,50us",
             o->spec.device, m->name, o->spec.ranks);
    if (m->nodes > 1 || machine_devices(m) < o->spec.ranks)
        FAIL(ERR_USAGE,
             "--device %s: %s has %d node%s of %d devices; %d ranks on one switch need --link such "
             "as 25GB/s,5us",
             o->spec.device, m->name, m->nodes, m->nodes == 1 ? "" : "s", m->devices_per_node,
             o->spec.ranks);
    *out = (LinkModel){m->link.bytes_per_s, 2 * m->link.latency_ps};
    return OK;
}

static Status create_timed(Job *job, const char *platform) {
    JobOptions *o = &job->options;
    Machine *machine = ARENA_NEW(&job->arena, Machine, 1);
    Device *device = ARENA_NEW(&job->arena, Device, 1);
    if (!machine || !device) FAIL(ERR_MEMORY, "out of memory for a machine");
    TRY(name_option(machine_read(machine, &job->arena, platform), "--device"));
    if (o->spec.ranks > 1 && !o->link.bytes_per_s) TRY(link_of_machine(&o->link, o, machine));
    device_timed_init(device, &machine->device, slowdown_of(o));
    job->device = device;
    return OK;
}

static Status find_device(Job *job) {
    JobOptions *o = &job->options;
    const char *platform = device_traits_platform(o->spec.device);
    TRY(platform ? create_timed(job, platform)
                 : name_option(device_find(&job->device, o->spec.device), "--device"));
    o->comm_options.link = (StarLink){o->link.bytes_per_s, o->link.latency_ps, slowdown_of(o)};
    return OK;
}

// Images have the shape of the model's input: channels, height and width; if there is one channel
// height and width; or as many values as a vector.
static Status fit_images(const Model *m, const Dataset *d) {
    const int64_t image[] = {d->channels, d->height, d->width}, values = dataset_pixels(d);
    int dims = m->input_dims;
    bool fits = dims == 1 ? m->input[0] == values : dims == 3 || (dims == 2 && d->channels == 1);
    for (int i = 0; i < dims && dims > 1; i++) fits = fits && m->input[i] == image[3 - dims + i];
    if (fits) return OK;
    char input[128] = "";
    for (int i = 0; i < dims; i++)
        text_append(input, sizeof input, "%s%lld", i ? "×" : "", (long long)m->input[i]);
    char advice[96] = "";
    if (d->height == d->width)
        snprintf(advice, sizeof advice, "; --model resnet:image=%d,colours=%d takes them",
                 d->height, d->channels);
    FAIL(ERR_SHAPE, "model %s takes samples of %s, the images of %s are %d×%d×%d%s", m->name, input,
         d->source, d->channels, d->height, d->width, advice);
}

// Text is cut into windows of as many tokens as the model reads.
static Status fit_data(Job *job) {
    const Model *m = &job->model;
    bool text = dataset_is_text(&job->data);
    if (text != m->tokens)
        FAIL(ERR_SHAPE, "model %s takes %s, and %s has %s", m->name,
             m->tokens ? "tokens" : "images", job->data.source,
             text ? "tokens (a model for them is gpt)" : "images (--data text has tokens)");
    job->data.masked = m->masked;
    if (text)
        return name_option(dataset_cut(&job->data, m->input[0], job->options.test_fraction),
                           "--data");
    return fit_images(m, &job->data);
}

static Status read_inputs(Job *job) {
    const JobOptions *o = &job->options;
    TRY(find_device(job));
    TRY(name_option(job_spec_model(&job->model, &job->arena, &o->spec), "--model"));
    bool draw = !o->plan_only && !job->device->model;  // a timed device loads nothing
    TRY(name_option(draw ? dataset_read_watched(&job->data, &job->arena, o->data, &o->drawing)
                         : dataset_describe(&job->data, &job->arena, o->data),
                    "--data"));
    TRY(fit_data(job));
    char who[64];
    snprintf(who, sizeof who, "model %s", job->model.name);
    TRY(name_option(dataset_check_labels(&job->data, job->model.classes, who), "--data"));
    TRY(dataset_split(&job->split, &job->arena, &job->data, o->test_fraction, o->spec.seed));
    job->test_labels =
        dataset_counted(&job->data, job->split.test, job->split.test_count, (DatasetTime){0});
    return OK;
}

static Status plan_run(Job *job) {
    JobOptions *o = &job->options;
    Sampler s;
    // A batch takes what there is; memory for more rows would never be used.
    if (o->tail == TAIL_KEEP && o->spec.batch > job->split.train_count)
        o->spec.batch = o->info.batch = job->split.train_count;
    TRY(sampler_init(&s, &job->arena, job->split.train, job->split.train_count, o->spec.batch,
                     o->spec.seed, o->tail));
    job->batches = sampler_batches(&s);
    if (job->batches < 1)
        FAIL(ERR_USAGE,
             "%lld training samples make no batch of %lld with --tail drop; give a smaller --batch",
             (long long)job->split.train_count, (long long)o->spec.batch);
    job->steps = o->steps ? o->steps : o->epochs * job->batches;
    job->epochs = (job->steps + job->batches - 1) / job->batches;
    int64_t block = (int64_t)EVALUATION_ROWS * job_spec_data_ranks(&o->spec);
    if (job->device->model) return OK;  // nothing is learned that could be evaluated
    job->evaluation_turns = (job->split.test_count + block - 1) / block;
    return OK;
}

static Status check_device(const Job *job) {
    for (int i = 0; i < job->set.count; i++) {
        const Program *p = &job->set.programs[i];
        TRY(device_check(job->device, p));
        if (job->device->model) TRY(device_model_check(job->device->model, p));
    }
    return OK;
}

// Everything after reading.
static Status finish_job(Job *job) {
    const JobOptions *o = &job->options;
    TRY(plan_run(job));
    if (!o->spec.plan_file) TRY(job_spec_programs(&job->set, &o->spec, &job->model));
    TRY(name_plan_file(plan_check(&job->set), &o->spec));
    TRY(name_plan_file(plan_check_run(&job->set), &o->spec));
    if (o->spec.plan_file) TRY(plan_file_check(job));
    if (o->unlowered) return check_device(job);
    TRY(collective_work_lower(&job->set, job->device->traits));
    TRY(check_device(job));
    const Program *p = &job->set.programs[0];
    job->plan_step = program_find_when(p, WHEN_EACH_STEP, 0);
    if (program_find_when(p, WHEN_EACH_EPOCH, 0) == NONE) job->evaluation_turns = 0;
    return OK;
}

Status job_create(Job *job, const JobOptions *options) {
    *job = (Job){.options = *options};
    TRY(check_numbers(job));
    if (options->save)  // other files of a checkpoint are beside where it really is
        TRY(name_option(file_resolve(&job->options.save, &job->arena, options->save), "--save"));
    TRY(read_inputs(job));
    TRY(finish_job(job));
    return options->plan_only ? OK : restore_open(job);
}

Status job_derive(Job *job, const Job *base, const JobOptions *options) {
    *job = (Job){.options = *options,
                 .model = base->model,
                 .data = base->data,
                 .split = base->split,
                 .test_labels = base->test_labels,
                 .device = base->device};
    TRY(check_numbers(job));
    return finish_job(job);
}

void job_destroy(Job *job) {
    program_set_finish(&job->set);
    dataset_finish(&job->data);
    arena_finish(&job->arena);
    *job = (Job){0};
}

When job_when(const Job *job, const Turn *t) {
    return (When)job->set.programs[0].plans[t->plan].when;
}

static bool begin_plan(const Job *job, Turn *t, When when, int from) {
    int plan = program_find_when(&job->set.programs[0], when, from);
    if (plan == NONE) return false;
    t->plan = plan;
    t->block = when == WHEN_EACH_EPOCH ? 0 : NONE;
    return true;
}

bool job_last_turns(const Job *job, Turn *t) { return begin_plan(job, t, WHEN_AT_END, 0); }

static bool begin_step(const Job *job, Turn *t) {
    if (t->step >= job->steps) return job_last_turns(job, t);
    t->batch = t->step % job->batches;
    t->epoch = t->step / job->batches;
    return begin_plan(job, t, WHEN_EACH_STEP, 0);
}

// The first step; or an evaluation, as after the last.
static bool begin_run(const Job *job, Turn *t) {
    if (!job->options.evaluate_only) return begin_step(job, t);
    t->epoch = t->step ? (t->step - 1) / job->batches : 0;
    return begin_plan(job, t, WHEN_EACH_EPOCH, 0);
}

// Plans of `once`; then epochs of training steps, each followed by the rounds of an evaluation;
// then plans of `at_end`. A run that ends within an epoch evaluates there too.
bool job_next_turn(const Job *job, Turn *t) {
    if (t->plan == NONE) {
        *t = (Turn){.plan = NONE, .step = job->first_step};
        return begin_plan(job, t, WHEN_ONCE, 0) || begin_run(job, t);
    }
    switch (job_when(job, t)) {
    case WHEN_ONCE: return begin_plan(job, t, WHEN_ONCE, t->plan + 1) || begin_run(job, t);
    case WHEN_EACH_STEP:
        t->step++;
        if ((t->batch + 1 == job->batches || t->step == job->steps) && job->evaluation_turns > 0)
            return begin_plan(job, t, WHEN_EACH_EPOCH, 0);
        return begin_step(job, t);
    case WHEN_EACH_EPOCH: return ++t->block < job->evaluation_turns || begin_step(job, t);
    case WHEN_AT_END: return begin_plan(job, t, WHEN_AT_END, t->plan + 1);
    case WHEN_NONE:
    case WHEN_COUNT: break;
    }
    return false;
}
