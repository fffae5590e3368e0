// SPDX-License-Identifier: MIT
// Every word that train and sim print in their summaries is explained by --help WORD.
#include "core/base/text.h"
#include "programs/train_options.h"
#include "programs/words.h"
#include "tests/support/command.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Command it;

// English words that say nothing of their own, units, and names of things of this very run.
static const char ORDINARY[] =
    " be been expected does finite losses pass say those start stop begin beside differ just "
    "nothing here now where whose less more lot than among"
    "  should may must would will if while because also about both few many much "
    "such very yet still without small take longer real above linear left count takes their too a "
    "after again against "
    "all always an and are as at "
    "but by can cannot did do each end "
    "ended every first for from furthest has have how in is it its kept last ms most more no not "
    "of off on once one only open or other others out over own s same so than that the then there "
    "these they this to took turns two until used was were what when where which whole with yes "
    "apart at before began goes go given in into kind laptop less made name needs none number "
    "part part-time pinned process processes rows row run runs sample schema seconds see source "
    "started strategy table tandem threads time times unplanned value within command cpu wall "
    "train sim single built-in fastest size share b us ns u additional amd epyc intel "
    "arm xeon processor ryzen taken turn turn's next next: note eff summary sweep v v1 "
    "lockstep sleep spin yield peer lost main pool reference alone faster long product "
    "call carries float ";

// It, or it without an s at the end.
static bool ordinary(const char *word) {
    char wanted[80], without[80];
    int length = (int)strlen(word);
    snprintf(wanted, sizeof wanted, " %s ", word);
    snprintf(without, sizeof without, " %.*s ", length - 1, word);
    return strstr(ORDINARY, wanted) ||
           (length > 3 && word[length - 1] == 's' && strstr(ORDINARY, without));
}

// What --help finds: an option, a group of them, or a word; also without a plural's s.
static bool explained(const char *word) {
    char *text = NULL, singular[64];
    size_t size, length = strlen(word);
    FILE *f = open_memstream(&text, &size);
    snprintf(singular, sizeof singular, "%.*s", (int)length - 1, word);
    bool plural = length > 3 && word[length - 1] == 's';
    bool found = option_print_topic(f, &train_options, word) == OK ||
                 (plural && option_print_topic(f, &train_options, singular) == OK);
    fclose(f);
    free(text);
    return found;
}

static bool known(const char *word) { return ordinary(word) || explained(word); }

// The word, or each of its parts: samples_per_s_p10, cost_keys.
static bool known_by_parts(const char *word) {
    char copy[64], *rest = copy, *part;
    if (known(word)) return true;
    snprintf(copy, sizeof copy, "%s", word);
    while ((part = strsep(&rest, "_-/")))
        if (*part && strcmp(part, "per") && !known(part)) return false;
    return true;
}

// A word of letters, perhaps with - _ / in it; p10 and p90 are words too. Names of files and of
// operations (conv1.forward), options and numbers are none.
static bool is_word(const char *token) {
    if (!isalpha((unsigned char)token[0]) || token[0] == '/') return false;
    for (const char *c = token; *c; c++)
        if (!isalpha((unsigned char)*c) && !strchr("-_/", *c) && !strstr(token, "_p")) return false;
    return !strstr(token, "://");
}

// Add the words of a text that nobody explains to `missing`; how many words it has.
static int look_at(char missing[1024], const char *text) {
    static const char blanks[] = " \t\r\n()[]{},:;=%\"'<>|#+";
    char *copy = strdup(text), *save = NULL;
    int seen = 0;
    for (char *t = strtok_r(copy, blanks, &save); t; t = strtok_r(NULL, blanks, &save)) {
        size_t length = strlen(t);
        if (length && t[length - 1] == '.') t[--length] = '\0';
        for (char *c = t; *c; c++) *c = (char)tolower((unsigned char)*c);
        if (!is_word(t) || length >= 64) continue;
        seen++;
        if (!known_by_parts(t)) text_append(missing, 1024, " %s", t);
    }
    free(copy);
    return seen;
}

// What a command prints on both streams.
static void check_command(const char *line) {
    char missing[1024] = "";
    ck_assert_msg(command_run(&it, "%s", line) == 0, "%s: %s", line, it.err);
    ck_assert_int_gt(look_at(missing, it.out), 4);
    look_at(missing, it.err);
    ck_assert_msg(!*missing,
                  "%s prints words that --help WORD does not explain:%s; add them to "
                  "programs/words.c (or, if they need none, to ORDINARY here)",
                  line, missing);
    command_finish(&it);
}

#define JOB "--model linear --data digits:count=300 --steps 6 --log none.log"
#define RECORD "train --ranks 2 " JOB " -q --trace tr --report r.json > /dev/null && "

