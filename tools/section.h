/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The line that opens a section of a policy file, "[intel family=6 model=0x55-0x6a]": whether
 * what follows is for this CPU. Documentation/policy-format.rst has the grammar.
 */
#ifndef MSRGUARD_SECTION_H
#define MSRGUARD_SECTION_H

#include <stddef.h>

struct mg_cpu;

enum mg_section {
	MG_SECTION_WRONG,	/* no such line */
	MG_SECTION_ALL,		/* for every CPU, as what stands before the first section */
	MG_SECTION_OTHER,	/* for a CPU that no section before it is for */
	MG_SECTION_MATCHES,
	MG_SECTION_DIFFERS,
};

/**
 * mg_section_parse - read the line
 * @line:   from its "[" on, without its newline
 * @len:    its length
 * @cpu:    the CPU
 * @column: set to where @line is wrong, from 1
 * @reason: set to why, to be freed by the caller
 *
 * It is read to its end, whether it is for @cpu or not, so that a wrong one is wrong on every
 * CPU.
 */
enum mg_section mg_section_parse(const char *line, size_t len, const struct mg_cpu *cpu,
				 size_t *column, char **reason);

#endif /* MSRGUARD_SECTION_H */
