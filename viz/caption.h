// SPDX-License-Identifier: MIT
// Phrases of captions about one run; those about several are in viz/figures_internal.h.
#ifndef VIZ_CAPTION_H
#define VIZ_CAPTION_H

#include "viz/figures.h"

// "Simulated: dgx-a100, f32, pp 2, dp 4, 8 GPUs, batch 512. "
void caption_job(FILE *out, const FigureOptions *o, const Report *run);
void caption_machine(FILE *out, const Report *run);  // "AMD EPYC, 2 cores"
const char *caption_rank(const FigureOptions *o);    // "rank" or "GPU", to which an s is added
void caption_ranks(FILE *out, const FigureOptions *o, int count);  // "1 rank", "8 GPUs"

// "0.358 ms", "549200 ms": so many digits or those before the point, never an exponent.
enum { CAPTION_MS = 48 };
const char *caption_ms(char out[CAPTION_MS], double ms, int digits);

#endif
