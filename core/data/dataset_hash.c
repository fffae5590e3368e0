// SPDX-License-Identifier: MIT
// Whether two runs learn from the same data: a file may have moved, and a name may have stayed.
#include "core/base/hash.h"
#include "core/data/dataset.h"

enum { IMAGES_MOST = 4096, TOKENS_MOST = 1 << 20 };  // that are looked at

static uint64_t hash_text(uint64_t hash, const Corpus *c) {
    int64_t stride = 1 + c->length / TOKENS_MOST;
    hash = hash_u64(hash, (uint64_t)c->length);
    hash = hash_u64(hash, (uint64_t)c->vocabulary);
    hash = hash_u64(hash, (uint64_t)c->window);
    for (int64_t i = 0; i < c->length; i += stride)
        hash = hash_u64(hash, (uint64_t)corpus_token(c, i));
    return hash;
}

static uint64_t hash_labels(uint64_t hash, const DatasetPart *p) {
    for (int64_t i = 0; p->labels && i < p->count; i++)
        hash = hash_bytes(hash, p->labels + i * p->label_step, 1);
    return hash;
}

uint64_t dataset_hash(const Dataset *d) {
    uint64_t hash = hash_u64(HASH_START, (uint64_t)d->count);
    int64_t pixels = dataset_pixels(d), stride = 1 + d->count / IMAGES_MOST;
    hash = hash_u64(hash, (uint64_t)d->height);
    hash = hash_u64(hash, (uint64_t)d->width);
    hash = hash_u64(hash, (uint64_t)d->train_count);
    if (dataset_is_text(d)) hash = hash_text(hash, &d->text);
    if (d->masked) hash = hash_u64(hash, d->masked);
    if (d->channels > 1) hash = hash_u64(hash, (uint64_t)d->channels);
    for (int k = 0; k < d->part_count; k++) hash = hash_labels(hash, &d->parts[k]);
    for (int64_t i = 0; i < d->count && d->part_count; i += stride) {
        int64_t row = i;
        const DatasetPart *p = dataset_part(d, &row);
        if (!p->images) break;
        hash = hash_bytes(hash, p->images + row * p->image_step, (size_t)pixels);
    }
    return hash;
}
