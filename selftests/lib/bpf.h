/* SPDX-License-Identifier: GPL-2.0 */
/*
 * BPF programs at the entry or the exit of a function of kvm.ko, as bpftrace and others attach
 * them. Each counts its calls and does nothing else. By bpf(2) alone, nothing is compiled.
 */
#ifndef MG_SELFTEST_BPF_H
#define MG_SELFTEST_BPF_H

#include <stdbool.h>
#include <stdint.h>

struct bpf_probe {
	int map, prog, link;
	uint64_t *calls;	/* the map's memory */
};

/*
 * Why no BPF program can be attached to a function of kvm.ko on this host, for a SKIP; NULL if it
 * can.
 */
const char *bpf_missing(void);

/* Whether the type information names a function; only then can a program be put on it. */
bool bpf_knows(const char *function);

/**
 * bpf_attach - put a program on a function of kvm.ko
 * @probe:    filled in
 * @function: name of the function
 * @at_exit:  fexit, else fentry
 *
 * Return: 0, or the negative errno with which the kernel refused to attach it. What fails before
 * that is the test's fault, or the host's, and aborts.
 */
int bpf_attach(struct bpf_probe *probe, const char *function, bool at_exit);

/* Nothing is done for a probe that is not attached. */
void bpf_detach(struct bpf_probe *probe);

/* How often the function was called since. */
uint64_t bpf_calls(const struct bpf_probe *probe);

#endif /* MG_SELFTEST_BPF_H */
