// SPDX-License-Identifier: MIT
// The forms of a report for other programs, to the byte: whoever reads them relies on it. Names may
// be added behind the last; a changed or missing one needs another schema.
#include "tests/support/report_sample.h"

#include <stdlib.h>

static char *text;
static size_t size;

static FILE *memory(void) {
    FILE *f = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(f);
    return f;
}

START_TEST(plain_is_a_line_per_figure_name_value_unit) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    r.memory = (const MemoryUse[]){{.planned = {1, 2}, .unplanned = NONE},
                                   {.planned = {100, 3}, .unplanned = 77}};
    r.comm_bytes = (const int64_t[]){5, 800};
    FILE *f = memory();
    report_write_plain(&r, f);
    fclose(f);
    ck_assert_str_eq(text, "schema tandem.summary.v1\n"
                           "kind train\n"
                           "model net\n"
                           "strategy dp=2 bucket_kib=4,32 overlap=true tag=007\n"
                           "ranks 2\n"
                           "device cpu\n"
                           "comm shm\n"
                           "dtype f32\n"
                           "shards 2\n"
                           "batch 8\n"
                           "seed 9007199254740993\n"
                           "steps 4\n"
                           "epochs 2\n"
                           "samples_per_s 1333.3333333333333 1/s\n"
                           "samples_per_s_p10 1333.3333333333333 1/s\n"
                           "samples_per_s_p90 1546.6666666666667 1/s\n"
                           "samples_per_s_mean 1428.5714285714287 1/s\n"
                           "step_ms 5.0 ms\n"
                           "step_ms_p10 3.4 ms\n"
                           "step_ms_p90 5.8 ms\n"
                           "step_ms_mean 4.666666666666667 ms\n"
                           "compute_ms 2.0 ms\n"
                           "contended_ms 0.16666666666666666 ms\n"
                           "exposed_comm_ms 1.1666666666666667 ms\n"
                           "bubble_ms 0.0 ms\n"
                           "waiting_ms 0.16666666666666666 ms\n"
                           "host_ms 0.3333333333333333 ms\n"
                           "idle_ms 0.8333333333333334 ms\n"
                           "planned_bytes 103 B\n"
                           "unplanned_bytes 77 B\n"
                           "comm_bytes 800 B\n"
                           "loss_first 2.0\n"
                           "loss_last 1.0\n"
                           "evaluation_loss 0.1\n"
                           "accuracy 0.9375\n"
                           "parameters_hash 0fedcba987654321\n"
                           "started 2026-01-31T12:00:00.250Z\n"
                           "wall_s 0.1 s\n"
                           "cores 2\n"
                           "cpu A processor\n"
                           "load 0.25\n"
                           "command train --data a <b> & \"c\" | d\n"
                           "optimizer name=sgd lr=0.05\n"
                           "unrecorded_steps 0\n"
                           "perplexity -\n");
    free(text);
    arena_finish(&a);
}
END_TEST

START_TEST(csv_is_names_and_values) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    FILE *f = memory();
    report_write_csv(&r, f);
    fclose(f);
    ck_assert_str_eq(
        text,
        "schema,kind,model,strategy,ranks,device,comm,dtype,shards,batch,seed,steps,epochs,"
        "samples_per_s,samples_per_s_p10,samples_per_s_p90,samples_per_s_mean,"
        "step_ms,step_ms_p10,step_ms_p90,step_ms_mean,"
        "compute_ms,contended_ms,exposed_comm_ms,bubble_ms,waiting_ms,host_ms,idle_ms,"
        "planned_bytes,unplanned_bytes,comm_bytes,"
        "loss_first,loss_last,evaluation_loss,accuracy,parameters_hash,"
        "started,wall_s,cores,cpu,load,command,optimizer,unrecorded_steps,perplexity\n"
        "tandem.summary.v1,train,net,\"dp=2 bucket_kib=4,32 overlap=true tag=007\",2,cpu,shm,f32,2,"
        "8,9007199254740993,4,2,"
        "1333.3333333333333,1333.3333333333333,1546.6666666666667,1428.5714285714287,"
        "5.0,3.4,5.8,4.666666666666667,"
        "2.0,0.16666666666666666,1.1666666666666667,0.0,0.16666666666666666,0.3333333333333333,"
        "0.8333333333333334,"
        "3215,,800,"
        "2.0,1.0,0.1,0.9375,0fedcba987654321,"
        "2026-01-31T12:00:00.250Z,0.1,2,A processor,0.25,"
        "\"train --data a <b> & \"\"c\"\" | d\",name=sgd lr=0.05,0,\n");
    free(text);
    arena_finish(&a);
}
END_TEST

START_TEST(what_is_not_known_is_empty_or_a_dash) {
    Arena a = {0};
    Report r;
    Timeline t;
    ck_assert_ok(timeline_create(&t, 0, 1, 1));
    ck_assert_ok(report_from_timelines(&r, &a, (const Program *const[]){&program},
                                       (const Timeline *const[]){&t}, 1));
    const char *const argv[] = {"train", "--data", "two\nlines"};
    r.run = (RunInfo){.kind = "sim",
                      .model = "m",
                      .device = "d",
                      .comm = "none",
                      .dtype = "f32",
                      .ranks = 1,
                      .argc = 3,
                      .argv = argv};
    FILE *f = memory();
    report_write_plain(&r, f);
    report_write_csv(&r, f);
    fclose(f);
    ck_assert_ptr_nonnull(strstr(text, "\nstep_ms -\n"));
    ck_assert_ptr_nonnull(strstr(text, "\ncompute_ms -\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nstarted -\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nparameters_hash -\n"));
    ck_assert_ptr_nonnull(strstr(text, "\ncommand train --data two lines\n"));
    ck_assert_ptr_nonnull(strstr(text, ",train --data two lines,,0,\n"));
    ck_assert_ptr_nonnull(strstr(text, ",,,,,"));
    ck_assert_ptr_null(strstr(text, "nan"));
    free(text);
    timeline_destroy(&t);
    arena_finish(&a);
}
END_TEST

SUITE("report_plain", plain_is_a_line_per_figure_name_value_unit, csv_is_names_and_values,
      what_is_not_known_is_empty_or_a_dash)
