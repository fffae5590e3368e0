// SPDX-License-Identifier: MIT
// Terminal or not, its size, colours, characters; the variables that say so.
#include "core/cli/terminal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_DEFAULT = 80, WIDTH_LEAST = 20, WIDTH_MOST = 1000, HEIGHT_DEFAULT = 24 };

static bool is_set(const char *variable) {
    const char *value = getenv(variable);
    return value && *value;
}

bool terminal_is(FILE *f) {
    int fd = fileno(f);
    return fd >= 0 && isatty(fd);
}

bool terminal_smart(FILE *f) {
    return terminal_is(f) && is_set("TERM") && strcmp(getenv("TERM"), "dumb") != 0;
}

bool terminal_color(FILE *f, TerminalColor wanted) {
    if (wanted != COLOR_AUTO) return wanted == COLOR_ALWAYS;
    if (is_set("NO_COLOR")) return false;
    if (is_set("CLICOLOR_FORCE") && strcmp(getenv("CLICOLOR_FORCE"), "0") != 0) return true;
    return terminal_smart(f);
}

bool terminal_ascii(void) {
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    if (is_set("TERM") && strcmp(getenv("TERM"), "dumb") == 0) return true;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        if (!is_set(variables[i])) continue;
        const char *locale = getenv(variables[i]);
        return !strcasestr(locale, "UTF-8") && !strcasestr(locale, "UTF8");
    }
    return false;
}

int terminal_width(FILE *f) {
    long columns = is_set("COLUMNS") ? strtol(getenv("COLUMNS"), NULL, 10) : 0;
    struct winsize size;
    if (columns <= 0 && terminal_is(f) && ioctl(fileno(f), TIOCGWINSZ, &size) == 0)
        columns = size.ws_col;
    if (columns <= 0) return WIDTH_DEFAULT;
    if (columns < WIDTH_LEAST) return WIDTH_LEAST;
    return columns > WIDTH_MOST ? WIDTH_MOST : (int)columns;
}

int terminal_height(FILE *f) {
    long lines = is_set("LINES") ? strtol(getenv("LINES"), NULL, 10) : 0;
    struct winsize size;
    if (lines <= 0 && terminal_is(f) && ioctl(fileno(f), TIOCGWINSZ, &size) == 0)
        lines = size.ws_row;
    return lines > 0 && lines < INT_MAX ? (int)lines : HEIGHT_DEFAULT;
}
