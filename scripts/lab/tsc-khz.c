// SPDX-License-Identifier: GPL-2.0
/*
 * Prints how many thousand ticks a second the TSC of a host under QEMU's TCG makes: it is this
 * machine's own. The host's kernel measures it as well, but against a timer that this machine
 * serves late when it is busy, and then all of its clocks run several times too fast.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define READINGS	1000
#define APART_NS	100000000

struct reading {
	uint64_t ns, ticks;
};

/* Of both clocks at nearly one time: the closest of many, so that being interrupted is no harm. */
static struct reading read_clocks(void)
{
	struct reading best = { 0, 0 };
	uint64_t width = UINT64_MAX;

	for (int i = 0; i < READINGS; i++) {
		uint64_t before = __rdtsc(), after;
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC_RAW, &now);
		after = __rdtsc();
		if (after - before >= width)
			continue;
		width = after - before;
		best.ns = now.tv_sec * 1000000000ull + now.tv_nsec;
		best.ticks = before + width / 2;
	}
	return best;
}

int main(void)
{
	struct timespec apart = { .tv_nsec = APART_NS };
	struct reading first = read_clocks(), last;

	nanosleep(&apart, NULL);
	last = read_clocks();
	printf("%.0f\n", (double)(last.ticks - first.ticks) * 1e6 / (double)(last.ns - first.ns));
	return 0;
}
