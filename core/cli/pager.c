// SPDX-License-Identifier: MIT
// $PAGER is started without a shell, and gets the text through a pipe.
#include "core/cli/pager.h"

#include "core/cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = 16, COMMAND = 1024 };

// The words of a command, in its own memory; NULL after the last.
static void split(char *words[WORDS], char *command) {
    int count = 0;
    char *rest = command, *word;
    while (count < WORDS - 1 && (word = strsep(&rest, " \t")))
        if (*word) words[count++] = word;
    words[count] = NULL;
}

static bool wants_pager(const char *text, FILE *out) {
    int lines = 0;
    for (const char *at = text; *at; at++) lines += *at == '\n';
    return terminal_smart(out) && lines >= terminal_height(out);
}

// The child. It tells through `told` that the pager could not be started; were it started, the
// pipe closes by itself.
static void become(char *const words[], const int text[2], int told) {
    int error;
    setenv("LESS", "FRX", 0);
    if (dup2(text[0], STDIN_FILENO) < 0) _exit(127);
    close(text[0]);
    close(text[1]);
    execvp(words[0], words);
    error = errno;
    if (write(told, &error, sizeof error) < 0) {
    }  // the parent sees the exit status
    _exit(127);
}

static void write_all(int fd, const char *text) {
    for (size_t left = strlen(text); left > 0;) {
        ssize_t n = write(fd, text, left);
        if (n < 0 && errno != EINTR) return;  // the reader left before the end
        if (n > 0) text += n, left -= (size_t)n;
    }
}

// Whether the text was shown. Meanwhile Ctrl-C is the pager's, and one that ends early is no
// reason to be killed.
static bool page(char *const words[], const char *text) {
    int pipe_text[2], pipe_told[2], error;
    if (pipe2(pipe_text, O_CLOEXEC)) return false;
    if (pipe2(pipe_told, O_CLOEXEC)) {
        close(pipe_text[0]);
        close(pipe_text[1]);
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) become(words, pipe_text, pipe_told[1]);
    close(pipe_text[0]);
    close(pipe_told[1]);
    bool started = pid > 0 && read(pipe_told[0], &error, sizeof error) == 0;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, was[3];
    const int signals[] = {SIGINT, SIGQUIT, SIGPIPE};
    for (int i = 0; i < 3; i++) sigaction(signals[i], &ignore, &was[i]);
    if (started) write_all(pipe_text[1], text);
    close(pipe_text[1]);
    close(pipe_told[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    for (int i = 0; i < 3; i++) sigaction(signals[i], &was[i], NULL);
    return started;
}

void pager_print(const char *text, FILE *out) {
    char command[COMMAND], *words[WORDS];
    const char *chosen = getenv("PAGER");
    snprintf(command, sizeof command, "%s", chosen ? chosen : "less -FRX");
    split(words, command);
    fflush(out);
    bool plain = !words[0] || !strcmp(words[0], "cat") || fileno(out) != STDOUT_FILENO;
    if (plain || !wants_pager(text, out) || !page(words, text)) fputs(text, out);
}
