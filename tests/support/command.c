// SPDX-License-Identifier: MIT
#include "tests/support/command.h"

#include "core/base/clock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT = 1 << 20, WORDS = 4096 };

double seconds_now(void) { return (double)clock_ns() * 1e-9; }

void sleep_seconds(double s) {
    struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)((s - (double)(time_t)s) * 1e9)};
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}

const char *command_path(const Command *c, const char *name) {
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", c->directory, name);
    return path;
}

bool command_wrote(const Command *c, const char *name) {
    return access(command_path(c, name), F_OK) == 0;
}

// --- starting

static int open_terminal(char *name, size_t size) {
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(grantpt(fd) | unlockpt(fd) | ptsname_r(fd, name, size), 0);
    struct winsize screen = {.ws_row = 24, .ws_col = 80};
    ck_assert_int_eq(ioctl(fd, TIOCSWINSZ, &screen), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void redirect(const char *path, int flags, int fd) {
    int file = open(path, flags, 0666);
    if (file < 0 || dup2(file, fd) < 0) _exit(125);
    if (file > STDERR_FILENO) close(file);
}

// The child: what a shell that starts a job would do.
static void become(const Command *c, const char *terminal, const char *words) {
    char path[PATH_MAX + 4096];
    if (terminal)
        setsid();
    else
        setpgid(0, 0);
    signal(SIGHUP, SIG_DFL);  // whoever started the tests may have ignored it, as nohup does
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (chdir(c->directory) != 0) _exit(125);
    redirect(terminal ? terminal : "/dev/null", O_RDWR, STDIN_FILENO);
    redirect(terminal ? terminal : ".out", O_RDWR | O_CREAT, STDOUT_FILENO);
    redirect(terminal ? terminal : ".err", O_RDWR | O_CREAT, STDERR_FILENO);
    snprintf(path, sizeof path, "%s:%s", getenv("TANDEM_BUILD"), getenv("PATH"));
    setenv("PATH", path, 1);
    setenv("TERM", "xterm", 1);  // whoever runs the tests may have a dumb one, or another locale
    setenv("LC_ALL", "C.UTF-8", 1);
    unsetenv("COLUMNS");
    execl("/bin/sh", "sh", "-c", words, (char *)NULL);
    _exit(126);
}

static void start(Command *c, bool on_terminal, const char *words) {
    char terminal[64];
    *c = (Command){.terminal = -1, .started_s = seconds_now()};
    c->out = calloc(1, OUTPUT);
    c->err = calloc(1, OUTPUT);
    ck_assert(c->out && c->err && getenv("TANDEM_BUILD"));
    snprintf(c->directory, sizeof c->directory, "%s", test_directory());
    if (on_terminal) c->terminal = open_terminal(terminal, sizeof terminal);
    c->pid = fork();
    ck_assert_int_ge(c->pid, 0);
    if (c->pid == 0) become(c, on_terminal ? terminal : NULL, words);
    if (!on_terminal) setpgid(c->pid, c->pid);  // whoever comes first
}

// The words as the shell gets them, after `prefix`.
#define PRINT_WORDS(words, prefix)                                                        \
    char words[WORDS] = prefix;                                                           \
    va_list args;                                                                         \
    va_start(args, fmt);                                                                  \
    int printed = vsnprintf(words + sizeof prefix - 1, WORDS - sizeof prefix, fmt, args); \
    va_end(args);                                                                         \
    ck_assert_msg(printed < WORDS - (int)sizeof prefix, "a command of %d bytes", printed)

void command_start(Command *c, const char *fmt, ...) {
    PRINT_WORDS(words, "exec ");
    start(c, false, words);
}

void command_start_on_terminal(Command *c, const char *fmt, ...) {
    PRINT_WORDS(words, "exec ");
    start(c, true, words);
}

int command_run(Command *c, const char *fmt, ...) {
    PRINT_WORDS(words, "");
    start(c, false, words);
    command_wait(c, 120);
    return c->status;
}

// --- the end

// A terminal holds little: who does not read it stops the program.
static void read_terminal(Command *c) {
    size_t used = strlen(c->out);
    ssize_t got = 0;
    while (c->terminal >= 0 && used + 1 < OUTPUT &&
           (got = read(c->terminal, c->out + used, OUTPUT - 1 - used)) > 0)
        used += (size_t)got;
}

static void read_output(const Command *c, const char *name, char *text) {
    FILE *f = fopen(command_path(c, name), "r");
    ck_assert_msg(f != NULL, "%s: %s", name, strerror(errno));
    text[fread(text, 1, OUTPUT - 1, f)] = '\0';
    fclose(f);
}

// The processes of a group that live. Orphans that were killed a moment ago may not have been
// collected yet: who is dead is not left.
static int group_members(pid_t group, pid_t pids[], int most) {
    int count = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && count < most && (e = readdir(d));) {
        char name[64], line[512], state;
        int of;
        snprintf(name, sizeof name, "/proc/%.20s/stat", e->d_name);
        FILE *f = isdigit((unsigned char)e->d_name[0]) ? fopen(name, "r") : NULL;
        if (!f) continue;
        const char *rest = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
        if (rest && sscanf(rest, ") %c %*d %d", &state, &of) == 2 && of == group && state != 'Z' &&
            state != 'X')
            pids[count++] = (pid_t)atoi(e->d_name);
        fclose(f);
    }
    if (d) closedir(d);
    return count;
}

static bool group_is_empty(pid_t group) {
    pid_t one;
    return kill(-group, 0) != 0 || group_members(group, &one, 1) == 0;
}

void command_wait_for(Command *c, const char *text, double seconds) {
    double until = seconds_now() + seconds;
    while (read_terminal(c), !strstr(c->out, text)) {
        if (seconds_now() > until) {
            kill(-c->pid, SIGKILL);
            ck_abort_msg("no \"%s\" after %g s; it said:\n%s", text, seconds, c->out);
        }
        sleep_seconds(0.002);
    }
}

void command_wait(Command *c, double seconds) {
    int status;
    double until = seconds_now() + seconds;
    while (waitpid(c->pid, &status, WNOHANG) == 0) {
        read_terminal(c);
        if (seconds_now() > until) {
            kill(-c->pid, SIGKILL);
            ck_abort_msg("it still ran after %g s; it said:\n%s%s", seconds, c->out, c->err);
        }
        sleep_seconds(0.002);
    }
    read_terminal(c);
    c->seconds = seconds_now() - c->started_s;
    c->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (c->terminal < 0) read_output(c, ".out", c->out);
    if (c->terminal < 0) read_output(c, ".err", c->err);
    const char *weights = strstr(c->out, "  weights    ");
    if (weights) snprintf(c->weights, sizeof c->weights, "%s", weights + strlen("  weights    "));
    for (int i = 0; i < 500 && !group_is_empty(c->pid); i++) sleep_seconds(0.002);
    if (!group_is_empty(c->pid)) {
        kill(-c->pid, SIGKILL);
        ck_abort_msg("it left processes behind");
    }
}

void command_finish(Command *c) {
    if (c->terminal > 0) close(c->terminal);
    free(c->out);
    free(c->err);
    *c = (Command){.terminal = -1};
}

// --- looking at it

int command_ranks(const Command *c, pid_t pids[COMMAND_RANKS]) {
    pid_t members[4 * COMMAND_RANKS];
    int found = 0, rank, count = group_members(c->pid, members, 4 * COMMAND_RANKS);
    memset(pids, 0, sizeof *pids * COMMAND_RANKS);
    for (int i = 0; i < count; i++) {
        char name[64], text[64];
        snprintf(name, sizeof name, "/proc/%d/comm", (int)members[i]);
        FILE *f = fopen(name, "r");
        if (f && fgets(text, sizeof text, f) && sscanf(text, "train-rank%d", &rank) == 1 &&
            rank < COMMAND_RANKS) {
            pids[rank] = members[i];
            found++;
        }
        if (f) fclose(f);
    }
    return found;
}

static int count_files(const char *directory, const char *end) {
    DIR *d = opendir(directory);
    int count = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[PATH_MAX];
        struct stat s;
        size_t n = strlen(e->d_name), m = strlen(end);
        snprintf(path, sizeof path, "%.2000s/%.255s", directory, e->d_name);
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || lstat(path, &s) != 0) continue;
        if (S_ISDIR(s.st_mode))
            count += count_files(path, end);
        else if (strcmp(e->d_name, ".out") && strcmp(e->d_name, ".err"))
            count += n >= m && !strcmp(e->d_name + n - m, end);
    }
    if (d) closedir(d);
    return count;
}

