// SPDX-License-Identifier: MIT
// What programs find out about the terminal that they write to: colours, width, height.
#include "core/base/text.h"
#include "core/cli/terminal.h"
#include "tests/support/testing.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void clean_environment(void) {
    unsetenv("NO_COLOR");
    unsetenv("CLICOLOR_FORCE");
    unsetenv("COLUMNS");
    setenv("TERM", "xterm", 1);
}

// The slave side of a new pseudo-terminal; NULL where the system has none.
static FILE *open_terminal(void) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master)) return NULL;
    struct winsize window = {.ws_col = 123, .ws_row = 40};
    ioctl(master, TIOCSWINSZ, &window);
    return fopen(ptsname(master), "r+");
}

START_TEST(colour_follows_the_option_then_the_environment_then_the_terminal) {
    clean_environment();
    FILE *file = tmpfile(), *tty = open_terminal();
    if (!tty) SKIP("no pseudo-terminals");
    ck_assert(terminal_color(tty, COLOR_AUTO) && !terminal_color(file, COLOR_AUTO));
    ck_assert(terminal_color(file, COLOR_ALWAYS) && !terminal_color(tty, COLOR_NEVER));
    setenv("TERM", "dumb", 1);
    ck_assert(!terminal_color(tty, COLOR_AUTO));
    ck_assert(terminal_is(tty) && !terminal_smart(tty));
    unsetenv("TERM");
    ck_assert(!terminal_color(tty, COLOR_AUTO));
    clean_environment();
    setenv("CLICOLOR_FORCE", "1", 1);
    ck_assert(terminal_color(file, COLOR_AUTO));
    setenv("NO_COLOR", "1", 1);
    ck_assert(!terminal_color(file, COLOR_AUTO) && !terminal_color(tty, COLOR_AUTO));
    ck_assert(terminal_color(tty, COLOR_ALWAYS));
    setenv("NO_COLOR", "", 1);
    setenv("CLICOLOR_FORCE", "0", 1);
    ck_assert(!terminal_color(file, COLOR_AUTO) && terminal_color(tty, COLOR_AUTO));
}
END_TEST

START_TEST(the_width_is_of_columns_else_of_the_terminal_else_80) {
    clean_environment();
    FILE *file = tmpfile(), *tty = open_terminal();
    ck_assert_int_eq(terminal_width(file), 80);
    if (tty) ck_assert_int_eq(terminal_width(tty), 123);
    setenv("COLUMNS", "100", 1);
    ck_assert_int_eq(terminal_width(file), 100);
    setenv("COLUMNS", "nonsense", 1);
    ck_assert_int_eq(terminal_width(file), 80);
    setenv("COLUMNS", "1", 1);
    ck_assert_int_eq(terminal_width(file), 20);
    ck_assert_int_eq(text_width("µs ×2"), 5);
}
END_TEST

START_TEST(characters_are_ascii_where_the_locale_is_not_of_utf_8) {
    static const struct {
        const char *all, *ctype, *lang, *term;
        bool ascii;
    } rows[] = {{NULL, NULL, NULL, "xterm", false},        {NULL, NULL, NULL, "dumb", true},
                {"C", "en_US.UTF-8", NULL, "xterm", true}, {"C.UTF-8", NULL, "C", "xterm", false},
                {"", "POSIX", "C.UTF-8", "xterm", true},   {NULL, NULL, "de_DE", "xterm", true},
                {NULL, "", "zh_CN.utf8", "xterm", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG", "TERM"};
        const char *const values[] = {rows[i].all, rows[i].ctype, rows[i].lang, rows[i].term};
        for (int k = 0; k < 4; k++)
            if (values[k])
                setenv(names[k], values[k], 1);
            else
                unsetenv(names[k]);
        ck_assert_msg(terminal_ascii() == rows[i].ascii, "row %zu", i);
    }
}
END_TEST

START_TEST(the_height_is_of_lines_else_of_the_terminal_else_24) {
    clean_environment();
    unsetenv("LINES");
    FILE *file = tmpfile(), *tty = open_terminal();
    ck_assert_int_eq(terminal_height(file), 24);
    if (tty) ck_assert_int_eq(terminal_height(tty), 40);
    setenv("LINES", "60", 1);
    ck_assert_int_eq(terminal_height(file), 60);
}
END_TEST

SUITE("terminal", colour_follows_the_option_then_the_environment_then_the_terminal,
      characters_are_ascii_where_the_locale_is_not_of_utf_8,
      the_width_is_of_columns_else_of_the_terminal_else_80,
      the_height_is_of_lines_else_of_the_terminal_else_24)
