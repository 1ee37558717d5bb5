// SPDX-License-Identifier: GPL-2.0
/* Looking up the names of MSRs. */
#include <cpuid.h>
#include <string.h>
#include <strings.h>

#include "msrguard.h"
#include "names.h"
#include "tables.h"

struct table {
	const struct mg_msr_name *rows;
	size_t nr;
};

/* The first row of an index, or where it would be. */
static size_t lower_bound(const struct table *table, uint32_t index)
{
	size_t low = 0, high = table->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (table->rows[middle].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct table notes(void)
{
	return (struct table){ mg_msr_notes, mg_msr_nr_notes };
}

static struct table kernel_names(void)
{
	return (struct table){ mg_msr_kernel_names, mg_msr_nr_kernel_names };
}

/* How well a name fits a vendor, 0 for not at all. */
static int fitness(const struct mg_msr_name *name, enum mg_vendor vendor)
{
	int fit;

	if (vendor == MG_VENDOR_ANY)
		/* No better guess than what is of both, then what is of those that KVM runs on. */
		fit = MG_VENDOR_OTHER + 1 - name->vendor;
	else if (name->vendor == vendor)
		fit = 3;
	else
		fit = name->vendor == MG_VENDOR_ANY ? 2 : 0;
	/* Anything is better than a name of long ago, but no name. */
	return fit && !name->old ? fit + 4 : fit;
}

static const struct mg_msr_name *best_of(const struct table *table, uint32_t index,
					 enum mg_vendor vendor)
{
	const struct mg_msr_name *best = NULL;
	int fit, best_fit = 0;
	size_t i;

	for (i = lower_bound(table, index); i < table->nr && table->rows[i].index == index; i++) {
		fit = fitness(&table->rows[i], vendor);
		if (fit > best_fit) {
			best = &table->rows[i];
			best_fit = fit;
		}
	}
	return best;
}

const struct mg_msr_name *mg_msr_find(uint32_t index, enum mg_vendor vendor)
{
	struct table table = notes();
	const struct mg_msr_name *name = best_of(&table, index, vendor);

	if (name)
		return name;
	table = kernel_names();
	return best_of(&table, index, vendor);
}

const char *mg_msr_label(uint32_t index)
{
	const struct mg_msr_name *name = mg_msr_find(index, MG_VENDOR_ANY);

	return name ? name->name : NULL;
}

const struct mg_msr_name *mg_msr_each(size_t i)
{
	if (i < mg_msr_nr_notes)
		return &mg_msr_notes[i];
	i -= mg_msr_nr_notes;
	return i < mg_msr_nr_kernel_names ? &mg_msr_kernel_names[i] : NULL;
}

static bool has_note(const struct mg_msr_name *name)
{
	return name->what;
}

static bool noted_too(const struct mg_msr_name *name)
{
	struct table table = notes();
	size_t i;

	for (i = lower_bound(&table, name->index);
	     i < table.nr && table.rows[i].index == name->index; i++)
		if (!strcmp(table.rows[i].name, name->name))
			return true;
	return false;
}

const struct mg_msr_name *mg_msr_next(uint32_t index, const struct mg_msr_name *previous)
{
	struct table table = notes();
	size_t i;

	if (!previous || has_note(previous)) {
		i = previous ? (size_t)(previous - table.rows) + 1 : lower_bound(&table, index);
		if (i < table.nr && table.rows[i].index == index)
			return &table.rows[i];
		previous = NULL;
	}
	table = kernel_names();
	i = previous ? (size_t)(previous - table.rows) + 1 : lower_bound(&table, index);
	while (i < table.nr && table.rows[i].index == index && noted_too(&table.rows[i]))
		i++;
	return i < table.nr && table.rows[i].index == index ? &table.rows[i] : NULL;
}

/* What is left of a name without what all names of a kind begin with. */
static const char *core_of(const char *name)
{
	static const char *const prefixes[] = { "HV_X64_MSR_", "MSR_", "IA32_" };
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(prefixes); i++) {
		len = strlen(prefixes[i]);
		if (!strncasecmp(name, prefixes[i], len) && name[len])
			name += len;
	}
	return name;
}

static bool matches(const struct mg_msr_name *row, const char *name, bool whole)
{
	return !strcasecmp(whole ? row->name : core_of(row->name), name);
}

/* Whether no other name of the same MSR that comes before it matches. */
static bool is_first_match(const struct mg_msr_name *row, enum mg_vendor vendor, const char *name,
			   bool whole)
{
	const struct mg_msr_name *other = NULL;

	if (!fitness(row, vendor) || !matches(row, name, whole))
		return false;
	while ((other = mg_msr_next(row->index, other)))
		if (fitness(other, vendor) && matches(other, name, whole))
			break;
	return other == row;
}

/* @found is kept ascending, as far as there is room. */
static void keep(const struct mg_msr_name *row, const struct mg_msr_name **found, size_t max,
		 size_t nr)
{
	size_t i, kept = nr < max ? nr : max;

	for (i = 0; i < kept && found[i]->index < row->index; i++)
		;
	if (i == max)
		return;
	if (kept == max)
		kept--;
	memmove(&found[i + 1], &found[i], (kept - i) * sizeof(*found));
	found[i] = row;
}

static size_t find_all(const char *name, bool whole, enum mg_vendor vendor,
		       const struct mg_msr_name **found, size_t max)
{
	const struct mg_msr_name *row;
	size_t i, nr = 0;

	for (i = 0; (row = mg_msr_each(i)); i++)
		if (is_first_match(row, vendor, name, whole))
			keep(row, found, max, nr++);
	return nr;
}

size_t mg_msr_by_name(const char *name, enum mg_vendor vendor, const struct mg_msr_name **found,
		      size_t max)
{
	size_t nr = find_all(name, true, vendor, found, max);

	return nr ? nr : find_all(core_of(name), false, vendor, found, max);
}

static void widen(const struct table *table, uint32_t first, uint32_t last, uint32_t *low,
		  uint32_t *high, bool *any)
{
	size_t from = lower_bound(table, first);
	size_t to = last < UINT32_MAX ? lower_bound(table, last + 1) : table->nr;

	if (from == to)
		return;
	if (!*any || table->rows[from].index < *low)
		*low = table->rows[from].index;
	if (!*any || table->rows[to - 1].index > *high)
		*high = table->rows[to - 1].index;
	*any = true;
}

bool mg_msr_range(uint32_t first, uint32_t last, uint32_t *low, uint32_t *high)
{
	const struct table tables[] = { notes(), kernel_names() };
	bool any = false;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		widen(&tables[i], first, last, low, high, &any);
	return any;
}

const struct mg_msr_block *mg_msr_block(uint32_t index, enum mg_vendor vendor)
{
	const struct mg_msr_block *block;
	size_t i;

	for (i = 0; i < mg_msr_nr_blocks; i++) {
		block = &mg_msr_blocks[i];
		if (index >= block->first && index <= block->last &&
		    (vendor == MG_VENDOR_ANY || block->vendor == MG_VENDOR_ANY ||
		     block->vendor == vendor))
			return block;
	}
	return NULL;
}

const char *mg_vendor_name(enum mg_vendor vendor)
{
	switch (vendor) {
	case MG_VENDOR_ANY:
		return "any";
	case MG_VENDOR_INTEL:
		return "Intel";
	case MG_VENDOR_AMD:
		return "AMD";
	case MG_VENDOR_OTHER:
		break;
	}
	return "other";
}

enum mg_vendor mg_vendor_of_cpu(void)
{
	static const struct {
		char id[13];
		enum mg_vendor vendor;
	} vendors[] = {
		{ "GenuineIntel", MG_VENDOR_INTEL },
		{ "CentaurHauls", MG_VENDOR_INTEL },
		{ "  Shanghai  ", MG_VENDOR_INTEL },
		{ "AuthenticAMD", MG_VENDOR_AMD },
		{ "HygonGenuine", MG_VENDOR_AMD },
	};
	unsigned int max, word[3];
	size_t i;

	if (!__get_cpuid(0, &max, &word[0], &word[2], &word[1]))
		return MG_VENDOR_ANY;
	for (i = 0; i < ARRAY_SIZE(vendors); i++)
		if (!memcmp(word, vendors[i].id, sizeof(word)))
			return vendors[i].vendor;
	return MG_VENDOR_ANY;
}
