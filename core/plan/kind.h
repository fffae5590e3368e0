// SPDX-License-Identifier: MIT
// The vocabulary of a plan: kinds of work, element types, roles, phases. Each list is written once;
// names and enums expand from it.
#ifndef CORE_PLAN_KIND_H
#define CORE_PLAN_KIND_H

#include <stdbool.h>
#include <stdint.h>

// Who executes a kind of work: a kernel of the device, a communicator, or the host.
typedef enum { CLASS_COMPUTE, CLASS_COMMUNICATION, CLASS_HOST } WorkClass;

// X(constant, name in files, class, placement rule, flops, attributes, operands: outputs <- inputs)
// The rule says how the outputs lie when the inputs are cut or partial: placement_rule_NAME() in
// placement_rules.h. Flops names the formula that counts the arithmetic: flops_rule_NAME() in
// flops.h. A kind without one of them does not compile.
// An attribute list is "name name:real ..."; integers unless `:real`. An attribute in brackets is 0
// where it is not given, and files do not show it then. Operands in brackets may be absent, from
// the right; `x...` is any number. Letters as in TOUR.md: B rows, C and K channels in and out, H W
// height and width, OH OW after a window; a small word is an attribute, and `..` any number of
// dimensions, none too, which are the same in all operands that have it. An operand has the
// operation's type unless `:type` follows; `:wide` is f32 where that type has two bytes, and the
// operation's own otherwise. plan_check() compares operands with these patterns.
// Sequences are (B,T,C), T positions of C channels; G channels of keys and values, E of query, key
// and value side by side; N positions of a whole sequence, of which an index says which T a rank
// has (source=index); lse is the logarithm of a softmax's sum. Blocks of attention: see
// core/device/attention_block.h. With whole matrices of scores, of H heads a number for each query
// and key: core/device/attention_matrix.h. In a mixture of experts each of B tokens has K of E
// experts, which have queues of S slots in each of P pieces of the batch (core/plan/expert.h).
// clang-format off
#define KIND_LIST(X)                                                                              \
    X(LOAD, "load", HOST, load, none, "",                                                         \
      "x labels(B,..):i32 <- first_row(1):i64 [positions(T):i64]")                                \
    X(LOAD_X, "load_x", HOST, load, none, "", "x <- first_row(1):i64 [positions(T):i64]")         \
    X(LOAD_LABELS, "load_labels", HOST, load, none, "",                                           \
      "labels(B,..):i32 <- first_row(1):i64 [positions(T):i64]")                                  \
    X(CONV2D, "conv2d", COMPUTE, contraction, product, "kernel stride pad",                       \
      "y(B,K,OH,OW) <- x(B,C,H,W) weight(K,C,kernel,kernel) [bias(K)]")                           \
    X(CONV2D_BACKWARD_INPUT, "conv2d_backward_input", COMPUTE, backward_input, product_dx,        \
      "kernel stride pad", "dx(B,C,H,W) <- dy(B,K,OH,OW) weight(K,C,kernel,kernel)")              \
    X(CONV2D_BACKWARD_WEIGHT, "conv2d_backward_weight", COMPUTE, backward_weight, product_dw,     \
      "kernel stride pad",                                                                        \
      "dweight(K,C,kernel,kernel):wide [dbias(K):wide] <- x(B,C,H,W) dy(B,K,OH,OW)")              \
    X(LINEAR, "linear", COMPUTE, contraction, product, "",                                        \
      "y(B,..,K) <- x(B,..,C) weight(K,C) [bias(K)]")                                             \
    X(LINEAR_BACKWARD_INPUT, "linear_backward_input", COMPUTE, backward_input, product_dx, "",    \
      "dx(B,..,C) <- dy(B,..,K) weight(K,C)")                                                     \
    X(LINEAR_BACKWARD_WEIGHT, "linear_backward_weight", COMPUTE, backward_weight, product_dw, "", \
      "dweight(K,C):wide [dbias(K):wide] <- x(B,..,C) dy(B,..,K)")                                \
    X(CONV2D_BIAS, "conv2d_bias", COMPUTE, bias, none, "", "y(B,K,OH,OW) <- x(B,K,OH,OW) bias(K)") \
    X(LINEAR_BIAS, "linear_bias", COMPUTE, bias, none, "", "y(B,..,K) <- x(B,..,K) bias(K)")      \
    X(RELU, "relu", COMPUTE, elementwise, none, "", "y <- x")                                     \
    X(RELU_BACKWARD, "relu_backward", COMPUTE, elementwise, none, "", "dx <- dy y")               \
    X(MAX_POOL, "max_pool", COMPUTE, window, none, "kernel stride pad",                           \
      "y(B,C,OH,OW) [index(B,C,OH,OW):u8] <- x(B,C,H,W)")                                         \
    X(MAX_POOL_BACKWARD, "max_pool_backward", COMPUTE, window, none, "kernel stride pad",         \
      "dx(B,C,H,W) <- dy(B,C,OH,OW) index(B,C,OH,OW):u8")                                         \
    X(AVG_POOL, "avg_pool", COMPUTE, linear_window, none, "height width stride",                  \
      "y(B,C,OH,OW) <- x(B,C,H,W)")                                                               \
    X(AVG_POOL_BACKWARD, "avg_pool_backward", COMPUTE, linear_window, none,                       \
      "height width stride", "dx(B,C,H,W) <- dy(B,C,OH,OW)")                                      \
    X(GELU, "gelu", COMPUTE, elementwise, none, "", "y <- x")                                     \
    X(GELU_BACKWARD, "gelu_backward", COMPUTE, elementwise, none, "", "dx <- dy x")               \
    X(GELU_TANH, "gelu_tanh", COMPUTE, elementwise, none, "", "y <- x")                           \
    X(GELU_TANH_BACKWARD, "gelu_tanh_backward", COMPUTE, elementwise, none, "", "dx <- dy x")     \
    X(ADD, "add", COMPUTE, linear, none, "", "y <- a b")                                          \
    X(ATTENTION, "attention", COMPUTE, attention, attention, "heads kv_heads causal",             \
      "y(B,T,C) [lse(B,T,heads):wide] <- q(B,T,C) k(B,T,G) v(B,T,G)")                             \
    X(ATTENTION_BACKWARD, "attention_backward", COMPUTE, attention, attention_backward,           \
      "heads kv_heads causal",                                                                    \
      "dq(B,T,C) dk(B,T,G) dv(B,T,G) <- dy(B,T,C) y(B,T,C) lse(B,T,heads):wide q(B,T,C) "         \
      "k(B,T,G) v(B,T,G)")                                                                        \
    X(ATTENTION_PACKED, "attention_packed", COMPUTE, attention_packed, attention,                 \
      "heads kv_heads causal", "y(B,T,C) [lse(B,T,heads):wide] <- qkv(B,T,E)")                    \
    X(ATTENTION_PACKED_BACKWARD, "attention_packed_backward", COMPUTE, attention_packed,          \
      attention_backward, "heads kv_heads causal",                                                \
      "dqkv(B,T,E) <- dy(B,T,C) y(B,T,C) lse(B,T,heads):wide qkv(B,T,E)")                         \
    X(ATTENTION_SCORES, "attention_scores", COMPUTE, attention_matrix, attention_matrix,          \
      "heads kv_heads", "s(B,heads,T,T) <- qkv(B,T,E)")                                           \
    X(ATTENTION_SCORES_BACKWARD, "attention_scores_backward", COMPUTE, attention_matrix,          \
      attention_matrix, "heads kv_heads",                                                         \
      "dqkv(B,T,E) <- ds(B,heads,T,T) dv(B,T,G) qkv(B,T,E)")                                      \
    X(ATTENTION_SOFTMAX, "attention_softmax", COMPUTE, attention_softmax, none, "causal",         \
      "p(B,H,T,T) <- s(B,H,T,T)")                                                                 \
    X(ATTENTION_SOFTMAX_BACKWARD, "attention_softmax_backward", COMPUTE, attention_softmax, none, \
      "causal", "ds(B,H,T,T) <- dp(B,H,T,T) p(B,H,T,T)")                                          \
    X(ATTENTION_VALUES, "attention_values", COMPUTE, attention_matrix, attention_matrix,          \
      "heads kv_heads", "y(B,T,C) <- p(B,heads,T,T) qkv(B,T,E)")                                  \
    X(ATTENTION_VALUES_BACKWARD, "attention_values_backward", COMPUTE, attention_matrix,          \
      attention_matrix, "heads kv_heads",                                                         \
      "dp(B,heads,T,T) dv(B,T,G) <- dy(B,T,C) p(B,heads,T,T) qkv(B,T,E)")                         \
    X(ATTENTION_BLOCK, "attention_block", COMPUTE, attention_block, attention_block,              \
      "heads kv_heads causal",                                                                    \
      "y(B,T,C):wide lse(B,T,heads):wide <- q(B,T,C) k(B,T,G) v(B,T,G) queries(T):i64 "           \
      "keys(T):i64 [y(B,T,C):wide] [lse(B,T,heads):wide]")                                        \
    X(ATTENTION_BLOCK_BACKWARD, "attention_block_backward", COMPUTE, attention_block,             \
      attention_block_backward, "heads kv_heads causal",                                          \
      "dq(B,T,C):wide dk(B,T,G):wide dv(B,T,G):wide <- dy(B,T,C) y(B,T,C) "                       \
      "lse(B,T,heads):wide q(B,T,C) k(B,T,G) v(B,T,G) queries(T):i64 keys(T):i64 "                \
      "[dq(B,T,C):wide]")                                                                         \
    X(UNPACK_QKV, "unpack_qkv", COMPUTE, qkv, none, "",                                           \
      "q(B,T,C) k(B,T,G) v(B,T,G) <- qkv(B,T,E)")                                                 \
    X(PACK_QKV, "pack_qkv", COMPUTE, qkv, none, "",                                               \
      "qkv(B,T,E) <- q(B,T,C) k(B,T,G) v(B,T,G)")                                                 \
    X(APART, "apart", COMPUTE, apart, none, "dim", "parts(P,Q,B,R) <- x(B,T,C)")                  \
    X(TOGETHER, "together", COMPUTE, together, none, "dim", "x(B,T,C) <- parts(P,Q,B,R)")         \
    X(EMBEDDING, "embedding", COMPUTE, embedding, none, "",                                       \
      "y(B,T,C) <- tokens(B,T):i32 weight(V,C) [rows(V):i64]")                                    \
    X(EMBEDDING_BACKWARD, "embedding_backward", COMPUTE, embedding_backward, none, "",            \
      "dweight(V,C):wide <- tokens(B,T):i32 dy(B,T,C) [rows(V):i64]")                             \
    X(POSITIONS, "positions", COMPUTE, positions, none, "",                                       \
      "y(B,T,C) <- x(B,T,C) weight(N,C) [positions(T):i64]")                                      \
    X(POSITIONS_BACKWARD, "positions_backward", COMPUTE, positions_backward, none, "",            \
      "dweight(N,C):wide <- dy(B,T,C) [positions(T):i64]")                                        \
    X(SEGMENTS, "segments", COMPUTE, segments, none, "", "y(B,T,C) <- x(B,T,C) weight(S,C)")      \
    X(SEGMENTS_BACKWARD, "segments_backward", COMPUTE, segments_backward, none, "",               \
      "dweight(S,C):wide <- dy(B,T,C)")                                                           \
    X(LAYER_NORM, "layer_norm", COMPUTE, row_norm, none, "eps:real",                              \
      "y(B,T,C) <- x(B,T,C) weight(C) [bias(C)]")                                                 \
    X(LAYER_NORM_BACKWARD_INPUT, "layer_norm_backward_input", COMPUTE, row_norm_backward_input,   \
      none, "eps:real", "dx(B,T,C) <- dy(B,T,C) x(B,T,C) weight(C)")                              \
    X(LAYER_NORM_BACKWARD_WEIGHT, "layer_norm_backward_weight", COMPUTE,                          \
      row_norm_backward_weight, none, "eps:real",                                                 \
      "dweight(C):wide [dbias(C):wide] <- dy(B,T,C) x(B,T,C)")                                    \
    X(RMS_NORM, "rms_norm", COMPUTE, row_norm, none, "eps:real",                                  \
      "y(B,T,C) <- x(B,T,C) weight(C)")                                                           \
    X(RMS_NORM_BACKWARD_INPUT, "rms_norm_backward_input", COMPUTE, row_norm_backward_input, none, \
      "eps:real", "dx(B,T,C) <- dy(B,T,C) x(B,T,C) weight(C)")                                    \
    X(RMS_NORM_BACKWARD_WEIGHT, "rms_norm_backward_weight", COMPUTE, row_norm_backward_weight,    \
      none, "eps:real", "dweight(C):wide <- dy(B,T,C) x(B,T,C)")                                  \
    X(ROTARY, "rotary", COMPUTE, rotary, none, "heads theta:real",                                \
      "y(B,T,C) <- x(B,T,C) [positions(T):i64]")                                                  \
    X(ROTARY_BACKWARD, "rotary_backward", COMPUTE, rotary, none, "heads theta:real",              \
      "dx(B,T,C) <- dy(B,T,C) [positions(T):i64]")                                                \
    X(SWIGLU, "swiglu", COMPUTE, elementwise, none, "", "y <- gate up")                           \
    X(SWIGLU_BACKWARD, "swiglu_backward", COMPUTE, elementwise, none, "",                         \
      "dgate dup <- dy gate up")                                                                  \
    X(DROPOUT, "dropout", COMPUTE, dropout, none, "rate:real stream [row] [inner]",               \
      "y [mask:u8] <- x seed(1):i64 step(1):i64 first_row(1):i64 [middle(M):i64] [last(N):i64]")  \
    X(DROPOUT_BACKWARD, "dropout_backward", COMPUTE, dropout, none,                               \
      "rate:real stream [row] [inner]",                                                           \
      "dx <- dy seed(1):i64 step(1):i64 first_row(1):i64 [middle(M):i64] [last(N):i64]")          \
    X(DROPOUT_MASK_BACKWARD, "dropout_mask_backward", COMPUTE, elementwise, none, "rate:real",    \
      "dx <- dy mask:u8")                                                                         \
    X(ROUTE, "route", COMPUTE, route, none, "normalise capacity:real",                            \
      "gates(B,..,K):wide slot(B,..,K):i32 probability(B,..,E):wide load(1,E):i64 "               \
      "chosen(1,E):i64 <- logits(B,..,E)")                                                        \
    X(ROUTE_BACKWARD, "route_backward", COMPUTE, route_backward, none,                            \
      "normalise balance:real",                                                                   \
      "dlogits(B,..,E) <- dgates(B,..,K):wide probability(B,..,E):wide slot(B,..,K):i32 "         \
      "chosen(P,E):i64 inverse_count(1):f64")                                                     \
    X(BALANCE, "balance", COMPUTE, balance, none, "row balance:real",                             \
      "counts(L,N):f64 <- probability(B,..,E):wide chosen(P,E):i64 inverse_count(1):f64")         \
    X(ADD_BALANCE, "add_balance", COMPUTE, add_balance, none, "",                                 \
      "loss(2):f64 <- counts(L,N):f64")                                                           \
    X(COUNT_CHOICES, "count_choices", COMPUTE, count_choices, none, "row",                        \
      "counts(L,N):f64 <- slot(B,..,K):i32 chosen(1,E):i64")                                      \
    X(DISPATCH, "dispatch", COMPUTE, dispatch, none, "",                                          \
      "slots(1,E,S,C) <- x(B,..,C) slot(B,..,K):i32")                                             \
    X(DISPATCH_BACKWARD, "dispatch_backward", COMPUTE, combine, none, "",                         \
      "dx(B,..,C) <- dslots(1,E,S,C) slot(B,..,K):i32")                                           \
    X(EXPERT_LINEAR, "expert_linear", COMPUTE, expert_linear, expert_product, "",                 \
      "y(P,E,S,K) <- x(P,E,S,C) weight(E,K,C) load(P,E):i64")                                     \
    X(EXPERT_LINEAR_BACKWARD_INPUT, "expert_linear_backward_input", COMPUTE,                      \
      expert_linear_backward_input, expert_product_dx, "",                                        \
      "dx(P,E,S,C) <- dy(P,E,S,K) weight(E,K,C) load(P,E):i64")                                   \
    X(EXPERT_LINEAR_BACKWARD_WEIGHT, "expert_linear_backward_weight", COMPUTE,                    \
      expert_linear_backward_weight, expert_product_dw, "",                                       \
      "dweight(E,K,C):wide <- x(P,E,S,C) dy(P,E,S,K) load(P,E):i64")                              \
    X(COMBINE, "combine", COMPUTE, combine, none, "",                                             \
      "y(B,..,C) <- slots(1,E,S,C) slot(B,..,K):i32 gates(B,..,K):wide")                          \
    X(COMBINE_BACKWARD, "combine_backward", COMPUTE, combine_backward, none, "",                  \
      "dslots(1,E,S,C) dgates(B,..,K):wide <- dy(B,..,C) slots(1,E,S,C) slot(B,..,K):i32 "        \
      "gates(B,..,K):wide")                                                                       \
    X(BATCH_NORM_STATISTICS, "batch_norm_statistics", COMPUTE, batch_norm_statistics, none, "",   \
      "statistics(1,3,C):f64 <- x(B,C,..)")                                                       \
    X(BATCH_NORM, "batch_norm", COMPUTE, batch_norm, none, "eps:real",                            \
      "y(B,C,..) <- x(B,C,..) statistics(P,3,C):f64 weight(C) bias(C)")                           \
    X(BATCH_NORM_INFERENCE, "batch_norm_inference", COMPUTE, batch_norm_inference, none,          \
      "eps:real",                                                                                 \
      "y(B,C,..) <- x(B,C,..) running_mean(C):wide running_var(C):wide weight(C) bias(C)")        \
    X(BATCH_NORM_REDUCE, "batch_norm_reduce", COMPUTE, batch_norm_reduce, none, "eps:real",       \
      "sums(2,C):f64 <- dy(B,C,..) x(B,C,..) statistics(P,3,C):f64")                              \
    X(BATCH_NORM_BACKWARD_WEIGHT, "batch_norm_backward_weight", COMPUTE,                          \
      batch_norm_backward_weight, none, "", "dweight(C):wide [dbias(C):wide] <- sums(2,C):f64")   \
    X(BATCH_NORM_BACKWARD_INPUT, "batch_norm_backward_input", COMPUTE, batch_norm_backward_input, \
      none, "eps:real",                                                                           \
      "dx(B,C,..) <- dy(B,C,..) x(B,C,..) statistics(P,3,C):f64 sums(2,C):f64 weight(C)")         \
    X(BATCH_NORM_UPDATE, "batch_norm_update", COMPUTE, batch_norm_update, none, "momentum:real",  \
      "running_mean(C):wide running_var(C):wide <- running_mean(C):wide running_var(C):wide "     \
      "statistics(P,3,C):f64")                                                                    \
    X(CROSS_ENTROPY, "cross_entropy", COMPUTE, loss, none, "[smoothing:real]",                    \
      "loss(2):f64 [probability(B,..,C):wide] <- logits(B,..,C) labels(B,..):i32 "                \
      "inverse_count(1):f64")                                                                     \
    X(CROSS_ENTROPY_BACKWARD, "cross_entropy_backward", COMPUTE, loss, none, "[smoothing:real]",  \
      "dlogits(B,..,C) <- probability(B,..,C):wide labels(B,..):i32 inverse_count(1):f64")        \
    X(VOCABULARY_MAX, "vocabulary_max", COMPUTE, vocabulary_max, none, "",                        \
      "largest(B,..):wide <- logits(B,..,V) [classes(V):i64]")                                    \
    X(VOCABULARY_SUMS, "vocabulary_sums", COMPUTE, vocabulary_sums, none, "",                     \
      "sums(B,..,S):wide [exponential(B,..,V):wide] <- logits(B,..,V) largest(B,..):wide "        \
      "labels(B,..):i32 [classes(V):i64]")                                                        \
    X(VOCABULARY_LOSS, "vocabulary_loss", COMPUTE, vocabulary_loss, none,                         \
      "classes [smoothing:real]",                                                                 \
      "loss(2):f64 <- sums(B,..,S):wide labels(B,..):i32 inverse_count(1):f64")                   \
    X(VOCABULARY_LOSS_BACKWARD, "vocabulary_loss_backward", COMPUTE, vocabulary_loss_backward,    \
      none, "classes [smoothing:real]",                                                           \
      "dlogits(B,..,V) <- exponential(B,..,V):wide sums(B,..,S):wide labels(B,..):i32 "           \
      "inverse_count(1):f64 [classes(V):i64]")                                                    \
    X(TO_BF16, "to_bf16", COMPUTE, linear, none, "", "y:bf16 <- x")                               \
    X(FROM_BF16, "from_bf16", COMPUTE, linear, none, "", "y <- x:bf16")                           \
    X(TO_F16, "to_f16", COMPUTE, linear, none, "", "y:f16 <- x")                                  \
    X(FROM_F16, "from_f16", COMPUTE, linear, none, "", "y <- x:f16")                              \
    X(FEED_ERROR, "feed_error", COMPUTE, feed_error, outputs, "row", "sum <- error(L,..)")        \
    X(KEEP_ERROR, "keep_error", COMPUTE, keep_error, none, "row", "error(L,..) <- x")             \
    X(LOW_RANK_LEFT, "low_rank_left", COMPUTE, low_rank, low_rank, "[matrices]",                  \
      "p(N,R) <- x q(M,R)")                                                                       \
    X(LOW_RANK_RIGHT, "low_rank_right", COMPUTE, low_rank, low_rank, "[matrices]",                \
      "q(M,R) <- x p(N,R)")                                                                       \
    X(LOW_RANK_REST, "low_rank_rest", COMPUTE, low_rank, low_rank, "[matrices]",                  \
      "rest <- x p(N,R) q(M,R)")                                                                  \
    X(LOW_RANK_WHOLE, "low_rank_whole", COMPUTE, expand, low_rank, "[matrices]",                  \
      "x <- p(N,R) q(M,R)")                                                                       \
    X(ORTHOGONALISE, "orthogonalise", COMPUTE, expand, low_rank, "[matrices]",                    \
      "y(N,R) <- x(N,R)")                                                                         \
    X(TOP_K, "top_k", COMPUTE, top_k, none, "", "pairs(K,2) rest <- x")                           \
    X(SPREAD, "spread", COMPUTE, expand, none, "first count period", "x <- pairs(N,2)")            \
    X(FOLD, "fold", COMPUTE, fold, outputs, "", "sum <- x")                                     \
    X(CONCATENATE, "concatenate", COMPUTE, concatenate, none, "", "y <- x...")                    \
    X(COPY, "copy", COMPUTE, linear, none, "", "y <- x")                                          \
    X(SLICE, "slice", COMPUTE, slice, none, "dim", "y <- x(B,..) index(N):i64")                   \
    X(TO_CHUNKS, "to_chunks", COMPUTE, to_chunks, none, "dim [sections]", "chunks(W,N) <- x")     \
    X(FROM_CHUNKS, "from_chunks", COMPUTE, from_chunks, none, "dim [sections]",                   \
      "x <- chunks(W,N)")                                                                         \
    X(SGD, "sgd", COMPUTE, update, none, "momentum:real weight_decay:real nesterov",              \
      "weight [velocity] <- gradient learning_rate(1):f64 [factor(1):f64]")                       \
    X(ADAM, "adam", COMPUTE, update, none,                                                        \
      "beta1:real beta2:real eps:real weight_decay:real decoupled",                               \
      "weight exp_avg exp_avg_sq <- gradient learning_rate(1):f64 step(1):i64 [factor(1):f64]")   \
    X(INCREMENT, "increment", COMPUTE, update, none, "", "count(1):i64 <-")                       \
    X(SQUARE_SUMS, "square_sums", COMPUTE, blocks, none, "", "partial(N):f64 <- gradient")        \
    X(ADD_BLOCKS, "add_blocks", COMPUTE, whole, none, "", "sum(1):f64 <- partial(N):f64")         \
    X(CLIP, "clip", COMPUTE, whole, none, "max_norm:real [by:real]",                              \
      "norm(1):f64 factor(1):f64 finite(1):f64 <- square_sum(1):f64 loss(2):f64 "                 \
      "[scale(1):f64]")                                                                           \
    X(SCALE, "scale", COMPUTE, whole, none, "[by:real]", "y(1):f64 <- x(1):f64 [scale(1):f64]")   \
    X(RESCALE, "rescale", COMPUTE, whole, none, "every",                                          \
      "scale(1):f64 good(1):i64 <- finite(1):f64")                                                \
    X(FUSED, "fused", COMPUTE, nothing, none, "fusion", "")                                       \
    X(ALL_REDUCE, "all_reduce", COMMUNICATION, all_reduce, none, "", "y... <- x...")              \
    X(REDUCE_SCATTER, "reduce_scatter", COMMUNICATION, reduce_scatter, none, "", "y... <- x...")  \
    X(ALL_GATHER, "all_gather", COMMUNICATION, all_gather, none, "", "y... <- x...")              \
    X(BROADCAST, "broadcast", COMMUNICATION, broadcast, none, "", "x... <- x...")                 \
    X(REDUCE, "reduce", COMMUNICATION, reduce, none, "", "y... <- x...")                          \
    X(SCATTER, "scatter", COMMUNICATION, scatter, none, "", "y <- x...")                          \
    X(GATHER, "gather", COMMUNICATION, gather, none, "", "y... <- x")                             \
    X(ALL_TO_ALL, "all_to_all", COMMUNICATION, all_to_all, none, "", "y <- x")                    \
    X(ALL_TO_ALL_V, "all_to_all_v", COMMUNICATION, all_to_all_v, none, "",                        \
      "y received:i64 <- x counts:i64")                                                           \
    X(SEND, "send", COMMUNICATION, send, none, "tag", "<- x...")                                  \
    X(RECEIVE, "receive", COMMUNICATION, receive, none, "tag", "y... <-")                         \
    X(BARRIER, "barrier", COMMUNICATION, nothing, none, "", "<-")
