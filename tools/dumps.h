/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the module counted, as its netlink family tells it: of the host, of each VM, of each rule.
 */
#ifndef MSRGUARD_DUMPS_H
#define MSRGUARD_DUMPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netlink.h"

/* The host's counters, by the names of their files in sysfs. */
struct mg_nl_stats {
	uint64_t reads, writes, denied, dropped, masked, audited, quiet;
	uint64_t sequence, pending, overflowed, lost;
	uint64_t events_sent, events_lost, unattributed;
};

struct mg_nl_vm {
	uint64_t id;
	uint32_t pid;
	uint32_t vcpus;
	uint64_t reads, writes, denied, dropped, masked, audited, quiet;
	uint64_t pending, overflowed;
	/* Of the search for images in the guest; 0 if the module does not say. */
	uint64_t image_lookups, image_hits, image_pages, image_spent;
};

/**
 * struct mg_nl_rule - a rule and how often it decided
 * @is_default:   the default line; @first and @last are then 0
 * @read_action:  MSRGUARD_ACTION_x, and @write_action
 * @read_mask:    of MSRGUARD_ACTION_MASK only, and @write_mask
 */
struct mg_nl_rule {
	bool is_default, keep, audit, quiet;
	uint32_t first, last;
	uint8_t read_action, write_action;
	uint64_t read_mask, write_mask;
	uint64_t reads, writes;
	uint64_t generation;
};

/** mg_nl_stats - ask for the host's counters; returns as mg_nl_ask() */
int mg_nl_stats(struct mg_nl *nl, struct mg_nl_stats *stats, struct mg_nl_refusal *refusal);

/**
 * mg_nl_vms - ask for the VMs
 * @nl:      the sockets
 * @id:      of the one that is wanted; 0 for all
 * @vms:     set to an array, to be freed by the caller; NULL after an error
 * @nr:      set to how many there are
 * @refusal: filled in
 *
 * Return: as mg_nl_ask(). An answer that is not of one piece was asked for again.
 */
int mg_nl_vms(struct mg_nl *nl, uint64_t id, struct mg_nl_vm **vms, size_t *nr,
	      struct mg_nl_refusal *refusal);

/**
 * mg_nl_rules - ask for the rules in force, which are all of one policy, the default line first
 * @nl:      the sockets
 * @rules:   set to an array, to be freed by the caller; NULL after an error
 * @nr:      set to how many there are
 * @refusal: filled in
 *
 * Return: as mg_nl_vms().
 */
int mg_nl_rules(struct mg_nl *nl, struct mg_nl_rule **rules, size_t *nr,
		struct mg_nl_refusal *refusal);

/**
 * mg_nl_refused - say why the module could not be asked, and what to do
 * @what:    was asked for, "the VMs"
 * @err:     negative errno of one of the above
 * @refusal: likewise
 *
 * Return: the exit code that fits.
 */
int mg_nl_refused(const char *what, int err, const struct mg_nl_refusal *refusal);

#endif /* MSRGUARD_DUMPS_H */
