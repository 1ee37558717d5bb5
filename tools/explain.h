/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the running policy says of an MSR, for "msrguard explain".
 */
#ifndef MSRGUARD_EXPLAIN_H
#define MSRGUARD_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct mg_rule - a line of a policy's canonical text
 * @is_default: the default line; it is of all MSRs
 * @first:      first MSR
 * @last:       last MSR
 * @read:       the read column
 * @write:      the write column
 * @audit:      has that option
 * @quiet:      has that option
 * @text:       the whole line, a blank between words
 */
struct mg_rule {
	bool is_default;
	uint32_t first;
	uint32_t last;
	char read[32];
	char write[40];
	bool audit;
	bool quiet;
	char text[160];
};

/**
 * mg_rule_find - the rule of a policy that decides on an MSR
 * @text:  canonical text
 * @len:   its length
 * @index: the MSR
 * @rule:  filled in
 *
 * Return: 0, or -EBADMSG if the text is not as expected.
 */
int mg_rule_find(const char *text, size_t len, uint32_t index, struct mg_rule *rule);

/**
 * mg_rule_words - a column in words, of what happens to the guest
 * @column: the read or the write column
 * @write:  which of them it is
 *
 * Return: the words, to be freed by the caller; the column itself if it is not known.
 */
char *mg_rule_words(const char *column, bool write);

#endif /* MSRGUARD_EXPLAIN_H */