// clang-format on

// Sums over elements are folded from blocks of so many (docs/contract.md, 6).
enum { KIND_SUM_BLOCK = 4096 };

// A label that takes no part in a loss.
enum { LABEL_IGNORED = -100 };

// Kernel, stride and pad of a window are at most so large: no size overflows.
enum { KIND_WINDOW_MAX = 1 << 20 };

typedef enum {
#define X(constant, name, class, rule, flops, attributes, operands) KIND_##constant,
    KIND_LIST(X)
#undef X
        KIND_COUNT
} Kind;

// X(constant, name, bytes). The real types come first: kernels compute in one of them. A bf16 is
// the upper half of an f32 (core/base/bf16.h). An f16 (core/base/f16.h) is only stored and sent.
// clang-format off
#define DTYPE_LIST(X)                                                        \
    X(F32, "f32", 4) X(F64, "f64", 8) X(BF16, "bf16", 2) X(I32, "i32", 4)    \
    X(I64, "i64", 8) X(U8, "u8", 1) X(F16, "f16", 2)
// clang-format on
typedef enum {
#define X(constant, name, bytes) DTYPE_##constant,
    DTYPE_LIST(X)
#undef X
        DTYPE_COUNT
} Dtype;
enum { DTYPE_REALS = DTYPE_BF16 + 1 };
static inline bool dtype_is_real(Dtype d) { return (int)d < DTYPE_REALS; }

