// SPDX-License-Identifier: MIT
// Words that lessons use, in alphabetical order.
#include "lessons/engine/glossary.h"

#include "core/base/nearest.h"
#include "lessons/engine/translate.h"

#include <string.h>
#include <strings.h>

static const GlossaryTerm TERMS[] = {
    {N_("all-reduce"),
     N_("An operation between ranks: each brings a vector, and all end up with the "
        "sum of them.")},
    {N_("bandwidth"),
     N_("How many bytes a link carries in a second, once a message is under way.")},
    {N_("bucket"), N_("Gradients of several layers that are communicated together.")},
    {N_("cross-entropy"), N_("The loss of a classification: minus the logarithm of the probability "
                             "that the network gives to the right class.")},
    {N_("gradient"), N_("How fast the loss changes with each weight: the derivative.")},
    {N_("latency"), N_("How long a message of no length takes.")},
    {N_("logit"), N_("A number that the network gives to a class, before softmax makes "
                     "probabilities of them.")},
    {N_("rank"), N_("One of the processes or devices that train together, numbered from 0.")},
    {N_("ring"),
     N_("An order of ranks in which each sends to the next, and the last to the first.")},
    {N_("softmax"),
     N_("Makes probabilities of logits: the exponential of each, divided by the sum of "
        "all exponentials.")},
    {N_("ulp"), N_("The distance between neighbouring floating-point numbers: unit in the last "
                   "place.")},
};
enum { TERM_COUNT = sizeof TERMS / sizeof *TERMS };

const GlossaryTerm *glossary_terms(int *count) {
    *count = TERM_COUNT;
    return TERMS;
}

static void list(Page *p) {
    const char *words = "";
    for (int i = 0; i < TERM_COUNT; i++)
        words = page_text(p, "%s%s%s", words, i ? ", " : "", _(TERMS[i].term));
    page_say(p, "%s", words);
}

Status glossary_explain(Page *p, const char *word) {
    Nearest near = {.word = word};
    if (*word == '\0') {
        list(p);
        return OK;
    }
    for (int i = 0; i < TERM_COUNT; i++) {
        const char *term = _(TERMS[i].term);
        if (strcasecmp(word, TERMS[i].term) == 0 || strcasecmp(word, term) == 0) {
            page_say(p, _("%s: %s"), term, _(TERMS[i].text));
            return OK;
        }
        nearest_offer(&near, TERMS[i].term);
        nearest_offer(&near, term);
    }
    if (near.best)
        FAIL(ERR_USAGE, _("\"%s\" is not in the glossary; do you mean %s? A single ? lists all"),
             word, near.best);
    FAIL(ERR_USAGE, _("\"%s\" is not in the glossary; a single ? lists all words"), word);
}
