// SPDX-License-Identifier: MIT
// Compiling a learner's file, and putting into words what became of it.
#include "lessons/build/build.h"

#include "lessons/build/child.h"
#include "lessons/engine/translate.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

// -ffp-contract=off: products are rounded before they are added, as our kernels do it.
static Status compile(const char *path, const char *library) {
    static const char *const COMPILERS[] = {"cc", "gcc", "clang"};
    enum { COUNT = sizeof COMPILERS / sizeof *COMPILERS };
    for (int i = 0; i < COUNT; i++) {
        const char *const words[] = {
            COMPILERS[i],        "-std=c11", "-O2",   "-g", "-Wall", "-shared", "-fPIC",
            "-ffp-contract=off", "-o",       library, path, "-lm",   NULL};
        char *arguments[sizeof words / sizeof *words];
        int status;
        pid_t compiler;
        memcpy(arguments, words, sizeof words);
        int error = posix_spawnp(&compiler, COMPILERS[i], NULL, NULL, arguments, environ);
        if (error == ENOENT) continue;
        if (error) FAIL(ERR_FAILED, "%s: %s", COMPILERS[i], strerror(error));
        while (waitpid(compiler, &status, 0) < 0 && errno == EINTR) continue;
        if (status != 0) FAIL(ERR_FAILED, _("%s does not compile"), path);
        return OK;
    }
    FAIL(ERR_UNAVAILABLE, "%s",
         _("there is no C compiler (cc, gcc or clang) on the PATH, and an exercise needs one: "
           "install gcc or clang"));
}

// --- what became of it

static void say_crash(const BuildReport *r, int signal, FILE *out) {
    if (r->crash == BUILD_CRASH_PAST)
        fprintf(out, _("  it touches %s[%lld], which has %lld elements\n"), r->array,
                (long long)r->element, (long long)r->elements);
    else if (r->crash == BUILD_CRASH_CONST)
        fprintf(out, _("  it writes to %s[%lld], which is const\n"), r->array,
                (long long)r->element);
    else if (r->crash == BUILD_CRASH_ELSEWHERE && r->address < 4096)
        fprintf(out, _("  it follows a null pointer (signal %d, %s)\n"), signal, strsignal(signal));
    else if (signal == SIGXCPU || signal == SIGKILL)
        fprintf(out, _("  it ran for more than %d s of processor time: an endless loop?\n"),
                BUILD_CPU_SECONDS);
    else if (signal == SIGALRM)
        fprintf(out, _("  it had not ended after %d s: does it wait for something?\n"),
                BUILD_SECONDS);
    else
        fprintf(out, _("  it crashed (signal %d, %s)\n"), signal, strsignal(signal));
}

static Status say(const Exercise *e, const BuildReport *r, int status, uint64_t seed, FILE *out) {
    if (WIFEXITED(status) && r->finished) {
        fprintf(out, _("Exercise %d, seed %llu: all %d cases pass.\n"), e->number,
                (unsigned long long)seed, r->passed);
        for (int i = 0; i < r->score_count; i++) {
            const BuildScore *s = &r->scores[i];
            fprintf(out, _("  %s: %.4g %s; our solver: %.4g %s (%.2f times)\n"), _(s->what),
                    s->yours, s->unit, s->ours, s->unit, s->ours > 0 ? s->yours / s->ours : 1);
        }
        return OK;
    }
    fprintf(out, _("Exercise %d, seed %llu: %d cases pass, then this one does not:\n"), e->number,
            (unsigned long long)seed, r->passed);
    if (*r->at) fprintf(out, "  %s\n", r->at);
    if (WIFSIGNALED(status))
        say_crash(r, WTERMSIG(status), out);
    else if (*r->message)
        fprintf(out, "  %s\n", r->message);
    else
        fprintf(out, _("  it ended the process itself, with exit status %d\n"),
                WEXITSTATUS(status));
    FAIL(ERR_FAILED, _("exercise %d does not pass yet; --seed %llu tries the same cases again"),
         e->number, (unsigned long long)seed);
}

static Status test(const Exercise *e, Arena *a, const char *library, uint64_t seed, FILE *out) {
    BuildReport *report =
        mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;
    if (report == MAP_FAILED) FAIL(ERR_MEMORY, "out of memory for a report");
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) exercise_child(e, a, library, seed, report);
    Status s = OK;
    if (child < 0) {
        s = status_fail(ERR_MEMORY, __FILE__, __LINE__, "fork: %s", strerror(errno));
    } else {
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
        s = say(e, report, status, seed, out);
    }
    munmap(report, sizeof *report);
    return s;
}

Status exercise_run(const Exercise *e, Arena *a, const char *path, uint64_t seed, FILE *out) {
    const char *temporary = getenv("TMPDIR");
    char folder[BUILD_PATH], library[BUILD_PATH + 16];
    if (!temporary || !*temporary) temporary = "/tmp";
    snprintf(folder, sizeof folder, "%s/tandem-build-XXXXXX", temporary);
    if (!mkdtemp(folder)) FAIL(ERR_IO, "%s: %s", folder, strerror(errno));
    snprintf(library, sizeof library, "%s/build.so", folder);
    Status s = compile(path, library);
    if (s == OK) s = test(e, a, library, seed, out);
    unlink(library);
    rmdir(folder);
    return s;
}
