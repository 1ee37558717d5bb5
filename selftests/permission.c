// SPDX-License-Identifier: GPL-2.0
/*
 * Who is not the host's administrator can neither read nor write the rules, nor listen: not
 * another user, not root of a user namespace, not root of another network namespace, and not
 * root without the capability.
 */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <fts.h>
#include <grp.h>
#include <libmnl/libmnl.h>
#include <linux/capability.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "lib/host.h"
#include "lib/msrguard.h"
#include "lib/vm.h"

#define NOBODY		65534
#define MAX_FILES	64

static char files[MAX_FILES][128];
static unsigned int nr_files;

static void note_files(void)
{
	char *const roots[] = { MG_SYSFS, NULL };
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *entry;

	nr_files = 0;
	while (walk && (entry = fts_read(walk)))
		if (entry->fts_info == FTS_F && nr_files < MAX_FILES)
			snprintf(files[nr_files++], sizeof(files[0]), "%s", entry->fts_path);
	if (walk)
		fts_close(walk);
}

FIXTURE(permission) {
	uint16_t family;
	uint32_t group;
};

/* What the controller says of our family, to anybody who asks in our network namespace. */
static int note_group(const struct nlattr *attr, void *group)
{
	const struct nlattr *one, *field;

	if (mnl_attr_get_type(attr) != CTRL_ATTR_MCAST_GROUPS)
		return MNL_CB_OK;
	mnl_attr_for_each_nested(one, attr)
		mnl_attr_for_each_nested(field, one)
			if (mnl_attr_get_type(field) == CTRL_ATTR_MCAST_GRP_ID)
				*(uint32_t *)group = mnl_attr_get_u32(field);
	return MNL_CB_OK;
}

static int note_family(const struct nlmsghdr *message, void *group)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, message, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
			((uint32_t *)group)[1] = mnl_attr_get_u16(attr);
	return mnl_attr_parse(message, sizeof(struct genlmsghdr), note_group, group);
}

/* Sends a request to a family and reads the answers to it; 0 or a negative errno. */
static int ask(uint16_t family, uint8_t command, const char *name, mnl_cb_t take, void *data)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	struct nlmsghdr *request;
	struct genlmsghdr *header;
	char buf[8192];
	int err = 0;
	ssize_t n;

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	request = mnl_nlmsg_put_header(buf);
	request->nlmsg_type = family;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	request->nlmsg_seq = 1;
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->cmd = command;
	header->version = 1;
	if (name)
		mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, name);
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		err = -errno;
	while (!err) {
		n = mnl_socket_recvfrom(socket, buf, sizeof(buf));
		if (n >= 0)
			n = mnl_cb_run(buf, n, 1, mnl_socket_get_portid(socket), take, data);
		if (n < 0)
			err = -errno;
		else if (n == MNL_CB_STOP)
			break;
	}
	mnl_socket_close(socket);
	return err;
}

static int count_message(const struct nlmsghdr *message, void *data)
{
	if (message->nlmsg_len)
		++*(unsigned int *)data;
	return MNL_CB_OK;
}

static int ask_status(uint16_t family)
{
	unsigned int answers = 0;
	int err = ask(family, MSRGUARD_CMD_STATUS_GET, NULL, count_message, &answers);

	return err ?: answers == 1 ? 0 : -ENODATA;
}

static int join_by_option(uint32_t group)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	int number = group, err = 0;

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	if (mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &number, sizeof(number)) < 0)
		err = -errno;
	mnl_socket_close(socket);
	return err;
}

/* The older way, for the first 32 groups. */
static int join_by_bind(uint32_t group)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	int err = 0;

	if (!socket)
		return -errno;
	if (mnl_socket_bind(socket, 1u << (group - 1), MNL_SOCKET_AUTOPID) < 0)
		err = -errno;
	mnl_socket_close(socket);
	return err;
}

