// SPDX-License-Identifier: MIT
// What `meson install` puts where: programs under names of their own, manual pages and completions
// from the tables of options, documents.
#include "tests/support/testing.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static char to[128];  // where it was installed
static char out[65536];

#define SHELL(...) test_shell(out, sizeof out, __VA_ARGS__)

// false: there is no Meson here to install with.
static bool install(void) {
    if (SHELL("command -v meson") != 0) return false;
    snprintf(to, sizeof to, "%s", test_directory());
    ck_assert_msg(SHELL("DESTDIR=%s meson install --no-rebuild -C \"$TANDEM_BUILD\"", to) == 0,
                  "%s", out);
    return true;
}

// The path of the one installed file of that name.
static const char *installed(const char *name) {
    static char path[512];
    ck_assert_int_eq(SHELL("find %s -name %s -type f", to, name), 0);
    ck_assert_msg(strchr(out, '\n') && strchr(out, '\n')[1] == '\0', "%s: \"%s\"", name, out);
    snprintf(path, sizeof path, "%.*s", (int)strcspn(out, "\n"), out);
    return path;
}

START_TEST(programs_pages_completions_and_documents_are_installed) {
    if (!install()) SKIP("no meson");
    static const char *const files[] = {"tandem-train",      "tandem-sim",      "tandem-train.1",
                                        "tandem-sim.1",      "_tandem-train",   "_tandem-sim",
                                        "tandem-train.bash", "tandem-sim.bash", "formats.md",
                                        "README.md",         "LICENSE"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) installed(files[i]);
    ck_assert_int_eq(SHELL("find %s -name train -o -name sim", to), 0);
    ck_assert_str_eq(out, "");  // names that anybody could have
}
END_TEST

START_TEST(installed_programs_go_by_their_own_names) {
    if (!install()) SKIP("no meson");
    ck_assert_int_eq(SHELL("%s --help", installed("tandem-sim")), 0);
    ck_assert_ptr_nonnull(strstr(out, "Usage: tandem-sim [OPTION...]"));
    ck_assert_ptr_nonnull(strstr(out, "\n  tandem-sim --gpus 8"));
    ck_assert_ptr_null(strstr(out, "\n  sim "));
    ck_assert_int_eq(SHELL("%s --nosuch", installed("tandem-train")), 2);
    ck_assert_str_eq(out, "tandem-train: unknown option --nosuch (--help lists the options)\n");
    ck_assert_int_eq(SHELL("%s --nosuch", installed("tandem-sim")), 2);
    ck_assert_ptr_nonnull(strstr(out, "tandem-sim: unknown option"));
    ck_assert_int_eq(SHELL("cd %s && %s --model linear --data digits:count=300 --steps 2", to,
                           installed("tandem-train")),
                     0);
    ck_assert_ptr_nonnull(strstr(out, "linear on 1 rank"));
}
END_TEST

START_TEST(manual_pages_have_every_option_and_no_warnings) {
    if (!install()) SKIP("no meson");
    if (SHELL("command -v groff") != 0) SKIP("no groff");
    static const char *const pages[] = {"tandem-train.1", "tandem-sim.1"};
    for (int i = 0; i < 2; i++) {
        const char *page = installed(pages[i]);
        char path[512];
        snprintf(path, sizeof path, "%s", page);
        ck_assert_int_eq(SHELL("groff -man -ww -z -k -Tutf8 %s 2>&1", path), 0);
        ck_assert_str_eq(out, "");
        // --help has a line "  --name VALUE" or "  -q, --name" for each; the page a .B line.
        ck_assert_int_eq(SHELL("%s --help | sed -n 's/^  \\(-., \\)*--\\(\\[no-\\]\\)*\\([a-z-]*\\)"
                               ".*/\\3/p' | grep -v ^help | while read o; do"
                               " sed 's/\\\\-/-/g' %s | grep -q -e \"^\\.B .*--.*$o\" ||"
                               " echo \"$o\"; done",
                               test_build(i ? "sim" : "train"), path),
                         0);
        ck_assert_str_eq(out, "");
    }
}
END_TEST

START_TEST(bash_completes_options_choices_and_topics) {
    if (!install()) SKIP("no meson");
    static const struct {
        const char *words, *reply;
    } cases[] = {{"--ran", "--ranks\n"},
                 {"--dtype \"\"", "f32 f64 bf16\n"},
                 {"--help exposed", "exposed_comm\n"},
                 {"--no-over", "--no-overlap\n"}};
    char path[512];
    snprintf(path, sizeof path, "%s", installed("tandem-train.bash"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(SHELL("bash -c '. %s; COMP_WORDS=(tandem-train %s);"
                               " COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tandem_train;"
                               " echo \"${COMPREPLY[@]}\"'",
                               path, cases[i].words),
                         0);
        ck_assert_str_eq(out, cases[i].reply);
    }
}
END_TEST

SUITE("install", programs_pages_completions_and_documents_are_installed,
      installed_programs_go_by_their_own_names, manual_pages_have_every_option_and_no_warnings,
      bash_completes_options_choices_and_topics)