// Two bytes, whose sums are f32 until they are complete (docs/contract.md, 3).
static inline bool dtype_is_half(Dtype d) { return d == DTYPE_BF16 || d == DTYPE_F16; }

// The type of what must not be rounded to so few digits: weights, their gradients, statistics.
static inline Dtype dtype_wide(Dtype d) { return dtype_is_half(d) ? DTYPE_F32 : d; }

// A class of memory as reports name it; activations include inputs, scratch includes scalars.
// clang-format off
#define MEMORY_LIST(X)                                                                       \
    X(PARAMETERS, "parameters") X(GRADIENTS, "gradients") X(OPTIMISER, "optimiser")          \
    X(ACTIVATIONS, "activations") X(COMMUNICATION, "communication") X(SCRATCH, "scratch")
// clang-format on
typedef enum {
#define X(constant, name) MEMORY_##constant,
    MEMORY_LIST(X)
#undef X
        MEMORY_COUNT
} Memory;

// How long a tensor lasts. CONTENT: what it holds outlives the plan, is there in the next step and
// in evaluation, and is what a checkpoint stores; PLACE: only its memory is kept, for the host or
// for kernels; USE: from its first operation to its last, memory is shared.
typedef enum { LASTS_CONTENT, LASTS_PLACE, LASTS_USE } Lasting;

