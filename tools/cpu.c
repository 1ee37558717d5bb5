// SPDX-License-Identifier: GPL-2.0
/* This host's CPU, or the one that options name, see cpu.h. */
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "msrguard.h"

#define SIGNATURE_LEN	12

static const struct {
	const char *word;
	const char *signature;
} vendors[MG_NR_CPU_VENDORS] = {
	[MG_CPU_VENDOR_UNKNOWN] = { "unknown", "" },
	[MG_CPU_VENDOR_INTEL] = { "intel", "GenuineIntel" },
	[MG_CPU_VENDOR_AMD] = { "amd", "AuthenticAMD" },
	[MG_CPU_VENDOR_HYGON] = { "hygon", "HygonGenuine" },
	[MG_CPU_VENDOR_ZHAOXIN] = { "zhaoxin", "  Shanghai  " },
	[MG_CPU_VENDOR_CENTAUR] = { "centaur", "CentaurHauls" },
};

enum mg_cpu_vendor mg_cpu_vendor_find(const char *word, size_t len)
{
	int i;

	for (i = MG_CPU_VENDOR_UNKNOWN + 1; i < MG_NR_CPU_VENDORS; i++)
		if (strlen(vendors[i].word) == len && !memcmp(vendors[i].word, word, len))
			return i;
	return MG_CPU_VENDOR_UNKNOWN;
}

const char *mg_cpu_vendor_name(enum mg_cpu_vendor vendor)
{
	return vendors[vendor].word;
}

void mg_cpu_add_options(struct option *options)
{
	static const struct option all[MG_NR_CPU_OPTIONS] = {
		{ "vendor", required_argument, NULL, MG_OPTION_VENDOR },
		{ "family", required_argument, NULL, MG_OPTION_FAMILY },
		{ "model", required_argument, NULL, MG_OPTION_MODEL },
		{ "stepping", required_argument, NULL, MG_OPTION_STEPPING },
	};

	memcpy(options, all, sizeof(all));
}

void mg_cpu_init(struct mg_cpu *cpu)
{
	*cpu = (struct mg_cpu){
		.family = MG_CPU_UNKNOWN, .model = MG_CPU_UNKNOWN, .stepping = MG_CPU_UNKNOWN,
	};
}

static bool take_number(const char *what, const char *arg, uint64_t max, int *number)
{
	uint64_t value;
	bool hex = !strncmp(arg, "0x", 2);

	if (!mg_parse_u64(hex ? arg + 2 : arg, hex ? 16 : 10, &value) || value > max) {
		mg_complain("--%s takes a number from 0 to 0x%llx, not \"%s\"", what,
			    (unsigned long long)max, arg);
		return false;
	}
	*number = value;
	return true;
}

bool mg_cpu_option(int option, const char *arg, struct mg_cpu *cpu)
{
	switch (option) {
	case MG_OPTION_VENDOR:
		cpu->vendor = mg_cpu_vendor_find(arg, strlen(arg));
		if (cpu->vendor)
			return true;
		mg_complain("--vendor takes intel, amd, hygon, zhaoxin or centaur, not \"%s\"", arg);
		return false;
	case MG_OPTION_FAMILY:
		return take_number("family", arg, MG_FAMILY_MAX, &cpu->family);
	case MG_OPTION_MODEL:
		return take_number("model", arg, MG_MODEL_MAX, &cpu->model);
	case MG_OPTION_STEPPING:
		return take_number("stepping", arg, MG_STEPPING_MAX, &cpu->stepping);
	default:
		return false;
	}
}

static enum mg_cpu_vendor vendor_of(unsigned int ebx, unsigned int edx, unsigned int ecx)
{
	char signature[SIGNATURE_LEN];
	int i;

	memcpy(signature, &ebx, 4);
	memcpy(signature + 4, &edx, 4);
	memcpy(signature + 8, &ecx, 4);
	for (i = MG_CPU_VENDOR_UNKNOWN + 1; i < MG_NR_CPU_VENDORS; i++)
		if (!memcmp(vendors[i].signature, signature, SIGNATURE_LEN))
			return i;
	return MG_CPU_VENDOR_UNKNOWN;
}

/* MSRGUARD_CPU stands in for the CPU, for tests: vendor:family:model:stepping. */
static bool host_of_test(struct mg_cpu *cpu)
{
	const char *text = secure_getenv("MSRGUARD_CPU");
	char vendor[16];

	if (!text || sscanf(text, "%15[a-z]:%i:%i:%i", vendor, &cpu->family, &cpu->model,
			    &cpu->stepping) != 4)
		return false;
	cpu->vendor = mg_cpu_vendor_find(vendor, strlen(vendor));
	return true;
}

/*
 * Leaf 1, EAX: SDM Vol. 2A, CPUID, "Version Information"; APM Vol. 3, Fn0000_0001_EAX. The
 * extended model counts from family 6 on, as the kernel's x86_model() has it.
 */
static void take_signature(struct mg_cpu *cpu, unsigned int eax)
{
	unsigned int family = eax >> 8 & 0xf;

	cpu->stepping = eax & 0xf;
	cpu->model = eax >> 4 & 0xf;
	cpu->family = family;
	if (family == 0xf)
		cpu->family += eax >> 20 & 0xff;
	if (family >= 6)
		cpu->model += (eax >> 16 & 0xf) << 4;
}

void mg_cpu_host(struct mg_cpu *cpu)
{
	unsigned int eax, ebx, ecx, edx;

	mg_cpu_init(cpu);
	cpu->is_host = true;
	if (host_of_test(cpu))
		return;
	if (__get_cpuid(0, &eax, &ebx, &ecx, &edx))
		cpu->vendor = vendor_of(ebx, edx, ecx);
	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
		take_signature(cpu, eax);
}

/* What is finer than a field that an option names is not the host's any more. */
void mg_cpu_complete(struct mg_cpu *cpu)
{
	struct mg_cpu host;

	if (cpu->vendor)
		return;
	mg_cpu_host(&host);
	cpu->vendor = host.vendor;
	if (cpu->family != MG_CPU_UNKNOWN)
		return;
	cpu->family = host.family;
	if (cpu->model != MG_CPU_UNKNOWN)
		return;
	cpu->model = host.model;
	if (cpu->stepping != MG_CPU_UNKNOWN)
		return;
	cpu->stepping = host.stepping;
	cpu->is_host = true;
}

static char *add_field(char *name, const char *field, int value)
{
	char *longer;

	if (value == MG_CPU_UNKNOWN)
		return name;
	longer = mg_format("%s %s=0x%x", name, field, value);
	free(name);
	return longer;
}

char *mg_cpu_name(const struct mg_cpu *cpu)
{
	char *name = mg_format("%s", mg_cpu_vendor_name(cpu->vendor));

	name = add_field(name, "family", cpu->family);
	name = add_field(name, "model", cpu->model);
	return add_field(name, "stepping", cpu->stepping);
}

bool mg_cpu_is_amd_like(const struct mg_cpu *cpu)
{
	return cpu->vendor == MG_CPU_VENDOR_AMD || cpu->vendor == MG_CPU_VENDOR_HYGON;
}
