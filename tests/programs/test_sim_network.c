// SPDX-License-Identifier: MIT
// What `sim` says of communication between devices, and the options that decide how it is modelled.
#include "tests/support/command.h"

#include <stdio.h>
#include <string.h>

// Communication and its payload are there, whether or not it is exposed; and which model of the
// network made the numbers is said, with the link that decides.
START_TEST(communication_is_shown_that_overlaps_and_the_slower_link) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 16"), 0);
    test_has(c.out, "comm  payload");
    test_has(c.out, "106KiB");
    test_has(c.out, "link 300GB/s, 600ns  rail 25GB/s, 2.7us");
    test_has(c.out, "network: NCCL's own model, the fastest of its algorithms");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 16 --network flow"), 0);
    test_has(c.out, "f32  direct  [simulated]");
    test_has(c.out, "network: links only, without NCCL");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 16 --network store-forward"), 0);
    test_has(c.out, "network: links that carry whole messages one after another");
    command_finish(&c);
    // A ring of 16 on one switch: every link carries 30/16 of 106 KiB a step.
    ck_assert_int_eq(command_run(&c,
                                 "sim --gpus 16 --network flow --link 1GB/s,1us --all-reduce ring "
                                 "--bucket-kib 4,32 -v"),
                     0);
    test_has(c.out, "device to switch  device ");
    test_has(c.out, "199KiB  45.6%  45.6%");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 8"), 0);
    ck_assert_ptr_null(strstr(c.out, "rail"));  // one node
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 1"), 0);
    ck_assert_ptr_null(strstr(c.out, "network:"));  // nothing is sent
    command_finish(&c);
}
END_TEST

static double efficiency_of(const char *options) {
    Command c = {0};
    char line[128];
    double percent = 0;
    snprintf(line, sizeof line, "sim --gpus 8 %s | awk '$1 == 8 && NF > 6 {print $6}'", options);
    ck_assert_int_eq(command_run(&c, "%s", line), 0);
    ck_assert_int_eq(sscanf(c.out, "%lf%%", &percent), 1);
    command_finish(&c);
    return percent;
}

// NCCL's price is more than bytes over bandwidth, a worse algorithm costs more, and a schedule that
// is named goes message by message.
START_TEST(communication_costs_what_the_options_say) {
    double nccl = efficiency_of(""), flow = efficiency_of("--network flow");
    ck_assert(nccl < 95 && nccl < flow);
    ck_assert(efficiency_of("--nccl-algo ring --nccl-proto simple") < nccl);
    ck_assert_close(efficiency_of("--nccl-algo auto"), nccl, 0);
    ck_assert(efficiency_of("--network store-forward --link 1GB/s,1us") <
              efficiency_of("--link 1GB/s,1us"));
    ck_assert_close(efficiency_of("--all-reduce direct"), flow, 0);
    ck_assert_close(efficiency_of("--all-reduce direct --network flow"), flow, 0);
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 8 --nccl-algo ring --nccl-proto ll128"), 0);
    test_has(c.out, "network: NCCL's own model, algorithm Ring, protocol LL128");
    command_finish(&c);
}
END_TEST

START_TEST(networks_that_contradict_each_other_are_refused) {
    static const struct {
        const char *line, *why;
    } lines[] = {
        {"sim --gpus 8 --nccl-algo nvls --point", "no NVLS here"},
        {"sim --gpus 8 --nccl-algo rings", "--nccl-algo"},
        {"sim --gpus 8 --nccl-algo ring --all-reduce ring", "--all-reduce names a schedule"},
        {"sim --gpus 8 --network nccl --link 1GB/s,1us", "--network nccl: NCCL's model is of"},
        {"sim --gpus 8 --network flow --nccl-proto ll", "--nccl-proto: NCCL's model is of"},
        {"sim --gpus 8 --network store-forward --nccl-algo ring", "--nccl-algo: NCCL's model is"},
        {"sim --ranks 2 --network store-forward", "ranks of a host share memory; give --gpus"},
        {"sim --gpus 4 --straggler 4=1.5", "there are ranks 0 to 3"},
        {"sim --gpus 4 --straggler 3=0.5", "a factor from 1 to 1000"},
        {"sim --gpus 4 --jitter 1.5", "--jitter 1.5: expected a number from 0 to 1, or recorded"},
        {"sim --gpus 4 --jitter 0.1x", "--jitter 0.1x: expected a number"},
        {"sim --gpus 4 --jitter recorded", "--jitter recorded draws steps of a recorded run"},
        {"sim --gpus 4 --steps 9", "--steps 9: steps differ only with --jitter"},
        {"sim --gpus 4 --jitter 0 --steps 9", "--steps 9: steps differ only with --jitter"},
        {"sim --gpus 4 --point --jitter 0.1 --steps 1000000", "give at most"},
        {"sim --ranks 2 --jitter 0.1", "are of devices, not of ranks that share a host"},
        {"sim --gpus 4 --point --critical-path --jitter 0.1", "leave out --jitter"},
        {"sim --ranks 2 --nccl-proto ll", "--nccl-proto: NCCL's model is of"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        Command c = {0};
        ck_assert_int_eq(command_run(&c, "%s", lines[i].line), 2);
        ck_assert_msg(strstr(c.err, lines[i].why) != NULL, "%s: %s", lines[i].line, c.err);
        command_finish(&c);
    }
}
END_TEST

// The file says how its all-reduces go; a plan for which nothing was chosen says direct, too.
START_TEST(a_plan_or_a_recording_of_a_named_schedule_is_followed) {
    Command c = {0};
    ck_assert_int_eq(
        command_run(&c, "job='--gpus 4 --batch 64 --predictions none'; row() { grep '^ *4 '; }; "
                        "for a in ring chain; do "
                        "sim $job --all-reduce $a --print-plan file > p && "
                        "sim --plan p --predictions none | row > plan && "
                        "sim $job --all-reduce $a --point | row | cmp - plan || exit 1; "
                        "sim --plan p --network nccl | row | cmp -s - plan && exit 2; done; "
                        "sim $job --all-reduce direct --print-plan file > p && sim --plan p"),
        0);
    test_has(c.out, "network: NCCL's own model");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "train -q --ranks 2 --all-reduce ring --data digits:count=300 "
                                     "--steps 2 --trace t && sim --trace t --gpus 2"),
                     0);
    test_has(c.out, "  ring  [simulated]\n");
    test_has(c.out, "network: links only");
    command_finish(&c);
}
END_TEST