START_TEST(every_word_of_a_training_summary_is_explained) {
    check_command("train " JOB);
    check_command("train --ranks 2 -vv " JOB);
    check_command("train --ranks 2 --accumulate 2 --model net --data digits:count=300 --steps 2");
}
END_TEST

// --csv and --plain have the names of docs/formats.md; values are of this run.
START_TEST(every_name_of_a_plain_summary_is_explained) {
    check_command("train " JOB " -q --csv | head -n 1");
    check_command("train " JOB " -q --plain | cut -d ' ' -f 1");
    check_command("sim --gpus 2 --predictions none --csv | head -n 1");
    check_command("sim --gpus 2 --predictions none --plain | cut -d ' ' -f 1 | cut -d . -f 3");
}
END_TEST

START_TEST(every_word_of_a_prediction_is_explained) {
    check_command("sim --gpus 16 --predictions none | grep -v ^dgx");
    check_command("sim --collective all_reduce --gpus 8,32 --platform dgx-h100 | grep -v ^dgx");
    check_command("sim --gpus 4 --batch 4096 --link 1GB/s,5us --predictions none | grep -v ^dgx");
    check_command(RECORD "sim --trace tr --predictions none");
    check_command(RECORD "sim --trace tr --ranks 1,2,4 --predictions none | grep -v cores");
    check_command(RECORD "sim --trace tr --ranks 2 --batch 64 --compare r.json -v | grep -v cores");
}
END_TEST

// docs/pipeline.plan, as docs/formats.md shows it.
#define HERE "ln -s \"$TANDEM_SOURCE/docs\" docs && "
#define PIPELINE "--model mlp:hidden=32,layers=2 --plan docs/pipeline.plan "
#define STAGES "train " PIPELINE "--accumulate 4 --ranks 2 --data digits:count=300 "

START_TEST(every_word_of_a_pipeline_is_explained) {
    check_command(HERE STAGES "--steps 2 -vv");
    check_command(HERE "sim " PIPELINE "--gpus 2 --predictions none | grep -v ^dgx");
}
END_TEST

START_TEST(both_programs_explain_the_same_words) {
    ck_assert_int_eq(command_run(&it, "train --help words"), 0);
    char *of_train = strdup(it.out);
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --help words"), 0);
    ck_assert_str_eq(it.out, of_train);
    ck_assert_ptr_nonnull(strstr(it.out, "\n  exposed_comm\n      Time that a rank"));
    command_finish(&it);
    free(of_train);
}
END_TEST

START_TEST(a_word_is_found_in_any_spelling_and_a_wrong_one_gets_the_nearest) {
    static const char *const spellings[] = {"exposed_comm", "EXPOSED-COMM", "exposed"};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(command_run(&it, "sim --help %s", spellings[i]), 0);
        ck_assert_ptr_nonnull(strstr(it.out, "bytes in transit"));
        command_finish(&it);
    }
    command_run(&it, "train --help rooflin");
    command_refused(&it, "train", PARTS("no help on rooflin (did you mean --help roofline?)"));
    ck_assert_int_eq(command_run(&it, "train --help ranks"), 0);  // an option, and the word
    ck_assert_ptr_nonnull(strstr(it.out, "--ranks N"));
    ck_assert_ptr_nonnull(strstr(it.out, "One of the equal workers"));
    command_finish(&it);
}
END_TEST

// "docs/formats.md, Reports" is a file with such a heading; other places are files or --help.
START_TEST(where_a_word_sends_to_is_there) {
    for (int i = 0; i < WORDS; i++) {
        const char *more = words[i].more;
        if (!more || !strncmp(more, "train --help", 12) || !strncmp(more, "sim --help", 10))
            continue;
        char path[128], out[200];
        const char *comma = strchr(more, ',');
        snprintf(path, sizeof path, "%.*s", (int)strcspn(more, ",;"), more);
        ck_assert_int_eq(
            test_shell(out, sizeof out, "grep -q '^## %s' %s", comma ? comma + 2 : "", path),
            comma || strstr(path, ".md") ? 0 : 1);
        ck_assert_msg(test_shell(out, sizeof out, "test -f %s", path) == 0, "%s", path);
    }
}
END_TEST

SUITE_SECONDS("words", 120, every_word_of_a_training_summary_is_explained,
              every_name_of_a_plain_summary_is_explained, every_word_of_a_prediction_is_explained,
              every_word_of_a_pipeline_is_explained, both_programs_explain_the_same_words,
              a_word_is_found_in_any_spelling_and_a_wrong_one_gets_the_nearest,
              where_a_word_sends_to_is_there)
