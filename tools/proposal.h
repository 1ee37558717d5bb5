/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From accesses that a default deny would have blocked to rules that allow just them.
 */
#ifndef MSRGUARD_PROPOSAL_H
#define MSRGUARD_PROPOSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct mg_event;

/* Different MSRs that are kept; guests can name four billion. */
#define MG_PROPOSAL_MSRS	65536

struct mg_proposal;

/** mg_proposal_new - nothing seen yet; @vendors are the MG_DANGER_OF_* of the CPU */
struct mg_proposal *mg_proposal_new(unsigned int vendors);

void mg_proposal_free(struct mg_proposal *proposal);

/**
 * mg_proposal_saw - an access that would have been blocked
 * @proposal: where to note it
 * @event:    the access; of several that were folded, the values of the others are not known,
 *            and no mask can be made of them
 *
 * Return: false if it could not be kept, because there are too many different MSRs.
 */
bool mg_proposal_saw(struct mg_proposal *proposal, const struct mg_event *event);

/**
 * struct mg_proposal_sums - what is in a proposal
 * @accesses:  how many were seen
 * @msrs:      different MSRs
 * @rules:     proposed
 * @dangerous: MSRs of which something is not proposed, because it is dangerous
 * @by_rule:   MSRs that the base has a rule for
 */
struct mg_proposal_sums {
	uint64_t accesses;
	size_t msrs;
	size_t rules;
	size_t dangerous;
	size_t by_rule;
};

/**
 * mg_proposal_rules - the rules, ascending, each with a comment
 * @proposal: what was seen
 * @sums:     filled in
 *
 * What is dangerous, and what the base denies by a rule of its own, is there as a comment only.
 *
 * Return: the text, to be freed by the caller.
 */
char *mg_proposal_rules(const struct mg_proposal *proposal, struct mg_proposal_sums *sums);

#endif /* MSRGUARD_PROPOSAL_H */
