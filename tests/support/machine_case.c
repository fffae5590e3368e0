// SPDX-License-Identifier: MIT
#include "tests/support/machine_case.h"

#include <stdio.h>

void machine_refused(const char *text, const char *message) {
    Arena a = {0};
    Machine m;
    char path[128];
    snprintf(path, sizeof path, "%s/m.yaml", test_directory());
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    ck_assert_fails(machine_read(&m, &a, path), ERR_FORMAT, message);
    arena_finish(&a);
}

// Member by member: between them may lie bytes that mean nothing.
static void same_device(const DeviceModel *a, const DeviceModel *b) {
    ck_assert_str_eq(a->name, b->name);
    ck_assert_mem_eq(a->flops_per_s, b->flops_per_s, sizeof a->flops_per_s);
    ck_assert_int_eq(a->memory_bytes_per_s, b->memory_bytes_per_s);
    ck_assert_int_eq(a->memory_bytes, b->memory_bytes);
    ck_assert_int_eq(a->launch_ps, b->launch_ps);
    ck_assert_int_eq(a->issue_ps, b->issue_ps);
    ck_assert(a->graph == b->graph);
    ck_assert_int_eq(a->graph_gap_ps, b->graph_gap_ps);
    ck_assert_mem_eq(a->slowed_permille, b->slowed_permille, sizeof a->slowed_permille);
    ck_assert_mem_eq(&a->kernels, &b->kernels, sizeof a->kernels);
    ck_assert_int_eq(a->flops_permille, b->flops_permille);
    ck_assert_int_eq(a->memory_permille, b->memory_permille);
}

static void same_host(const HostModel *a, const HostModel *b) {
    ck_assert_int_eq(a->cores, b->cores);
    ck_assert_int_eq(a->dispatch_ps, b->dispatch_ps);
    ck_assert_int_eq(a->spin_ps, b->spin_ps);
    ck_assert_int_eq(a->poll_ps, b->poll_ps);
    ck_assert_int_eq(a->wake_ps, b->wake_ps);
    ck_assert_int_eq(a->wake_same_core_ps, b->wake_same_core_ps);
    ck_assert_int_eq(a->switch_ps, b->switch_ps);
    ck_assert_int_eq(a->yield_ps, b->yield_ps);
    ck_assert_int_eq(a->turn_ps, b->turn_ps);
    ck_assert_int_eq(a->fold_bytes_per_s, b->fold_bytes_per_s);
    ck_assert_int_eq(a->co_run_permille, b->co_run_permille);
    ck_assert_int_eq(a->oversubscribed_permille, b->oversubscribed_permille);
}

static void same_collectives(const NcclConstants *a, const NcclConstants *b) {
    ck_assert(a->architecture == b->architecture && a->wire == b->wire && a->cpu == b->cpu);
    ck_assert_int_eq(a->devices, b->devices);
    ck_assert_int_eq(a->group_sizes, b->group_sizes);
    for (int i = 0; i < a->group_sizes; i++)
        ck_assert(a->channels[i].ranks == b->channels[i].ranks &&
                  a->channels[i].channels == b->channels[i].channels);
    ck_assert_int_eq(a->channel_bytes_per_s, b->channel_bytes_per_s);
    ck_assert_int_eq(a->across_channels, b->across_channels);
    ck_assert_int_eq(a->across_bytes_per_s, b->across_bytes_per_s);
    ck_assert_int_eq(a->nvls_channels, b->nvls_channels);
    ck_assert_int_eq(a->nvls_bytes_per_s, b->nvls_bytes_per_s);
    ck_assert_int_eq(a->collnet, b->collnet);
    ck_assert_int_eq(a->base_latency_ps, b->base_latency_ps);
    ck_assert_int_eq(a->hop_within, b->hop_within);
    ck_assert_int_eq(a->hop_across, b->hop_across);
    ck_assert_int_eq(a->bandwidth_within, b->bandwidth_within);
    ck_assert_int_eq(a->bandwidth_across, b->bandwidth_across);
    ck_assert_int_eq(a->group_loss, b->group_loss);
    ck_assert_int_eq(a->ramp_ps, b->ramp_ps);
}

void machine_same(const Machine *a, const Machine *b) {
    ck_assert_str_eq(a->name, b->name);
    ck_assert_int_eq(a->nodes, b->nodes);
    ck_assert_int_eq(a->devices_per_node, b->devices_per_node);
    ck_assert(a->is_host == b->is_host && a->is_calibrated == b->is_calibrated);
    ck_assert_mem_eq(&a->link, &b->link, sizeof a->link);
    ck_assert_mem_eq(&a->rail, &b->rail, sizeof a->rail);
    ck_assert_mem_eq(&a->mesh, &b->mesh, sizeof a->mesh);
    ck_assert_mem_eq(&a->fabric, &b->fabric, sizeof a->fabric);
    same_device(&a->device, &b->device);
    same_host(&a->host, &b->host);
    ck_assert_int_eq(a->has_loggp, b->has_loggp);
    ck_assert_int_eq(a->overhead_ps, b->overhead_ps);
    ck_assert_int_eq(a->gap_ps, b->gap_ps);
    ck_assert_int_eq(a->has_collectives, b->has_collectives);
    same_collectives(&a->collectives, &b->collectives);
}
