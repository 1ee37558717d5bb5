/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's policy engine in this command: the same source files, compiled for a program,
 * so that what a command says of a policy is what the module will do.
 *
 * Only files that include this one are compiled with the shim of kernel headers in include/.
 */
#ifndef MG_ENGINE_H
#define MG_ENGINE_H

#include <linux/limits.h>

#include "../../kmod/policy/policy.h"

/* "mask=~0xffffffffffffffff,deny" and its NUL */
#define MG_WORD_LEN	32

/* "0xffffffff-0xffffffff" and its NUL */
#define MG_SPAN_LEN	22

/* "LINE:COLUMN: reason" as policy/error has it */
#define MG_WHY_LEN	(MG_REASON_LEN + 24)

/**
 * mg_engine_walk - hand out all MSRs, in spans under one rule
 * @a:       a policy
 * @b:       another, or NULL
 * @take:    gets each span, ascending, and the rule that decides it in either policy
 * @context: for @take
 *
 * The spans are disjoint and together are all indices. Return: false if memory is out.
 */
bool mg_engine_walk(const struct mg_policy *a, const struct mg_policy *b,
		    void (*take)(void *context, u32 first, u32 last,
				 const struct mg_rule *in_a, const struct mg_rule *in_b),
		    void *context);

/** mg_engine_around - the rule that would decide in @rule's place if that were not there */
const struct mg_rule *mg_engine_around(const struct mg_policy *policy,
				       const struct mg_rule *rule);

/** mg_engine_same - whether two rules say the same in one direction */
bool mg_engine_same(const struct mg_rule *a, const struct mg_rule *b, enum mg_dir dir);

/** mg_engine_word - what a rule says of one direction, as the policy format writes it */
const char *mg_engine_word(const struct mg_rule *rule, enum mg_dir dir, char word[MG_WORD_LEN]);

/** mg_engine_span - one MSR, or a range, as the policy format writes it */
const char *mg_engine_span(u32 first, u32 last, char span[MG_SPAN_LEN]);

/** mg_engine_why - an error as policy/error has it */
const char *mg_engine_why(const struct mg_policy_error *err, char why[MG_WHY_LEN]);

/**
 * mg_engine_check_line - whether a line by itself is a rule, or holds none
 * @line: the line, without its newline
 * @len:  its length
 * @err:  filled in if it is neither; its line is 1
 *
 * Return: 0 or a negative errno.
 */
int mg_engine_check_line(const char *line, size_t len, struct mg_policy_error *err);

#endif /* MG_ENGINE_H */
