// SPDX-License-Identifier: MIT
#include "programs/ending.h"

#include <errno.h>
#include <string.h>

Status ending_flush(void) {
    errno = 0;
    if (fflush(stdout) || ferror(stdout))
        FAIL(ERR_IO, "standard output could not be written: %s", strerror(errno ? errno : EIO));
    return OK;
}

int ending_fail(Log *l, Status s) {
    char message[STATUS_TEXT];
    snprintf(message, sizeof message, "%s", status_message());
    fflush(stdout);
    log_say(l, LOG_ERROR, "%s", message);
    log_say(l, LOG_DETAIL, "  %s, seen at %s", status_name(s), status_place());
    return status_exit(s);
}

int ending_status(Log *l, Status s) {
    if (s == OK) s = ending_flush();
    int status = s == OK ? 0 : ending_fail(l, s);
    return log_close(l) == OK ? status : ending_fail(l, ERR_IO);
}
