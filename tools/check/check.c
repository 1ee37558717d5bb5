// SPDX-License-Identifier: GPL-2.0
/* "msrguard check": what is wrong or doubtful in a policy file, without the module. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "json.h"
#include "msrguard.h"
#include "names/names.h"

struct options {
	struct mg_cpu cpu;
	bool json;
	bool strict;
	bool kernel_lists;
	bool print;
};

bool mg_check_is_amd(const struct mg_check *check)
{
	return !check->cpu->vendor || mg_cpu_is_amd_like(check->cpu);
}

bool mg_check_is_intel(const struct mg_check *check)
{
	return !check->cpu->vendor || !mg_cpu_is_amd_like(check->cpu);
}

u64 mg_check_open_bits(const struct mg_check *check, u32 index)
{
	const struct mg_rule *rule = mg_policy_find(check->policy, index);

	return rule->audit ? U64_MAX : rule->perm[MG_WRITE].mask;
}

bool mg_check_guards(const struct mg_check *check, u32 index, enum mg_dir dir)
{
	const struct mg_rule *rule = mg_policy_find(check->policy, index);

	return !rule->audit && mg_rule_guards(rule, dir);
}

char *mg_check_name(u32 first, u32 last)
{
	const char *label = mg_msr_label(first);
	char span[MG_SPAN_LEN];

	mg_engine_span(first, last, span);
	if (!label)
		return mg_format("%s", span);
	return mg_format("%s (%s%s)", span, label, first == last ? "" : " and on");
}

char *mg_check_add(char *list, char *what)
{
	char *longer;

	if (!list || !what)
		return list ? list : what;
	longer = mg_format("%s, %s", list, what);
	free(list);
	free(what);
	return longer;
}

static int look_at(const struct mg_check *check, const struct options *options)
{
	mg_check_rules(check);
	mg_check_holes(check);
	mg_check_guests(check);
	mg_check_dangers(check);
	return options->kernel_lists ? mg_check_kernel_lists(check) : MG_EXIT_OK;
}

static int look_at_source(struct mg_findings *findings, const struct options *options)
{
	struct mg_check check = { .cpu = &options->cpu, .findings = findings };
	struct mg_policy_error err;
	struct mg_policy *policy;
	struct mg_place place;
	char why[MG_WHY_LEN];
	const char *text;
	char *reason;
	size_t len;
	int ret;

	text = mg_source_error(findings->source, &place);
	if (text) {
		mg_find_at(findings, MG_ERROR, "syntax", place, mg_format("%s", text));
		return MG_EXIT_OK;
	}
	text = mg_source_text(findings->source, &len);
	policy = mg_policy_parse(text, len, &err);
	if (IS_ERR(policy)) {
		reason = mg_source_map(findings->source, mg_engine_why(&err, why), &place);
		mg_find_at(findings, MG_ERROR, "syntax", place, reason);
		return MG_EXIT_OK;
	}
	check.policy = policy;
	ret = look_at(&check, options);
	mg_policy_free(policy);
	return ret;
}

static void put_text(const struct mg_source *source)
{
	size_t len;
	const char *text = mg_source_text(source, &len);

	fwrite(text, 1, len, stdout);
	if (len && text[len - 1] != '\n')
		putchar('\n');
}

/* One file. Adds to @array in JSON. */
static int check_file(const char *path, const struct options *options, struct json_object *array)
{
	struct mg_source *source = mg_source_read(path, &options->cpu, true);
	struct mg_findings findings = { .source = source, .strict = options->strict };
	struct json_object *object;
	char *cpu;
	int ret;

	ret = look_at_source(&findings, options);
	if (array) {
		object = mg_json_append(array);
		cpu = mg_cpu_name(&options->cpu);
		mg_json_string(object, "file", mg_source_place(source, 0).name);
		mg_json_string(object, "cpu", cpu);
		mg_findings_json(&findings, object);
		free(cpu);
	} else {
		mg_findings_print(&findings);
		if (options->print && !findings.by_severity[MG_ERROR])
			put_text(source);
	}
	if (findings.nr)
		ret = MG_EXIT_WRONG;
	mg_findings_free(&findings);
	mg_source_free(source);
	return ret;
}

static int check_files(const struct options *options, int count, char **paths)
{
	struct json_object *object = options->json ? mg_json_object() : NULL;
	struct json_object *array = object ? mg_json_array(object, "files") : NULL;
	int i, ret = MG_EXIT_OK;

	for (i = 0; i < count; i++)
		if (check_file(paths[i], options, array))
			ret = MG_EXIT_WRONG;
	if (object) {
		mg_json_bool(object, "ok", !ret);
		mg_json_print(object, false);
	}
	return ret;
}

static int run_check(const struct mg_command *command, int argc, char **argv)
{
	struct option long_options[4 + MG_NR_CPU_OPTIONS] = {
		{ "json", no_argument, NULL, 'j' },
		{ "strict", no_argument, NULL, 's' },
		{ "print", no_argument, NULL, 'p' },
		{ "kernel-lists", no_argument, NULL, 'k' },
	};
	struct options options = { 0 };
	int option;

	mg_cpu_add_options(long_options + 4);
	mg_cpu_init(&options.cpu);
	while ((option = getopt_long(argc, argv, "jspk", long_options, NULL)) != -1) {
		switch (option) {
		case 'j':
			options.json = true;
			break;
		case 's':
			options.strict = true;
			break;
		case 'p':
			options.print = true;
			break;
		case 'k':
			options.kernel_lists = true;
			break;
		default:
			if (!mg_cpu_option(option, optarg, &options.cpu))
				return mg_usage(command);
		}
	}
	mg_cpu_complete(&options.cpu);
	if (optind == argc) {
		mg_complain("check takes one or more files, or - for standard input");
		return mg_usage(command);
	}
	if (options.print && options.json) {
		mg_complain("either --print or --json");
		return mg_usage(command);
	}
	return check_files(&options, argc - optind, argv + optind);
}

const struct mg_command mg_command_check = {
	.name = "check",
	.args = "[OPTION...] FILE|-...",
	.summary = "Say what is wrong or doubtful in a policy file, without the module",
	.help =
"Silent, with status 0, if nothing is. Errors are what the module would refuse, in its\n"
"own words. Warnings are rules that do not do what they seem to: those that decide\n"
"nothing, those that other MSRs make void, those that keep stock guests from what they\n"
"need, and those that allow what no guest should be allowed.\n\n"
"  -s, --strict       notes count too: rules that say what holds without them, and ways\n"
"                     past rules that nothing closes\n"
"  -k, --kernel-lists\n"
"                     ask this host's KVM which MSRs it saves for guests, and warn of\n"
"                     those that are blocked by the default line alone\n"
"  -p, --print        print the plain text for the CPU, without sections and includes\n"
"  -j, --json         print one JSON object\n"
MG_CPU_HELP,
	.run = run_check,
};
