// SPDX-License-Identifier: MIT
// The file of what was done: kept whole, unknown lines in their places, a newer one left alone.
#include "core/base/file.h"
#include "lessons/engine/saved.h"
#include "lessons/lessons.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

static Arena arena;
static char path[256];

static const char *in_file(void) {
    char *text;
    size_t length;
    ck_assert_ok(file_read(&text, &length, &arena, path));
    return text;
}

static void put(const char *text) {
    snprintf(path, sizeof path, "%s/lessons", test_directory());
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

static Saved read_it(void) {
    Saved s;
    ck_assert_ok(saved_read(&s, &arena, path));
    return s;
}

static void begin(Session *s, uint64_t seed) {
    const Lesson *lesson;
    ck_assert_ok(lessons_find(&lesson, "softmax"));
    ck_assert_ok(session_init(s, lesson, &(LessonRun){.seed = seed}));
}

// Two answers and a question that was shown; written, read, restored.
START_TEST(a_session_is_put_back_as_it_was) {
    Session s, again;
    Saved saved;
    snprintf(path, sizeof path, "%s/a/b/lessons", test_directory());
    ck_assert_ok(saved_read(&saved, &arena, path));
    begin(&s, 7);
    s.at = 2;
    session_answer(&s, GIVEN_ANSWER, &(Answer){{0.5}, 1});
    s.given[2].hints = 2;
    s.at = 4;
    session_answer(&s, GIVEN_SHOWN, NULL);
    s.at = 5;
    ck_assert_ok(saved_keep(&saved, &s));
    ck_assert_str_eq(in_file(), "tandem-lessons 2\ncurrent 2\nlesson 2 seed 7 at 6\n"
                                "answer 2.3 hints 2 0.5\nshown 2.5 hints 0\nend\n");
    Saved read = read_it();
    SavedLesson known;
    saved_find(&known, &read, 2);
    ck_assert_int_eq(known.kind, SAVED_BEGUN);
    ck_assert_int_eq(known.seed, 7);
    ck_assert_int_eq(known.at, 5);
    ck_assert_int_eq(known.answered + 10 * known.shown + 100 * known.hints, 211);
    begin(&again, known.seed);
    ck_assert_ok(saved_restore(&read, &again));
    ck_assert_int_eq(again.given[2].kind, GIVEN_ANSWER);
    ck_assert_double_eq(again.given[2].answer.values[0], 0.5);
    ck_assert_int_eq(again.given[2].hints, 2);
    ck_assert_int_eq(again.given[4].kind, GIVEN_SHOWN);
    session_finish(&s);
    session_finish(&again);
    arena_finish(&arena);
}
END_TEST

START_TEST(lines_that_are_not_known_stay_in_their_places) {
    Session s;
    put("tandem-lessons 1\n# mine\nlesson 8 seed 3 at 2\nbadge 8 gold\nlesson 2 seed 1 at 4\n");
    Saved saved = read_it();
    begin(&s, 9);
    s.at = 1;
    ck_assert_ok(saved_keep(&saved, &s));
    ck_assert_str_eq(in_file(), "tandem-lessons 2\n# mine\nlesson 8 seed 3 at 2\nbadge 8 gold\n"
                                "current 2\nlesson 2 seed 9 at 2\nend\n");
    session_finish(&s);
    arena_finish(&arena);
}
END_TEST

START_TEST(what_is_done_stays_done_when_it_is_begun_again) {
    Session s;
    SavedLesson known;
    put("tandem-lessons 1\n");
    Saved saved = read_it();
    begin(&s, 9);
    s.at = s.lesson->step_count;
    ck_assert_ok(saved_keep(&saved, &s));
    s.at = 0;
    ck_assert_ok(saved_keep(&saved, &s));
    saved = read_it();
    saved_find(&known, &saved, 2);
    ck_assert_int_eq(known.kind, SAVED_DONE);
    session_finish(&s);
    arena_finish(&arena);
}
END_TEST

START_TEST(one_lesson_is_forgotten_or_all) {
    put("tandem-lessons 1\ncurrent 2\nlesson 2 seed 1 at 4\nanswer 2.3 hints 0 1\n"
        "lesson 8 seed 3 at 2\ndone 8 seed 3\nnote x\n");
    Saved saved = read_it();
    ck_assert_ok(saved_forget(&saved, 2));
    ck_assert_str_eq(in_file(),
                     "tandem-lessons 2\nlesson 8 seed 3 at 2\ndone 8 seed 3\nnote x\nend\n");
    ck_assert_ok(saved_forget(&saved, -1));
    ck_assert_str_eq(in_file(), "tandem-lessons 2\nnote x\nend\n");
    arena_finish(&arena);
}
END_TEST

START_TEST(a_file_of_a_newer_version_or_another_kind_is_refused_and_left_alone) {
    Saved s;
    put("tandem-lessons 3\nlesson 2 seed 1 at 4\n");
    ck_assert_fails(saved_read(&s, &arena, path), ERR_FORMAT, "a newer Tandem wrote this");
    ck_assert_str_eq(in_file(), "tandem-lessons 3\nlesson 2 seed 1 at 4\n");
    put("my notes\n");
    ck_assert_fails(saved_read(&s, &arena, path), ERR_FORMAT, "this is no state of lessons");
    arena_finish(&arena);
}
END_TEST

// Cut at every byte: the lines that are whole count, which are the fewer the earlier it is cut, and
// what was found is kept. Only without its last newline the file says all.
START_TEST(a_file_that_is_cut_off_anywhere_is_noticed_mended_and_kept) {
    static const char whole[] = "tandem-lessons 2\nlesson 2 seed 1 at 4\ndone 8 seed 3\nend\n";
    const int header = (int)sizeof "tandem-lessons 2" - 1, last = (int)sizeof whole - 2;
    for (int length = 0; length < last; length++) {
        char cut[sizeof whole] = "";
        const char *kept;
        SavedLesson begun, done;
        Saved s;
        memcpy(cut, whole, (size_t)length);
        put(cut);
        if (length && length < header) {
            ck_assert_fails(saved_read(&s, &arena, path), ERR_FORMAT, "this is no state");
            continue;
        }
        s = read_it();
        ck_assert_msg(s.cut, "not noticed after %d bytes", length);
        saved_find(&begun, &s, 2);
        saved_find(&done, &s, 8);
        ck_assert_int_eq(begun.kind == SAVED_BEGUN, length > 37);  // 17 and 21 bytes
        ck_assert_int_eq(done.kind == SAVED_DONE, length > 51);    // 14 more
        ck_assert_ok(saved_mend(&s, &kept));
        ck_assert_int_eq(kept != NULL, length > 0);
        s = read_it();
        ck_assert(!s.cut);
        saved_find(&begun, &s, 2);
        ck_assert_int_eq(begun.kind == SAVED_BEGUN, length > 37);
        if (!kept) continue;
        snprintf(path, sizeof path, "%s", kept);
        ck_assert_str_eq(in_file(), cut);
    }
    put(whole);
    ck_assert(!read_it().cut);
    arena_finish(&arena);
}
END_TEST

START_TEST(what_was_found_before_is_kept_beside_what_is_found_now) {
    static const char *const texts[] = {"tandem-lessons 2\n", "tandem-lessons 2\ndone 4 seed 3\n"};
    const char *kept[2];
    put(texts[0]);
    for (int i = 0; i < 2; i++) {
        FILE *f = fopen(path, "w");
        fputs(texts[i], f);
        fclose(f);
        Saved s = read_it();
        ck_assert_ok(saved_mend(&s, &kept[i]));
        ck_assert_ptr_nonnull(kept[i]);
    }
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s", kept[i]);
        ck_assert_str_eq(in_file(), texts[i]);
    }
    arena_finish(&arena);
}
END_TEST

