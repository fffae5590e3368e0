// SPDX-License-Identifier: MIT
// Machine files as YAML that machine_read() reads back to the same machine.
#include "core/platform/machine.h"

#include "core/base/file.h"
#include "core/base/units.h"
#include "core/base/yaml.h"
#include "core/platform/kernel_model_internal.h"

static void put_link(FILE *f, const char *key, const LinkModel *l) {
    char rate[UNITS_TEXT], latency[UNITS_TEXT];
    if (l->bytes_per_s)
        fprintf(f, "%s: {bandwidth: %s, latency: %s}\n", key,
                units_exact_bandwidth(rate, l->bytes_per_s),
                units_exact_duration(latency, l->latency_ps));
}

static void put_permille(FILE *f, const char *before, int32_t permille) {
    fprintf(f, "%s%d.%03d", before, permille / 1000, permille % 1000);
}

static void put_device(FILE *f, const DeviceModel *d) {
    char text[UNITS_TEXT];
    fputs("device:\n  name: ", f);
    yaml_write_string(f, d->name);
    fputs("\n  flops: {", f);
    for (int t = 0, any = 0; t < DTYPE_REALS; t++)
        if (d->flops_per_s[t])
            fprintf(f, "%s%s: %lld", any++ ? ", " : "", dtype_name((Dtype)t),
                    (long long)d->flops_per_s[t]);
    fputs("}\n", f);
    fprintf(f, "  memory: %s\n", units_exact_size(text, d->memory_bytes));
    fprintf(f, "  memory_bandwidth: %s\n", units_exact_bandwidth(text, d->memory_bytes_per_s));
    if (d->issue_ps) {
        fprintf(f, "  launch: %s\n", d->graph ? "graph" : "eager");
        fprintf(f, "  issue: %s\n", units_exact_duration(text, d->issue_ps));
    }
    fprintf(f, "  %s: %s\n", d->issue_ps ? "gap" : "launch",
            units_exact_duration(text, d->launch_ps));
    if (d->graph_gap_ps)
        fprintf(f, "  graph_gap: %s\n", units_exact_duration(text, d->graph_gap_ps));
    put_permille(f, "  reached: {flops: ", d->flops_permille);
    if (d->kernels.point_count) {
        fputs(", memory: ", f);
        kernel_model_print_curve(&d->kernels, f);
    } else
        put_permille(f, ", memory: ", d->memory_permille);
    kernel_model_print_kinds(&d->kernels, f);
    fputs("}\n", f);
    if (d->slowed_permille[SLOWED_PRODUCTS]) {
        put_permille(f, "  slowed: {products: ", d->slowed_permille[SLOWED_PRODUCTS]);
        put_permille(f, ", other: ", d->slowed_permille[SLOWED_OTHER]);
        fputs("}\n", f);
    }
    kernel_model_print(&d->kernels, f);
}

static void put_host(FILE *f, const HostModel *h) {
    char text[UNITS_TEXT];
    const struct {
        const char *key;
        int64_t ps;
    } times[] = {{"dispatch", h->dispatch_ps},
                 {"turn", h->turn_ps},
                 {"spin", h->spin_ps},
                 {"poll", h->poll_ps},
                 {"yield", h->yield_ps},
                 {"wake", h->wake_ps},
                 {"wake_same_core", h->wake_same_core_ps},
                 {"switch", h->switch_ps}};
    fprintf(f, "host:\n  cores: %d\n", h->cores);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        fprintf(f, "  %s: %s\n", times[i].key, units_exact_duration(text, times[i].ps));
    fprintf(f, "  fold_bandwidth: %s\n", units_exact_bandwidth(text, h->fold_bytes_per_s));
    put_permille(f, "  co_run: ", h->co_run_permille);
    if (h->oversubscribed_permille)
        put_permille(f, "\n  oversubscribed: ", h->oversubscribed_permille);
    fputc('\n', f);
}

static void put_loggp(FILE *f, const Machine *m) {
    char overhead[UNITS_TEXT], gap[UNITS_TEXT];
    fprintf(f, "loggp: {overhead: %s, gap: %s}\n", units_exact_duration(overhead, m->overhead_ps),
            units_exact_duration(gap, m->gap_ps));
}

void machine_print(const Machine *m, FILE *f) {
    fputs("tandem: " MACHINE_VERSION "\nname: ", f);
    yaml_write_string(f, m->name);
    fprintf(f, "\nnodes: %d\ndevices: %d\n", m->nodes, m->devices_per_node);
    put_device(f, &m->device);
    put_link(f, "link", &m->link);
    put_link(f, "rail", &m->rail);
    fabric_write(f, &m->fabric, &m->mesh);
    if (m->is_host) put_host(f, &m->host);
    if (m->has_loggp) put_loggp(f, m);
    if (m->has_collectives) nccl_constants_write(f, &m->collectives);
    if (m->is_calibrated) calibration_write(f, &m->calibration);
}

Status machine_write(const Machine *m, const char *path) {
    OutputFile f = {0};
    TRY(file_create(&f, path));
    machine_print(m, f.stream);
    return file_commit(&f);
}
