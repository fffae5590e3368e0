// SPDX-License-Identifier: MIT
// Editors replace a file or write into it: its folder is watched, and the file looked at. Where the
// folder cannot be watched, or others change it over a network, looking alone notices.
#include "lessons/build/build.h"

#include "core/base/file.h"

#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

static bool changed(BuildWatch *w) {
    struct stat now;
    if (stat(w->path, &now) != 0) return false;  // while an editor replaces it
    int64_t ns = (int64_t)now.st_mtim.tv_sec * 1000000000 + now.st_mtim.tv_nsec;
    bool other = ns != w->changed_ns || now.st_size != w->bytes || now.st_ino != w->inode;
    w->changed_ns = ns;
    w->bytes = now.st_size;
    w->inode = now.st_ino;
    return other;
}

void exercise_watch_open(BuildWatch *w, const char *path) {
    char folder[BUILD_PATH];
    *w = (BuildWatch){.events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
    snprintf(w->path, sizeof w->path, "%s", path);
    file_folder(folder, path);
    if (w->events >= 0 &&
        inotify_add_watch(w->events, folder, IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE) < 0) {
        close(w->events);
        w->events = -1;
    }
    changed(w);
}

bool exercise_watch_wait(BuildWatch *w, const volatile sig_atomic_t *stop) {
    enum { WATCHED_MS = 2000, UNWATCHED_MS = 300 };
    char events[4096];
    while (!*stop) {
        struct pollfd wait = {.fd = w->events, .events = POLLIN};
        if (poll(&wait, 1, w->events >= 0 ? WATCHED_MS : UNWATCHED_MS) > 0)
            while (read(w->events, events, sizeof events) > 0) continue;
        if (changed(w)) return true;
    }
    return false;
}

void exercise_watch_close(BuildWatch *w) {
    if (w->events >= 0) close(w->events);
    w->events = -1;
}
