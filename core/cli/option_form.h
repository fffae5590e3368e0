// SPDX-License-Identifier: MIT
// The value of an option whose words may have a number, such as "topk:0.01".
#ifndef CORE_CLI_OPTION_FORM_H
#define CORE_CLI_OPTION_FORM_H

// Which of the words, from 0, and the number behind its colon, which is above 0; 0: none is given.
typedef struct {
    int word;
    double number;
} OptionForm;

#endif
