// SPDX-License-Identifier: GPL-2.0
/* Which events are shown, see filter.h. */
#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "filter.h"
#include "msrguard.h"
#include "names/names.h"

/* The most MSRs that bear one name, of all vendors. */
#define NAMESAKES	16

bool mg_filter_add_vm(struct mg_filter *filter, const char *text)
{
	struct mg_filter_vm vm = { .is_pid = !strncmp(text, "pid:", 4) };
	const char *number = text + (vm.is_pid ? 4 : !strncmp(text, "id:", 3) ? 3 : 0);

	if (!mg_parse_u64(number, 0, &vm.number) || (vm.is_pid && vm.number > UINT32_MAX)) {
		mg_complain("--vm takes a VM's id, or pid: and its process id, not \"%s\"", text);
		return false;
	}
	filter->vms = mg_alloc_check(reallocarray(filter->vms, filter->nr_vms + 1, sizeof(vm)));
	filter->vms[filter->nr_vms++] = vm;
	return true;
}

static void add_range(struct mg_filter *filter, uint64_t first, uint64_t last)
{
	filter->ranges = mg_alloc_check(reallocarray(filter->ranges, filter->nr_ranges + 1,
						     sizeof(*filter->ranges)));
	filter->ranges[filter->nr_ranges++] = (struct mg_filter_range){ first, last };
}

/* INDEX or FIRST-LAST, as policies have them. */
static bool parse_range(const char *text, uint64_t *first, uint64_t *last)
{
	char *copy = mg_format("%s", text), *dash = strchr(copy, '-');
	bool good;

	if (dash)
		*dash++ = '\0';
	good = mg_parse_u64(copy, 0, first) && mg_parse_u64(dash ? dash : copy, 0, last) &&
	       *first <= *last && *last <= UINT32_MAX;
	free(copy);
	return good;
}

/* What one vendor calls so, another may call otherwise: each is meant. */
static bool add_named(struct mg_filter *filter, const char *name)
{
	const struct mg_msr_name *found[NAMESAKES];
	size_t nr = mg_msr_by_name(name, MG_VENDOR_ANY, found, NAMESAKES), i;

	for (i = 0; i < nr && nr <= NAMESAKES; i++)
		add_range(filter, found[i]->index, found[i]->index);
	return nr && nr <= NAMESAKES;
}

bool mg_filter_add_msr(struct mg_filter *filter, const char *text)
{
	uint64_t first, last;

	if (parse_range(text, &first, &last)) {
		add_range(filter, first, last);
		return true;
	}
	if (add_named(filter, text))
		return true;
	mg_complain("--msr takes an MSR, a range FIRST-LAST, or a name, not \"%s\"", text);
	return false;
}

bool mg_filter_add_verdict(struct mg_filter *filter, const char *text)
{
	uint8_t verdict;

	if (!mg_verdict_number(text, &verdict)) {
		mg_complain("--verdict takes denied, dropped, masked or audited, not \"%s\"", text);
		return false;
	}
	filter->verdicts |= 1u << verdict;
	return true;
}

bool mg_filter_add_direction(struct mg_filter *filter, const char *text)
{
	uint8_t direction;

	if (!mg_direction_number(text, &direction)) {
		mg_complain("--dir takes read or write, not \"%s\"", text);
		return false;
	}
	filter->directions |= 1u << direction;
	return true;
}

static bool passes_vm(const struct mg_filter *filter, const struct mg_event *event)
{
	const struct mg_filter_vm *vm = filter->vms, *end = vm + filter->nr_vms;

	for (; vm < end; vm++)
		if (vm->number == (vm->is_pid ? event->pid : event->vm))
			return true;
	return !filter->nr_vms;
}

static bool passes_msr(const struct mg_filter *filter, const struct mg_event *event)
{
	const struct mg_filter_range *range = filter->ranges, *end = range + filter->nr_ranges;

	for (; range < end; range++)
		if (event->msr >= range->first && event->msr <= range->last)
			return true;
	return !filter->nr_ranges;
}

/* A number that a newer module may send is none that was asked for. */
static bool has_bit(uint32_t bits, uint8_t bit)
{
	return !bits || (bit < 32 && bits >> bit & 1);
}

bool mg_filter_passes(const struct mg_filter *filter, const struct mg_event *event)
{
	if (!passes_vm(filter, event))
		return false;
	return event->overflowed ||
	       (passes_msr(filter, event) && has_bit(filter->verdicts, event->verdict) &&
		has_bit(filter->directions, event->direction));
}

void mg_filter_free(struct mg_filter *filter)
{
	free(filter->vms);
	free(filter->ranges);
}
