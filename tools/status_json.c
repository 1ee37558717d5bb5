// SPDX-License-Identifier: GPL-2.0
/* "msrguard status --json"; msrguard(8) documents every key. */
#include "json.h"
#include "status.h"

static void add_stats(struct json_object *object, const uint64_t *stats, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		mg_json_hex(object, mg_stat_names[i], stats[i]);
}

static void add_policy(struct json_object *root, const struct mg_state *state)
{
	struct json_object *policy = mg_json_sub(root, "policy"), *line;

	mg_json_hex(policy, "generation", state->active.generation);
	mg_json_string(policy, "hash", state->active.hash);
	mg_json_u32(policy, "rules", state->rules);
	line = mg_json_sub(policy, "default");
	mg_json_string(line, "read", state->default_read);
	mg_json_string(line, "write", state->default_write);
	mg_json_bool(line, "audit", state->default_audit);
	mg_json_bool(line, "quiet", state->default_quiet);
	if (state->warnings)
		mg_json_u32(policy, "warnings", state->nr_warnings);
	else
		mg_json_null(policy, "warnings");
	mg_json_string(policy, "last_error",
		       state->last_error && *state->last_error ? state->last_error : NULL);
}

static void add_hooks(struct json_object *root, const struct mg_state *state)
{
	struct json_object *array = mg_json_array(root, "hooks"), *item;
	size_t i;

	for (i = 0; i < state->nr_hooks; i++) {
		item = mg_json_append(array);
		mg_json_string(item, "name", state->hooks[i].name);
		mg_json_string(item, "function", state->hooks[i].function);
		mg_json_string(item, "mechanism", state->hooks[i].mechanism);
		mg_json_string(item, "state", state->hooks[i].state);
		mg_json_hex(item, "calls", state->hooks[i].calls);
	}
}

static void add_vms(struct json_object *root, const struct mg_state *state)
{
	struct json_object *array = mg_json_array(root, "vms"), *item;
	size_t i;

	for (i = 0; i < state->nr_vms; i++) {
		item = mg_json_append(array);
		mg_json_hex(item, "id", state->vms[i].id);
		mg_json_u32(item, "pid", state->vms[i].pid);
		mg_json_u32(item, "vcpus", state->vms[i].vcpus);
		add_stats(item, state->vms[i].stats, MG_NR_VM_STATS);
	}
}

static void add_problems(struct json_object *root, const struct mg_state *state)
{
	struct json_object *array = mg_json_array(root, "problems"), *item;
	size_t i;

	for (i = 0; i < state->nr_problems; i++) {
		item = mg_json_append(array);
		mg_json_string(item, "severity", state->problems[i].wrong ? "wrong" : "note");
		mg_json_string(item, "what", state->problems[i].what);
		mg_json_string(item, "do", state->problems[i].action);
	}
}

void mg_status_print_json(const struct mg_state *state)
{
	struct json_object *root = mg_json_object();

	mg_json_bool(root, "ok", state->code == MG_EXIT_OK);
	mg_json_bool(root, "loaded", state->code != MG_EXIT_NOT_LOADED);
	if (state->active.text) {
		mg_json_string(root, "mode", state->mode);
		add_policy(root, state);
		add_stats(mg_json_sub(root, "stats"), state->stats, MG_NR_STATS);
		add_hooks(root, state);
		add_vms(root, state);
	}
	add_problems(root, state);
	mg_json_print(root, false);
}