// What a tensor is for: X(constant, name, class of memory, how long it lasts). State is what a step
// writes and evaluation may read: running statistics, a loss scale. Feedback is what compression of
// gradients keeps for the next step. A copy is a parameter in the type of the arithmetic, where
// that has fewer digits.
// clang-format off
#define ROLE_LIST(X)                                     \
    X(PARAMETER, "parameter", PARAMETERS, CONTENT)       \
    X(COPY, "copy", PARAMETERS, USE)                     \
    X(GRADIENT, "gradient", GRADIENTS, USE)              \
    X(OPTIMISER, "optimiser", OPTIMISER, CONTENT)        \
    X(STATE, "state", OPTIMISER, CONTENT)                \
    X(FEEDBACK, "feedback", OPTIMISER, CONTENT)          \
    X(ACTIVATION, "activation", ACTIVATIONS, USE)        \
    X(INPUT, "input", ACTIVATIONS, USE)                  \
    X(BUFFER, "buffer", COMMUNICATION, USE)              \
    X(SCALAR, "scalar", SCRATCH, PLACE)                  \
    X(SCRATCH, "scratch", SCRATCH, PLACE)
// clang-format on
typedef enum {
#define X(constant, name, memory, lasting) ROLE_##constant,
    ROLE_LIST(X)
#undef X
        ROLE_COUNT
} Role;

