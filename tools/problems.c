// SPDX-License-Identifier: GPL-2.0
/* What is wrong with the module's state, and what to do about it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "learning.h"
#include "status.h"

void mg_problem_add(struct mg_state *state, bool wrong, char *what, char *action)
{
	struct mg_problem *problems;

	problems = mg_alloc_check(realloc(state->problems,
					  (state->nr_problems + 1) * sizeof(*problems)));
	problems[state->nr_problems++] = (struct mg_problem){ wrong, what, action };
	state->problems = problems;
	if (wrong && state->code == MG_EXIT_OK)
		state->code = MG_EXIT_WRONG;
}

static void judge_mode(struct mg_state *state)
{
	if (!strcmp(state->mode, "off"))
		mg_problem_add(state, true,
			       mg_format("mode is off: nothing is guarded"),
			       mg_format("msrguard mode enforce (or audit, to see first what it would block)"));
	else if (!strcmp(state->mode, "audit"))
		mg_problem_add(state, false,
			       mg_format("mode is audit: accesses are reported, none is blocked"),
			       mg_format("msrguard mode enforce, once the reports are as expected"));
	else if (*state->mode && strcmp(state->mode, "enforce"))
		mg_problem_add(state, true,
			       mg_format("mode \"%s\" is not known to this command", state->mode),
			       mg_format("use the command and the module of the same version"));
}

static void judge_policy(struct mg_state *state)
{
	if (!state->rules && !strcmp(state->default_read, "allow") &&
	    !strcmp(state->default_write, "allow"))
		mg_problem_add(state, true,
			       mg_format("the policy allows everything, as after loading the module: nothing is guarded"),
			       mg_format("msrguard load FILE"));
	if (state->last_error && *state->last_error)
		mg_problem_add(state, false,
			       mg_format("the last change was refused (%s), the policy before it is in force",
					 state->last_error),
			       NULL);
}

/* What is allowed anyway need not be blocked. */
static bool default_only_audits(const struct mg_state *state)
{
	return !strcmp(state->mode, "enforce") && state->default_audit &&
	       (strcmp(state->default_read, "allow") || strcmp(state->default_write, "allow"));
}

static void judge_learning(struct mg_state *state)
{
	char *path, *action;
	enum mg_kept kept = mg_learning_kept(&path);

	if (default_only_audits(state)) {
		if (kept == MG_KEPT_FOR_LEARNING)
			action = mg_format("wait for \"msrguard learn\" to end, or interrupt it");
		else
			action = kept == MG_KEPT_LEFT ?
				 mg_format("msrguard load %s", path) :
				 mg_format("msrguard load FILE, with a default line without audit");
		mg_problem_add(state, true,
			       mg_format("the default line of the policy only audits: what no rule names is reported, not blocked"),
			       action);
	}
	if (kept == MG_KEPT_FOR_LEARNING)
		mg_problem_add(state, false,
			       mg_format("a learning is under way; what was in force before it is kept as %s",
					 path),
			       NULL);
	else if (kept == MG_KEPT_LEFT)
		mg_problem_add(state, true,
			       mg_format("a learning has ended and not put back what was in force before it, which is kept as %s",
					 path),
			       mg_format("msrguard load %s, or whatever is wanted, and remove the file",
					 path));
	free(path);
}

static void judge_hooks(struct mg_state *state)
{
	const struct mg_hook *hook;
	size_t i;

	if (!state->nr_hooks)
		mg_problem_add(state, true, mg_format("the module shows no hook"),
			       mg_format("use the command and the module of the same version"));
	for (i = 0; i < state->nr_hooks; i++) {
		hook = &state->hooks[i];
		if (!strcmp(hook->state, "attached"))
			continue;
		if (!strcmp(hook->state, "shared"))
			mg_problem_add(state, false,
				       mg_format("hook %s: a tracer or a live patch shares %s; it works, but costs more",
						 hook->name, hook->function),
				       NULL);
		else
			mg_problem_add(state, true,
				       mg_format("hook %s is %s: accesses that come by %s are not guarded",
						 hook->name, hook->state, hook->function),
				       mg_format("look for the reason in dmesg and for other users in /sys/kernel/tracing/enabled_functions, then load the module again"));
	}
}

