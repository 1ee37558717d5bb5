// SPDX-License-Identifier: GPL-2.0
/* What goes to the journal. The library's side of it is played here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "event.h"
#include "journal.h"
#include "unit.h"

#ifdef HAVE_LIBSYSTEMD

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#define ENTRIES_MAX	8

/* The entries that came, each as "FIELD=VALUE" a line. */
static char entries[ENTRIES_MAX][TEXT_MAX];
static int nr_entries;
static int refusal;
static int socket_error;
static char notice[256];

int sd_journal_sendv(const struct iovec *iov, int n)
{
	size_t len = 0;
	int i;

	if (refusal)
		return refusal;
	if (nr_entries == ENTRIES_MAX)
		abort();
	for (i = 0; i < n; i++) {
		if (len + iov[i].iov_len + 2 > TEXT_MAX)
			abort();
		memcpy(entries[nr_entries] + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
		entries[nr_entries][len++] = '\n';
	}
	entries[nr_entries++][len] = '\0';
	return 0;
}

int sd_notify(int unset_environment, const char *state)
{
	snprintf(notice, sizeof(notice), "%d %s", unset_environment, state);
	return 1;
}

/* For the journal's socket, whether it is there. */
int access(const char *path, int mode)
{
	if (strcmp(path, "/run/systemd/journal/socket") || mode != W_OK)
		abort();
	errno = socket_error;
	return socket_error ? -1 : 0;
}

static void forget(void)
{
	memset(entries, 0, sizeof(entries));
	nr_entries = 0;
}

static void test_access(void)
{
	struct mg_event event;
	char buf[MESSAGE_MAX];

	forget();
	mg_event_decode(make_event(buf, true, NO_ATTR), &event);
	mg_journal_event(&event);
	check(nr_entries == 1, "an event is an entry");
	check_text(entries[0],
		   "MESSAGE=VM 3 (pid 4242): write of MSR 0xc0000080 (MSR_EFER), value 0xfedcba9876543211, audited (would be denied) by rule 0xc0000080-0xc0000082, 5 times, done by esif_lf.sys, at 0xffffffff81000000\n"
		   "MESSAGE_ID=" MG_JOURNAL_AUDITED "\nPRIORITY=5\nSYSLOG_IDENTIFIER=msrguard\n"
		   "MSRGUARD_TYPE=access\nMSRGUARD_VM=3\nMSRGUARD_PID=4242\nOBJECT_PID=4242\n"
		   "MSRGUARD_TIME=12000000034\nMSRGUARD_SEQ=77\nMSRGUARD_COUNT=5\nMSRGUARD_VCPU=1\n"
		   "MSRGUARD_MSR=0xc0000080\nMSRGUARD_NAME=MSR_EFER\nMSRGUARD_DIR=write\nMSRGUARD_ORIGIN=nested-list\n"
		   "MSRGUARD_VALUE=0xfedcba9876543211\nMSRGUARD_OLD=0x0\n"
		   "MSRGUARD_PC=0xffffffff81000000\nMSRGUARD_CPL=3\nMSRGUARD_NESTED=1\n"
		   "MSRGUARD_VERDICT=audited\nMSRGUARD_WOULD_BE=denied\n"
		   "MSRGUARD_RULE=0xc0000080-0xc0000082\nMSRGUARD_GENERATION=9\n"
		   "MSRGUARD_IMAGE=esif_lf.sys\nMSRGUARD_IMAGE_KIND=pe\n"
		   "MSRGUARD_IMAGE_BASE=0xfffff807452b0000\nMSRGUARD_IMAGE_SIZE=0x1f000\n"
		   "MSRGUARD_CHECKSUM=0x68c4f\nMSRGUARD_TIMESTAMP=0x59fb8dec\n"
		   "MSRGUARD_BUILD_ID=01ab00ff\n", "with a field for each of its fields");

	forget();
	mg_event_decode(make_event(buf, false, NO_ATTR), &event);
	event.verdict = MSRGUARD_VERDICT_DENIED;
	event.pid = 0;
	mg_journal_event(&event);
	check(strstr(entries[0], "\nMESSAGE_ID=" MG_JOURNAL_BLOCKED "\nPRIORITY=4\n"),
	      "what was blocked has another MESSAGE_ID and is a warning");
	check(!strstr(entries[0], "OBJECT_PID") && !strstr(entries[0], "_VALUE") &&
	      !strstr(entries[0], "_PC") && !strstr(entries[0], "_CPL") &&
	      !strstr(entries[0], "_IMAGE") && !strstr(entries[0], "_BUILD_ID") &&
	      !strstr(entries[0], "unknown"), "what is not known has no field");
	check(!strncmp(entries[0], "MESSAGE=VM 3 (pid 0): write of MSR 0xc0000080 (MSR_EFER) denied by rule 0xc0000080-0xc0000082\n",
		       strlen("MESSAGE=VM 3 (pid 0): write of MSR 0xc0000080 (MSR_EFER) denied by rule 0xc0000080-0xc0000082\n")),
	      "nor a word in the message");
}

static void test_numbers(void)
{
	struct mg_event event = {
		.overflowed = true, .vm = 3, .pid = 4242, .count = 30, .seq = 77, .time = 5,
	};

	forget();
	mg_journal_event(&event);
	check_text(entries[0],
		   "MESSAGE=VM 3 (pid 4242): 30 more accesses, too many different ones to tell them one by one\n"
		   "MESSAGE_ID=" MG_JOURNAL_OVERFLOWED "\nPRIORITY=4\nSYSLOG_IDENTIFIER=msrguard\n"
		   "MSRGUARD_TYPE=overflowed\nMSRGUARD_VM=3\nMSRGUARD_PID=4242\nOBJECT_PID=4242\n"
		   "MSRGUARD_TIME=5\nMSRGUARD_SEQ=77\nMSRGUARD_COUNT=30\n", "accesses that are only a number");
	forget();
	mg_journal_lost(101, 112);
	check_text(entries[0],
		   "MESSAGE=12 accesses of guests were not told to this listener (numbers 101 to 112); the counters have them\n"
		   "MESSAGE_ID=" MG_JOURNAL_LOST "\nPRIORITY=4\nSYSLOG_IDENTIFIER=msrguard\n"
		   "MSRGUARD_TYPE=lost\nMSRGUARD_COUNT=12\nMSRGUARD_FIRST=101\nMSRGUARD_LAST=112\n",
		   "accesses that were lost");
}

static void test_failure(void)
{
	forget();
	socket_error = ENOENT;
	check(mg_journal_check(), "without the journal's socket we do not begin");
	mg_journal_lost(1, 1);
	check(!nr_entries && mg_journal_failed() == 1, "an entry without a journal counts as failed");
	socket_error = 0;
	refusal = -ENOBUFS;
	mg_journal_lost(2, 2);
	mg_journal_lost(3, 3);
	check(!nr_entries && mg_journal_failed() == 3, "and so do those that it refuses");
	refusal = 0;
	mg_journal_lost(4, 4);
	check(nr_entries == 2 && strstr(entries[0], "MSRGUARD_TYPE=unwritten\nMSRGUARD_COUNT=3\n") &&
	      strstr(entries[1], "MSRGUARD_FIRST=4\n"), "when it takes one, those are told first");
	check(!mg_journal_failed() && !mg_journal_check(), "then all is well");
	mg_journal_ready();
	check(!strncmp(notice, "0 READY=1\n", 10), "the service manager is told that we listen");
}

void test_journal(void)
{
	test_access();
	test_numbers();
	test_failure();
}

#else

void test_journal(void)
{
	check(mg_journal_check(), "built without libsystemd, there is no journal");
}

#endif
