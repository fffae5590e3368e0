// SPDX-License-Identifier: MIT
// Networks of images, as a user runs them: training on CIFAR-10's files, and what is known of
// ImageNet's networks before anything is trained.
#include "core/base/file.h"
#include "core/data/cifar.h"
#include "tests/support/command.h"

#include <stdio.h>
#include <string.h>

static Command it;
static char directory[64];

static void write_records(const char *name, int first, int count) {
    static uint8_t bytes[8 * CIFAR_RECORD];
    uint8_t *at = bytes;
    for (int i = first; i < first + count; i++) {
        *at++ = (uint8_t)(i % 10);
        for (int j = 0; j < CIFAR_IMAGE; j++) *at++ = (uint8_t)(i % 10 * 25 + i * j % 7);
    }
    char path[128];
    OutputFile f;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    ck_assert_ok(file_create(&f, path));
    fwrite(bytes, CIFAR_RECORD, (size_t)count, f.stream);
    ck_assert_ok(file_commit(&f));
}

// 40 images that train, 8 that test.
static void write_data(void) {
    static const char *const names[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                        "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};
    snprintf(directory, sizeof directory, "%s", test_directory());
    for (int i = 0; i < 6; i++) write_records(names[i], 8 * i, 8);
}

static void run(char weights[17], const char *model, const char *more) {
    int status = command_run(&it,
                             "train --model %s --data cifar10:%s --batch 16 --epochs 1 --shards 3 "
                             "--comm serial %s",
                             model, directory, more);
    ck_assert_msg(status == 0, "%s %s: %s", model, more, it.err);
    ck_assert_ptr_nonnull(strstr(it.out, "of 8 held-out samples"));
    snprintf(weights, 17, "%s", it.weights);
    command_finish(&it);
}

START_TEST(small_networks_train_on_cifar_to_the_same_bits_on_any_number_of_ranks) {
    static const char *const models[] = {
        "resnet:depth=8,width=4,image=32,colours=3", "resnet18:width=4,size=32,classes=10",
        "resnet50:width=4,size=32,classes=10", "vgg16:width=4,size=32,pool=1,hidden=16,classes=10"};
    write_data();
    for (int i = 0; i < 4; i++) {
        char one[17], more[17];
        run(one, models[i], "");
        ck_assert_uint_eq(strlen(one), 16);
        run(more, models[i], "--ranks 3");
        ck_assert_str_eq(one, more);
        run(more, models[i], "--ranks 3 --zero 3");
        ck_assert_str_eq(one, more);
    }
}
END_TEST

START_TEST(images_of_another_shape_are_refused_with_both) {
    write_data();
    command_run(&it, "train --data cifar10:%s", directory);
    command_refused(&it, "train",
                    PARTS("model net takes samples of 1×28×28", " are 3×32×32",
                          "--model resnet:image=32,colours=3 takes them"));
    command_run(&it, "train --model resnet18:size=28,classes=10");
    command_refused(&it, "train", PARTS("model resnet18 takes samples of 3×28×28", " are 1×28×28"));
}
END_TEST

// 4 bytes a parameter: 11,689,512, 25,557,032 and 138,357,544. None of that size is trained here.
START_TEST(networks_of_imagenet_are_planned_and_simulated) {
    static const char *const nets[][3] = {{"resnet18", "11689512 parameters", "44.6MiB"},
                                          {"resnet50", "25557032 parameters", "97.5MiB"},
                                          {"vgg16", "138357544 parameters", "528MiB"}};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(command_run(&it, "train --print-memory --model %s", nets[i][0]), 0);
        ck_assert_ptr_nonnull(strstr(it.out, nets[i][1]));
        ck_assert_ptr_nonnull(strstr(it.out, nets[i][2]));
        command_finish(&it);
        ck_assert_int_eq(command_run(&it, "sim --gpus 8 --model %s", nets[i][0]), 0);
        ck_assert_ptr_nonnull(strstr(it.out, nets[i][0]));
        ck_assert_ptr_nonnull(strstr(it.out, "\n   8    512 "));
        command_finish(&it);
    }
}
END_TEST

SUITE("images", small_networks_train_on_cifar_to_the_same_bits_on_any_number_of_ranks,
      images_of_another_shape_are_refused_with_both, networks_of_imagenet_are_planned_and_simulated)
