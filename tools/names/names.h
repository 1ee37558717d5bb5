/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The names of MSRs, what they are, and why a guest's hand on them may be dangerous.
 *
 * There are two tables. kernel_names.c has the names of the kernel's headers; notes_table.c has
 * what the files in notes/ say. scripts/gen-msr-names generates both, "make generate" calls it.
 *
 * The format of notes/: a comment starts with #. A paragraph is one or more lines
 *
 *	INDEX[+STEP*COUNT] VENDOR DANGER [also] NAME [OTHER-NAME...]
 *	FIRST-LAST VENDOR DANGER block
 *
 * and then, each behind a tab, what that is and, after "! ", why it may be dangerous; lines behind
 * two tabs go on. VENDOR is any, intel or amd. DANGER is r, w or rw if a guest has no business with
 * such an access, and - if guests need it, be it with limits that the text behind "! " tells. In a
 * family (STEP and COUNT), # in a name stands for the number, from 0. The first name is preferred;
 * it is the one of the kernel's headers where they have one. "also" is for what an index is on
 * other models of the same vendor, and takes the second place; a member of a family does so
 * without it where an MSR stands alone.
 *
 * Nothing here allocates or complains, so that programs other than the command can use it.
 */
#ifndef MSRGUARD_NAMES_H
#define MSRGUARD_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum mg_vendor {
	MG_VENDOR_ANY,
	MG_VENDOR_INTEL,
	MG_VENDOR_AMD,
	MG_VENDOR_OTHER,	/* neither: VIA, Transmeta and others that KVM does not run on */
};

/* That access is nothing a guest needs, and can do harm. */
#define MG_DANGER_READ	1
#define MG_DANGER_WRITE	2

/**
 * struct mg_msr_name - a name of an MSR
 * @index:  its index
 * @vendor: whose CPUs have it; any: both, or a hypervisor's
 * @danger: MG_DANGER_* bits
 * @alias:  another name of the one before it comes first
 * @old:    of CPUs before 64 bits or of one odd model; the index may mean something else today
 * @name:   as the kernel's headers or the manuals have it
 * @what:   what it is, whole sentences; NULL if only the name is known
 * @why:    why it may be dangerous, or NULL
 */
struct mg_msr_name {
	uint32_t index;
	uint8_t vendor;
	uint8_t danger;
	bool alias;
	bool old;
	const char *name;
	const char *what;
	const char *why;
};

/**
 * struct mg_msr_block - a range of indices that belong together, named or not
 * @first:  first index
 * @last:   last index
 * @vendor: whose CPUs have it
 * @danger: MG_DANGER_* bits, for what is in the range without a name
 * @what:   what it is
 * @why:    why it may be dangerous, or NULL
 */
struct mg_msr_block {
	uint32_t first;
	uint32_t last;
	uint8_t vendor;
	uint8_t danger;
	const char *what;
	const char *why;
};

/**
 * mg_msr_find - the preferred name of an MSR
 * @index:  its index
 * @vendor: on whose CPU; MG_VENDOR_ANY if that is not known
 *
 * A name with a note goes before one that only the kernel's headers have, and one of that vendor
 * before one of all. For a vendor, names of another one are not returned.
 *
 * Return: NULL if there is none.
 */
const struct mg_msr_name *mg_msr_find(uint32_t index, enum mg_vendor vendor);

/** mg_msr_label - the preferred name as text, whatever the vendor; NULL if there is none */
const char *mg_msr_label(uint32_t index);

/**
 * mg_msr_next - all names of an MSR, those with notes first
 * @index:    its index
 * @previous: NULL for the first one, then what was returned
 *
 * A name that both tables have comes once. Return: NULL after the last one.
 */
const struct mg_msr_name *mg_msr_next(uint32_t index, const struct mg_msr_name *previous);

/**
 * mg_msr_by_name - the MSRs of a name
 * @name:   in upper or lower case; MSR_, HV_X64_MSR_ and then IA32_ before it may be left out
 * @vendor: names of other vendors do not count; MG_VENDOR_ANY for all
 * @found:  set to the names, each of another index, ascending; one with a note where there is one
 * @max:    room in @found
 *
 * A name that is whole as given goes before those that only match without what stands before them:
 * these are then not returned.
 *
 * Return: how many there are, which may be more than @max.
 */
size_t mg_msr_by_name(const char *name, enum mg_vendor vendor, const struct mg_msr_name **found,
		      size_t max);

/**
 * mg_msr_each - go through all names of both tables, by table and index
 * @i: from 0
 *
 * Return: NULL after the last one.
 */
const struct mg_msr_name *mg_msr_each(size_t i);

/** mg_msr_block - the narrowest block that an index is in, for that vendor; NULL if none */
const struct mg_msr_block *mg_msr_block(uint32_t index, enum mg_vendor vendor);

/**
 * mg_msr_range - the lowest and the highest index in a range that have a name
 * @first: first index of the range
 * @last:  last index
 * @low:   set to the lowest
 * @high:  set to the highest; may be the same
 *
 * Return: false if none has.
 */
bool mg_msr_range(uint32_t first, uint32_t last, uint32_t *low, uint32_t *high);

/**
 * mg_msr_annotate - print a policy with the names of MSRs as comments behind its rules
 * @out:  where to
 * @text: the policy's text; it is printed as it is but for the comments
 * @len:  its length
 *
 * A rule that has a comment keeps that one. A range gets the name of the block that it is, or else
 * the first and the last name in it.
 */
void mg_msr_annotate(FILE *out, const char *text, size_t len);

/** mg_vendor_name - "any", "Intel", "AMD" or "other" */
const char *mg_vendor_name(enum mg_vendor vendor);

/** mg_vendor_of_cpu - whose CPU this is; Hygon counts as AMD, Zhaoxin as Intel, as KVM has it */
enum mg_vendor mg_vendor_of_cpu(void);

#endif /* MSRGUARD_NAMES_H */
