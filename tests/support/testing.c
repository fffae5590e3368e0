// SPDX-License-Identifier: MIT
#include "tests/support/testing.h"

#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

// Check runs each test in a child; a skip is told to the parent through shared memory.
static char *skipped;           // lines "test name<tab>reason"
static char *made_directories;  // shared too: names, one a line
enum { SKIPPED = 1 << 16, DIRECTORIES = 1 << 16 };

void test_skip(const char *fmt, ...) {
    char reason[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    size_t used = strlen(skipped);
    snprintf(skipped + used, SKIPPED - used, "%s\t%s\n", tcase_name(), reason);
}

// The reason why a test skipped itself, its length in *length; NULL when it did not.
static const char *reason_of(const char *name, int *length) {
    for (const char *line = skipped; *line; line = strchr(line, '\n') + 1) {
        const char *tab = strchr(line, '\t');
        if ((size_t)(tab - line) == strlen(name) && !strncmp(line, name, strlen(name))) {
            *length = (int)(strchr(tab, '\n') - tab - 1);
            return tab + 1;
        }
    }
    return NULL;
}

static const char *under(const char *variable, const char *path) {
    static char full[PATH_MAX];
    const char *top = getenv(variable);
    if (!top || !*top) return NULL;
    snprintf(full, sizeof full, "%s/%s", top, path);
    return access(full, F_OK) == 0 ? full : NULL;
}

const char *test_shared(const char *path) { return under("TANDEM_SHARED", path); }
const char *test_source(const char *path) { return under("TANDEM_SOURCE", path); }
const char *test_build(const char *path) { return under("TANDEM_BUILD", path); }

const char *test_directory(void) {
    static char name[64];
    strcpy(name, "/tmp/tandem-test-XXXXXX");
    if (!mkdtemp(name)) return NULL;
    size_t used = strlen(made_directories);
    if (used + strlen(name) + 2 < DIRECTORIES) {
        strcat(made_directories, name);
        strcat(made_directories, "\n");
    }
    return name;
}

void test_has(const char *text, const char *part) {
    ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is missing in:\n%s", part, text);
}

void test_lacks(const char *text, const char *part) {
    ck_assert_msg(strstr(text, part) == NULL, "\"%s\" is in:\n%s", part, text);
}

int test_shell(char *out, size_t size, const char *fmt, ...) {
    char command[8192], line[8192 + PATH_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    const char *source = getenv("TANDEM_SOURCE");
    snprintf(line, sizeof line, "exec 2>&1; cd '%s' && { %s\n}", source ? source : ".", command);
    FILE *f = popen(line, "r");
    if (!f) return -1;
    size_t used = fread(out, 1, size - 1, f);
    out[used] = '\0';
    char rest[4096];
    while (fread(rest, 1, sizeof rest, f) > 0) {
    }
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f) {
    return remove(path);
}

static void print_indented(const char *text) {
    printf("# ");
    for (; *text; text++) {
        putchar(*text);
        if (*text == '\n') printf("# ");
    }
    putchar('\n');
}

// Run one case at a time, so that a line appears when its test has ended.
int main(void) {
    skipped = mmap(NULL, SKIPPED, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    made_directories =
        mmap(NULL, DIRECTORIES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (skipped == MAP_FAILED || made_directories == MAP_FAILED) return 99;
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_SILENT);
    int count = srunner_ntests_run(r), failed = srunner_ntests_failed(r);
    TestResult **results = srunner_results(r);
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        bool ok = tr_rtype(results[i]) == CK_PASS;
        int length;
        const char *why = ok ? reason_of(tr_tcname(results[i]), &length) : NULL;
        printf("%s %d - %s", ok ? "ok" : "not ok", i + 1, tr_tcname(results[i]));
        if (why) printf(" # SKIP %.*s", length, why);
        putchar('\n');
        if (!ok) print_indented(tr_msg(results[i]));
        if (!ok) printf("# %s:%d\n", tr_lfile(results[i]), tr_lno(results[i]));
    }
    free(results);
    srunner_free(r);
    for (char *d = strtok(made_directories, "\n"); d; d = strtok(NULL, "\n"))
        nftw(d, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