FIXTURE_SETUP(permission)
{
	uint32_t found[2] = { 0 };
	char why[MG_ERROR_LEN];

	ASSERT_EQ(0, mg_start(why)) {
		TH_LOG("%s", why);
	}
	note_files();
	ASSERT_LE(18, nr_files);
	ASSERT_GT(MAX_FILES, nr_files);
	ASSERT_EQ(0, ask(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, MSRGUARD_FAMILY_NAME, note_family,
			 found));
	self->group = found[0];
	self->family = found[1];
	ASSERT_NE(0, self->group);
	ASSERT_NE(0, self->family);
	/* What the others are refused works for us. */
	ASSERT_EQ(0, ask_status(self->family));
	ASSERT_EQ(0, join_by_option(self->group));
	if (self->group <= 32)
		ASSERT_EQ(0, join_by_bind(self->group));
}

FIXTURE_TEARDOWN(permission)
{
}

static int become_nobody(void)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return -errno;
	/* For /proc/self to be ours after the change. */
	return prctl(PR_SET_DUMPABLE, 1) ? -errno : 0;
}

static int become_root_of_namespaces(int flags)
{
	char map[32];
	int err;

	snprintf(map, sizeof(map), "0 %u 1", geteuid());
	if (unshare(CLONE_NEWUSER | flags))
		return -errno;
	err = host_write("/proc/self/setgroups", "deny");
	err = err ?: host_write("/proc/self/uid_map", map);
	return err ?: geteuid() ? -EPERM : 0;
}

static void expect_no_files(struct __test_metadata *_metadata, int error)
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR };

	for (unsigned int i = 0; i < nr_files; i++) {
		for (unsigned int f = 0; f < ARRAY_SIZE(flags); f++) {
			int fd = open(files[i], flags[f] | O_CLOEXEC);

			EXPECT_EQ(-1, fd) {
				TH_LOG("%s can be opened with flags %d", files[i], flags[f]);
			}
			EXPECT_EQ(error, errno) {
				TH_LOG("%s, flags %d", files[i], flags[f]);
			}
			close(fd);
		}
	}
}

static void expect_no_netlink(struct __test_metadata *_metadata, uint16_t family, uint32_t group,
			      int error)
{
	EXPECT_EQ(-error, ask_status(family));
	EXPECT_EQ(-error, join_by_option(group));
	if (group <= 32)
		EXPECT_EQ(-error, join_by_bind(group));
}

/* Also root cannot do with a file what its mode does not say. */
TEST_F(permission, modes)
{
	for (unsigned int i = 0; i < nr_files; i++) {
		struct stat stat;

		ASSERT_EQ(0, lstat(files[i], &stat));
		EXPECT_EQ(0, stat.st_mode & 0177) {
			TH_LOG("%s has mode %o", files[i], stat.st_mode & 07777);
		}
		EXPECT_EQ(0, stat.st_uid);
		EXPECT_EQ(0, stat.st_gid);
	}
}

TEST_F(permission, nobody)
{
	ASSERT_EQ(0, become_nobody());
	expect_no_files(_metadata, EACCES);
	expect_no_netlink(_metadata, self->family, self->group, EPERM);
}

TEST_F(permission, root_of_a_user_namespace)
{
	ASSERT_EQ(0, become_nobody());
	ASSERT_EQ(0, become_root_of_namespaces(0)) {
		TH_LOG("no user namespace: %s", strerror(errno));
	}
	expect_no_files(_metadata, EACCES);
	expect_no_netlink(_metadata, self->family, self->group, EPERM);
}

TEST_F(permission, root_of_user_and_network_namespaces)
{
	ASSERT_EQ(0, become_nobody());
	ASSERT_EQ(0, become_root_of_namespaces(CLONE_NEWNET));
	expect_no_files(_metadata, EACCES);
}

/**
 * struct outsider - what somebody in another network namespace came to know
 * @become: error on the way there
 * @find:   error of looking for the family
 * @status: error of asking it
 * @heard:  messages that came from the group
 */
struct outsider {
	int become, find, status;
	unsigned int heard;
};

/*
 * Joins the group by its number, which the kernel lets the root of any network namespace do,
 * tells what it knows, waits for a word, and tells what it has heard.
 */
