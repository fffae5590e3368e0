// SPDX-License-Identifier: MIT
// What a line that was typed asks for.
#include "lessons/engine/player_internal.h"

#include "lessons/engine/translate.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// Each has a key, and a word in English, which help and examples use in every language.
static const struct {
    const char *key, *word;
    PlayerCommandKind kind;
    bool takes_number;
} COMMANDS[] = {
    {"n", "next", COMMAND_NEXT, false},  {"b", "back", COMMAND_BACK, false},
    {"g", "go", COMMAND_GO, true},       {"h", "hint", COMMAND_HINT, false},
    {"s", "show", COMMAND_SHOW, false},  {"s", "skip", COMMAND_SHOW, false},
    {"p", "play", COMMAND_PLAY, false},  {"l", "list", COMMAND_LIST, false},
    {"r", "rerun", COMMAND_RERUN, true}, {"q", "quit", COMMAND_QUIT, false},
};
enum { COMMANDS_ALL = sizeof COMMANDS / sizeof *COMMANDS };

const char *player_keys(void) {
    return _("n next, b back, g 7 go to step 7, h hint, s show the answer, p play, r rerun with "
             "another seed, l list, ? WORD explain, q quit");
}

static char *trim(char *text) {
    while (isspace((unsigned char)*text)) text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1])) *--end = '\0';
    return text;
}

// A whole number and nothing else.
static bool read_number(long long *out, const char *text) {
    char *end;
    *out = strtoll(text, &end, 10);
    return end != text && *end == '\0' && *out >= 0;
}

PlayerCommand player_command(char *line) {
    char *text = trim(line);
    PlayerCommand c = {.kind = COMMAND_ANSWER, .text = text};
    if (*text == '\0') return (PlayerCommand){.kind = COMMAND_NEXT, .text = text};
    if (*text == '?') return (PlayerCommand){.kind = COMMAND_WORD, .text = trim(text + 1)};
    size_t length = strcspn(text, " \t");
    const char *rest = text + length + strspn(text + length, " \t");
    for (int i = 0; i < COMMANDS_ALL; i++) {
        bool named = (length == 1 && strncasecmp(text, COMMANDS[i].key, 1) == 0) ||
                     (length == strlen(COMMANDS[i].word) &&
                      strncasecmp(text, COMMANDS[i].word, length) == 0);
        if (!named) continue;
        bool number = *rest && COMMANDS[i].takes_number && read_number(&c.number, rest);
        if (*rest && !number) return c;
        c.kind = COMMANDS[i].kind;
        c.has_number = number;
        return c;
    }
    return c;
}
