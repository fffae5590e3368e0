// SPDX-License-Identifier: MIT
#include "core/plan/check.h"
#include "tests/support/plan_samples.h"

// --- edits by hand

static void assert_checks(Status want, const char *message) {
    const ProgramSet set = program_set_of_one(&program);
    if (want == OK)
        ck_assert_ok(plan_check(&set));
    else
        ck_assert_fails(plan_check(&set), want, message);
}

START_TEST(a_removed_operation_is_gone_and_plan_check_judges) {
    assert_checks((read_step(small), OK), "");
    char *edited =
        replace(small,
                "  bucket1      all_reduce             @data     fc.bias.grad <- fc.bias.grad  "
                "group=data algorithm=direct order=rank  phase=sync after=bucket0\n",
                "");
    ck_assert_str_eq(names(read_step(edited)), "load fc.backward bucket0 sgd.weight sgd.bias");
    assert_checks(ERR_PLAN, "sgd.bias");  // it would use a gradient that is still partial
    free(edited);
}
END_TEST

START_TEST(operations_that_others_wait_for_cannot_be_removed_alone) {
    char *edited = replace(small,
                           "  bucket0      all_reduce             @data     fc.grad <- fc.grad  "
                           "group=data algorithm=direct order=rank  phase=sync\n",
                           "");
    ck_assert_fails(parse(&program, edited), ERR_FORMAT,
                    "x.plan:31: plan step has no operation \"bucket0\" (did you mean bucket1?)");
    free(edited);
}
END_TEST

START_TEST(swapped_operations_are_swapped) {
    char *without = replace(small, "phase=sync after=bucket0", "phase=sync");
    char *edited = replace(without, "  bucket0 ", "  bucketX ");
    char *swapped = replace(edited, "  bucket1 ", "  bucket0 ");
    char *renamed = replace(swapped, "  bucketX ", "  bucket1 ");
    char *text =
        replace(renamed, "@data     fc.grad <- fc.grad", "@data     fc.bias.grad <- fc.bias.grad");
    const Plan *plan = read_step(text);
    ck_assert_str_eq(names(plan), "load fc.backward bucket1 bucket0 sgd.weight sgd.bias");
    ck_assert_str_eq(tensor_name(&program, op_outputs(plan, &plan->ops[2])[0]), "fc.bias.grad");
    free(without);
    free(edited);
    free(swapped);
    free(renamed);
    free(text);
}
END_TEST

START_TEST(a_bucket_can_be_split_or_merged) {
    char *merged =
        replace(small, "fc.grad <- fc.grad ", "fc.grad fc.bias.grad <- fc.grad fc.bias.grad ");
    char *one =
        replace(merged,
                "  bucket1      all_reduce             @data     fc.bias.grad <- fc.bias.grad  "
                "group=data algorithm=direct order=rank  phase=sync after=bucket0\n",
                "");
    const Plan *plan = read_step(one);
    ck_assert_str_eq(names(plan), "load fc.backward bucket0 sgd.weight sgd.bias");
    ck_assert_int_eq(work_of(plan, 2)->payload_bytes, 4 * (16 + 4));
    assert_checks(OK, "");
    free(merged);
    free(one);
}
END_TEST

START_TEST(a_changed_attribute_is_changed) {
    char *edited = replace(small, "momentum=0 weight_decay=0.1", "momentum=0.5 weight_decay=0.1");
    const Plan *plan = read_step(edited);
    ck_assert(work_real(&program, work_of(plan, 4), 0) == 0.5);
    ck_assert(work_real(&program, work_of(plan, 5), 0) == 0);
    free(edited);
}
END_TEST

// Two lines of one name are two operations, told apart by their place.
START_TEST(a_doubled_line_is_two_operations) {
    const char *line =
        "  sgd.weight   sgd                    @compute  fc.weight <- fc.grad learning_rate  "
        "momentum=0 weight_decay=0.1 nesterov=0  phase=update layer=fc\n";
    char twice[512];
    snprintf(twice, sizeof twice, "%s%s", line, line);
    char *edited = replace(small, line, twice);
    ck_assert_fails(parse(&program, edited), ERR_FORMAT,
                    "x.plan:35: sgd.weight is the name of two operations (lines 33 and 34): write "
                    "sgd.weight[shard.micro_batch], or rename one");
    char *told = replace(edited, "after=sgd.weight~1", "after=sgd.weight[0.0.1]~1");
    const Plan *plan = read_step(told);
    ck_assert_str_eq(names(plan),
                     "load fc.backward bucket0 bucket1 sgd.weight sgd.weight sgd.bias");
    char *text = print(&program);
    ck_assert_ptr_nonnull(strstr(text, "after=sgd.weight[0.0.1]~1"));
    free(text);
    free(told);
    free(edited);
}
END_TEST

