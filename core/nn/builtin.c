// SPDX-License-Identifier: MIT
// Built-in models by name, in sizes that were published:
//   GPT-2    Radford et al., Language Models are Unsupervised Multitask Learners, 2019, as the
//            weights came out (124 M to 1558 M)
//   GPT-3    Brown et al., Language Models are Few-Shot Learners, 2020, table 2.1; its attention is
//            sparse in every other layer, this one's is dense, which changes no parameter
//   Llama 3  Grattafiori et al., The Llama 3 Herd of Models, 2024, table 3; trained on 8,192 tokens
//   BERT     Devlin et al., BERT, 2019, section 3, with the vocabulary of bert-large-uncased
//   Mixtral  Jiang et al., Mixtral of Experts, 2024, table 1
#include "core/nn/builtin.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define GPT(layers, hidden, heads, seq) \
    "layers=" layers ",hidden=" hidden ",heads=" heads ",seq=" seq ",vocabulary=50257"
#define LLAMA_3(layers, hidden, heads, mlp)                                               \
    "layers=" layers ",hidden=" hidden ",heads=" heads ",kv_heads=8,mlp=" mlp ",seq=8192" \
    ",vocabulary=128256,theta=500000"

const BuiltinSize builtin_sizes[] = {
    {"gpt2", "gpt", GPT("12", "768", "12", "1024")},
    {"gpt2-medium", "gpt", GPT("24", "1024", "16", "1024")},
    {"gpt2-large", "gpt", GPT("36", "1280", "20", "1024")},
    {"gpt2-xl", "gpt", GPT("48", "1600", "25", "1024")},
    {"gpt3-175b", "gpt", GPT("96", "12288", "96", "2048")},
    {"llama-3-8b", "llama", LLAMA_3("32", "4096", "32", "14336")},
    {"llama-3-70b", "llama", LLAMA_3("80", "8192", "64", "28672")},
    {"llama-3-405b", "llama", LLAMA_3("126", "16384", "128", "53248")},
    {"bert-large", "bert", "layers=24,hidden=1024,heads=16,seq=512,vocabulary=30522"},
    {"mixtral-8x7b", "mixtral",
     "layers=32,hidden=4096,heads=32,kv_heads=8,mlp=14336,experts=8,top_k=2,seq=32768"
     ",vocabulary=32000"},
};
const int builtin_sizes_count = sizeof builtin_sizes / sizeof *builtin_sizes;

static bool is_word(const char *name, const char *text, size_t length) {
    return strlen(name) == length && !memcmp(name, text, length);
}

const EmbeddedFile *builtin_find(const BuiltinSize **size, const char *name, size_t length) {
    *size = NULL;
    for (int i = 0; i < builtin_sizes_count; i++)
        if (is_word(builtin_sizes[i].name, name, length)) *size = &builtin_sizes[i];
    if (*size) name = (*size)->model, length = strlen(name);
    for (int i = 0; i < builtin_models_count; i++)
        if (is_word(builtin_models[i].name, name, length)) return &builtin_models[i];
    return NULL;
}

// Does "layers=2,hidden=64" set the parameter with which `word` begins, "hidden=1600,..."?
static bool is_given(const char *given, const char *word) {
    size_t name = strcspn(word, "=") + 1;
    for (const char *at = given; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (!strncmp(at, word, name)) return true;
    }
    return false;
}

const char *builtin_size_parameters(const BuiltinSize *size, Arena *a, const char *given) {
    char *out = arena_push(a, strlen(given) + strlen(size->parameters) + 2);
    if (!out) return NULL;
    char *end = out + sprintf(out, "%s", given);
    for (const char *at = size->parameters; *at;) {
        size_t length = strcspn(at, ",");
        if (!is_given(given, at))
            end += sprintf(end, "%s%.*s", end == out ? "" : ",", (int)length, at);
        at += length + (at[length] == ',');
    }
    return out;
}