// clang-format off
#define PHASE_LIST(X)                                                                 \
    X(SETUP, "setup") X(INPUT, "input") X(FORWARD, "forward")                         \
    X(RECOMPUTE, "recompute") X(BACKWARD, "backward") X(SYNC, "sync")                 \
    X(UPDATE, "update") X(EVALUATE, "evaluate")
// clang-format on
typedef enum {
#define X(constant, name) PHASE_##constant,
    PHASE_LIST(X)
#undef X
        PHASE_COUNT
} Phase;

// The order in which a collective adds contributions (docs/contract.md, 4): that of the ranks, or
// whatever its schedule makes of it.
typedef enum { ORDER_RANK, ORDER_SCHEDULE } Order;

// Algorithms of collectives: X(constant, name in files and options, order of addition, what it
// does, for --help). parallel/collective/schedule.c says which collective has which.
// clang-format off
#define ALGORITHM_LIST(X)                                                                       \
    X(DIRECT, "direct", RANK, "each rank adds up its slice of everybody's data.")               \
    X(CHAIN, "chain", RANK, "sums pass from rank to rank, in pieces.")                          \
    X(RING, "ring", SCHEDULE, "the bandwidth-optimal ring, whose order of addition differs "    \
                              "from 3 ranks on, and so do the last bits.")
