/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the unit test share.
 */
#ifndef MSRGUARD_TESTS_UNIT_H
#define MSRGUARD_TESTS_UNIT_H

#include <stdbool.h>
#include <stdint.h>

#define MESSAGE_MAX	1024
#define TEXT_MAX	2048
#define NO_ATTR		0

struct mg_event;
struct nlmsghdr;

/* unit.c */
void check(bool good, const char *name);
void check_text(const char *got, const char *expected, const char *name);

/* A message of the family with nothing in it, in MESSAGE_MAX bytes. */
struct nlmsghdr *message_of(void *buf, uint8_t cmd);

/* One attribute of an access, with the value that all tests expect. */
void put_attribute(struct nlmsghdr *message, uint16_t attr);

/* An event with all attributes, or without the optional ones, or without @left_out. */
struct nlmsghdr *make_event(void *buf, bool optional, uint16_t left_out);

/* What @print puts to stdout, in TEXT_MAX bytes. */
void print_to(char *text, const struct mg_event *event,
	      void (*print)(const struct mg_event *event));

/* The other files. */
void test_ranges(void);
void test_events(void);
void test_filter(void);
void test_journal(void);
void test_top(void);

#endif /* MSRGUARD_TESTS_UNIT_H */
