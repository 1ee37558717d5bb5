/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which CPU a policy is for: this host's, or one that options name.
 */
#ifndef MSRGUARD_CPU_H
#define MSRGUARD_CPU_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

enum mg_cpu_vendor {
	MG_CPU_VENDOR_UNKNOWN,
	MG_CPU_VENDOR_INTEL,
	MG_CPU_VENDOR_AMD,
	MG_CPU_VENDOR_HYGON,
	MG_CPU_VENDOR_ZHAOXIN,
	MG_CPU_VENDOR_CENTAUR,
	MG_NR_CPU_VENDORS,
};

#define MG_CPU_UNKNOWN	(-1)

/* What CPUID can say at most: 15 + 255, two digits of hexadecimal, one. */
#define MG_FAMILY_MAX	0x10e
#define MG_MODEL_MAX	0xff
#define MG_STEPPING_MAX	0xf

/**
 * struct mg_cpu - a CPU, as /proc/cpuinfo counts
 * @vendor:   who made it
 * @family:   with the extended family added; MG_CPU_UNKNOWN if nobody said
 * @model:    with the extended model added, likewise
 * @stepping: likewise
 * @is_host:  it is the CPU that this runs on, no option named another
 */
struct mg_cpu {
	enum mg_cpu_vendor vendor;
	int family;
	int model;
	int stepping;
	bool is_host;
};

/* For getopt_long(): options of commands that can be asked about another CPU. */
enum mg_cpu_option {
	MG_OPTION_VENDOR = 0x100,
	MG_OPTION_FAMILY,
	MG_OPTION_MODEL,
	MG_OPTION_STEPPING,
};

/* How many there are, the end included: room for mg_cpu_add_options(). */
#define MG_NR_CPU_OPTIONS	5

#define MG_CPU_HELP							\
"  --vendor V         judge for a CPU of intel, amd, hygon, zhaoxin or centaur, not\n"	\
"                     for this host's; and of this family, model and stepping, if\n"	\
"  --family N         they are given. Without --vendor the host's vendor is meant,\n"	\
"  --model N          without --family its family, and so on\n"			\
"  --stepping N\n"

/**
 * mg_cpu_add_options - write the options of a CPU behind a command's own
 * @options: room for MG_NR_CPU_OPTIONS, where the command's own end
 */
void mg_cpu_add_options(struct option *options);

/** mg_cpu_init - nothing named yet, for mg_cpu_option() */
void mg_cpu_init(struct mg_cpu *cpu);

/**
 * mg_cpu_option - take one of the options of a CPU
 * @option: what getopt_long() returned
 * @arg:    its argument
 * @cpu:    where to note it
 *
 * Return: false after a complaint about @arg.
 */
bool mg_cpu_option(int option, const char *arg, struct mg_cpu *cpu);

/** mg_cpu_complete - the rest is the host's, as far as that makes sense */
void mg_cpu_complete(struct mg_cpu *cpu);

/** mg_cpu_host - the CPU this runs on, whatever options say */
void mg_cpu_host(struct mg_cpu *cpu);

/** mg_cpu_vendor_find - a vendor by the word that policies use; ..._UNKNOWN if it is none */
enum mg_cpu_vendor mg_cpu_vendor_find(const char *word, size_t len);

/** mg_cpu_vendor_name - that word */
const char *mg_cpu_vendor_name(enum mg_cpu_vendor vendor);

/** mg_cpu_name - "intel family=0x6 model=0x55 stepping=0x4", to be freed by the caller */
char *mg_cpu_name(const struct mg_cpu *cpu);

/** mg_cpu_is_amd_like - whether it has SVM and AMD's MSRs, not VMX and Intel's */
bool mg_cpu_is_amd_like(const struct mg_cpu *cpu);

#endif /* MSRGUARD_CPU_H */