// clang-format on
typedef enum {
#define X(constant, name, order, text) ALGORITHM_##constant,
    ALGORITHM_LIST(X)
#undef X
        ALGORITHM_COUNT
} Algorithm;

// "direct|chain|ring": the words of an option, in the order of the enum; and a sentence on each.
#define ALGORITHM_WORD(constant, name, order, text) "|" name
#define ALGORITHM_SENTENCE(constant, name, order, text) " " name ": " text
#define ALGORITHM_WORDS (&ALGORITHM_LIST(ALGORITHM_WORD)[1])
#define ALGORITHM_HELP (&ALGORITHM_LIST(ALGORITHM_SENTENCE)[1])

typedef enum { REDUCE_SUM, REDUCE_MAX } Reduce;

// A program has so many lanes of communication at most. Messages have so many tags; a tag is less.
enum { COMMUNICATION_LANES = 32, MESSAGE_TAGS = 16 };

// A lane of copies carries nothing else.
typedef enum { LANE_COMPUTE, LANE_COMMUNICATION, LANE_COPY, LANE_HOST } LaneKind;

// data: reads what the other wrote, or writes what the other read or wrote; order: asked for by the
// strategy; reuse: the two tensors share memory, found by lower().
typedef enum { DEP_DATA, DEP_ORDER, DEP_REUSE } DepKind;