// --- errors

START_TEST(what_a_plan_cannot_say_is_an_error_with_its_line) {
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"tandem plan 2", "tandem plan 3",
         "x.plan:1: version 3 of the plan format is not known, only 2"},
        {"tandem plan 2", "tandem plan 1",
         "x.plan:1: the plan was printed by an earlier version; print it again"},
        {"tandem plan 2", "model net", "x.plan:1: expected \"tandem plan 2\", found \"model\""},
        {"mesh data=2", "mesh data=0",
         "x.plan:2: data: expected a whole number from 1 to 1073741824, found \"0\""},
        {"mesh data=2", "mesh data=2 data=2", "x.plan:2: data= is given twice"},
        {"mesh data=2", "mesh averylongname=2",
         "x.plan:2: mesh axis averylongname: the name is longer than 7"},
        {"mesh data=2", "mesh data=100000 b=100000",
         "x.plan:2: b: expected a whole number from 1 to 10737"},
        {"group data  axes=data", "group data  axes=date",
         "x.plan:3: expected an axis of the mesh, found \"date\" (did you mean data?)"},
        {"group data  axes=data", "group data  ranks=0,2",
         "x.plan:3: ranks: expected a whole number from 0 to 1, found \"2\""},
        {"group data  axes=data", "group data  members=0",
         "x.plan:3: members= does not belong here"},
        {"group data  axes=data", "group data  axes=data at=data",
         "x.plan:3: expected \"at=AXIS:POSITION,...\", found \"at=data\""},
        {"group data  axes=data", "group data  axes=data at=data:0,2",
         "x.plan:3: at: expected a whole number from 0 to 1, found \"2\""},
        {"group data  axes=data", "group data  axes=data at=data:last,0",
         "x.plan:3: group data: the positions along data do not ascend: 1, 0"},
        {"group data  axes=data", "group data  axes=data at=pipe:0",
         "x.plan:3: expected an axis of the mesh that is defined above, found \"pipe\""},
        {"group data  axes=data", "group data  ranks=0,1 at=data:0",
         "x.plan:3: group data: ranks= is a whole list; at= goes with axes="},
        {"lane compute  compute", "lane compute  computing",
         "x.plan:4: expected a kind of lane, found \"computing\" (did you mean compute?)"},
        {"lane data     communication", "lane compute  communication",
         "x.plan:5: lane compute is there twice"},
        {"communication  group=data", "communication  group=daat",
         "x.plan:5: expected a group, found \"daat\" (did you mean data?)"},
        {"fc.weight      f32 4x4", "fc.weight      f23 4x4",
         "x.plan:7: expected an element type, found \"f23\" (did you mean f32?)"},
        {"fc.weight      f32 4x4", "fc.weight      f32 4y4",
         "x.plan:7: shape: expected a whole number from 1 on, found \"4y4\""},
        {"fc.weight      f32 4x4", "fc.weight      f32 4x",
         "x.plan:7: shape: expected a whole number from 1 on, found \"\""},
        {"fc.weight      f32 4x4", "fc.weight      f32 1x1x1x1x1",
         "x.plan:7: expected a shape of at most 4 dimensions, found \"1x1x1x1x1\""},
        {"fc.weight      f32 4x4", "fc.weight      f32 99999999x99999999",
         "x.plan:7: the shape \"99999999x99999999\" is too large"},
        {"parameter  fan_in=4", "paramter  fan_in=4",
         "x.plan:7: expected a role, found \"paramter\" (did you mean parameter?)"},
        {"parameter  fan_in=4", "parameter  fanin=4",
         "x.plan:7: fanin= does not belong here (did you mean fan_in=?)"},
        {"parameter  fan_in=4", "parameter  trainable",
         "x.plan:7: expected key=value, found \"trainable\""},
        {"logical fc.bias  ", "logical fc.weight",
         "x.plan:8: logical tensor fc.weight is there twice"},
        {"logical fc.bias  ", "logical fc,bias",
         "x.plan:8: expected the name of a tensor (letters, digits and _ . / + : -), found "
         "\"fc,bias\""},
        {"tensor fc.weight ", "tensor fc.wieght ",
         "x.plan:16: expected a logical tensor, found \"fc.wieght\" (did you mean fc.weight?)"},
        {"tensor fc.bias  ", "tensor fc.weight of=fc.bias",
         "x.plan:17: expected an element type, found \"of=fc.bias\""},
        {"f32 4    parameter\n", "f32 4x1  parameter\n",
         "x.plan:17: fc.bias has 2 dimensions, its logical tensor fc.bias has 1"},
        {"f32 4    parameter\n", "f32 4    parameter  alias=rows\n",
         "x.plan:17: expected a tensor that is defined above, found \"rows\""},
        {"gradient  place=P+", "gradient  place=P",
         "x.plan:18: expected a placement (R, S0 to S3, P+, Pmax, O or D), found \"P\""},
        {"gradient  place=P+", "gradient  place=P+,R",
         "x.plan:18: place: expected one placement for each of 1 axes, found 2"},
        {"extent=rows", "extent=row",
         "x.plan:22: expected a tensor, found \"row\" (did you mean rows?)"},
        {"extent=rows", "extent=rows*0",
         "x.plan:22: extent: expected a whole number from 1 on, found \"0\""},
        {"extent=rows", "extent=rows*3",
         "x.plan:22: tensor x: 4 rows are no multiple of the 3 that its extent counts"},
        {"extent=rows", "slice=1",
         "x.plan:22: slice: expected two numbers with a \".\" between them, found \"1\""},
        {"mesh data=2\n", "mesh data=2\nmesh data=3\n", "x.plan:3: mesh axis data is there twice"},
        {"axes=data", "ranks=1,0,1", "x.plan:3: group data has rank 1 twice"},
        {"mesh data=2\n", "mesh data=2\npool local scalar=64\n",
         "x.plan:3: expected the pools of a lowered plan between its"},
        {"momentum=0 ", "momentum=nan ", "x.plan:33: momentum: expected a number, found \"nan\""},
        {"momentum=0 ", "momentum=1e999 ", "x.plan:33: momentum: expected a number"},
        {"linear_backward_weight @compute", "fused @compute", "x.plan:30: "},
        {"extent=rows", "offset=64",
         "x.plan:22: x: 64 bytes at offset 64 do not fit the local pool of 0 bytes"},
        {"extent=rows", "alias=fc.bias",
         "x.plan:22: x has 64 bytes, more than the 16 of fc.bias, which it views"},
        {"plan start", "plans start",
         "x.plan:25: expected device, pool, mesh, group, lane, logical, class, tensor or plan, "
         "found \"plans\""},
        {"plan step", "plan start", "x.plan:28: plan start is there twice"},
        {"start  broadcast @data", "start  broadcats @data",
         "x.plan:26: expected a kind of work, found \"broadcats\" (did you mean broadcast?)"},
        {"start  broadcast @data", "start  broadcast data",
         "x.plan:26: start: expected a lane such as @compute, found \"data\""},
        {"start  broadcast @data", "start  broadcast @date",
         "x.plan:26: expected a lane, found \"date\" (did you mean data?)"},
        {"start  broadcast @data", "start  broadcast @compute", NULL},  // plan_check's business
        {"x labels <- rows", "x labels rows",
         "x.plan:29: load: expected OUTPUTS <- INPUTS, found no <-"},
        {"x labels <- rows", "x <- labels <- rows", "x.plan:29: load: a second <-"},
        {"x labels <- rows", "x labels <- row",
         "x.plan:29: expected a tensor, found \"row\" (did you mean rows?)"},
        {" nesterov=0", "", "x.plan:33: sgd: nesterov= is missing"},
        {"nesterov=0", "nesterov=0.5", "x.plan:33: nesterov: expected a whole number from"},
        {"nesterov=0", "nesterov=0 nesterov=1", "x.plan:33: nesterov= is given twice"},
        {"plan step", "plan step when=each_stop",
         "x.plan:28: expected when a plan runs, found \"each_stop\" (did you mean each_step?)"},
        {"plan step", "plan step whon=once", "x.plan:28: whon= does not belong here"},
        {"learning_rate  f64 1    scalar\ntensor",
         "learning_rate  f64 1    scalar source=lr\ntensor",
         "x.plan:20: expected a source, found \"lr\""},
        {"learning_rate  f64 1    scalar\ntensor",
         "learning_rate  f64 1    scalar result=los\ntensor",
         "x.plan:20: expected a result, found \"los\" (did you mean loss?)"},
        {"learning_rate  f64 1    scalar\ntensor",
         "learning_rate  f64 1    scalar axes=model\ntensor",
         "x.plan:20: expected an axis of the mesh that is defined above, found \"model\""},
        {"layer=fc flops=128", "layer=fc flops=-1",
         "x.plan:30: flops: expected a whole number from 1 on, found \"-1\""},
        {"layer=fc flops=128", "layer=fc flop=1",
         "x.plan:30: flop= does not belong here (did you mean flops=?)"},
        {"layer=fc flops=128", "kernel=3", "x.plan:30: kernel= does not belong here"},
        {"layer=fc flops=128", "flags=acumulate",
         "x.plan:30: expected a flag, found \"acumulate\" (did you mean accumulate?)"},
        {"layer=fc flops=128", "guard=nan_count",
         "x.plan:30: expected a tensor that is defined above, found \"nan_count\""},
        {"layer=fc flops=128", "cost=0123456789abcdef",
         "x.plan:30: fc.backward: fused operations, and only those, have a cost="},
        {"layer=fc flops=128", "group=data", NULL},
        {"algorithm=direct order=rank  phase=sync\n", "algorithm=dirct\n",
         "x.plan:31: expected an algorithm, found \"dirct\" (did you mean direct?)"},
        {"algorithm=direct order=rank  phase=sync\n", "parts=0\n",
         "x.plan:31: parts: expected a whole number from 1 to 65535, found \"0\""},
        {"after=bucket0", "after=bucket0~2",
         "x.plan:32: steps back: expected a whole number from 1 to 1, found \"2\""},
        {"after=bucket0", "after=bucket0[0.1]",
         "x.plan:32: plan step has no operation bucket0[0.1] at that place"},
        {"after=bucket0", "after=bucket0[0", "x.plan:32: expected \"]\" at the end of bucket0[0"},
        {"after=bucket0", "after=bucket0[0]",
         "x.plan:32: bucket0: expected [shard.micro_batch] with at most one more number, found 1"},
        {"weight_decay=0.1 nesterov", "weight_decay=much nesterov",
         "x.plan:33: weight_decay: expected a number, found \"much\""},
        {"  bucket1 ", "  + bucket1 ", "x.plan:32: expected the name of an operation"},
        {"  bucket1 ", "  bucket\001 ", "found \"bucket?\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = replace(small, cases[i].from, cases[i].to);
        program_finish(&program);
        if (cases[i].message)
            ck_assert_fails(parse(&program, text), ERR_FORMAT, cases[i].message);
        else
            ck_assert_ok(parse(&program, text));
        if (cases[i].message) ck_assert_int_eq(program.tensor_count + program.name_bytes, 0);
        free(text);
    }
    ck_assert_fails(parse(&program, ""), ERR_FORMAT,
                    "x.plan: expected \"tandem plan 2\", found nothing");
    ck_assert_fails(plan_text_parse_class(&program, NULL, "tandem\0", 7, "x.plan"), ERR_FORMAT,
                    "x.plan: a zero byte");
}
END_TEST

