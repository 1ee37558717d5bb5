// SPDX-License-Identifier: GPL-2.0
/* What a rule does to a guest, in words, see explain.h. */
#include <stdlib.h>

#include "engine/engine.h"
#include "explain.h"
#include "msrguard.h"

#define MASK_BITS	64

/* "bit 3", "bits 0-11,63"; "no bit". */
static char *bits_of(uint64_t mask)
{
	char *text = mg_format("%s", mask & (mask - 1) ? "bits " : "bit "), *longer;
	const char *separator = "";
	unsigned int bit, first;

	if (!mask) {
		free(text);
		return mg_format("no bit");
	}
	for (bit = 0; bit < MASK_BITS; bit++) {
		if (!(mask >> bit & 1))
			continue;
		first = bit;
		while (bit + 1 < MASK_BITS && mask >> (bit + 1) & 1)
			bit++;
		if (first == bit)
			longer = mg_format("%s%s%u", text, separator, bit);
		else
			longer = mg_format("%s%s%u-%u", text, separator, first, bit);
		free(text);
		text = longer;
		separator = ",";
	}
	return text;
}

char *mg_rule_words(const struct mg_rule *rule, enum mg_dir dir)
{
	const struct mg_permission *perm = &rule->perm[dir];
	char *bits, *text;

	switch (perm->action) {
	case MG_ALLOW:
		return mg_format("allowed");
	case MG_DENY:
		return mg_format("denied, the guest gets #GP");
	case MG_DROP:
		return mg_format(dir == MG_READ ? "dropped, the guest gets 0" :
						  "dropped, nothing is written");
	default:
		break;
	}
	bits = bits_of(perm->mask);
	if (dir == MG_READ)
		text = mg_format("the guest sees %s, the others as 0", bits);
	else if (perm->keep)
		text = mg_format("%s may change, the others are kept", bits);
	else
		text = mg_format("%s may change, a change of another is denied", bits);
	free(bits);
	return text;
}

char *mg_rule_text(const struct mg_rule *rule)
{
	char span[MG_SPAN_LEN], read[MG_WORD_LEN], write[MG_WORD_LEN];

	return mg_format("%s %s %s%s%s",
			 rule->is_default ? "default" : mg_engine_span(rule->first, rule->last, span),
			 mg_engine_word(rule, MG_READ, read), mg_engine_word(rule, MG_WRITE, write),
			 rule->audit ? " audit" : "", rule->quiet ? " quiet" : "");
}