static void outsider_main(int in, int out, bool is_nobody, uint16_t family, uint32_t group)
{
	struct mnl_socket *socket;
	struct outsider self = { 0 };
	uint32_t found[2] = { 0 };
	int number = group;
	char buf[8192];

	if (is_nobody)
		self.become = become_nobody() ?: become_root_of_namespaces(CLONE_NEWNET);
	else
		self.become = unshare(CLONE_NEWNET) ? -errno : 0;
	self.find = ask(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, MSRGUARD_FAMILY_NAME, note_family, found);
	self.status = ask_status(family);
	socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		_exit(1);
	mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &number, sizeof(number));
	number = 1;
	mnl_socket_setsockopt(socket, NETLINK_LISTEN_ALL_NSID, &number, sizeof(number));
	if (write(out, &self, sizeof(self)) != sizeof(self) || read(in, buf, 1) != 1)
		_exit(1);
	while (mnl_socket_recvfrom(socket, buf, sizeof(buf)) > 0)
		self.heard++;
	if (write(out, &self, sizeof(self)) != sizeof(self))
		_exit(1);
	_exit(0);
}

static void expect_deaf(struct __test_metadata *_metadata, bool is_nobody, uint16_t family,
			uint32_t group)
{
	struct mg_listener *listener;
	struct outsider outsider;
	struct mg_event event;
	int in[2], out[2], status;
	struct vm *vm;
	pid_t pid;

	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(0, pipe(out));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		outsider_main(in[0], out[1], is_nobody, family, group);
	ASSERT_EQ(sizeof(outsider), read(out[0], &outsider, sizeof(outsider)));
	EXPECT_EQ(0, outsider.become) {
		TH_LOG("%s", strerror(-outsider.become));
	}
	EXPECT_EQ(-ENOENT, outsider.find);
	EXPECT_EQ(-ENOENT, outsider.status);

	/* An event, and one who has it. */
	listener = mg_listen();
	ASSERT_NE(NULL, listener);
	ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL "0xc0000081 deny deny\n"));
	vm = vm_create(1, 0);
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(&vm->vcpus[0], MSR_STAR, 0).vector);
	vm_free(vm);
	EXPECT_TRUE(mg_next_event(listener, &event, 2000));
	mg_listener_free(listener);

	ASSERT_EQ(1, write(in[1], "x", 1));
	ASSERT_EQ(sizeof(outsider), read(out[0], &outsider, sizeof(outsider)));
	EXPECT_EQ(0, outsider.heard);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
}

/* A container. */
TEST_F(permission, listener_in_user_and_network_namespaces)
{
	expect_deaf(_metadata, true, self->family, self->group);
}

/* The host's own root, elsewhere. */
TEST_F(permission, listener_in_a_network_namespace)
{
	expect_deaf(_metadata, false, self->family, self->group);
}

/* Nor can they make us believe that somebody listens, and loses what they cannot get. */
TEST_F(permission, outsiders_lose_nothing)
{
	int in[2], out[2], status;
	struct outsider outsider;
	struct mg_stats start, d;
	struct vm *vm;
	pid_t pid;

	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(0, pipe(out));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		outsider_main(in[0], out[1], true, self->family, self->group);
	ASSERT_EQ(sizeof(outsider), read(out[0], &outsider, sizeof(outsider)));
	EXPECT_EQ(0, outsider.become);
	ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL "0xc0000081 deny deny\n"));
	start = mg_stats();
	vm = vm_create(1, 0);
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(&vm->vcpus[0], MSR_STAR, 0).vector);
	vm_free(vm);
	d = mg_stats_since(&start);
	EXPECT_EQ(1, d.denied);
	EXPECT_EQ(0, d.events_sent);
	EXPECT_EQ(0, d.events_lost);
	ASSERT_EQ(1, write(in[1], "x", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
}

/* Root by its number only. */
TEST_F(permission, root_without_net_admin)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	ASSERT_EQ(0, syscall(SYS_capget, &header, data));
	data[0].effective &= ~(1u << CAP_NET_ADMIN);
	ASSERT_EQ(0, syscall(SYS_capset, &header, data));
	expect_no_netlink(_metadata, self->family, self->group, EPERM);
}

/* Nor by ftrace. */
TEST_F(permission, tracing_files)
{
	ASSERT_EQ(0, become_nobody());
	EXPECT_EQ(-1, open(HOST_TRACING "/events/msrguard/msrguard_access/enable", O_WRONLY));
	EXPECT_EQ(EACCES, errno);
}

TEST_HARNESS_MAIN
