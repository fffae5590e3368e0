// SPDX-License-Identifier: MIT
// What `train` does with input that it cannot use: one line that says what, where and what to do,
// the exit status, and nothing left behind.
#include "tests/support/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

// 255 training samples: batches of 64, 64, 64 and 63.
#define SMALL "--model linear --data digits:count=300 --steps 3"

static Command it;

// What a sanitizer says of an allocation that it refuses is not train's.
static int lines_of_train(const char *text) {
    int lines = 0;
    for (const char *at = text; *at; at = strchr(at, '\n') + 1) {
        if (strncmp(at, "==", 2) == 0) continue;
        ck_assert_msg(strncmp(at, "train: ", 7) == 0 && strchr(at, '\n'), "a line of\n%s", text);
        lines++;
    }
    return lines;
}

// `train WORDS` prints nothing but one line, which has all the parts, and leaves no file.
static void check_refused(int status, const char *const parts[]) {
    ck_assert_msg(it.status == status, "exit status %d, not %d: %s", it.status, status, it.err);
    ck_assert_msg(lines_of_train(it.err) == 1, "not one line:\n%s", it.err);
    command_said(it.err, parts);
    ck_assert_msg(strlen(it.err) < 300, "%zu bytes: %s", strlen(it.err), it.err);
    ck_assert_str_eq(it.out, "");
    ck_assert_int_eq(command_count_files(&it, ""), 0);
    command_finish(&it);
}

static void refused(int status, const char *const parts[], const char *fmt, ...) PRINTF_LIKE(3, 4);
static void refused(int status, const char *const parts[], const char *fmt, ...) {
    char words[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    command_run(&it, "ASAN_OPTIONS=allocator_may_return_null=1 train -q %s", words);
    check_refused(status, parts);
}

static const char *write_file(const char *directory, const char *name, const void *bytes,
                              size_t size) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    fclose(f);
    return path;
}

// --- the command line

START_TEST(unknown_options_get_a_suggestion) {
    refused(2, PARTS("unknown option --rank ", "did you mean --ranks?"), "--rank 2");
    refused(2, PARTS("unknown option --zero-bubble ", "did you mean --schedule?"), "--zero-bubble");
    refused(2, PARTS("unknown option --quantise", "--help lists the options"), "--quantise");
    refused(2, PARTS("unexpected argument run/", "--help"), "run/");
    refused(2, PARTS("--comm", "\"thraed\"", "did you mean thread?"), "--comm thraed");
    refused(2, PARTS("--comm", "nccl is not built", "there are serial, thread, shm"),
            "--comm nccl");
    refused(2, PARTS("--comm", "\"gloo\"", "did you mean shm?"), "--comm gloo");
    refused(2, PARTS("no device \"tpu\"", "reference|cpu|timed:PLATFORM"), "--device tpu");
    refused(2, PARTS("no device \"refrence\"", "did you mean reference?"), "--device refrence");
    refused(2, PARTS("--device timed needs a machine", "timed:laptop"), "--device timed");
    refused(2, PARTS("--device cuda", "is not built in", "GPUs", "timed:dgx-a100"),
            "--device cuda");
    refused(2, PARTS("no machine \"laptp\"", "did you mean laptop?"), "--device timed:laptp");
    refused(2, PARTS("no model \"nett\"", "did you mean net?"), "--model nett");
    refused(2, PARTS("--ranks needs a value"), "--ranks");
}
END_TEST

START_TEST(numbers_out_of_bounds_are_named_with_the_bounds) {
    refused(2, PARTS("--ranks: 0 is too small: give 1 to 64"), "--ranks 0");
    refused(2, PARTS("--ranks: 2097152 is too large: give 1 to 64"), "--ranks 2097152");
    refused(2, PARTS("--ranks: 65 is too large: give 1 to 64"), "--ranks 65");
    refused(2, PARTS("--ranks: \"two\" is not a count"), "--ranks two");
    refused(2, PARTS("--lr: \"nan\" is not a number"), "--lr nan");
    refused(2, PARTS("--lr: \"inf\" is not a number"), "--lr inf");
    refused(2, PARTS("--lr: -1 is too small"), "--lr -1");
    refused(2, PARTS("--steps: 1000000000000 is too large"), "--steps 1000000000000");
    refused(2, PARTS("--steps: 0 is too small"), "--steps 0");
    refused(2, PARTS("--batch: 10000001 is too large"), "--batch 10000001");
    refused(2, PARTS("--seed: -1 is too small"), "--seed -1");
    refused(2, PARTS("--timeout: 0 is too small: give 1ms"), "--timeout 0");
    refused(2, PARTS("--timeout: \"5x\" is not a duration"), "--timeout 5x");
    refused(2, PARTS("--momentum: 2 is too large: give 0 to 1"), "--momentum 2");
    refused(2, PARTS("--test-fraction: 1 is too large"), "--test-fraction 1");
}
END_TEST

