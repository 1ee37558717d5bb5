/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the two files of the kernel's stand-in share.
 */
#ifndef MSRGUARD_TESTS_FAKE_KERNEL_H
#define MSRGUARD_TESTS_FAKE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FAMILY		27

struct nlmsghdr;

/* fake_kernel.c */
size_t fake_from_hex(const char *text, uint8_t *bytes);
/* Attributes "TYPE:HEX ...". */
void fake_put_attributes(struct nlmsghdr *message, const char *args);
FILE *fake_open_script(void);
/* The word of the next line, and where its arguments begin in it; NULL at the end. */
char *fake_next_line(FILE *script, char *line, size_t size, char **args);

/* fake_events.c */
int fake_events_fd(void);
/* From now on there are events. */
void fake_arm_events(void);
/* The number that a status answers with. */
uint64_t fake_sequence(void);
/* Whether a line of the script is about events. */
bool fake_is_of_events(const char *word);

#endif /* MSRGUARD_TESTS_FAKE_KERNEL_H */
