/* SPDX-License-Identifier: GPL-2.0 */
/*
 * That KVM's functions and private structures are what this build takes them for. A name alone
 * does not say so: a later kernel, or a vendor's patch, may give a function another argument. The
 * kernel's own type information (BTF) of kvm.ko does.
 */
#ifndef MG_PROTOTYPES_H
#define MG_PROTOTYPES_H

#include <linux/types.h>

/**
 * struct mg_prototype - what a function of kvm.ko has to look like
 * @function: its name
 * @prototype: its type, as the error message says it: integers by sign and bits ("u32"), typedefs
 *             resolved, no const, no names of arguments
 */
struct mg_prototype {
	const char *function;
	const char *prototype;
};

/**
 * mg_prototypes_open - find kvm.ko's BTF
 *
 * A kernel without BTF is trusted if its version is one that msrguard was tried on, with a notice;
 * another one is refused.
 *
 * Context: may sleep. Calls mg_lookup_name(). What follows needs it; pair with
 * mg_prototypes_close(), also after an error.
 * Return: 0, or -EOPNOTSUPP after a message.
 */
int mg_prototypes_open(void);

/**
 * mg_prototypes_check - compare functions with the running kernel's
 * @prototypes: what is expected
 * @nr:         how many
 *
 * Context: between mg_prototypes_open() and mg_prototypes_close().
 * Return: 0, also if there is no BTF; -ENOEXEC after a message that names the function and both
 * types.
 */
int mg_prototypes_check(const struct mg_prototype *prototypes, int nr);

/**
 * mg_prototypes_check_layout - compare the structures that are used with the running kernel's
 *
 * Context and return: as mg_prototypes_check().
 */
int mg_prototypes_check_layout(void);

/** mg_prototypes_close - let go of the BTF */
void mg_prototypes_close(void);

#endif /* MG_PROTOTYPES_H */