START_TEST(contradictions_are_refused) {
    refused(2, PARTS("--epochs and --steps", "give one"), "--epochs 1 --steps 1");
    refused(2, PARTS("--batch 64 is not 2 ranks times --batch-per-rank 16"),
            "--ranks 2 --batch 64 --batch-per-rank 16");
    refused(2, PARTS("is not two numbers: give FIRST,CAP"), "--bucket-kib 4");
    refused(2, PARTS("--prefetch belongs to --zero 3", "leave --prefetch out"),
            "--ranks 2 --zero 2 --prefetch 2");
    refused(2, PARTS("--prefetch belongs to --zero 3"), "--ranks 2 --prefetch 2");
    refused(2, PARTS("--nesterov needs a --momentum above 0"), "--nesterov --momentum 0");
    refused(2, PARTS("--record-steps", "--record DIR"), "--record-steps 0:1");
    refused(2, PARTS("--record-steps", "5:1"), "--record x --record-steps 5:1");
    refused(2, PARTS("--report run.txt", ".json, .md or .html"), "--report run.txt");
    refused(2, PARTS("--save: the value is empty: give FILE"), "--save=");
}
END_TEST

START_TEST(what_a_timed_device_and_a_link_cannot_do_is_said) {
    refused(2, PARTS("timed:laptop computes nothing that --save could keep"),
            "--device timed:laptop --save x");
    refused(2, PARTS("timed:laptop computes nothing that --record could keep"),
            "--device timed:laptop --record x");
    refused(2, PARTS("--dilate slows what is modelled", "timed:PLATFORM or --link"), "--dilate 2");
    refused(2, PARTS("--dilate: 0 is too small"), "--dilate 0 --device timed:laptop");
    refused(2, PARTS("--link:", "\"fast\" is not a link", "1GB/s,50us"), "--link fast");
    refused(2, PARTS("--link:", "\"1GB\" is not a bandwidth"), "--link 1GB,50us");
    refused(2, PARTS("--comm serial", "--link needs --comm thread or shm"),
            "--ranks 2 --comm serial --link 1GB/s,50us");
    refused(2, PARTS("--comm serial", "a timed device needs --comm thread or shm"),
            "--ranks 2 --comm serial --device timed:dgx-a100");
    refused(2, PARTS("laptop has no link between devices, which 2 ranks need", "--link"),
            "--ranks 2 --device timed:laptop");
    refused(2, PARTS("dgx-a100 has 1 node of 8 devices", "16 ranks", "--link"),
            "--ranks 16 --device timed:dgx-a100");
}
END_TEST

START_TEST(every_shard_needs_a_row) {
    refused(2, PARTS("--batch 3 ", "fewer rows than the 4 shards", "give --batch 4"),
            "--batch 3 --shards 4");
    refused(2, PARTS("--batch 3 ", "the 4 shards"), "--batch 3 --ranks 4");
    refused(2, PARTS("--shards 3 is not a multiple of the 2", "try --shards 4"),
            "--ranks 2 --shards 3");
    refused(2, PARTS("2 shards of 33 micro-batches", "give --batch 66"),
            "--ranks 2 --accumulate 33");
    // 50 digits: 8 are held out.
    refused(2, PARTS("--tail drop with --batch 64 leaves none of the 42 training samples"),
            "--data digits:count=50 --tail drop --model linear");
}
END_TEST

START_TEST(a_device_that_is_not_built_in_says_what_brings_it) {
    command_run(&it, "train --version");
    bool built = strstr(it.out, "+blas") != NULL;
    command_finish(&it);
    if (built) SKIP("the cpu device is built in");
    refused(2, PARTS("--device cpu", "OpenBLAS"), "--device cpu " SMALL);
}
END_TEST

// --- data

enum { IMAGES = 0x803, LABELS = 0x801, COUNT = 100, SIDE = 28 };
enum { IMAGE_FILE = 16 + COUNT * SIDE * SIDE, LABEL_FILE = 8 + COUNT };

