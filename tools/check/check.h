/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of "msrguard check", each of which looks for one kind of thing.
 */
#ifndef MSRGUARD_CHECK_H
#define MSRGUARD_CHECK_H

#include "cpu.h"
#include "engine/engine.h"
#include "findings.h"

/**
 * struct mg_check - a policy that is being looked at
 * @policy:   it
 * @cpu:      the CPU it is for
 * @findings: where findings go
 */
struct mg_check {
	const struct mg_policy *policy;
	const struct mg_cpu *cpu;
	struct mg_findings *findings;
};

/* rules.c: rules that decide nothing, or nothing else than what is around them */
void mg_check_rules(const struct mg_check *check);

/* holes.c: rules that other MSRs make void */
void mg_check_holes(const struct mg_check *check);

/* guests.c: what stock guests cannot do without */
void mg_check_guests(const struct mg_check *check);

/* dangers.c: what no guest should be allowed */
void mg_check_dangers(const struct mg_check *check);

/**
 * mg_check_kernel_lists - MSRs that KVM saves for guests, and only the default line speaks of
 *
 * Return: an exit code; after a complaint if KVM cannot be asked.
 */
int mg_check_kernel_lists(const struct mg_check *check);

/** mg_check_is_amd - whether AMD's MSRs are meant; both are, if the vendor is not known */
bool mg_check_is_amd(const struct mg_check *check);

/** mg_check_is_intel - likewise */
bool mg_check_is_intel(const struct mg_check *check);

/**
 * mg_check_open_bits - which bits of an MSR a guest may change
 * @check: the check
 * @index: the MSR
 *
 * All, if the rule only audits; none, if writes are dropped.
 */
u64 mg_check_open_bits(const struct mg_check *check, u32 index);

/** mg_check_guards - whether a rule keeps a guest from an access, or part of it */
bool mg_check_guards(const struct mg_check *check, u32 index, enum mg_dir dir);

/** mg_check_name - "0xc0000080 (MSR_EFER)", to be freed by the caller */
char *mg_check_name(u32 first, u32 last);

/** mg_check_add - @list, freed, with one more of @what behind a comma; both may be NULL */
char *mg_check_add(char *list, char *what);

#endif /* MSRGUARD_CHECK_H */