// What a scalar holds that the run writes before each turn: X(constant, name in files, its type).
// rows, first_row: how many rows of the turn's data a micro-batch has, and where they begin; cut
// over the ranks along the axes that the scalar names. coordinate: the rank's place along these.
// index: not one value, but for each element of a rank's piece its number in the whole tensor, and
// -1 for what a smaller piece leaves free; so an operation that reads it knows what this rank has.
// clang-format off
#define SCALAR_SOURCE_LIST(X)                                                               \
    X(STEP, "step", I64) X(LEARNING_RATE, "learning_rate", F64)                             \
    X(INVERSE_COUNT, "inverse_count", F64) X(FIRST_ROW, "first_row", I64)                   \
    X(ROWS, "rows", I64) X(COORDINATE, "coordinate", I64) X(SEED, "seed", I64)              \
    X(LOSS_SCALE, "loss_scale", F64) X(INDEX, "index", I64)
// clang-format on
typedef enum {
    SCALAR_NONE,  // no value of the run's
#define X(constant, name, dtype) SCALAR_##constant,
    SCALAR_SOURCE_LIST(X)
#undef X
        SCALAR_COUNT
} ScalarSource;

// What the run reads from a scalar when a plan that writes it has ended: X(constant, name in
// files). loss: one or more pairs (sum of losses, correct answers) in f64, added in their order.
// gradient_norm: of all gradients before they are clipped. finite: zero where the step found
// something that is not finite and left the weights as they were. choices: of each layer of experts
// its part of the loss, how many choices of tokens were dropped, and how many fell on each expert
// (core/plan/expert.h).
// clang-format off
#define RESULT_LIST(X)                                                                  \
    X(LOSS, "loss") X(GRADIENT_NORM, "gradient_norm") X(FINITE, "finite")               \
    X(CHOICES, "choices")