static void put_word(unsigned char *at, uint32_t word) {
    for (int i = 0; i < 4; i++) at[i] = (unsigned char)(word >> (24 - 8 * i));
}

// A directory with images and labels that are in order, to be damaged.
typedef struct {
    const char *directory;
    unsigned char images[IMAGE_FILE + 1], labels[LABEL_FILE + 1];
    size_t images_size, labels_size;
} Data;

static Data data;

static void make_data(void) {
    data = (Data){.images_size = IMAGE_FILE, .labels_size = LABEL_FILE};
    put_word(data.images, IMAGES);
    put_word(data.images + 4, COUNT);
    put_word(data.images + 8, SIDE);
    put_word(data.images + 12, SIDE);
    put_word(data.labels, LABELS);
    put_word(data.labels + 4, COUNT);
    for (int i = 16; i < IMAGE_FILE; i++) data.images[i] = (unsigned char)(i * 7);
    for (int i = 8; i < LABEL_FILE; i++) data.labels[i] = (unsigned char)(i % 10);
}

static const char *write_data(void) {
    static char name[64];
    snprintf(name, sizeof name, "%s", test_directory());
    write_file(name, "train-images-idx3-ubyte", data.images, data.images_size);
    write_file(name, "train-labels-idx1-ubyte", data.labels, data.labels_size);
    return name;
}

#define DATA_REFUSED(...) refused(2, PARTS(__VA_ARGS__), "--data %s", write_data())

START_TEST(data_in_order_are_taken) {
    make_data();
    ck_assert_int_eq(command_run(&it, "train -q --steps 1 --data %s", write_data()), 0);
    command_finish(&it);
}
END_TEST

START_TEST(missing_data_say_where_to_get_them) {
    refused(2, PARTS("--data /nowhere: No such file", "--data digits", "tools/get-mnist"),
            "--data /nowhere");
    refused(2, PARTS("train-images-idx3-ubyte[.gz]", "found neither"), "--data %s",
            test_directory());
    refused(2, PARTS("digits: unknown parameter 'cuont', did you mean count"),
            "--data digits:cuont=3");
    refused(2, PARTS("count must be 1 to"), "--data digits:count=0");
    make_data();
    const char *directory = write_data();
    char labels[128];
    snprintf(labels, sizeof labels, "%s/train-labels-idx1-ubyte", directory);
    ck_assert_int_eq(unlink(labels), 0);
    refused(2, PARTS("train-labels-idx1-ubyte[.gz]: expected it beside", "found no such file"),
            "--data %s", directory);
}
END_TEST

// Each says file, offset, expected and found.
START_TEST(damaged_data_are_told_by_file_and_offset) {
    make_data();
    put_word(data.images, LABELS);
    DATA_REFUSED("images-idx3-ubyte: byte 0: expected magic 0x00000803", "found 0x00000801");
    make_data();
    put_word(data.labels, 0x12345678);
    DATA_REFUSED("labels-idx1-ubyte: byte 0: expected magic 0x00000801", "found 0x12345678");
    make_data();
    data.labels[8 + 41] = 10;
    DATA_REFUSED("labels-idx1-ubyte: byte 49: expected a label of 0 to 9 (model net ");
    make_data();
    put_word(data.labels + 4, COUNT - 1);
    data.labels_size--;
    DATA_REFUSED("labels-idx1-ubyte: byte 4: expected 100 labels", "found 99");
    make_data();
    data.images_size = 5000;
    DATA_REFUSED("images-idx3-ubyte: byte 5000:", "expected 78416 bytes", "found 5000");
    make_data();
    data.images_size = 10;
    DATA_REFUSED("images-idx3-ubyte: byte 10:", "expected 16 bytes", "found 10");
    make_data();
    data.labels_size++;
    DATA_REFUSED("labels-idx1-ubyte: byte 108: expected the end", "found 1 more");
}
END_TEST

START_TEST(damaged_gzip_data_are_told) {
    make_data();
    const char *directory = write_data();
    command_run(&it,
                "gzip %s/train-images-idx3-ubyte && cd %s && "
                "head -c 500 train-images-idx3-ubyte.gz > x && mv x train-images-idx3-ubyte.gz",
                directory, directory);
    ck_assert_int_eq(it.status, 0);
    command_finish(&it);
    refused(2, PARTS("train-images-idx3-ubyte.gz", "end too early"), "--data %s", directory);
}
END_TEST

