// SPDX-License-Identifier: MIT
// Built-in models by name. The sizes of GPT-2 are those of Radford et al., Language Models are
// Unsupervised Multitask Learners, 2019, as their weights were published (124 M to 1558 M).
#include "core/nn/builtin.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define GPT2(size, layers, hidden, heads)                                                   \
    {                                                                                       \
        "gpt2" size, "gpt",                                                                 \
            "layers=" layers ",hidden=" hidden ",heads=" heads ",seq=1024,vocabulary=50257" \
    }
const BuiltinSize builtin_sizes[] = {
    GPT2("", "12", "768", "12"),
    GPT2("-medium", "24", "1024", "16"),
    GPT2("-large", "36", "1280", "20"),
    GPT2("-xl", "48", "1600", "25"),
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
