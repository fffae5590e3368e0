// SPDX-License-Identifier: MIT
// Runs every file of a folder through a fuzz target, each in a process of its own; speaks TAP.
// Usage: replay_NAME FOLDER
#include "core/base/file.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <limits.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 60 };

// The child: a crash, a sanitizer's complaint or a loop ends it with another status than 0.
static void run_one(const char *path) {
    Arena a = {0};
    char *text;
    size_t length;
    alarm(SECONDS);
    if (file_read(&text, &length, &a, path) != OK) {
        fprintf(stderr, "%s\n", status_message());
        _exit(1);
    }
    char *exact = malloc(length + 1);  // its own block, so that reading behind the end is seen
    if (length) memcpy(exact, text, length);
    LLVMFuzzerTestOneInput((const uint8_t *)exact, length);
    free(exact);
    arena_finish(&a);
    exit(0);
}

static int run_apart(const char *path) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) run_one(path);
    int status = -1;
    if (child > 0) waitpid(child, &status, 0);
    return status;
}

static int visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

int main(int argc, char *argv[]) {
    struct dirent **files;
    int count = argc == 2 ? scandir(argv[1], &files, visible, alphasort) : -1, failed = 0;
    if (count < 1) {
        fprintf(stderr, "usage: %s FOLDER, with files in it\n", argv[0]);
        return 2;
    }
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", argv[1], files[i]->d_name);
        int status = run_apart(path);
        failed += status != 0;
        printf("%sok %d - %s\n", status ? "not " : "", i + 1, files[i]->d_name);
        free(files[i]);
    }
    free(files);
    return failed != 0;
}