// --- models

#define MODEL(text) write_file(directory, "m.model", text, strlen(text))

START_TEST(models_whose_shapes_do_not_fit_are_told_by_line_and_layer) {
    const char *directory = test_directory();
    static const char *const heads = "model m\ninput 1 28 28\nclasses 10\n";
    char text[512];
    snprintf(text, sizeof text, "%sconv2d c1 out=4 kernel=29\nflatten\nlinear fc out=10\n", heads);
    refused(2, PARTS("m.model:4: ", "c1", "29×29", "1×28×28"), "--model %s", MODEL(text));
    snprintf(text, sizeof text, "%sconv2d c1 out=4 kernel=5\nlinear fc out=10\n", heads);
    refused(2, PARTS("m.model:5: ", "fc", "4×24×24"), "--model %s", MODEL(text));
    snprintf(text, sizeof text, "%sflatten\nlinear fc out=11\n", heads);
    refused(2, PARTS("m.model:5: ", "fc", "11", "10"), "--model %s", MODEL(text));
    static const char *const shapes[][2] = {
        {"1 20 20", "1×20×20"}, {"1 14 56", "1×14×56"}, {"56 14", "56×14"}, {"3 32 32", "3×32×32"}};
    for (int i = 0; i < 4; i++) {
        snprintf(text, sizeof text, "model m\ninput %s\nclasses 10\nflatten\nlinear fc out=10\n",
                 shapes[i][0]);
        refused(2,
                PARTS("model m takes samples of ", shapes[i][1], ", the images of digits",
                      " are 1×28×28"),
                "--model %s", MODEL(text));
    }
    snprintf(text, sizeof text, "model m\ninput 1 28 28\nclasses 7\nflatten\nlinear fc out=7\n");
    refused(2, PARTS("model m ", "7 classes", "has the label 7"), "--model %s", MODEL(text));
}
END_TEST

START_TEST(malformed_models_are_told_by_line) {
    const char *directory = test_directory();
    refused(2, PARTS("--model ./none.model: No such file"), "--model ./none.model");
    refused(2, PARTS("--model ", "m.model:2: "), "--model %s",
            MODEL("model m\nlinaer fc out=10\n"));
    refused(2, PARTS("--model ", "m.model"), "--model %s",
            MODEL("\x7f"
                  "ELF\x01\x02\n"));
    refused(2, PARTS("--model ", "m.model"), "--model %s", MODEL(""));
    refused(2, PARTS("no parameter hiden", "did you mean hidden?"), "--model mlp:hiden=3");
    refused(2, PARTS("hidden is 0"), "--model mlp:hidden=0");
}
END_TEST

// --- plans

static void print_plan(const char *directory, const char *name, const char *words) {
    ck_assert_int_eq(command_run(&it, "train --print-plan %s > %s/%s", words, directory, name), 0);
    command_finish(&it);
}

START_TEST(a_plan_for_another_run_is_refused) {
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    print_plan(dir, "two", "file --ranks 2 " SMALL);
    print_plan(dir, "shards", "file --shards 2 " SMALL);
    print_plan(dir, "lowered", "lowered-file " SMALL);
    print_plan(dir, "one", "file " SMALL);
    refused(2, PARTS("two is a plan for 2 ranks, this run has 1; give --ranks 2"),
            "--plan %s/two " SMALL, dir);
    refused(2, PARTS("two is a plan for 2 ranks, this run has 3"), "--ranks 3 --plan %s/two " SMALL,
            dir);
    refused(2, PARTS("lowered is a lowered plan"), "--plan %s/lowered " SMALL, dir);
    refused(2, PARTS("has room for 32 rows, this run brings 64", "--batch"),
            "--ranks 2 --batch 128 --plan %s/two " SMALL, dir);
    refused(2, PARTS("has 2 shards a rank, not 1; give --shards 2"),
            "--batch 32 --plan %s/shards " SMALL, dir);
    refused(2, PARTS("--shards"), "--shards 2 --plan %s/one " SMALL, dir);
    refused(2, PARTS("is f32; give --dtype f32"), "--dtype f64 --plan %s/one " SMALL, dir);
    refused(2, PARTS("has no parameter fc.weight", "give the --model"),
            "--plan %s/one --data digits:count=300", dir);
    refused(2, PARTS("--momentum is stated in the plan"), "--momentum 0.5 --plan %s/one " SMALL,
            dir);
}
END_TEST

