// SPDX-License-Identifier: MIT
// The process that a learner's function runs in: limits, signals, the checker.
#include "lessons/build/child.h"

#include "lessons/build/build.h"
#include "lessons/engine/translate.h"

#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// The one that signals are about; set before there are any.
static BuildCheck check;

// Which array was touched, and where? Only notes are taken here: the parent puts them into words.
static void crashed(int signal, siginfo_t *info, void *context) {
    BuildReport *r = check.report;
    const char *at = info->si_addr;
    r->crash = BUILD_CRASH_ELSEWHERE;
    r->address = (uintptr_t)at;
    for (int i = 0; i < check.array_count; i++) {
        const BuildArray *a = &check.arrays[i];
        if (at < a->map || at >= a->map + a->mapped) continue;
        int64_t element = (at - a->data) / (int64_t)a->size;
        memcpy(r->array, a->name, sizeof r->array);
        r->element = element;
        r->elements = a->elements;
        r->crash = a->constant && element < a->elements ? BUILD_CRASH_CONST : BUILD_CRASH_PAST;
    }
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigaction(signal, &usual, NULL);
    raise(signal);
}

static void limit(void) {
    static char stack[64 << 10];  // for a learner's function that has used up its own
    struct rlimit seconds = {BUILD_CPU_SECONDS, BUILD_CPU_SECONDS + 1}, none = {0, 0};
    struct sigaction action = {.sa_sigaction = crashed, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    setrlimit(RLIMIT_CPU, &seconds);
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGINT, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    alarm(BUILD_SECONDS);
}

void exercise_child(const Exercise *e, Arena *a, const char *library, uint64_t seed,
                    BuildReport *report) {
    check = (BuildCheck){.arena = a, .seed = seed, .report = report};
    rng_init(&check.rng, seed, RNG_LESSON, (uint32_t)e->number, 1u << 16);
    limit();
    void *loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!loaded) {
        if (exercise_fail(&check, _("it cannot be loaded: %s"), dlerror())) exercise_end();
    }
    void *function = dlsym(loaded, e->function);
    if (!function) {
        if (exercise_fail(&check, _("there is no function %s in it"), e->function)) exercise_end();
    }
    memcpy(&check.function, &function, sizeof function);
    report->loaded = true;
    if (e->check(&check) == OK) {
        report->passed++;
        report->finished = true;
    } else if (!*report->message) {  // a failure of ours
        snprintf(report->message, sizeof report->message, "%s", status_message());
    }
    exercise_end();
}
