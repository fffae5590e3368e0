// SPDX-License-Identifier: MIT
// Words that lessons use, in alphabetical order.
#include "lessons/engine/glossary.h"

#include "lessons/engine/translate.h"

static const GlossaryTerm TERMS[] = {
    {N_("accumulation"), N_("Gradients of several batches, added up before one update: a large "
                            "batch in little memory.")},
    {N_("activation"), N_("What a layer gives out. The backward pass needs it again, so that it is "
                          "kept or computed twice.")},
    {N_("adam"), N_("An optimizer that keeps two moving averages for each weight: of the gradient "
                    "and of its square.")},
    {N_("all-gather"),
     N_("An operation between ranks: each brings a part, and all end up with all parts.")},
    {N_("all-reduce"),
     N_("An operation between ranks: each brings a vector, and all end up with the sum of them.")},
    {N_("all-to-all"),
     N_("An operation between ranks: each sends another part to each of the others.")},
    {N_("backward pass"), N_("From the loss back to the first layer: each layer turns the "
                             "derivative of its output into those of its input and weights.")},
    {N_("bandwidth"),
     N_("How many bytes a link carries in a second, once a message is under way.")},
    {N_("batch"), N_("The samples of one step. The global batch is that of all ranks together.")},
    {N_("bf16"), N_("A number of two bytes with the range of f32 and 8 bits of precision.")},
    {N_("broadcast"), N_("An operation between ranks: one sends, and all others get the same.")},
    {N_("bubble"), N_("The time in which a stage of a pipeline has nothing to do.")},
    {N_("bucket"), N_("Gradients of several layers that are communicated together.")},
    {N_("checkpoint"),
     N_("A file with all that a run needs to go on: weights, optimizer, place in the data.")},
    {N_("chunk"), N_("One of the parts into which a collective cuts a buffer.")},
    {N_("collective"),
     N_("An operation in which all ranks of a group take part, in the same order.")},
    {N_("condition number"),
     N_("The largest curvature of the loss divided by the smallest: the larger, the more steps "
        "descent takes.")},
    {N_("critical path"), N_("The chain of operations of a step of which each waits for the one "
                             "before it. The step is as long as it.")},
    {N_("cross-entropy"), N_("The loss of a classification: minus the logarithm of the probability "
                             "that the network gives to the right class.")},
    {N_("curvature"), N_("How fast the slope of the loss changes in a direction.")},
    {N_("data parallelism"),
     N_("Every rank has all weights and a part of the batch; gradients are averaged.")},
    {N_("distillation"),
     N_("A small network learns what a large one answers, not only the labels.")},
    {N_("efficiency"), N_("The speed-up divided by the number of devices.")},
    {N_("epoch"), N_("Once through all training samples.")},
    {N_("error feedback"), N_("What compression left out of a gradient is added to the next one.")},
    {N_("expert"), N_("One of several networks in a layer; each token goes to a few of them.")},
    {N_("exposed communication"),
     N_("Communication during which nothing is computed: what overlap could not hide.")},
    {N_("flop"), N_("An addition or a multiplication of floating-point numbers.")},
    {N_("forward pass"), N_("From the samples to the loss, layer by layer.")},
    {N_("fp16"), N_("A number of two bytes with 11 bits of precision and a small range: small "
                    "gradients become 0.")},
    {N_("gradient"), N_("How fast the loss changes with each weight: the derivative.")},
    {N_("intensity"), N_("How many flops an operation does for each byte that it moves.")},
    {N_("jitter"), N_("How much the same work varies in time.")},
    {N_("latency"), N_("How long a message of no length takes.")},
    {N_("learning rate"), N_("The factor by which a gradient is multiplied to make a step.")},
    {N_("logit"), N_("A number that the network gives to a class; softmax turns the logits of all "
                     "classes into probabilities.")},
    {N_("loss"), N_("How wrong the network is, as one number; training makes it smaller.")},
    {N_("loss scaling"), N_("The loss is multiplied, so that small gradients do not become 0 in "
                            "fp16; the update divides again.")},
    {N_("mesh"), N_("Ranks arranged along axes, such as data, tensor and pipe.")},
    {N_("micro-batch"),
     N_("A part of a batch that goes through a pipeline, or is accumulated, by itself.")},
    {N_("mixed precision"), N_("Passes in two bytes, weights and sums in four.")},
    {N_("momentum"), N_("The update goes on in part as the one before did.")},
    {N_("no_sync"), N_("Leaves the all-reduce of gradients out while they are accumulated.")},
    {N_("optimizer"), N_("The rule that makes an update of a gradient, such as SGD or Adam.")},
    {N_("overlap"), N_("Communication goes on while something else is computed.")},
    {N_("parameter"), N_("A number that training changes: a weight or a bias.")},
    {N_("pipeline"),
     N_("Every rank has some of the layers; micro-batches pass from one to the next.")},
    {N_("rank"), N_("One of the processes or devices that train together, numbered from 0.")},
    {N_("recomputation"),
     N_("The backward pass computes activations again instead of keeping them.")},
    {N_("reduce-scatter"),
     N_("An operation between ranks: vectors are summed, and each rank gets a part of the sum.")},
    {N_("relu"), N_("max(z, 0): what a unit gives out, 0 where its sum z is below 0.")},
    {N_("replica"), N_("A whole copy of the weights on a rank.")},
    {N_("ridge"), N_("The intensity from which on arithmetic, not memory, decides how long an "
                     "operation takes.")},
    {N_("ring"),
     N_("An order of ranks in which each sends to the next, and the last to the first.")},
    {N_("roofline"), N_("Work takes as long as its arithmetic or its bytes, whichever is longer.")},
    {N_("sampler"), N_("What says which samples a rank takes, and in which order.")},
    {N_("sequence number"),
     N_("The place of a collective in the order in which a rank issues them.")},
    {N_("shard"), N_("A rank's part of a tensor or of a batch.")},
    {N_("softmax"), N_("Turns logits into probabilities: the exponential of each, divided by the "
                       "sum of all exponentials.")},
    {N_("speed-up"), N_("How many times as fast as on one device.")},
    {N_("stage"), N_("The layers of a pipeline that one rank has.")},
    {N_("step"), N_("One update of the weights, and all that leads to it.")},
    {N_("straggler"), N_("A rank that the others wait for.")},
    {N_("strong scaling"), N_("More devices for the same global batch.")},
    {N_("tensor parallelism"), N_("Every rank has a part of each weight matrix.")},
    {N_("timeout"), N_("How long a rank waits for a peer before it gives up.")},
    {N_("tree"), N_("An order of ranks in which each sends to the one above it: few rounds, for "
                    "small messages.")},
    {N_("ulp"),
     N_("The distance between neighbouring floating-point numbers: unit in the last place.")},
    {N_("weak scaling"), N_("More devices, each with the same batch as before.")},
    {N_("world size"), N_("The number of all ranks.")},
    {N_("zero"), N_("ZeRO: ranks share optimizer state (1), gradients too (2), parameters too (3), "
                    "instead of each having all.")},
};

const GlossaryTerm *glossary_terms(int *count) {
    *count = sizeof TERMS / sizeof *TERMS;
    return TERMS;
}