START_TEST(a_plan_that_is_none_is_refused) {
    const char *directory = test_directory();
    char text[4096];
    refused(2, PARTS("--plan none: No such file"), "--plan none");
    refused(2, PARTS("p: expected \"tandem plan 2\"", "found nothing"), "--plan %s",
            write_file(directory, "p", "", 0));
    refused(2, PARTS("--plan -: expected \"tandem plan 2\""), "--plan - < /dev/null");
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)((i * i * 31 + i * 7) | 1);
    refused(2, PARTS("p:1: expected \"tandem plan 2\""), "--plan %s",
            write_file(directory, "p", text, sizeof text));
}
END_TEST

// What the run itself fills and reads must be as large as it takes it to be.
START_TEST(an_edit_that_shrinks_what_the_run_fills_is_named) {
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    print_plan(dir, "p", "file " SMALL);
    command_run(
        &it,
        "cd %s && sed 's/^tensor evaluate.rows  *i64 1/tensor evaluate.rows i64 2/' p > rows && "
        "sed 's/^logical loss /logical extra f32 4x4 parameter\\n&/; "
        "s/^tensor loss /tensor extra f32 2x4 parameter\\n&/' p > half && "
        "sed 's/^\\(tensor\\|logical\\) evaluate.loss  *f64 2/\\1 evaluate.loss f64 3/' p > few && "
        "sed 's/ phase=input/& after=load/' p > cycle",
        dir);
    ck_assert_int_eq(it.status, 0);
    command_finish(&it);
    refused(2, PARTS("evaluate.rows is not a scalar of one i64"), "--plan %s/rows " SMALL, dir);
    refused(2, PARTS("tensor extra is 2x4, but a piece of extra, which is 4x4"),
            "--plan %s/half " SMALL, dir);
    refused(2, PARTS("tensor evaluate.loss: result=loss is a scalar of f64 pairs"),
            "--plan %s/few " SMALL, dir);
    refused(2, PARTS("plan step: a cycle of 1 operation: load waits for load"),
            "--plan %s/cycle " SMALL, dir);
}
END_TEST

START_TEST(an_edit_that_breaks_a_plan_is_named) {
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    print_plan(dir, "p", "file " SMALL);
    command_run(&it, "cd %s && head -c 1500 p > cut && grep -v '  fc.forward' p > less", dir);
    ck_assert_int_eq(it.status, 0);
    command_finish(&it);
    refused(2, PARTS("cut:"), "--plan %s/cut " SMALL, dir);
    refused(2, PARTS("plan step", "cross_entropy.forward", "fc.y"), "--plan %s/less " SMALL, dir);
}
END_TEST

// --- outputs

START_TEST(outputs_that_cannot_be_written_are_found_before_training) {
    const char *blocked = write_file(test_directory(), "file", "x", 1);
    refused(1, PARTS("--report none/run.json: No such file"), "--report none/run.json " SMALL);
    refused(1, PARTS("--save none/w: No such file"), "--save none/w " SMALL);
    refused(1, PARTS("--save .: Is a directory", "give the name of a file"), "--save . " SMALL);
    refused(1, PARTS("--trace /proc/run: cannot make the directory"), "--trace /proc/run " SMALL);
    refused(1, PARTS("--trace ", "Not a directory"), "--trace %s/run " SMALL, blocked);
    refused(1, PARTS("--record ", "Not a directory"), "--record %s " SMALL, blocked);
    refused(1, PARTS("--report ", "Not a directory"), "--report %s/run.json " SMALL, blocked);
}
END_TEST

START_TEST(a_read_only_directory_is_told) {
    if (geteuid() == 0) SKIP("root may write everywhere");
    const char *directory = test_directory();
    chmod(directory, 0555);
    refused(1, PARTS("--report ", "Permission denied"), "--report %s/run.json " SMALL, directory);
    refused(1, PARTS("--save ", "Permission denied"), "--save %s/w " SMALL, directory);
    refused(1, PARTS("--trace ", "Permission denied"), "--trace %s " SMALL, directory);
    chmod(directory, 0755);
}
END_TEST

START_TEST(one_trace_that_cannot_be_written_is_found_before_training) {
    command_run(&it, "mkdir -p run/rank1.json && train -q --ranks 2 --trace run " SMALL);
    check_refused(1, PARTS("--trace run/rank1.json: Is a directory"));
}
END_TEST

