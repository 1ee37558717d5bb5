// SPDX-License-Identifier: GPL-2.0
/*
 * The events that the kernel's stand-in sends. The file FAKE_KERNEL says which, in order, once the
 * first status request has been answered; a line each, whatever stands between them:
 *
 *   event [TYPE:HEX]...    an access-ntf with these attributes
 *   lost [TYPE:HEX]...     a lost-ntf
 *   foreign [TYPE:HEX]...  a message of another family
 *   gone                   the module is unloaded
 *   overrun                the receive buffer was full
 *   failure ERRNO          receiving fails
 *   sequence N             what the answers to status requests have from now on; before, 0
 *   wait MS                nothing for so long
 *   signal N               a signal to the command
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>

#include "fake_kernel.h"

static FILE *script;
static bool armed;
static uint64_t sequence;
/* Readable while there is something to come. */
static int timer = -1;

static const char *const words[] = {
	"event", "lost", "foreign", "gone", "overrun", "failure", "sequence", "wait", "signal",
	NULL
};

bool fake_is_of_events(const char *word)
{
	const char *const *at;

	for (at = words; *at; at++)
		if (!strcmp(*at, word))
			return true;
	return false;
}

uint64_t fake_sequence(void)
{
	return sequence;
}

/* 0: never. */
static void wake_in(uint64_t ns)
{
	const struct itimerspec when = {
		.it_value = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 },
	};

	if (timerfd_settime(timer, 0, &when, NULL))
		abort();
}

int fake_events_fd(void)
{
	if (timer < 0)
		timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return timer;
}

void fake_arm_events(void)
{
	if (armed || timer < 0)
		return;
	armed = true;
	script = fake_open_script();
	wake_in(1);
}

static ssize_t put_message(void *buf, uint16_t type, uint8_t cmd, const char *args)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *header;

	message->nlmsg_type = type;
	header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	header->cmd = cmd;
	fake_put_attributes(message, args);
	return message->nlmsg_len;
}

static ssize_t fail(int error)
{
	errno = error;
	return -1;
}

/* What the next line makes of a recvmsg(). */
static ssize_t next_event(void *buf)
{
	char line[1024], *args;
	uint64_t ticks;

	if (!armed)
		return fail(EAGAIN);
	/* Time has not come yet. */
	if (read(timer, &ticks, sizeof(ticks)) < 0)
		return fail(EAGAIN);
	while (fake_next_line(script, line, sizeof(line), &args)) {
		if (!fake_is_of_events(line))
			continue;
		wake_in(strcmp(line, "wait") ? 1 : strtoull(args, NULL, 0) * 1000000);
		if (!strcmp(line, "event"))
			return put_message(buf, FAMILY, MSRGUARD_CMD_ACCESS_NTF, args);
		if (!strcmp(line, "lost"))
			return put_message(buf, FAMILY, MSRGUARD_CMD_LOST_NTF, args);
		if (!strcmp(line, "foreign"))
			return put_message(buf, FAMILY + 1, MSRGUARD_CMD_ACCESS_NTF, args);
		if (!strcmp(line, "gone"))
			return put_message(buf, GENL_ID_CTRL, CTRL_CMD_DELFAMILY, "1:1b00");
		if (!strcmp(line, "overrun"))
			return fail(ENOBUFS);
		if (!strcmp(line, "failure"))
			return fail(atoi(args));
		if (!strcmp(line, "sequence")) {
			sequence = strtoull(args, NULL, 0);
			/* Time goes on at once. */
			while (read(timer, &ticks, sizeof(ticks)) < 0)
				;
			continue;
		}
		if (!strcmp(line, "signal"))
			kill(getpid(), atoi(args));
		return fail(EAGAIN);
	}
	return fail(EAGAIN);
}

ssize_t recvmsg(int fd, struct msghdr *header, int flags)
{
	static ssize_t (*real)(int fd, struct msghdr *header, int flags);
	struct sockaddr_nl *from = header->msg_name;
	char buf[4096] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t len;

	if (fd < 0 || fd != timer) {
		if (!real)
			*(void **)&real = dlsym(RTLD_NEXT, "recvmsg");
		return real(fd, header, flags);
	}
	len = next_event(buf);
	if (len < 0)
		return len;
	if ((size_t)len > header->msg_iov->iov_len)
		abort();
	memcpy(header->msg_iov->iov_base, buf, len);
	memset(from, 0, sizeof(*from));
	from->nl_family = AF_NETLINK;
	header->msg_namelen = sizeof(*from);
	header->msg_flags = 0;
	return len;
}
