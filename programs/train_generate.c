// SPDX-License-Identifier: MIT
// A job whose weights write text: the prompt, its output, Ctrl-C. parallel/run/generate.h draws.
#include "programs/train_generate.h"

#include "core/base/file.h"
#include "parallel/run/generate.h"
#include "programs/train_explain.h"
#include "programs/train_interrupt.h"
#include "programs/train_prepare.h"

#include <errno.h>
#include <stdio.h>

// A new line, where the text has one; else its first character.
static const char *default_prompt(const Corpus *c, char out[5]) {
    int token;
    if (corpus_encode(c, "\n", 1, &token)) return "\n";
    corpus_text(c, 0, out);
    return out;
}

static Status write(const Generator *g, int token) {
    char text[5];
    int length = corpus_text(&g->job->data.text, token, text);
    if (fwrite(text, 1, (size_t)length, stdout) != (size_t)length || fflush(stdout) != 0)
        FAIL(ERR_IO, "standard output: %s", file_write_reason(errno));
    return OK;
}

static Status generate(Generator *g, const TrainOptions *o) {
    char first[5];
    int token = 0;
    TRY(generator_prompt(g, o->prompt ? o->prompt : default_prompt(&g->job->data.text, first)));
    if (o->prompt) fputs(o->prompt, stdout);
    for (int64_t i = 0; i < o->generate; i++) {
        if (*train_interrupt_count())
            FAIL(ERR_INTERRUPTED, "interrupted after %lld of %lld tokens", (long long)i,
                 (long long)o->generate);
        TRY(generator_next(g, o->temperature, &token));
        TRY(write(g, token));
    }
    return OK;
}

Status train_generate(const TrainOptions *o, const JobOptions *options, const OptionLine *line,
                      Log *l) {
    Job job;
    Generator g = {0};
    Status s = train_prepare_job(&job, o, options);
    if (s == OK) train_explain_options(l, line, options, &job);
    if (s == OK) s = device_reserve(job.device, 1);
    if (s == OK) s = generator_create(&g, &job);
    train_interrupt_phase(TRAIN_GENERATES);
    if (s == OK) s = generate(&g, o);
    if (g.drawn) putchar('\n');
    generator_destroy(&g);
    job_destroy(&job);
    return s;
}
