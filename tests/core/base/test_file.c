// SPDX-License-Identifier: MIT
#include "core/base/clock.h"
#include "core/base/file.h"
#include "tests/support/testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[1024];

// A path in a directory of this test's own; several may be in use at once.
static const char *here(const char *name) {
    static char paths[8][2048];
    static int next;
    if (!directory[0]) snprintf(directory, sizeof directory, "%s", test_directory());
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static int files_here(void) {
    here("");
    DIR *d = opendir(directory);
    ck_assert_ptr_nonnull(d);
    int count = 0;
    for (struct dirent *e; (e = readdir(d));) count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

static void write_plain(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

static void write_output(const char *path, const char *text) {
    OutputFile f;
    ck_assert_ok(file_create(&f, path));
    fputs(text, f.stream);
    ck_assert_ok(file_commit(&f));
}

// The file's text through file_read(); the memory is given up with the process of the test.
static char *read_text(const char *path) {
    static Arena a;
    char *text;
    size_t length;
    ck_assert_ok(file_read(&text, &length, &a, path));
    ck_assert_uint_eq(strlen(text), length);
    return text;
}

// --- reading

START_TEST(a_file_is_read_whole_and_terminated) {
    Arena a = {0};
    char *data;
    size_t length;
    write_plain(here("x"), "one\0two", 7);
    ck_assert_ok(file_read(&data, &length, &a, here("x")));
    ck_assert_uint_eq(length, 7);
    ck_assert_mem_eq(data, "one\0two", 8);
    write_plain(here("empty"), "", 0);
    ck_assert_ok(file_read(&data, &length, &a, here("empty")));
    ck_assert_uint_eq(length, 0);
    ck_assert_int_eq(data[0], 0);
    arena_finish(&a);
}
END_TEST

// 5 MB: more than the reader asks for at once, and more than it begins with.
START_TEST(gzip_is_recognised_by_content_whatever_its_name) {
    enum { N = 5000000 };
    char *text = malloc(N + 1);
    for (int i = 0; i < N; i++) text[i] = (char)('a' + i % 23);
    text[N] = '\0';
    write_output(here("big.gz"), text);
    struct stat at;
    ck_assert_int_eq(stat(here("big.gz"), &at), 0);
    ck_assert_int_lt(at.st_size, N / 10);
    ck_assert_int_eq(rename(here("big.gz"), here("big")), 0);
    ck_assert_str_eq(read_text(here("big")), text);
    free(text);
}
END_TEST

START_TEST(standard_input_is_a_dash) {
    write_plain(here("in"), "from a pipe", 11);
    int fd = open(here("in"), O_RDONLY);
    ck_assert_int_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    ck_assert_str_eq(read_text("-"), "from a pipe");
}
END_TEST

START_TEST(what_cannot_be_read_is_named_with_the_reason) {
    Arena a = {0};
    char *data;
    size_t length;
    ck_assert_fails(file_read(&data, &length, &a, here("none")), ERR_INPUT, "/none: No such file");
    ck_assert_fails(file_read(&data, &length, &a, directory), ERR_INPUT, "Is a directory");
    arena_finish(&a);
}
END_TEST

START_TEST(a_file_of_more_than_was_asked_for_is_refused) {
    Arena a = {0};
    char *data, *zeros = calloc(1, 4000001);
    size_t length;
    memset(zeros, ' ', 4000000);
    write_output(here("bomb.gz"), zeros);
    write_output(here("large"), zeros);
    ck_assert_fails(file_read_most(&data, &length, &a, 2000000, here("bomb.gz")), ERR_INPUT,
                    "bomb.gz: more than 1.91MiB when unpacked");
    ck_assert_fails(file_read_most(&data, &length, &a, 3999999, here("large")), ERR_INPUT,
                    "large: more than 3.81MiB; a file");
    ck_assert_fails(file_read_most(&data, &length, &a, 1 << 20, "/dev/zero"), ERR_INPUT,
                    "/dev/zero: more than 1MiB");
    ck_assert_ok(file_read_most(&data, &length, &a, 4000000, here("bomb.gz")));
    ck_assert_uint_eq(length, 4000000);
    free(zeros);
    arena_finish(&a);
}
END_TEST

START_TEST(cut_or_damaged_gzip_is_an_error) {
    Arena a = {0};
    char *data, place[128];
    size_t length;
    write_output(here("x.gz"), "abcdefghijklmnopqrstuvwxyz, and again: abcdefghijklmnopqrstuvwxyz");
    unsigned char bytes[256];
    FILE *f = fopen(here("x.gz"), "rb");
    size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    write_plain(here("cut.gz"), bytes, size - 4);
    ck_assert_fails(file_read(&data, &length, &a, here("cut.gz")), ERR_INPUT,
                    "cut.gz: the compressed data end too early");
    bytes[size - 8] ^= 1;  // the checksum, 4 bytes before the last 4; the place is behind it
    snprintf(place, sizeof place,
             "bad.gz: byte %zu: damaged gzip data (incorrect data check); fetch", size - 4);
    write_plain(here("bad.gz"), bytes, size);
    ck_assert_fails(file_read(&data, &length, &a, here("bad.gz")), ERR_INPUT, place);
    arena_finish(&a);
}
END_TEST

// --- writing

START_TEST(a_file_appears_under_its_name_when_it_is_complete) {
    OutputFile f;
    ck_assert_ok(file_create(&f, here("out")));
    fputs("half", f.stream);
    fflush(f.stream);
    ck_assert_int_ne(access(here("out"), F_OK), 0);
    ck_assert_ok(file_commit(&f));
    ck_assert_str_eq(read_text(here("out")), "half");
    ck_assert_int_eq(files_here(), 1);
    file_discard(&f);
    ck_assert_int_eq(files_here(), 1);
}
END_TEST

START_TEST(a_discarded_file_leaves_the_old_one_and_nothing_else) {
    write_output(here("out"), "old");
    OutputFile f;
    ck_assert_ok(file_create(&f, here("out")));
    fputs("new", f.stream);
    file_discard(&f);
    file_discard(&f);
    ck_assert_str_eq(read_text(here("out")), "old");
    ck_assert_int_eq(files_here(), 1);
    OutputFile zero = {0};
    file_discard(&zero);
}
END_TEST

START_TEST(compressed_output_is_the_same_bytes_each_time) {
    write_output(here("a.gz"), "the same text");
    write_output(here("b.gz"), "the same text");
    char a[256] = "", b[256] = "";
    FILE *f = fopen(here("a.gz"), "rb"), *g = fopen(here("b.gz"), "rb");
    size_t n = fread(a, 1, sizeof a, f), m = fread(b, 1, sizeof b, g);
    fclose(f);
    fclose(g);
    ck_assert_uint_eq(n, m);
    ck_assert_mem_eq(a, b, n);
    ck_assert_mem_eq(a, "\x1f\x8b", 2);
}
END_TEST

START_TEST(two_files_of_one_name_can_be_in_the_making) {
    OutputFile f, g;
    ck_assert_ok(file_create(&f, here("out")));
    ck_assert_ok(file_create(&g, here("out")));
    fputs("first", f.stream);
    fputs("second", g.stream);
    ck_assert_ok(file_commit(&f));
    ck_assert_str_eq(read_text(here("out")), "first");
    ck_assert_ok(file_commit(&g));
    ck_assert_str_eq(read_text(here("out")), "second");
}
END_TEST

START_TEST(a_link_stays_a_link_to_the_new_contents) {
    write_output(here("real"), "old");
    ck_assert_int_eq(symlink("real", here("link")), 0);
    write_output(here("link"), "new");
    ck_assert_str_eq(read_text(here("real")), "new");
    struct stat at;
    ck_assert_int_eq(lstat(here("link"), &at), 0);
    ck_assert(S_ISLNK(at.st_mode));
}
END_TEST

// A link may lead to another, from its own place, and to a file that is still to be made.
START_TEST(a_link_to_nothing_leads_to_the_new_file) {
    ck_assert_int_eq(mkdir(here("sub"), 0777), 0);
    ck_assert_int_eq(symlink("sub/link", here("first")), 0);
    ck_assert_int_eq(symlink("../made", here("sub/link")), 0);
    write_output(here("first"), "new");
    struct stat at;
    ck_assert_int_eq(lstat(here("made"), &at), 0);
    ck_assert(S_ISREG(at.st_mode));
    ck_assert_str_eq(read_text(here("first")), "new");
    ck_assert_int_eq(symlink("loop", here("loop")), 0);
    OutputFile f;
    ck_assert_fails(file_create(&f, here("loop")), ERR_IO, "Too many levels of symbolic links");
}
END_TEST

START_TEST(a_new_file_is_read_by_those_who_read_the_old_one) {
    static const mode_t modes[] = {0600, 0640, 0664, 0444 | S_IWUSR};
    ck_assert_int_eq(symlink("out", here("link")), 0);
    umask(022);
    for (int i = 0; i < 4; i++) {
        struct stat at;
        write_output(here("out"), "old");
        ck_assert_int_eq(chmod(here("out"), modes[i]), 0);
        write_output(here(i % 2 ? "link" : "out"), "new");
        ck_assert_int_eq(stat(here("out"), &at), 0);
        ck_assert_uint_eq(at.st_mode & 07777, modes[i]);
    }
    struct stat at;
    write_output(here("another"), "new");
    ck_assert_int_eq(stat(here("another"), &at), 0);
    ck_assert_uint_eq(at.st_mode & 07777, 0644);
}
END_TEST

START_TEST(a_process_that_is_killed_while_it_writes_leaves_nothing) {
    int ready[2];
    write_output(here("old"), "old");
    ck_assert_int_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        OutputFile f, g;
        if (file_create(&f, here("new")) != OK || file_create(&g, here("old")) != OK) _exit(1);
        fputs("half", f.stream);
        fflush(f.stream);
        if (write(ready[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    char byte;
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ck_assert_int_eq(files_here(), 1);
    ck_assert_str_eq(read_text(here("old")), "old");
}
END_TEST

// The name of this process's partial file, of one like it with another id (0: its own), on another
// host (NULL: this one), that was started `later` ticks after it.
static const char *partial_of(pid_t pid, const char *host, int later) {
    static char name[FILE_PARTIAL];
    char own[FILE_PARTIAL], this_host[65];
    unsigned long long start;
    int id, number;
    ck_assert_int_eq(gethostname(this_host, sizeof this_host), 0);
    ck_assert_ok(file_partial(own, "w-step4", 0));
    const char *rest = own + strlen("w-step4.") + strlen(this_host);
    ck_assert_int_eq(sscanf(rest, ".%d-%llu-%d.partial", &id, &start, &number), 3);
    ck_assert(id == getpid() && start > 0 && number == 0);
    snprintf(name, sizeof name, "w-step4.%s.%d-%llu-0.partial", host ? host : this_host,
             (int)(pid ? pid : getpid()), start + (unsigned)later);
    return name;
}

// A process that has ended; collected, or not yet, as by an init that is slow.
static pid_t ended(bool collected) {
    siginfo_t how;
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &how, WEXITED | (collected ? 0 : WNOWAIT)), 0);
    return pid;
}

START_TEST(what_killed_processes_left_is_swept_and_nothing_else) {
    const pid_t gone = ended(true), dead = ended(false);
    write_output(here(partial_of(0, NULL, 0)), "of this process, still at work");
    write_output(here(partial_of(gone, "other.host", 0)), "of one that may be at work there");
    write_output(here("w-step4"), "whole");
    write_output(here("w.1-0.partial"), "somebody's");
    write_output(here("w.1-0-0.partial"), "somebody's");
    for (int i = 0; i < 3; i++) {
        const char *name = partial_of(i == 0 ? gone : i == 1 ? dead : 0, NULL, i == 2);
        write_output(here(name), "half");
        ck_assert_ok(file_sweep(here("v"), 1));  // the beginning of no name here
        ck_assert_int_eq(files_here(), 6);
        ck_assert_ok(file_sweep(here("w.safetensors"), 1));
        ck_assert_int_eq(files_here(), 5);
        ck_assert_msg(access(here(name), F_OK) != 0, "%s is left", name);
    }
    waitpid(dead, NULL, 0);
}
END_TEST

START_TEST(the_folder_of_a_path_and_the_end_of_its_links_are_found) {
    Arena a = {0};
    char folder[FILE_FOLDER];
    const char *real;
    static const char *const paths[][2] = {{"w", "."}, {"/w", "/"}, {"a/b/w", "a/b"}};
    for (int i = 0; i < 3; i++) {
        file_folder(folder, paths[i][0]);
        ck_assert_str_eq(folder, paths[i][1]);
    }
    ck_assert_int_eq(symlink("made", here("link")), 0);
    ck_assert_ok(file_resolve(&real, &a, here("link")));
    ck_assert_str_eq(real, here("made"));
    ck_assert_ok(file_resolve(&real, &a, "/dev/stdout"));
    ck_assert_str_eq(real, "/dev/stdout");
    ck_assert_ok(file_sync_folder(real));
    arena_finish(&a);
}
END_TEST

START_TEST(a_check_leaves_nothing_and_touches_no_pipe) {
    write_output(here("old"), "old");
    ck_assert_ok(file_check(here("old")));
    ck_assert_ok(file_check(here("new")));
    ck_assert_ok(file_check("-"));
    ck_assert_int_eq(files_here(), 1);
    ck_assert_str_eq(read_text(here("old")), "old");
    ck_assert_fails(file_check(here("none/x")), ERR_IO, "No such file or directory");
    ck_assert_int_eq(mkfifo(here("pipe"), 0666), 0);
    ck_assert_ok(file_check(here("pipe")));  // nobody reads: opening it would wait for ever
}
END_TEST

START_TEST(a_device_is_written_to_and_not_replaced) {
    write_output("/dev/null", "gone");
    struct stat at;
    ck_assert_int_eq(stat("/dev/null", &at), 0);
    ck_assert(S_ISCHR(at.st_mode));
}
END_TEST

START_TEST(standard_output_is_a_dash) {
    int fd = open(here("captured"), O_WRONLY | O_CREAT, 0666);
    ck_assert_int_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
    printf("first ");
    write_output("-", "second");
    ck_assert_str_eq(read_text(here("captured")), "first second");
}
END_TEST

START_TEST(an_unwritable_place_fails_at_once_and_says_why) {
    OutputFile f;
    write_plain(here("file"), "x", 1);
    ck_assert_fails(file_create(&f, here("none/x")), ERR_IO, "none/x: No such file or directory");
    ck_assert_fails(file_create(&f, here("file/x")), ERR_IO, "file/x: Not a directory");
    ck_assert_fails(file_create(&f, directory), ERR_IO, "Is a directory; give the name of a file");
    ck_assert_fails(file_create(&f, "/proc/tandem"), ERR_IO, "/proc/tandem");
    char longest[6000];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ck_assert_fails(file_create(&f, longest), ERR_IO, "File name too long");
    ck_assert_int_eq(files_here(), 1);
}
END_TEST

// /dev/full takes nothing: as a disk that has no room left.
START_TEST(a_full_disk_is_an_error_of_commit) {
    OutputFile f;
    ck_assert_ok(file_create(&f, "/dev/full"));
    fputs("text", f.stream);
    ck_assert_fails(file_commit(&f), ERR_IO,
                    "/dev/full: could not be written: No space left on device");
    ck_assert_int_eq(symlink("/dev/full", here("full.gz")), 0);
    ck_assert_ok(file_create(&f, here("full.gz")));
    fputs("text", f.stream);
    ck_assert_fails(file_commit(&f), ERR_IO,
                    "full.gz: could not be written: No space left on device");
}
END_TEST

START_TEST(directories_are_made_with_their_parents) {
    ck_assert_ok(file_make_directory(here("a/b/c")));
    ck_assert_ok(file_make_directory(here("a/b/c/")));
    ck_assert_int_eq(access(here("a/b/c"), W_OK), 0);
    write_plain(here("file"), "x", 1);
    ck_assert_fails(file_make_directory(here("file")), ERR_IO, "file: Not a directory");
    ck_assert_fails(file_make_directory(here("file/x")), ERR_IO, "file: Not a directory");
    ck_assert_fails(file_make_directory("/proc/tandem"), ERR_IO,
                    "/proc/tandem: cannot make the directory");
    ck_assert_fails(file_make_directory(""), ERR_IO, "empty");
}
END_TEST

// --- clocks

START_TEST(the_monotonic_clock_passes_a_sleep_and_the_cpu_clock_does_not) {
    int64_t wall = clock_ns(), cpu = clock_thread_cpu_ns();
    clock_sleep_ns(20 * 1000 * 1000);
    clock_sleep_ns(0);
    clock_sleep_ns(-5);
    int64_t slept = clock_ns() - wall, used = clock_thread_cpu_ns() - cpu;
    ck_assert_int_ge(slept, 20 * 1000 * 1000);
    ck_assert_int_ge(used, 0);
    ck_assert_int_lt(used, slept);
}
END_TEST

START_TEST(the_time_of_day_is_printed_in_utc_with_milliseconds) {
    char text[CLOCK_TEXT];
    // 951782400: 2000-02-29, a leap day, 00:00:00 UTC.
    ck_assert_str_eq(clock_print_utc(text, INT64_C(951782399) * 1000000000 + 999999999),
                     "2000-02-28T23:59:59.999Z");
    ck_assert_str_eq(clock_print_utc(text, INT64_C(951782400) * 1000000000 + 7000000),
                     "2000-02-29T00:00:00.007Z");
    ck_assert(clock_utc_ns() > INT64_C(1700000000) * 1000000000);
}
END_TEST

SUITE("file", a_file_is_read_whole_and_terminated, gzip_is_recognised_by_content_whatever_its_name,
      standard_input_is_a_dash, what_cannot_be_read_is_named_with_the_reason,
      a_file_of_more_than_was_asked_for_is_refused, cut_or_damaged_gzip_is_an_error,
      a_file_appears_under_its_name_when_it_is_complete,
      a_discarded_file_leaves_the_old_one_and_nothing_else,
      compressed_output_is_the_same_bytes_each_time, two_files_of_one_name_can_be_in_the_making,
      a_link_stays_a_link_to_the_new_contents, a_link_to_nothing_leads_to_the_new_file,
      a_new_file_is_read_by_those_who_read_the_old_one,
      a_process_that_is_killed_while_it_writes_leaves_nothing,
      what_killed_processes_left_is_swept_and_nothing_else,
      the_folder_of_a_path_and_the_end_of_its_links_are_found,
      a_check_leaves_nothing_and_touches_no_pipe, a_device_is_written_to_and_not_replaced,
      standard_output_is_a_dash, an_unwritable_place_fails_at_once_and_says_why,
      a_full_disk_is_an_error_of_commit, directories_are_made_with_their_parents,
      the_monotonic_clock_passes_a_sleep_and_the_cpu_clock_does_not,
      the_time_of_day_is_printed_in_utc_with_milliseconds)
