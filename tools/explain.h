/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a rule of a policy does, for "msrguard explain".
 */
#ifndef MSRGUARD_EXPLAIN_H
#define MSRGUARD_EXPLAIN_H

#include "engine/engine.h"

/**
 * mg_rule_words - what happens to a guest under a rule, in words
 * @rule: the rule
 * @dir:  whether it reads or writes
 *
 * Return: the words, to be freed by the caller.
 */
char *mg_rule_words(const struct mg_rule *rule, enum mg_dir dir);

/**
 * mg_rule_text - a rule as the canonical text of a policy has it, a blank between words
 * @rule: the rule
 *
 * Return: the line without its end, to be freed by the caller.
 */
char *mg_rule_text(const struct mg_rule *rule);

#endif /* MSRGUARD_EXPLAIN_H */
