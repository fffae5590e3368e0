// SPDX-License-Identifier: MIT
// Texts of `--help TOPIC` that train and sim share.
#include "programs/job_help.h"

#include "core/plan/kind.h"

const OptionDetail job_details[] = {
    {"model",
     "net is a small convolutional network; mlp has two hidden layers of 2048 with ReLU "
     "(mlp:hidden=256,layers=3); linear is softmax regression; resnet is the "
     "ResNet for small images (resnet:depth=8; 14, 20, 26 ...: 6n + 2), for CIFAR's "
     "resnet:depth=20,image=32,colours=3. These take 1x28x28 images and tell 10 classes apart, or "
     "as many as classes= says (net:classes=27). resnet18, resnet50 and vgg16 are those of "
     "ImageNet, 3x224x224 and 1000 classes, with torchvision's names of parameters "
     "(resnet18:size=32,classes=10). gpt and llama "
     "(llama:layers=4,hidden=128,heads=4,kv_heads=2,seq=128) take tokens: --data text; gpt2, "
     "gpt2-medium, gpt2-large, gpt2-xl and gpt3-175b are gpt in sizes that were published, as "
     "llama-3-8b, llama-3-70b and llama-3-405b are of llama, bert-large of bert, and mixtral-8x7b "
     "of mixtral (llama-3-8b:seq=2048). mixtral has a mixture of "
     "experts in each block (mixtral:experts=8,top_k=2; capacity=125 is 1.25 fair shares). "
     "megatron is gpt with dropout and attention as it was before FlashAttention. bert learns "
     "the tokens that are masked in a text, "
     "15 % of them; its vocabulary has one more, [MASK] (bert:vocabulary=66). A file "
     "describes a network of your own: "
     "docs/formats.md, \"Model files\"."},
    {"dtype",
     "f64 starts from the weights that f32 has. With bf16 (mixed precision) activations, their "
     "gradients and a copy of the weights that each step makes are bf16, sums are f32 and rounded "
     "once, and weights, their gradients and what the optimiser keeps are f32. Only the device "
     "reference computes in it, and is then the default; it says what other devices must give.",
     "precision type mixed-precision amp autocast"},
    {"seed",
     "Two runs with the same options and seed give the same bits, whatever the ranks. The seed is "
     "printed, and it is in every report and trace.",
     "random-seed rng-seed"},
    {"batch",
     "A batch may be uneven over ranks and shards: each takes its part, and gradients are divided "
     "by the rows of the whole batch once.",
     "batch-size bs global-batch-size"},
    {"batch-per-rank", "The global batch is this times the ranks: the batch of weak scaling.",
     "local-batch-size per-device-batch-size micro-batch-size train-micro-batch-size-per-gpu"},
    {"shards", "The sum of gradients, and with it every bit of the result, depends on the shards, "
               "not on the ranks: --ranks 2 equals --ranks 1 --shards 2."},
    {"accumulate",
     "Micro-batches are added in order. Activations are needed for one at a time; with --pp, whose "
     "ranks work on them at the same time, for some.",
     "gradient-accumulation-steps grad-accum accumulation-steps micro-batches microbatches "
     "num-microbatches num-micro-batches chunks"},
    {"optimizer",
     "sgd with --momentum and --nesterov; adam and adamw with --beta1, --beta2 and --eps. All are "
     "torch.optim's, with one difference: adamw decays only weights of two and more dimensions, as "
     "GPT is trained, unless --decay-all is given. Adam usually wants a tenth of SGD's --lr.",
     "optim betas adam-beta1 adam-beta2 adam-epsilon"},
    {"warm-up",
     "Step k of the first N, counted from 1, takes k/N of --lr: large steps come when the weights "
     "are no longer those of the start.",
     "warmup warmup-steps num-warmup-steps lr-warmup-steps"},
    {"lr-schedule",
     "step multiplies the rate by --lr-gamma after every --lr-step-size steps; cosine lowers it "
     "along "
     "half a wave to --lr-min, which it has after --lr-decay-steps, by default all steps of the "
     "run: --steps, or those of --epochs. All begin when --warm-up has ended, as in PyTorch's "
     "SequentialLR of LinearLR and StepLR or CosineAnnealingLR.",
     "lr-scheduler scheduler lr-policy lr-decay-style"},
    {"lr-decay-steps",
     "Give it where a run is to be resumed later, so that both parts are of one "
     "curve.",
     "lr-decay-iters"},
    {"lr-min", NULL, "min-lr eta-min"},
    {"lr-step-size", NULL, "step-size"},
    {"clip",
     "As torch.nn.utils.clip_grad_norm_: all gradients are multiplied by min(1, X / (norm + "
     "1e-6)), "
     "where the norm is that of all of them together. It is in the report; a large X measures it "
     "and clips nothing.",
     "clip-grad clip-grad-norm grad-clip max-grad-norm gradient-clip-val"},
    {"on-nan",
     "stop ends the run with status 1 and says the step and what was not finite: the loss or, with "
     "--clip, the gradients. skip looks at both, leaves weights, the optimiser's memory and "
     "running statistics as they were, and counts such steps in the report.",
     "skip-nan nan"},
    {"loss-scale",
     "Mixed precision's loss scaling: dynamic begins with FIRST (65536), halves the scale in a "
     "step whose gradients are not finite, which is skipped, and doubles it after "
     "--loss-scale-every good ones; it is state, which checkpoints keep. constant keeps SCALE. "
     "Scales are powers of two; norms and --clip are of gradients without it. bf16 has f32's range "
     "and rarely needs one.",
     "grad-scaler gradscaler amp loss-scaling"},
    {"label-smoothing",
     "As CrossEntropyLoss(label_smoothing=EPS) of PyTorch: the loss of a row is 1 - EPS of the "
     "usual one and EPS of the mean of -log p over all classes. Training alone has it: "
     "evaluations, and --evaluate, report the loss without smoothing, so that runs compare.",
     "label-smoothing-factor smoothing label-smooth"},
    {"weight-decay", NULL, "wd"},
    {"freeze",
     "As requires_grad_(False): no gradient, no update, no weight decay, no optimiser state, and "
     "nothing to send. A pattern names parameters, layers or blocks, with * ? and [...]: --freeze "
     "'conv*', --freeze wte.weight,h.0. A weight that is tied is frozen by any of its names. With "
     "--load FILE it is fine tuning. Running statistics of a frozen batch_norm go on moving. In a "
     "model file a layer says trainable=false.",
     "requires-grad no-grad frozen freeze-layers"},
    {"all-reduce", ALGORITHM_HELP, "allreduce algorithm algo"},
    {"bucket-kib",
     "A bucket closes when it has passed its limit: FIRST for the first, CAP for all others. Small "
     "buckets start early, large ones cost fewer meetings. 0 gives every gradient its own. sim "
     "--gpus has 1024,25600 unless told otherwise or recorded: 1 MiB and 25 MiB, as PyTorch's "
     "DDP, and with --zero at least 1 MiB a data-parallel rank.\nWith --zero a bucket is a "
     "reduce-scatter, with 1 and 2 a gather of parameters, too: on many ranks large ones save many "
     "latencies, but with 2 and 3 they cost memory.",
     "bucket-cap-mb bucket-size"},
    {"compress",
     "bf16 and fp16: each shard's gradients are rounded before they are sent, added up in f32, "
     "and the sum is rounded once: half the bytes, and nearly the same training. Only with "
     "--all-reduce direct; one rank sends nothing and rounds nothing.\n"
     "powersgd: a matrix, of experts each, is sent as two factors of RANK columns (2), where "
     "these are smaller. "
     "topk: of each matrix the FRACTION (0.01) of largest elements is sent, with their places. "
     "Vectors are sent whole. What is not sent is added to the shard's gradient of the next step; "
     "one rank compresses its shards, too. Both delay gradients: with momentum, give a lower "
     "--lr. With --tp each rank compresses its piece of a gradient, as if that were a weight of "
     "its own; gradients of experts that all share (--ep) are not sent.",
     "compression fp16-compress bf16-compress grad-compression comm-hook ddp-comm-hook "
     "powersgd-hook error-feedback"},
    {"dp",
     "All ranks are dp × the other degrees, so one of --ranks and --dp is enough. Ranks with the "
     "same coordinate along data have the same rows. train --print-mesh shows which ranks these "
     "are.",
     "data-parallel-size dp-size data-parallel-degree dp-degree data-parallel-replicate-degree"},
    {"tp",
     "As in Megatron-LM: ranks with the same rows divide weights. A product whose outputs can be "
     "used in pieces is cut by its outputs, the one behind it by its inputs, attention by heads; "
     "sums of partial results are all-reduced, and a bias is added to them once. Of tokens, the "
     "vocabulary is divided too, and logits are never gathered; experts are divided by units. "
     "place= of a layer in a model file says otherwise. Sizes may be uneven, as 65 tokens over 4 "
     "are 16, 16, 16, 17; heads must divide. Results differ from those of one rank in the last "
     "bits.",
     "tensor-parallel tensor-parallel-size tensor-model-parallel-size tp-size "
     "tensor-parallel-degree autotp-size tensor-parallelism model-parallel model-parallelism"},
    {"experts",
     "The same as --model mixtral:experts=E; --top-k K is top_k=K. A model file can have such "
     "parameters, too: docs/formats.md, \"Model files\".",
     "num-experts moe-num-experts num-local-experts"},
    {"top-k", "Of the experts, those with the largest probabilities.",
     "moe-router-topk moe-router-top-k topk"},
    {"ep",
     "N neighbours among the data parallel ranks share the experts of each layer: each has 1/N of "
     "them, whole, and computes these for the tokens of all N: two all-to-alls forward, two "
     "backward, of E slots in the capacity each. Their gradients are summed over the ranks with "
     "the same experts alone. N divides --dp and the experts; or it is a multiple of --cp, and "
     "N / cp divides --dp: then ranks with other positions share them, too. Where N is --dp, the "
     "result is that of --shards N on one rank, to the bit, with one micro-batch.",
     "expert-parallel expert-parallel-size ep-size expert-model-parallel-size "
     "expert-parallel-degree expert-parallelism"},
    {"pp",
     "Each rank along the axis pipe has some layers; micro-batches pass through them. A rank that "
     "has none to work on waits: (N-1)/(M+N-1) of a step with M micro-batches, so give "
     "--accumulate M of 2 N or more. The result is that of --accumulate M on one rank, to the bit.",
     "pipeline pipeline-parallel pipeline-model-parallel-size pipeline-parallel-size pp-size "
     "pipe-parallel-size pipeline-degree pipeline-parallel-degree pipeline-parallelism num-stages"},
    {"schedule",
     "gpipe: all forward passes, then all backward ones; keeps the activations of all "
     "micro-batches. 1f1b: as short, but a rank keeps those of at most N. interleaved:V: each rank "
     "has V (2) stages, for a V-th of the waiting and V times the messages; --accumulate a "
     "multiple of N. zero-bubble: gradients of weights are computed where a rank would wait.",
     "pipeline-schedule pp-schedule pipeline-parallel-schedule "
     "virtual-pipeline-model-parallel-size num-layers-per-virtual-pipeline-stage "
     "num-virtual-stages-per-pipeline-rank virtual-stages 1f1b gpipe interleaved zero-bubble"},
    {"stages",
     "Layers are counted from 0, as they stand in the model: 0:4,4:9 gives layers 0 to 3 to the "
     "first stage and 4 to 8 to the second. Of an interleaved schedule stage k is on rank k mod N. "
     "Without it the stage with the most arithmetic has as little as may be. train --print-mesh "
     "shows which layers are where.",
     "split-points pipeline-split layers-per-stage partition partition-method "
     "pipeline-model-parallel-layout decoder-first-pipeline-num-layers "
     "decoder-last-pipeline-num-layers"},
    {"sequence-parallel",
     "Korthikanti et al., 2022: between products each rank has a part of the positions, for norms, "
     "residual sums and dropout, so that their activations are divided too. Every all-reduce "
     "becomes a reduce-scatter and an all-gather, which send as many bytes; norms' gradients are "
     "reduced once a step. Experts choose from all positions, which are gathered for them. --tp "
     "must divide the positions, those that --cp leaves to a rank.",
     "sp sequence-parallelism"},
    {"cp",
     "Each rank has two intervals of every sequence, one from the front and one from the back, and "
     "computes all layers for them; keys and values go around a ring of N ranks while attention "
     "to those that have come is computed. 2 N must divide the sequence. Results differ from those "
     "of one rank in the last bits. In a mixture of experts each rank drops of its own tokens what "
     "exceeds its share of the capacity.",
     "context-parallel context-parallel-size cp-size ring-attention sequence-ring "
     "context-parallel-degree context-parallelism sequence-parallel-size ulysses-degree"},
    {"cp-kind",
     "ring: keys and values go from rank to rank, as far as sequences reach. all-to-all: before "
     "attention ranks exchange positions for heads, as DeepSpeed's Ulysses does, and back after "
     "it: fewer messages, but N must divide the heads, and those of keys and values, that --tp "
     "leaves to a rank.",
     "context-parallel-kind cp-comm-type ulysses"},
    {"mesh",
     "Four axes, the outermost first. Ranks along the innermost one are neighbours, in a cluster "
     "those of one node: so the axis that communicates most comes last. train --print-mesh.",
     "order rank-order mesh-order device-mesh"},
    {"no-overlap", "The same sums, started when the backward pass has ended: what overlapping is "
                   "worth is the difference."},
    {"data-parallel",
     "As PyTorch's nn.DataParallel: one process, a thread for each device. For every micro-batch "
     "rank 0 scatters rows and copies its weights to all (replicate), gathers their outputs, "
     "computes the loss and scatters its gradient; gradients are added on rank 0, which alone "
     "updates. The bits are those of DDP, which needs none of this but one all-reduce. See "
     "--print-plan step.",
     "dataparallel nn-dataparallel"},
    {"sync-batchnorm",
     "Without it every shard normalises with the mean and variance of its own rows of a "
     "micro-batch, as PyTorch's DistributedDataParallel does, and the running statistics are "
     "those of shard 0. With it, with those of all shards' rows (SyncBatchNorm): one exchange in "
     "the forward and one in the backward of each layer. With --pp the shards of a rank go through "
     "a stage together, so that --accumulate alone counts micro-batches.",
     "sync-batch-norm syncbatchnorm syncbn sync-bn convert-sync-batchnorm"},
    {"zero",
     "ZeRO, as in DeepSpeed and PyTorch's FSDP: ranks divide optimiser state (1), gradients too "
     "(2), parameters too (3), and compute the same bits, unless --all-reduce ring has an order of "
     "its own. Gradients are reduce-scattered; "
     "parameters are gathered after the update (1, 2), or of each block, or layer outside of "
     "blocks, before its forward and again before its backward (3). With --dtype bf16 the f32 "
     "weights are divided by all three, and what is gathered are copies in bf16. See "
     "--bucket-kib.\nWith "
     "--accumulate whole gradients stay until the last micro-batch.",
     "fsdp fully-shard zero-stage zero1 zero2 zero3 stage deepspeed sharding-strategy "
     "zero-optimization use-distributed-optimizer data-parallel-shard-degree"},
    {"prefetch",
     "With N, the parameters of N blocks, or layers outside of blocks, are gathered while another "
     "one computes, and those of N + 1 are in memory. 0: a block waits for its own.",
     "forward-prefetch backward-prefetch stage3-prefetch-bucket-size"},
    {"recompute",
     "full: of each block of the model file only what enters it is kept from the forward, and the "
     "backward computes the rest again, block by block: less memory, up to a third more "
     "arithmetic. Of a model without blocks, groups of layers. selective: only what costs no "
     "products and reads what is kept anyway, such as norms, activations, masks: nearly no "
     "arithmetic. attention: the scores of attention "
     "that has them in memory (unfused=true in the model file), their softmax and dropout, "
     "Megatron-LM's selective; and what --sequence-parallel gathers is gathered again. gathers: "
     "that alone, as Megatron-LM always does. block: as full, but all of the forward, with the "
     "sums over ranks of --tp and the last product, which full spares: PyTorch's checkpoint, "
     "Megatron-LM's full. The bits are the same. See --print-memory, and the operations "
     "NAME.recompute of --print-plan step; a large batch shows it, since evaluation takes 256 rows "
     "at once.",
     "activation-checkpointing gradient-checkpointing checkpoint-activations "
     "recompute-granularity recompute-activations recompute-method recompute-num-layers "
     "activation-checkpoint remat rematerialization"},
    {"plan", "Runs what --print-plan file printed, edited or not; - is standard input. Options "
             "that the plan states already are refused. docs/formats.md, \"Plan files\"."},
    {"print-plan",
     "step: what the strategy made, or --plan says, a row an operation: its lane, the shape of its "
     "output, the bytes and floating-point operations, and what it waits for. lowered: what runs, "
     "with fused operations. file: the step as text, which --plan reads. lowered-file: what runs, "
     "with the place of every tensor. docs/formats.md, \"Plan files\".",
     "dry-run"},
    {"print-memory",
     "The bytes that the plan of these options gives a rank, by class, and what parameters, "
     "gradients and optimiser state take by the formulas of DDP and ZeRO; and the bytes of "
     "gradients and parameters that a rank sends in a step, apart from them what the norm of "
     "--clip and statistics of batch normalisation send. No data are read: any number of ranks "
     "will do, train --model mlp --ranks 1024 --batch-per-rank 8 --zero 3 --print-memory.",
     "memory vram footprint"},
    {"class",
     "Each stage of --pp is a class, stage0 and so on, and a plan file may have several; all "
     "prints "
     "their plans one after the other. A class alone is for reading: --plan needs all of them."},
    {"report",
     "What was run, how fast, where the time went, how long each operation takes, what was "
     "learned. .json.gz is compressed. docs/formats.md, \"Reports\".",
     "output out o"},
    {"csv", "The names carry the units and stay the same; new ones are added at the end. Append a "
            "run to a table with: ... --csv | tail -n 1 >> runs.csv"},
    {"log",
     "Lines begin with the time in UTC. They are not cut, have no colours, and are kept with -q "
     "too.",
     "log-file"},
    {NULL,
     "it is not needed: parameters that the loss does not depend on are found in the model before "
     "anything runs, named, and left as they are on every rank; no rank waits for their gradients",
     "find-unused-parameters"},
    {NULL,
     "it is not needed: every step executes the same plan, which --print-plan shows, and buckets "
     "are filled once, in the order in which the plan completes gradients",
     "static-graph"},
    {NULL,
     "it is not needed: all ranks get the running statistics of batch_norm in every step, and no "
     "other layer has state",
     "broadcast-buffers"},
    {NULL, "it is what --ranks 2 does, without another option", "ddp distributed-data-parallel"},
    {NULL, "it belongs to the model: --model gpt:layers=4,hidden=128,heads=4,seq=64",
     "num-layers hidden-size num-attention-heads seq-length n-layer n-embd n-head"},
    {NULL, "it is the default; --no-overlap leaves it out",
     "overlap-grad-reduce overlap-comm overlap-param-gather"},
    {NULL, "it is not needed: a plan is fused and given its memory before it runs", "compile"},
    {NULL, "give --dtype bf16: passes in bf16, weights in f32", "bf16"},
    {NULL, "it is not built: give --dtype bf16, or --compress fp16 for the gradients on their way",
     "fp16 half"},
    {"version", NULL, "V"},
    {"quiet", NULL, "silent"},
};
_Static_assert(sizeof job_details / sizeof *job_details == JOB_DETAILS,
               "count the entries in job_help.h");