// All 16 of a torus; -v names the fullest link. NCCL's model, a folded run and a 17th are refused.
START_TEST(a_machine_file_brings_its_own_network) {
    const char *write =
        "printf 'tandem: machine 1\\nname: pod\\ndevices: 1\\ntopology: {across: {torus: [4, 4]}}"
        "\\nrail: {bandwidth: 50GB/s, latency: 1us}\\ndevice: {name: chip, flops: {f32: 20T}, "
        "memory:"
        " 16GB, memory_bandwidth: 900GB/s}\\n' > torus.yaml && sim --platform torus.yaml";
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "%s --gpus 16 --all-reduce ring -v", write), 0);
    test_has(c.out, "rail 50GB/s, 1us  torus");
    test_has(c.out, "between nodes  node ");
    test_has(c.out, "simulated: all 16 devices: collectives go message by message");
    test_has(c.out, "network: links only");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "%s --gpus 17", write), 2);
    ck_assert(strstr(c.err, "the torus of pod connects 16; give at most so many"));
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "%s --gpus 16 --network nccl", write), 2);
    ck_assert(strstr(c.err, "no section `collectives`"));
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --platform dgx-v100 --gpus 8 --network flow -v"), 0);
    test_has(c.out, "mesh of wires");
    test_has(c.out, "wire   device ");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --platform dgx-v100 --gpus 8"), 0);
    ck_assert_ptr_null(strstr(c.out, "mesh of wires"));  // NCCL's price, over ports
    command_finish(&c);
}
END_TEST

// The mean of steps with their quantiles, the same each time; a straggler is waited for.
START_TEST(jitter_and_stragglers_are_told) {
    Command c = {0}, again = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 8 --point --jitter 0.1 -v"), 0);
    ck_assert_int_eq(command_run(&again, "sim --gpus 8 --point --jitter 0.1 -v"), 0);
    ck_assert_str_eq(c.out, again.out);
    test_has(c.out, "8 of 10 from ");
    test_has(c.out, "\n64 steps, last row: mean 0.");
    test_has(c.out, "; p5 0.");
    test_has(c.out, "\n  with computations that vary by 10 % (--jitter), from seed 1");
    test_has(c.out, "simulated: all 8 devices: computations jitter, each by itself");
    command_finish(&c);
    command_finish(&again);
    ck_assert_int_eq(command_run(&c, "sim --gpus 4 --point --jitter 0.1 --steps 20"), 0);
    test_has(c.out, "\n20 steps, last row: mean ");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 4 --straggler 3=1.5 -v"), 0);
    test_has(c.out, "rank 3 computes 1.5 times as long (--straggler)");
    test_has(c.out, "simulated: all 4 devices: some of them are slower");
    test_has(c.out, "waiting");
    command_finish(&c);
}
END_TEST

static void refused_with(const char *file, const char *options, const char *message) {
    Command c = {0};
    command_start(&c, "sim --topology %s %s", file, options);
    command_wait(&c, 30);
    command_refused(&c, "sim", PARTS(message));
}