int command_count_files(const Command *c, const char *end) {
    return count_files(c->directory, end);
}

// --- what it says of input that it cannot use

void command_said(const char *text, const char *const parts[]) {
    for (; *parts; parts++)
        ck_assert_msg(strstr(text, *parts) != NULL, "\"%s\" is missing in %s", *parts, text);
}

void command_one_line(const char *text, const char *program) {
    size_t length = strlen(text), name = strlen(program);
    ck_assert_msg(!strncmp(text, program, name) && !strncmp(text + name, ": ", 2), "%s", text);
    ck_assert_msg(strchr(text, '\n') == text + length - 1, "not one line:\n%s", text);
    ck_assert_msg(length < 400, "%zu bytes: %s", length, text);
    for (const char *c = text; c[1]; c++)
        ck_assert_msg((unsigned char)*c >= 0x20 && *c != 0x7f, "control characters: %s", text);
}

void command_refused(Command *c, const char *program, const char *const parts[]) {
    ck_assert_msg(c->status == 2, "exit status %d: %s%s", c->status, c->out, c->err);
    command_one_line(c->err, program);
    command_said(c->err, parts);
    ck_assert_str_eq(c->out, "");
    command_finish(c);
}

int command_columns(const char *text) {
    int longest = 0;
    for (const char *end; *text; text = end + (*end == '\n')) {
        end = text + strcspn(text, "\n");
        if (end - text > longest) longest = (int)(end - text);
    }
    return longest;
}
