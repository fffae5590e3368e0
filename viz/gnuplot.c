// SPDX-License-Identifier: MIT
// Runs gnuplot with posix_spawn(), so that nothing in a name is ever read by a shell, and looks at
// it every few milliseconds until it ends, takes too long or an interrupt comes.
#include "viz/gnuplot.h"

#include "core/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

// The environment with numbers as in C and text in UTF-8, which scripts are written in. GNUTERM is
// left out: gnuplot opens that terminal before it reads a script, and fails where it has none.
static char **environment(Arena *a) {
    int count = 0, kept = 0;
    while (environ[count]) count++;
    char **copy = ARENA_NEW(a, char *, count + 2);
    if (!copy) return NULL;
    for (int i = 0; i < count; i++)
        if (strncmp(environ[i], "LC_ALL=", 7) && strncmp(environ[i], "GNUTERM=", 8))
            copy[kept++] = environ[i];
    copy[kept] = arena_string(a, "LC_ALL=C.UTF-8");
    return copy[kept] ? copy : NULL;
}

// Both files are in memory: a pipe would have to be read while gnuplot runs.
typedef struct {
    int out, error;
} Streams;

static int spawn(pid_t *pid, const Streams *s, char *const argv[], char *const envp[],
                 const char *directory) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t handled;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigemptyset(&handled);
    sigaddset(&handled, SIGPIPE);
    int failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    failed |= posix_spawn_file_actions_adddup2(&actions, s->out, 1);
    failed |= posix_spawn_file_actions_adddup2(&actions, s->error, 2);
    if (directory) failed |= posix_spawn_file_actions_addchdir_np(&actions, directory);
    failed |= posix_spawnattr_setsigdefault(&attributes, &handled);
    failed |= posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    if (!failed)
        failed = posix_spawnp(pid, argv[0], &actions, &attributes, argv, envp);
    else
        failed = ENOMEM;
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

static Status contents(char **out, Arena *a, int fd) {
    off_t size = lseek(fd, 0, SEEK_END);
    *out = ARENA_NEW(a, char, (size > 0 ? size : 0) + 1);
    if (!*out) FAIL(ERR_MEMORY, "no memory for what gnuplot printed");
    if (size > 0 && pread(fd, *out, (size_t)size, 0) != size)
        FAIL(ERR_IO, "what gnuplot printed could not be read: %s", strerror(errno));
    return OK;
}

// gnuplot quotes the line of the script, points at it with a ^ and then says what is wrong: the
// last line that says something, without the spaces around it.
static void last_words(char *said, const char *text) {
    *said = '\0';
    while (*text) {
        size_t length = strcspn(text, "\n"), from = strspn(text, " \t^");
        if (from < length)
            snprintf(said, STATUS_TEXT / 2, "%.*s", (int)(length - from), text + from);
        text += length + (text[length] != '\0');
    }
}

static Status judge(int status, const char *said, const char *script) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return OK;
    if (WIFSIGNALED(status))
        FAIL(ERR_FAILED, "%s: gnuplot was killed by signal %d", script, WTERMSIG(status));
    FAIL(ERR_FAILED, "%s: gnuplot failed (status %d)%s%s", script, WEXITSTATUS(status),
         *said ? ": " : "", said);
}

static bool is_interrupted(const GnuplotWatch *w) { return w->interrupted && w->interrupted(); }

// Wait for the end of gnuplot; when the time is up, or an interrupt comes, kill it first.
static Status wait_for(int *status, pid_t pid, GnuplotWatch *w, const char *script) {
    const int seconds = w->seconds ? w->seconds : GNUPLOT_SECONDS;
    const int64_t last_ns = clock_ns() + seconds * INT64_C(1000000000);
    bool stopped = false;
    for (;;) {
        pid_t ended = waitpid(pid, status, w->hung || stopped ? 0 : WNOHANG);
        if (ended == pid) break;
        if (ended < 0 && errno != EINTR)
            FAIL(ERR_IO, "%s: gnuplot was lost: %s", script, strerror(errno));
        stopped = stopped || is_interrupted(w);
        w->hung = w->hung || (!stopped && clock_ns() > last_ns);
        if (w->hung || stopped)
            kill(pid, SIGKILL);
        else
            clock_sleep_ns(2000000);
    }
    // Ctrl-C on a terminal reaches gnuplot as well as this process.
    if (stopped || (*status != 0 && is_interrupted(w)))
        FAIL(ERR_INTERRUPTED, "%s: interrupted while gnuplot was drawing", script);
    if (w->hung)
        FAIL(ERR_FAILED, "%s: gnuplot did not end within %d second%s and was stopped", script,
             seconds, seconds == 1 ? "" : "s");
    return OK;
}

static Status run(char **out, char *said, Arena *a, const Streams *s, char *const argv[],
                  const char *directory, const char *script, GnuplotWatch *watch) {
    pid_t pid;
    int status;
    char *text, *printed, **envp = environment(a);
    if (!envp) FAIL(ERR_MEMORY, "no memory to start gnuplot");
    int error = spawn(&pid, s, argv, envp, directory);
    if (error == ENOENT)
        FAIL(ERR_UNAVAILABLE,
             "there is no gnuplot to draw with; the package gnuplot-nox brings it");
    if (error) FAIL(ERR_UNAVAILABLE, "gnuplot cannot be run: %s", strerror(error));
    TRY(wait_for(&status, pid, watch, script));
    TRY(contents(&text, a, s->error));
    TRY(contents(&printed, a, s->out));
    if (out) *out = printed;
    last_words(said, text);
    return judge(status, said, script);
}

Status gnuplot_run(char **out, char *said, Arena *a, const char *directory, const char *settings,
                   const char *script, GnuplotWatch *watch) {
    Streams s = {memfd_create("gnuplot-out", MFD_CLOEXEC),
                 memfd_create("gnuplot-err", MFD_CLOEXEC)};
    Status status = OK;
    char *const argv[] = {"gnuplot", "-d", "-e", arena_string(a, settings), arena_string(a, script),
                          NULL};
    *said = '\0';
    if (s.out < 0 || s.error < 0)
        status = status_fail(ERR_IO, __FILE__, __LINE__, "no room for what gnuplot prints: %s",
                             strerror(errno));
    else if (!argv[3] || !argv[4])
        status = status_fail(ERR_MEMORY, __FILE__, __LINE__, "no memory to start gnuplot");
    else
        status = run(out, said, a, &s, argv, directory, script, watch);
    if (s.out >= 0) close(s.out);
    if (s.error >= 0) close(s.error);
    return status;
}