// Devices, wires and adapters are the file's; what does not go with a topology is said in a line.
START_TEST(nodes_are_wired_as_nccls_topology_says) {
    Command c = {0};
    char file[4096], none[4100];
    snprintf(file, sizeof file, "%s", test_source("tests/data/nccl_topology.xml"));
    snprintf(none, sizeof none, "%s.no", file);
    ck_assert_int_eq(command_run(&c, "sim --gpus 4 --topology %s -v", file), 0);
    test_has(c.out, "link 240GB/s, 600ns  wires of a topology");
    test_has(c.out, "to switch 6");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 8 --point --topology %s -v", file), 0);
    test_has(c.out, "rail 25GB/s, 2.7us");
    test_has(c.out, "adapter 1");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 4 --topology %s --json", file), 0);
    test_has(c.out, "\"topology\":");
    test_has(c.out, "/nccl_topology.xml\"");
    command_finish(&c);
    refused_with(file, "--gpus 4 --network nccl", "leave out --network nccl, and messages go one");
    refused_with(file, "--gpus 4 --nccl-algo ring", "leave out --nccl-algo");
    refused_with(file, "--gpus 4 --link 1GB/s,1us", "--link and --topology both say");
    refused_with(file, "--ranks 2", "--topology is of devices; give --gpus");
    refused_with(file, "--gpus 4 --collective all_reduce", "leave out --topology");
    refused_with(file, "--gpus 4 --platform h100-1", "has no link to take them from");
    refused_with(none, "--gpus 4", "No such file");
}
END_TEST

static double step_of(const char *options) {
    Command c = {0};
    double ms = 0;
    ck_assert_int_eq(
        command_run(&c, "sim --gpus 16 --point --csv --model mlp %s | tail -n 1", options), 0);
    ck_assert_int_eq(sscanf(c.out, "%*[^,],%*[^,],%*[^,],%lf", &ms), 1);
    command_finish(&c);
    return ms;
}

// One bucket: nothing overlaps but the loss, so that the formula is what the messages take, but for
// chunks in levels that differ by an element.
START_TEST(formulas_and_levels_are_what_the_messages_take) {
    double flow = step_of("--network flow --bucket-kib 100000,100000"),
           levels = step_of("--hierarchical --bucket-kib 100000,100000");
    ck_assert(flow > 0 && levels > 0 && levels < flow);
    ck_assert_close(step_of("--network alpha-beta --bucket-kib 100000,100000"), flow, 1e-9);
    ck_assert_close(step_of("--network alpha-beta --hierarchical --bucket-kib 100000,100000"),
                    levels, 1e-6);
}
END_TEST

static void refused_line(const char *options, const char *message) {
    Command c = {0};
    command_start(&c, "sim %s", options);
    command_wait(&c, 30);
    command_refused(&c, "sim", PARTS(message));
}

START_TEST(formulas_say_what_they_are_and_what_they_do_not_know) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 16 --network alpha-beta --hierarchical -v"), 0);
    test_has(c.out, "f32  hierarchical  [simulated]");
    test_has(c.out, "network: a formula (alpha-beta) for each collective and message");
    test_has(c.out, "each of the others is like one of them");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sed 's/^link:/loggp: {overhead: 1.5us, gap: 1us}\\nlink:/' "
                                     "$TANDEM_SOURCE/machines/dgx-a100.yaml > m.yaml && "
                                     "sim --gpus 16 --platform m.yaml --network loggp"),
                     0);
    test_has(c.out, "network: a formula (LogGP)");
    command_finish(&c);
    refused_line("--gpus 8 --network loggp", "add \"loggp: {overhead: 1.5us, gap: 1us}\" to a");
    refused_line("--gpus 8 --network alpha-beta --all-reduce chain", "a chain has no closed form");
    refused_line("--gpus 8 --network alpha-beta --platform dgx-v100",
                 "dgx-v100 has a mesh of wires");
    refused_line("--ranks 2 --network alpha-beta", "ranks of a host share memory; give --gpus");
    refused_line("--gpus 8 --network alpha-beta --nccl-algo ring", "nor another --network");
    refused_line("--gpus 8 --hierarchical --network nccl", "--hierarchical names a schedule");
    refused_line("--gpus 8 --hierarchical --link 1GB/s,1us",
                 "--hierarchical is of nodes of devices");
    refused_line("--ranks 2 --hierarchical", "--hierarchical is of nodes of devices");
}
END_TEST

SUITE("sim_network", communication_is_shown_that_overlaps_and_the_slower_link,
      communication_costs_what_the_options_say,
      a_plan_or_a_recording_of_a_named_schedule_is_followed, a_machine_file_brings_its_own_network,
      jitter_and_stragglers_are_told, networks_that_contradict_each_other_are_refused,
      nodes_are_wired_as_nccls_topology_says, formulas_and_levels_are_what_the_messages_take,
      formulas_say_what_they_are_and_what_they_do_not_know)
