/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes of the host, for people to recognize a VM by.
 */
#ifndef MSRGUARD_PROCESS_H
#define MSRGUARD_PROCESS_H

#include <stdint.h>

/* What the kernel keeps of a name is 15 bytes; each may have to be shown as \xNN. */
#define MG_PROCESS_NAME	(4 * 16 + 1)

/**
 * mg_process_name - the name of a process
 * @pid: its id
 * @buf: MG_PROCESS_NAME bytes
 *
 * A process can call itself as it likes. What a terminal would obey, and blanks, are shown as \xNN.
 *
 * Return: @buf, "?" if there is no such process.
 */
const char *mg_process_name(uint32_t pid, char *buf);

#endif /* MSRGUARD_PROCESS_H */
