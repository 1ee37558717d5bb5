/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The policy that is in force while "msrguard learn" learns, and what was in force before.
 */
#ifndef MSRGUARD_LEARNING_H
#define MSRGUARD_LEARNING_H

#include <stdint.h>

struct mg_policy;

/**
 * mg_learning_begin - put a policy in force that only audits, and have no accesses folded
 * @base: whose rules are in it, each with the option audit; NULL for none
 *
 * Its default denies, audited too. Other msrguard commands cannot change the policy from then on.
 *
 * Return: 0, or an exit code after a complaint. Call mg_learning_end() in any case.
 */
int mg_learning_begin(const struct mg_policy *base);

/** mg_learning_generation - of that policy; 0 if it is not in force */
uint64_t mg_learning_generation(void);

/**
 * mg_learning_end - put policy, mode and window back
 *
 * Also happens when the command exits. If somebody else has published a policy meanwhile, that is
 * left in force, unless its default line is still that of the learning, which blocks nothing. So is
 * a mode or a window that is no longer what the learning made of it.
 *
 * Return: 0, or an exit code after a complaint.
 */
int mg_learning_end(void);

/** mg_learning_forget - the module has gone, so there is nothing to put back */
void mg_learning_forget(void);

/** enum mg_kept - the file that holds what was in force before a learning */
enum mg_kept {
	MG_KEPT_NONE,
	MG_KEPT_FOR_LEARNING,	/* one is under way */
	MG_KEPT_LEFT,		/* one did not come to put it back */
};

/** mg_learning_kept - whether it is there; *path, to be freed by the caller, is set to its name */
enum mg_kept mg_learning_kept(char **path);

#endif /* MSRGUARD_LEARNING_H */