START_TEST(a_window_that_is_too_large_is_named_with_its_line) {
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"  pool  max_pool  @compute  x fc.grad <- x  kernel=17 stride=1 pad=0\n  bucket0 ",
         "x.plan:31: plan step: pool: kernel is 17, expected 1 to 16"},
        {"  pool  max_pool  @compute  x <- x  kernel=2 stride=1000000000 pad=0\n  bucket0 ",
         "x.plan:31: plan step: pool: stride is 1000000000, expected 1 to 1048576"},
        // with more, a window might have no pixel
        {"  pool  max_pool  @compute  x <- x  kernel=3 stride=2 pad=2\n  bucket0 ",
         "x.plan:31: plan step: pool: pad is 2, expected 0 to 1"}};
    for (int i = 0; i < 3; i++) {
        char *text = replace(small, "  bucket0 ", cases[i].line);
        ck_assert_fails(parse(&program, text), ERR_FORMAT, cases[i].message);
        free(text);
    }
}
END_TEST

START_TEST(the_example_of_the_document_is_read_checked_and_printed_alike) {
    char *sample = document_sample("tandem plan 2");
    read_step(sample);
    assert_checks(OK, "");
    char *text = print(&program);
    ck_assert_str_eq(text, sample);
    free(text);
    free(sample);
}
END_TEST

SUITE("plan_edit", the_example_of_the_document_is_read_checked_and_printed_alike,
      a_removed_operation_is_gone_and_plan_check_judges,
      operations_that_others_wait_for_cannot_be_removed_alone, swapped_operations_are_swapped,
      a_bucket_can_be_split_or_merged, a_changed_attribute_is_changed,
      a_doubled_line_is_two_operations, a_window_that_is_too_large_is_named_with_its_line,
      what_a_plan_cannot_say_is_an_error_with_its_line)
