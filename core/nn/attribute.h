// SPDX-License-Identifier: MIT
// Attributes of layers: the words of model files.
#ifndef CORE_NN_ATTRIBUTE_H
#define CORE_NN_ATTRIBUTE_H

// What a layer may say in a model file: X(ATTRIBUTE, its word, what its value is). POSITIVE and
// NATURAL are whole numbers from 1 and from 0, REAL is a number above 0, AMOUNT that or 0, SWITCH
// is true or false, PLACEMENT says how a weight lies along the axis "tensor", LAYERS names layers.
// Each kind of layer says which it takes; all take `from`.
#define ATTRIBUTE_LIST(X)             \
    X(OUT, "out", POSITIVE)           \
    X(TYPES, "types", POSITIVE)       \
    X(KERNEL, "kernel", POSITIVE)     \
    X(STRIDE, "stride", POSITIVE)     \
    X(PAD, "pad", NATURAL)            \
    X(BIAS, "bias", SWITCH)           \
    X(HEADS, "heads", POSITIVE)       \
    X(KV_HEADS, "kv_heads", POSITIVE) \
    X(CAUSAL, "causal", SWITCH)       \
    X(UNFUSED, "unfused", SWITCH)     \
    X(MASK, "mask", SWITCH)           \
    X(THETA, "theta", REAL)           \
    X(P, "p", REAL)                   \
    X(EPS, "eps", REAL)               \
    X(MOMENTUM, "momentum", REAL)     \
    X(STD, "std", REAL)               \
    X(TANH, "tanh", SWITCH)           \
    X(GLOBAL, "global", SWITCH)       \
    X(COUNT_OF, "count", POSITIVE)    \
    X(TOP_K, "top_k", POSITIVE)       \
    X(HIDDEN, "hidden", POSITIVE)     \
    X(CAPACITY, "capacity", REAL)     \
    X(BALANCE, "balance", AMOUNT)     \
    X(NORMALISE, "normalise", SWITCH) \
    X(TRAINABLE, "trainable", SWITCH) \
    X(PLACE, "place", PLACEMENT)      \
    X(TIE, "tie", LAYERS)             \
    X(FROM, "from", LAYERS)

typedef enum {
#define X(attribute, ...) ATTRIBUTE_##attribute,
    ATTRIBUTE_LIST(X)
#undef X
        ATTRIBUTE_COUNT
} Attribute;

#endif
