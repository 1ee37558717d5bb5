/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The generated tables of names, ascending by index. For names.c.
 */
#ifndef MSRGUARD_NAMES_TABLES_H
#define MSRGUARD_NAMES_TABLES_H

#include "names.h"

/* Of notes/: of each index, preferred names before their aliases. */
extern const struct mg_msr_name mg_msr_notes[];
extern const size_t mg_msr_nr_notes;

/* Of the kernel's headers, without notes. */
extern const struct mg_msr_name mg_msr_kernel_names[];
extern const size_t mg_msr_nr_kernel_names;

/* Of notes/, the narrowest first. */
extern const struct mg_msr_block mg_msr_blocks[];
extern const size_t mg_msr_nr_blocks;

#endif /* MSRGUARD_NAMES_TABLES_H */
