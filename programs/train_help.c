// SPDX-License-Identifier: MIT
#include "programs/train_help.h"

const OptionDetail train_details[TRAIN_DETAILS] = {
    {"model", "net is a small convolutional network; mlp has two hidden layers of 2048 with ReLU "
              "(mlp:hidden=256,layers=3); linear is softmax regression. A file describes a network "
              "of your own: docs/formats.md, \"Model files\"."},
    {"data",
     "A directory with the MNIST files, an images file beside its labels, or digits that are drawn "
     "on the spot: digits:count=60000,seed=2.",
     "dataset data-dir"},
    {"test-fraction", "Data that come split into training and test files stay so."},
    {"dtype", "f64 starts from the weights that f32 has.", "precision type"},
    {"seed",
     "Two runs with the same options and seed give the same bits, whatever the ranks. The seed is "
     "printed, and it is in every report and trace.",
     "random-seed rng-seed"},
    {"batch",
     "A batch may be uneven over ranks and shards: each takes its part, and gradients are divided "
     "by the rows of the whole batch once.",
     "batch-size bs global-batch-size"},
    {"batch-per-rank", "The global batch is this times the ranks: the batch of weak scaling.",
     "local-batch-size per-device-batch-size micro-batch-size"},
    {"tail", "What keep trains on is smaller, and takes the same plan with fewer rows in use."},
    {"ranks",
     "One is a process of its own. From two on, gradients are summed by all-reduces in buckets, "
     "while the backward pass goes on (DistributedDataParallel).\nMore ranks than cores share the "
     "cores: the report bills the time as contended.",
     "gpus np nproc nproc-per-node world-size workers processes devices n"},
    {"shards", "The sum of gradients, and with it every bit of the result, depends on the shards, "
               "not on the ranks: --ranks 2 equals --ranks 1 --shards 2."},
    {"accumulate", "Micro-batches are added in order. Activations are needed for one at a time.",
     "gradient-accumulation-steps grad-accum accumulation-steps micro-batches"},
    {"device", "reference is plain C, slow, and the specification; cpu is fast and agrees with it "
               "in the tests."},
    {"comm",
     "shm: processes that share memory. thread: threads of one process. serial: all ranks in one "
     "thread, each running until it needs a peer, to debug and to find deadlocks. All give the "
     "same bits.",
     "backend"},
    {"all-reduce",
     "direct: each rank adds up its slice of everybody's gradients. chain: sums pass from rank to "
     "rank. ring: the bandwidth-optimal ring, whose order of addition differs from 3 ranks on, and "
     "so do the last bits.",
     "allreduce algorithm algo"},
    {"bucket-kib",
     "A bucket closes when it has passed its limit: FIRST for the first, CAP for all others. Small "
     "buckets start early, large ones cost fewer meetings. 0 gives every gradient its own.",
     "bucket-cap-mb bucket-size"},
    {"no-overlap", "The same sums, started when the backward pass has ended: what overlapping is "
                   "worth is the difference."},
    {"timeout",
     "When it passes, the run ends with status 4 and says which rank waited for whom, where."},
    {"plan", "Runs what --print-plan step printed, edited or not; - is standard input. Options "
             "that the plan states already are refused. docs/formats.md, \"Plan files\"."},
    {"print-plan",
     "step: what the strategy made, which --plan reads. lowered: what runs, with fused operations "
     "and the place of every tensor.",
     "dry-run explain"},
    {"report",
     "What was run, how fast, where the time went, how long each operation takes, what was "
     "learned. .json.gz is compressed. docs/formats.md, \"Reports\".",
     "output out o"},
    {"trace",
     "DIR/rank<N>.json, one span per operation: drop it on ui.perfetto.dev, or give the directory "
     "to sim --trace.",
     "profile profiler timeline"},
    {"record",
     "safetensors files, one per rank and step; a tensor's key names the operation that wrote it. "
     "Two runs that should be equal differ first where the keys do.",
     "dump"},
    {"csv", "The names carry the units and stay the same; new ones are added at the end. Append a "
            "run to a table with: train --csv | tail -n 1 >> runs.csv"},
    {"verbose", "-v: model, data, cores and pinning, how ranks wait, the buckets, and what each "
                "rank's time went to. -vv: also the plans, their memory, and what each bucket "
                "holds. With an error: where in the source it arose."},
    {"log",
     "Lines begin with the time in UTC. They are not cut, have no colours, and are kept with -q "
     "too.",
     "log-file"},
    {"lr", NULL, "learning-rate"},
    {"epochs", NULL, "num-epochs"},
    {"steps", NULL, "max-steps iterations iters num-steps"},
    {"weight-decay", NULL, "wd"},
    {"optimizer", NULL, "optim"},
    {"save", NULL, "checkpoint ckpt"},
    {"version", NULL, "V"},
    {"quiet", NULL, "silent"},
};