// clang-format on
typedef enum {
    RESULT_NONE,
#define X(constant, name) RESULT_##constant,
    RESULT_LIST(X)
#undef X
        RESULT_COUNT
} Result;

// When a run executes a plan: X(constant, name in files). A plan of each_step trains on a batch;
// plans of each_epoch and at_end see the data that are held back for evaluation.
// clang-format off
#define WHEN_LIST(X)                                                           \
    X(ONCE, "once") X(EACH_STEP, "each_step") X(EACH_EPOCH, "each_epoch")      \
    X(AT_END, "at_end")
// clang-format on
typedef enum {
    WHEN_NONE,  // not by itself
#define X(constant, name) WHEN_##constant,
    WHEN_LIST(X)
#undef X
        WHEN_COUNT
} When;

const char *kind_name(Kind k);
WorkClass kind_class(Kind k);
bool kind_communicates(Kind k);  // its class is CLASS_COMMUNICATION
bool kind_loads(Kind k);         // it brings rows of the data
bool kind_reduces(Kind k);       // a collective that adds up what its members bring
bool kind_cuts(Kind k);          // a reduce_scatter, all_gather: output i is of each part's input i
const char *kind_operands(Kind k);

// The type of an operand: of one word of kind_operands(), "lse(B,T,heads):wide"; of the i-th of an
// operation, its outputs first. `dtype` is the operation's.
Dtype kind_word_dtype(const char *word, Dtype dtype);
Dtype kind_operand_dtype(Kind k, Dtype dtype, int outputs, int i);
const char *dtype_name(Dtype d);
int64_t dtype_bytes(Dtype d);

// Element i of an array of a real type or f16, without rounding.
double dtype_read(Dtype d, const void *data, int64_t i);
const char *role_name(Role r);
Memory role_memory(Role r);
bool role_persists(Role r);     // LASTS_CONTENT
bool role_keeps_place(Role r);  // its memory is its own for the whole run: not LASTS_USE
const char *memory_name(Memory m);
const char *phase_name(Phase p);
const char *algorithm_name(Algorithm a);  // "?" for none of the list
Order algorithm_order(Algorithm a);
const char *lane_kind_name(LaneKind k);
const char *scalar_source_name(ScalarSource s);  // NULL of SCALAR_NONE; so are the next two
const char *result_name(Result r);
const char *when_name(When w);
Dtype scalar_source_dtype(ScalarSource s);
bool scalar_source_is_cut(ScalarSource s);  // does its value depend on the rank's coordinates?

// The value whose name is `name` (of `length` bytes), or -1.
int kind_find(const char *name, int length);
int dtype_find(const char *name, int length);
int algorithm_find(const char *name, int length);

// Number of attributes of a kind, the name of the i-th (its length in *length), whether it is real,
// and whether it may be left out.
int kind_attribute_count(Kind k);
const char *kind_attribute(Kind k, int i, int *length, int *real);
bool kind_attribute_is_optional(Kind k, int i);

#endif
