/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What "msrguard status" knows: gathered by status.c, judged by problems.c, printed by
 * status_text.c and status_json.c.
 */
#ifndef MSRGUARD_STATUS_H
#define MSRGUARD_STATUS_H

#include "msrguard.h"
#include "vms.h"

struct mg_hook {
	char *name;
	char *function;
	char *mechanism;
	char *state;
	uint64_t calls;
};

struct mg_problem {
	bool wrong;		/* or else just worth knowing */
	char *what;
	char *action;		/* may be NULL */
};

/**
 * struct mg_state - the whole state
 * @code:          exit code so far; MG_EXIT_NOT_LOADED and MG_EXIT_NO_PERMISSION mean
 *                 that nothing but @problems is filled in
 * @mode:          as sysfs has it
 * @active:        the running policy
 * @rules:         rules in it, the default line not counted
 * @default_read:  of the default line; "?" if there is none
 * @default_write: likewise
 * @default_audit: whether the default line has this option
 * @default_quiet: likewise
 * @last_error:    policy/error, empty after a success
 * @warnings:      policy/warnings, one a line; NULL if the module has no such file
 * @nr_warnings:   how many lines that are
 * @stats:         host-wide counters
 */
struct mg_state {
	int code;
	char *mode;
	struct mg_active active;
	uint32_t rules;
	char default_read[32];
	char default_write[32];
	bool default_audit;
	bool default_quiet;
	char *last_error;
	char *warnings;
	uint32_t nr_warnings;
	uint64_t stats[MG_NR_STATS];
	struct mg_hook *hooks;
	size_t nr_hooks;
	struct mg_vm *vms;
	size_t nr_vms;
	struct mg_problem *problems;
	size_t nr_problems;
};

/** mg_stat_names - names of the counters, which are those of their files */
extern const char *const mg_stat_names[MG_NR_STATS];

/** mg_problem_add - note something; takes over @what and @action, both from malloc() */
void mg_problem_add(struct mg_state *state, bool wrong, char *what, char *action);

/** mg_problems_find - look at a state that was read in full, and note what is wrong */
void mg_problems_find(struct mg_state *state);

void mg_status_print_text(const struct mg_state *state);
void mg_status_print_json(const struct mg_state *state);

#endif /* MSRGUARD_STATUS_H */
