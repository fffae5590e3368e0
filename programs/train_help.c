// SPDX-License-Identifier: MIT
// Texts of `train --help TOPIC`.
#include "programs/train_help.h"

#include "core/platform/device_traits.h"

const OptionDetail train_details[] = {
    {"data",
     "A directory with the MNIST files, an images file beside its labels, or digits that are drawn "
     "on the spot: digits:count=60000,seed=2. cifar10:DIR has the binary files of CIFAR-10, images "
     "of "
     "3x32x32 (--model resnet:depth=20,image=32,colours=3). text:FILE is for models of tokens. "
     "docs/formats.md, \"Data sets\".",
     "dataset data-dir cifar cifar-10"},
    {"test-fraction", "Data that come split into training and test files stay so."},
    {"tail",
     "What keep trains on is smaller, and takes the same plan with fewer rows in use. A shard "
     "with no row left takes part all the same (join), with gradients of zero."},
    {"ranks",
     "One is a process of its own. From two on, gradients are summed by all-reduces in buckets, "
     "while the backward pass goes on (DistributedDataParallel).\nMore ranks than cores share the "
     "cores: the report counts the time as contended. Of more than 64 ranks --print-plan, "
     "--print-mesh, --print-memory and --explain tell; sim simulates them.",
     "gpus np nproc nproc-per-node world-size workers processes devices n"},
    {"device", DEVICE_HELP},
    {"comm",
     "shm: processes that share memory. thread: threads of one process. serial: all ranks in one "
     "thread, each running until it needs a peer, to debug and to find deadlocks. All give the "
     "same bits.",
     "backend"},
    {"timeout",
     "When it passes, the run ends with status 4 and says which rank waited for whom, where."},
    {"trace",
     "DIR/rank<N>.json, one span per operation, and DIR/all.json with all ranks: drop that on "
     "ui.perfetto.dev, or give the directory to sim --trace.",
     "profile profiler timeline"},
    {"record",
     "safetensors files, one per rank and step; a tensor's key names the operation that wrote it. "
     "Two runs that should be equal differ first where the keys do.",
     "dump"},
    {"verbose", "-v: model, data, cores and pinning, how ranks wait, the buckets, and what each "
                "rank's time went to. -vv: also the plans, their memory, and what each bucket "
                "holds. With an error: where in the source it arose."},
    {"lr", NULL, "learning-rate"},
    {"epochs", NULL, "num-epochs"},
    {"steps", NULL, "max-steps iterations iters num-steps"},
    {"save",
     "A run that is interrupted, or diverges, writes its last good weights. The file gets its name "
     "when it is complete and on disk; PyTorch users read it with safetensors.torch.",
     "checkpoint ckpt"},
    {"save-every", "Other ranks wait meanwhile; --timeout does not count that.",
     "save-steps save-freq"},
    {"save-shards", "For parameters that no rank holds whole, as with --zero 3. "
                    "FILE-stepS-HASH-00001-of-00004 and "
                    "so on, in FILE's folder; --resume and --load take FILE.index.json, and the "
                    "indexes of others."},
    {"consolidate", "The file is that which a run without --save-shards writes, byte for byte."},
    {"keep",
     "--save w.safetensors --save-every 10 --keep 2: w-step20.safetensors, w-step30.safetensors, "
     "and w.safetensors, another name of the last. Older ones are removed.",
     "save-total-limit keep-last max-to-keep"},
    {"resume",
     "Give the options of the run that was saved again; --steps and --epochs count from its "
     "beginning. With the same --shards the result is that of a run that was not stopped, to the "
     "last bit, whatever --ranks. What does not fit is listed.",
     "continue restart resume-from-checkpoint"},
    {"load",
     "Optimiser and steps begin anew. f64, f16 and bf16 become the type of the run. What the file "
     "lacks, or has in another shape, is listed.",
     "pretrained init-from weights"},
    {"evaluate", "One line on standard output: loss and accuracy of the held-out samples.",
     "eval eval-only test"},
    {"generate",
     "The text goes to standard output as it is drawn. The same --seed draws the same text. Each "
     "token costs a pass over all that the model reads at once; of a longer text it reads the end.",
     "sample max-new-tokens"},
    {"prompt", NULL, "start"},
    {"calibrate",
     "Operations at the shard sizes asked for, alone and with the other cores busy, memory, waking "
     "and waiting; each as a median with its interval. sim --platform FILE predicts with it."},
    {"advise",
     "Measures this host for a few seconds, then searches as sim --advise does, on one rank, two "
     "and so on to as many as there are cores, or on --ranks N; the global batch stays. Costs of "
     "operations that were not measured in just that size are scaled from those that were: "
     "\"measured\" says of how many that is not so. --json.",
     "autotune planner"},
    {"calibrate-rows", "A prediction is best for the rows a rank that were measured."},
    {"link",
     "Each message takes as long as such a link needs. Bits and bytes are told apart: 1GB/s is "
     "8Gbit/s.",
     "bandwidth latency network"},
    {"dilate", "The host's own delays then weigh less beside what is modelled."},
    {"plot", "NAME.dat, NAME.gp, NAME.svg and NAME.json for each figure. Without gnuplot the data "
             "and scripts are written all the same."},
};
_Static_assert(sizeof train_details / sizeof *train_details == TRAIN_DETAILS,
               "count the entries in train_help.h");
