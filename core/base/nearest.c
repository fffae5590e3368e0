// SPDX-License-Identifier: MIT
// The distance of two words by dynamic programming, three rows at a time
// (optimal string alignment).
#include "core/base/nearest.h"

#include <stdbool.h>
#include <string.h>

enum { LETTERS = 64 };  // longer words are not mistyped names

static int least(int a, int b) { return a < b ? a : b; }

// Row by row of the matrix "first i letters of a against first j letters of b"; a swap
// looks back two rows.
static int edit_distance(const char *a, int n, const char *b, int m) {
    int rows[3][LETTERS + 1];
    for (int j = 0; j <= m; j++) rows[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            row[j] = least(above[j], row[j - 1]) + 1;
            row[j] = least(row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

void nearest_offer(Nearest *n, const char *candidate) {
    size_t length = strlen(n->word), other = strlen(candidate);
    if (length > LETTERS || other > LETTERS) return;
    int distance = edit_distance(n->word, (int)length, candidate, (int)other);
    int longest = (int)(length > other ? length : other);
    bool begins = length >= 3 && strncmp(candidate, n->word, length) == 0;
    if (begins) distance = least(distance, 1);
    if (distance > least((longest + 2) / 3, 3)) return;
    if (distance == longest) return;  // nothing in common, as 0 and 1
    if (n->best && distance >= n->distance) return;
    n->best = candidate;
    n->distance = distance;
}