/*
 * Every hook that decides is a direct call if it can be: one that is not, either was not to be, or
 * found the slot taken. (What only watches is an "observer".)
 */
static void judge_mechanisms(struct mg_state *state)
{
	char *names = NULL, *longer;
	const struct mg_hook *hook;
	size_t i, count = 0;

	for (i = 0; i < state->nr_hooks; i++) {
		hook = &state->hooks[i];
		if (strcmp(hook->mechanism, "callback"))
			continue;
		longer = names ? mg_format("%s, %s", names, hook->name) :
				 mg_format("%s", hook->name);
		free(names);
		names = longer;
		count++;
	}
	if (!count)
		return;
	if (mg_sysfs_parameter_is_off("direct"))
		mg_problem_add(state, false,
			       mg_format("%s: called back by ftrace, as the parameter direct=0 asks; every access is guarded all the same, and costs more",
					 names),
			       mg_format("load the module without direct=0"));
	else
		mg_problem_add(state, false,
			       mg_format("%s: called back by ftrace, because the direct-call slot of the %s was taken when the module was loaded; every access is guarded all the same, and costs more",
					 names, count > 1 ? "functions" : "function"),
			       mg_format("to have direct calls, end the other user (a BPF program, for one; see /sys/kernel/tracing/enabled_functions) and load the module again"));
	free(names);
}

static void judge_warnings(struct mg_state *state)
{
	if (state->nr_warnings)
		mg_problem_add(state, false,
			       mg_format("the policy has %" PRIu32 " warning%s: it promises what this host cannot keep",
					 state->nr_warnings, state->nr_warnings > 1 ? "s" : ""),
			       mg_format("cat %s/" MG_WARNINGS_FILE, mg_sysfs_dir()));
}

static void judge_events(struct mg_state *state)
{
	if (state->stats[MG_STAT_LOST])
		mg_problem_add(state, true,
			       mg_format("%" PRIu64 " events, which stand for %" PRIu64 " accesses, did not reach every listener (the counters missed none)",
					 state->stats[MG_STAT_LOST],
					 state->stats[MG_STAT_ACCESSES_LOST]),
			       mg_format("give listeners a larger buffer (msrguard watch --buffer), or mark noisy rules quiet; the count ends when the module is unloaded"));
	if (state->stats[MG_STAT_OVERFLOWED])
		mg_problem_add(state, false,
			       mg_format("%" PRIu64 " accesses were told as a number only: a guest made more different ones in a short time than are told one by one",
					 state->stats[MG_STAT_OVERFLOWED]),
			       mg_format("msrguard vms, to see which guest it is"));
	if (state->stats[MG_STAT_UNATTRIBUTED])
		mg_problem_add(state, false,
			       mg_format("%" PRIu64 " accesses could not be counted for a VM, only for the host",
					 state->stats[MG_STAT_UNATTRIBUTED]),
			       NULL);
}

static void judge_kvm(struct mg_state *state)
{
	if (!mg_sysfs_host_module("kvm_amd") && !mg_sysfs_host_module("kvm_intel"))
		mg_problem_add(state, false,
			       mg_format("neither kvm_amd nor kvm_intel is loaded: this host runs no VM now"),
			       mg_format("modprobe kvm_amd or modprobe kvm_intel, in any order with msrguard"));
}

void mg_problems_find(struct mg_state *state)
{
	judge_mode(state);
	judge_policy(state);
	judge_learning(state);
	judge_warnings(state);
	judge_hooks(state);
	judge_mechanisms(state);
	judge_events(state);
	judge_kvm(state);
}