START_TEST(a_disk_that_fills_up_is_told_by_rank_0_and_ends_all) {
    for (int ranks = 1; ranks <= 2; ranks++)
        refused(1, PARTS("/dev/full: could not be written: No space left on device"),
                "--save /dev/full --ranks %d " SMALL, ranks);
}
END_TEST

START_TEST(a_failed_run_leaves_an_earlier_report_alone) {
    command_run(&it, "echo old > run.json && train -q --steps 3 --report run.json "
                     "--save /dev/full --ranks 2 --data digits:count=300; cat run.json");
    ck_assert_str_eq(it.out, "old\n");
    ck_assert_msg(strstr(it.err, "/dev/full") != NULL, "%s", it.err);
    ck_assert_int_eq(lines_of_train(it.err), 1);
    ck_assert_int_eq(command_count_files(&it, ".partial"), 0);
    ck_assert_int_eq(command_count_files(&it, ".json"), 1);
    command_finish(&it);
}
END_TEST

// --- memory

START_TEST(too_large_a_batch_or_model_is_told_with_its_bytes) {
    refused(1, PARTS("no memory for ", "GiB of tensors; a smaller --batch"),
            "--batch 10000000 --tail pad --data digits:count=300");
    refused(1, PARTS("no memory for ", "parameters, their gradients and the optimiser take 449GiB"),
            "--model mlp:hidden=200000 --data digits:count=300");
}
END_TEST

// The file system refuses what is larger than itself at once, without filling up.
START_TEST(no_room_in_shared_memory_says_how_much_is_there) {
    struct statvfs s;
    if (statvfs("/dev/shm", &s) != 0 || s.f_blocks == 0) SKIP("/dev/shm has no limit here");
    double room = (double)s.f_blocks * (double)s.f_frsize;
    // Gradients of layers of 30000 x 30000 in f32, for each of 2 ranks: 7.2e9 bytes a layer.
    int layers = 2 + (int)(room / 7.2e9);
    if (layers > 60) SKIP("/dev/shm is too large to be filled: %g GB", room / 1e9);
    refused(1,
            PARTS("no room in shared memory", "the ranks need ", "/dev/shm has ", " free",
                  "fewer ranks or --comm thread"),
            "--ranks 2 --model mlp:hidden=30000,layers=%d --data digits:count=300 --batch 4",
            layers);
}
END_TEST

START_TEST(a_small_dev_shm_is_told) {
    command_run(&it, "unshare -rm sh -c 'mount -t tmpfs -o size=64k none /dev/shm && "
                     "exec train -q --ranks 2 " SMALL "'");
    if (!strstr(it.err, "train: ")) {
        command_finish(&it);
        SKIP("a file system cannot be mounted here");
    }
    check_refused(1, PARTS("no room in shared memory", "/dev/shm has 64KiB free"));
    command_run(&it, "unshare -rm sh -c 'mount -t tmpfs -o size=64k none /dev/shm && "
                     "exec train -q --ranks 2 --comm thread " SMALL "'");
    ck_assert_int_eq(it.status, 0);  // as the message says
    command_finish(&it);
}
END_TEST

SUITE_SECONDS("train: bad input", 120, unknown_options_get_a_suggestion,
              numbers_out_of_bounds_are_named_with_the_bounds, contradictions_are_refused,
              what_a_timed_device_and_a_link_cannot_do_is_said, every_shard_needs_a_row,
              a_device_that_is_not_built_in_says_what_brings_it, data_in_order_are_taken,
              missing_data_say_where_to_get_them, damaged_data_are_told_by_file_and_offset,
              damaged_gzip_data_are_told, models_whose_shapes_do_not_fit_are_told_by_line_and_layer,
              malformed_models_are_told_by_line, a_plan_for_another_run_is_refused,
              a_plan_that_is_none_is_refused, an_edit_that_breaks_a_plan_is_named,
              an_edit_that_shrinks_what_the_run_fills_is_named,
              outputs_that_cannot_be_written_are_found_before_training,
              a_read_only_directory_is_told,
              one_trace_that_cannot_be_written_is_found_before_training,
              a_disk_that_fills_up_is_told_by_rank_0_and_ends_all,
              a_failed_run_leaves_an_earlier_report_alone,
              too_large_a_batch_or_model_is_told_with_its_bytes,
              no_room_in_shared_memory_says_how_much_is_there, a_small_dev_shm_is_told)
