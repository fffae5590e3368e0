// SPDX-License-Identifier: MIT
// The words of model files: which attributes a layer has, and what to answer to a word that is
// none. People bring the words of the framework they come from.
#include "core/base/nearest.h"
#include "core/base/text.h"
#include "core/nn/model_internal.h"

#include <ctype.h>
#include <string.h>

enum { WORD = 40 };  // bytes of a word that is looked at

const char *layer_attribute_name(Attribute a) {
    static const char *const names[] = {
#define X(attribute, name, value) name,
        ATTRIBUTE_LIST(X)
#undef X
    };
    return names[a];
}

// A layer of one input takes the output of the line before, unless it says otherwise.
bool layer_requires(const LayerRow *row, Attribute a) {
    return a == ATTRIBUTE_FROM ? row->inputs > 1 && !row->or_one : row->required >> a & 1;
}

bool layer_takes(const LayerRow *row, Attribute a) {
    return a == ATTRIBUTE_FROM || (row->required | row->optional) >> a & 1;
}

// --- words of other frameworks, without capitals and underscores

typedef struct {
    const char *theirs, *ours;
} ForeignWord;

static const ForeignWord foreign_layers[] = {
    {"conv", "conv2d"},
    {"convolution", "conv2d"},
    {"convolution2d", "conv2d"},
    {"dense", "linear"},
    {"fc", "linear"},
    {"fullyconnected", "linear"},
    {"maxpool2d", "max_pool"},
    {"maxpooling", "max_pool"},
    {"maxpooling2d", "max_pool"},
    {"pool", "max_pool"},
    {"avgpool2d", "avg_pool"},
    {"averagepooling", "avg_pool"},
    {"averagepooling2d", "avg_pool"},
    {"adaptiveavgpool2d", "avg_pool"},
    {"globalaveragepooling2d", "avg_pool"},
    {"mean", "avg_pool"},
    {"batchnorm1d", "batch_norm"},
    {"batchnorm2d", "batch_norm"},
    {"batchnormalization", "batch_norm"},
    {"bn", "batch_norm"},
    {"residual", "add"},
    {"sum", "add"},
    {"plus", "add"},
    {"reshape", "flatten"},
    {"view", "flatten"},
    {"multiheadattention", "attention"},
    {"selfattention", "attention"},
    {"scaleddotproductattention", "attention"},
    {"rope", "rotary"},
    {"rotaryembedding", "rotary"},
    {"silu", "swiglu"},
    {"glu", "swiglu"},
    {"tokentypeembeddings", "segments"},
    {"positionembeddings", "positions"},
    {"wordembeddings", "embedding"},
    {"moe", "experts"},
    {"mixtureofexperts", "experts"},
    {"sparsemoe", "experts"},
    {"switch", "experts"},
};
static const ForeignWord foreign_attributes[] = {
    {"epsilon", "eps"},
    {"padding", "pad"},
    {"kernelsize", "kernel"},
    {"poolsize", "kernel"},
    {"window", "kernel"},
    {"strides", "stride"},
    {"outchannels", "out"},
    {"outfeatures", "out"},
    {"filters", "out"},
    {"channels", "out"},
    {"units", "out"},
    {"hidden", "out"},
    {"usebias", "bias"},
    {"input", "from"},
    {"inputs", "from"},
    {"tied", "tie"},
    {"weight", "tie"},
    {"numheads", "heads"},
    {"nhead", "heads"},
    {"numkeyvalueheads", "kv_heads"},
    {"iscausal", "causal"},
    {"rate", "p"},
    {"base", "theta"},
    {"requiresgrad", "trainable"},
    {"frozen", "trainable"},
    {"freeze", "trainable"},
    {"numexperts", "count"},
    {"numlocalexperts", "count"},
    {"topk", "top_k"},
    {"numexpertspertok", "top_k"},
    {"capacityfactor", "capacity"},
    {"routerauxlosscoef", "balance"},
    {"ffn", "hidden"},
    {"intermediatesize", "hidden"},
};

// What is done elsewhere, or follows from the rest of the file.
static const ForeignWord foreign_reasons[] = {
    {"softmax", "softmax is in the loss: leave the line out"},
    {"logsoftmax", "softmax is in the loss: leave the line out"},
    {"crossentropy", "the loss is always softmax cross-entropy: leave the line out"},
    {"crossentropyloss", "the loss is always softmax cross-entropy: leave the line out"},
    {"inchannels", "what comes in follows from the layer before: leave it out"},
    {"infeatures", "what comes in follows from the layer before: leave it out"},
};

#define FOREIGN(list, word) foreign_find((list), sizeof(list) / sizeof *(list), (word))
static const char *foreign_find(const ForeignWord *list, size_t count, const char *word) {
    char plain[WORD];
    size_t n = 0;
    for (; *word && n + 1 < sizeof plain; word++)
        if (*word != '_') plain[n++] = (char)tolower((unsigned char)*word);
    plain[n] = '\0';
    for (size_t i = 0; i < count; i++)
        if (!strcmp(list[i].theirs, plain)) return list[i].ours;
    return NULL;
}

// " (did you mean conv2d?)", unless a reason says more.
static void suggest(char out[LAYER_ADVICE], const char *best, const char *reason) {
    out[0] = '\0';
    if (!reason && best) text_append(out, LAYER_ADVICE, " (did you mean %s?)", best);
    if (reason) text_append(out, LAYER_ADVICE, " (%s)", reason);
}

const char *layer_advise(char out[LAYER_ADVICE], const char *word) {
    Nearest near = {.word = word};
    for (int k = 0; layer_rows[k]; k++) nearest_offer(&near, layer_rows[k]->word);
    for (int i = 0; model_line_words[i]; i++) nearest_offer(&near, model_line_words[i]);
    const char *ours = FOREIGN(foreign_layers, word);
    suggest(out, ours ? ours : near.best, FOREIGN(foreign_reasons, word));
    text_append(out, LAYER_ADVICE, "; there are");
    for (int k = 0; layer_rows[k]; k++)
        text_append(out, LAYER_ADVICE, "%s %s", k ? "," : "", layer_rows[k]->word);
    return out;
}

const char *layer_advise_attribute(char out[LAYER_ADVICE], const LayerRow *row, const char *word) {
    Nearest near = {.word = word};
    const char *ours = FOREIGN(foreign_attributes, word);
    bool known = false, any = false;
    for (int a = 0; a < ATTRIBUTE_COUNT; a++) {
        const char *name = layer_attribute_name((Attribute)a);
        if (!layer_takes(row, (Attribute)a)) continue;
        nearest_offer(&near, name);
        known = known || (ours && !strcmp(ours, name));
    }
    suggest(out, known ? ours : near.best, FOREIGN(foreign_reasons, word));
    text_append(out, LAYER_ADVICE, "; it has");
    for (int a = 0; a < ATTRIBUTE_COUNT; a++) {
        if (!layer_takes(row, (Attribute)a)) continue;
        text_append(out, LAYER_ADVICE, "%s %s", any ? "," : "", layer_attribute_name((Attribute)a));
        any = true;
    }
    if (!any) text_append(out, LAYER_ADVICE, " none");
    return out;
}
