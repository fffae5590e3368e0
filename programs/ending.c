// SPDX-License-Identifier: MIT
// Flushing, the last message and the exit status.
#include "programs/ending.h"

#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

void ending_begin(void) {
    signal(SIGXFSZ, SIG_IGN);
    // A new descriptor is the lowest that is free. It is opened for what nobody does with it.
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return;
}

Status ending_flush(void) {
    errno = 0;
    if (fflush(stdout) || ferror(stdout))
        FAIL(ERR_IO, "standard output could not be written: %s", file_write_reason(errno));
    return OK;
}

int ending_fail(Log *l, Status s) {
    char message[STATUS_TEXT];
    snprintf(message, sizeof message, "%s", status_message());
    log_say(l, LOG_ERROR, "%s", message);
    log_say(l, LOG_DETAIL, "  %s, seen at %s", status_name(s), status_place());
    return status_exit(s);
}

int ending_status(Log *l, Status s) {
    if (s == OK) s = ending_flush();
    int status = s == OK ? 0 : ending_fail(l, s);
    return log_close(l) == OK ? status : ending_fail(l, ERR_IO);
}
