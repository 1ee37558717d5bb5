/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the policy engine share and nobody else needs.
 */
#ifndef MG_POLICY_INTERNAL_H
#define MG_POLICY_INTERNAL_H

#include <linux/atomic.h>
#include <linux/compiler_attributes.h>
#include <linux/limits.h>
#include <linux/types.h>

#include "policy.h"

/* No rule: the end of a chain, the outermost range. */
#define MG_NONE			U32_MAX

/* "0xffffffff-0xffffffff" and its NUL */
#define MG_RANGE_LEN		22

/* Loops over rules give way to others once in so many rounds. */
#define MG_RESCHED_ROUNDS	1024

/**
 * struct mg_segment - consecutive MSRs whose innermost range is the same
 * @first: first MSR index
 * @last:  last MSR index
 * @rule:  the range's place in &struct mg_policy.rules
 */
struct mg_segment {
	u32 first;
	u32 last;
	u32 rule;
};

/**
 * struct mg_policy - an immutable policy
 * @map:         which accesses need a decision
 * @fallback:    the default line
 * @rules:       every other line, by first index, the wider first
 * @nr_rules:    their number
 * @nr_singles:  how many of them name one MSR only
 * @buckets:     hash table of the singles: a place in @rules, or MG_NONE
 * @bucket_bits: binary logarithm of the number of buckets, at least 1
 * @link:        as many as @rules. Of a single: the next one in its bucket.
 *               Of a range: the range around it.
 * @segments:    the ranges, flattened: disjoint, ascending
 * @nr_segments: their number
 * @text:        canonical text, a NUL behind it
 * @text_len:    its length without the NUL
 * @hash:        SHA-256 of the text
 * @hits:        accesses that each rule has decided: two a rule, by direction, those of the
 *               default line first
 */
struct mg_policy {
	struct mg_intercept_map map;
	struct mg_rule fallback;
	struct mg_rule *rules;
	u32 nr_rules;
	u32 nr_singles;
	u32 *buckets;
	unsigned int bucket_bits;
	u32 *link;
	struct mg_segment *segments;
	u32 nr_segments;
	char *text;
	size_t text_len;
	u8 hash[MG_HASH_LEN];
	atomic64_t *hits;
};

static inline bool mg_rule_is_single(const struct mg_rule *rule)
{
	return rule->first == rule->last;
}

/* alloc.c */
void *mg_policy_alloc(size_t nr, size_t size);
void mg_policy_release(void *memory);

/* parse.c */
__printf(4, 5)
void mg_policy_fail(struct mg_policy_error *err, u32 line, u32 column,
		    const char *fmt, ...);
int mg_parse_one_rule(const char *line, size_t len, struct mg_rule *rule,
		      struct mg_policy_error *err);
int mg_parse_one_range(const char *line, size_t len, struct mg_rule *rule,
		       struct mg_policy_error *err);
u32 mg_first_column(const char *text, size_t len, u32 line);

/* build.c */
int mg_rule_compare(const struct mg_rule *a, const struct mg_rule *b);
void mg_range_name(const struct mg_rule *rule, char name[MG_RANGE_LEN]);
struct mg_policy *mg_policy_build(struct mg_rule *rules, u32 nr,
				  const struct mg_rule *fallback,
				  const char *where, struct mg_policy_error *err);

/* text.c */
int mg_policy_write_text(struct mg_policy *policy, struct mg_policy_error *err);

#endif /* MG_POLICY_INTERNAL_H */