// Of the first version, which had no last line.
START_TEST(an_older_file_is_cut_off_behind_its_header_or_within_a_line) {
    static const struct {
        const char *text;
        bool cut;
    } cases[] = {{"tandem-lessons 1\n", true},
                 {"tandem-lessons 1\nlesson 2 seed 1 at 4\nlesson 3 se", true},
                 {"tandem-lessons 1\nlesson 2 seed 1 at 4\n", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(cases[i].text);
        ck_assert_int_eq(read_it().cut, cases[i].cut);
    }
    arena_finish(&arena);
}
END_TEST

// An answer that a person has spoilt: said, with what is expected.
START_TEST(an_answer_that_does_not_read_is_said) {
    Session s;
    put("tandem-lessons 1\nlesson 2 seed 1 at 4\nanswer 2.3 hints 0 apples\n");
    Saved saved = read_it();
    begin(&s, 1);
    ck_assert_fails(saved_restore(&saved, &s), ERR_FORMAT, "step 3 of lesson 2 does not read");
    ck_assert_ptr_nonnull(strstr(status_message(), "\"apples\" is not a number"));
    session_finish(&s);
    arena_finish(&arena);
}
END_TEST

SUITE("saved", a_session_is_put_back_as_it_was, lines_that_are_not_known_stay_in_their_places,
      what_is_done_stays_done_when_it_is_begun_again, one_lesson_is_forgotten_or_all,
      a_file_of_a_newer_version_or_another_kind_is_refused_and_left_alone,
      a_file_that_is_cut_off_anywhere_is_noticed_mended_and_kept,
      what_was_found_before_is_kept_beside_what_is_found_now,
      an_older_file_is_cut_off_behind_its_header_or_within_a_line,
      an_answer_that_does_not_read_is_said)
