// SPDX-License-Identifier: GPL-2.0
/* "msrguard status" for people. */
#include <inttypes.h>
#include <string.h>

#include "status.h"

static void put_safe(const char *text)
{
	mg_put_visible(stdout, text, strlen(text));
}

static void print_policy(const struct mg_state *state)
{
	printf("mode       ");
	put_safe(state->mode);
	printf("\npolicy     generation %" PRIu64 ", %" PRIu32 " rules, default ",
	       state->active.generation, state->rules);
	put_safe(state->default_read);
	putchar(' ');
	put_safe(state->default_write);
	fputs(state->default_audit ? " audit" : "", stdout);
	fputs(state->default_quiet ? " quiet" : "", stdout);
	if (state->nr_warnings)
		printf(", %" PRIu32 " warnings", state->nr_warnings);
	printf("\nhash       %s\n", state->active.hash);
}

static void print_stats(const struct mg_state *state)
{
	const uint64_t *stats = state->stats;
	size_t i;

	fputs("accesses  ", stdout);
	for (i = 0; i < MG_NR_VM_STATS; i++)
		printf("%s %s %" PRIu64, i ? "," : "", mg_stat_names[i], stats[i]);
	/* While no access is under way the two are the same, see events.rst. */
	printf("\naccounted  %" PRIu64 " of %" PRIu64 ": sequence %" PRIu64 " (overflowed %" PRIu64
	       "), quiet %" PRIu64 ", pending %" PRIu64 "\n",
	       stats[MG_STAT_SEQUENCE] + stats[MG_STAT_QUIET] + stats[MG_STAT_PENDING],
	       stats[MG_STAT_DENIED] + stats[MG_STAT_DROPPED] + stats[MG_STAT_MASKED] +
	       stats[MG_STAT_AUDITED], stats[MG_STAT_SEQUENCE], stats[MG_STAT_OVERFLOWED],
	       stats[MG_STAT_QUIET], stats[MG_STAT_PENDING]);
	printf("events     sent %" PRIu64 ", lost %" PRIu64 " (of %" PRIu64 " accesses)\n",
	       stats[MG_STAT_SENT], stats[MG_STAT_LOST], stats[MG_STAT_ACCESSES_LOST]);
}

static int widest(int width, const char *text)
{
	return (int)strlen(text) > width ? (int)strlen(text) : width;
}

static void print_hooks(const struct mg_state *state)
{
	const struct mg_hook *hook, *end = state->hooks + state->nr_hooks;
	int name = strlen("HOOK"), function = strlen("FUNCTION");
	int mechanism = strlen("MECHANISM"), text = strlen("STATE");

	for (hook = state->hooks; hook < end; hook++) {
		name = widest(name, hook->name);
		function = widest(function, hook->function);
		mechanism = widest(mechanism, hook->mechanism);
		text = widest(text, hook->state);
	}
	printf("\n%-*s  %-*s  %-*s  %-*s  %20s\n", name, "HOOK", function, "FUNCTION",
	       mechanism, "MECHANISM", text, "STATE", "CALLS");
	for (hook = state->hooks; hook < end; hook++)
		printf("%-*s  %-*s  %-*s  %-*s  %20" PRIu64 "\n", name, hook->name, function,
		       hook->function, mechanism, hook->mechanism, text, hook->state,
		       hook->calls);
}

static void print_vms(const struct mg_state *state)
{
	size_t vm, i;

	if (!state->nr_vms) {
		puts("\nno VM is running");
		return;
	}
	printf("\n%8s %10s %5s", "VM", "PID", "VCPUS");
	for (i = 0; i < MG_NR_VM_STATS; i++)
		printf(" %12s", mg_stat_names[i]);
	putchar('\n');
	for (vm = 0; vm < state->nr_vms; vm++) {
		printf("%8" PRIu64 " %10" PRIu32 " %5" PRIu32, state->vms[vm].id,
		       state->vms[vm].pid, state->vms[vm].vcpus);
		for (i = 0; i < MG_NR_VM_STATS; i++)
			printf(" %12" PRIu64, state->vms[vm].stats[i]);
		putchar('\n');
	}
}

static void print_problems(const struct mg_state *state, bool wrong)
{
	const struct mg_problem *problem;
	size_t i;

	for (i = 0; i < state->nr_problems; i++) {
		problem = &state->problems[i];
		if (problem->wrong != wrong)
			continue;
		fputs(wrong ? "wrong: " : "note:  ", stdout);
		put_safe(problem->what);
		if (problem->action) {
			fputs("\n   do: ", stdout);
			put_safe(problem->action);
		}
		putchar('\n');
	}
}

void mg_status_print_text(const struct mg_state *state)
{
	if (state->active.text) {
		print_policy(state);
		print_stats(state);
		print_hooks(state);
		print_vms(state);
		putchar('\n');
	}
	print_problems(state, true);
	print_problems(state, false);
	if (state->code == MG_EXIT_OK)
		puts("nothing is wrong");
}
