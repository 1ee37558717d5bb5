// SPDX-License-Identifier: GPL-2.0
/*
 * Bad input through sysfs: each kind has its own message, and none changes anything.
 */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <sys/wait.h>
#include "lib/host.h"
#include "lib/msrguard.h"
#include "lib/vm.h"

#define MiB		(1ul << 20)
#define TEXT_MAX	(32 * MiB)
#define BIG_RULES	100000
/* What a kernel in an emulated machine may take for any one text; a real one takes a second. */
#define PATIENCE_MS	(60000u * host_patience())

#define DEFAULT		"default deny deny\n"
#define IN_FORCE	"default allow allow\n0x1a0\tallow\tdeny\n0x800-0x83f\tallow\tdrop\n"

/* What must not change: the generation, the hash, the text. */
struct state {
	char generation[32], hash[128], text[4096];
};

FIXTURE(input) {
	struct state before;
	char *big;
};

static void read_state(struct __test_metadata *_metadata, struct state *state)
{
	ASSERT_LT(0, mg_read_file("policy/generation", state->generation,
				  sizeof(state->generation)));
	ASSERT_LT(0, mg_read_file("policy/hash", state->hash, sizeof(state->hash)));
	ASSERT_LT(0, mg_read_file("policy/active", state->text, sizeof(state->text)));
}

static void expect_unchanged(struct __test_metadata *_metadata, const struct state *before)
{
	struct state now;

	read_state(_metadata, &now);
	EXPECT_STREQ(before->generation, now.generation);
	EXPECT_STREQ(before->hash, now.hash);
	EXPECT_STREQ(before->text, now.text);
}

FIXTURE_SETUP(input)
{
	char why[MG_ERROR_LEN];

	ASSERT_EQ(0, mg_start(why)) {
		TH_LOG("%s", why);
	}
	ASSERT_EQ(0, mg_load_policy(IN_FORCE)) {
		TH_LOG("%s", mg_last_error());
	}
	read_state(_metadata, &self->before);
	self->big = malloc(TEXT_MAX + 4096);
	ASSERT_NE(NULL, self->big);
}

FIXTURE_TEARDOWN(input)
{
	free(self->big);
	mg_write_file("policy/commit", "0", 1);
}

static int decide(const char *word)
{
	return mg_write_file("policy/commit", word, strlen(word));
}

static int stage(const void *text, size_t len)
{
	return mg_write_file("policy/load", text, len);
}

/* Stages a text and commits it; the error's place and the start of its reason are known. */
static void expect_refused(struct __test_metadata *_metadata, const struct state *before,
			   const void *text, size_t len, int err, const char *message)
{
	uint64_t begin = now_ms();

	EXPECT_EQ(0, stage(text, len));
	EXPECT_EQ(err, decide("1\n")) {
		TH_LOG("expected to fail with \"%s\"", message);
	}
	EXPECT_EQ(0, strncmp(message, mg_last_error(), strlen(message))) {
		TH_LOG("expected \"%s\", got \"%s\"", message, mg_last_error());
	}
	EXPECT_GT(PATIENCE_MS, now_ms() - begin);
	expect_unchanged(_metadata, before);
	/* It is gone, not waiting for another commit. */
	EXPECT_EQ(-ENODATA, decide("1"));
	expect_unchanged(_metadata, before);
}

struct bad_text {
	const char *text;
	size_t len;
	int err;
	const char *message;
};

#define BAD(_text, _err, _message) \
	{ .text = (_text), .len = sizeof(_text) - 1, .err = -(_err), .message = (_message) }

TEST_F(input, texts)
{
	static const struct bad_text texts[] = {
		BAD(DEFAULT "0x10 allow dney\n", EINVAL,
		    "2:12: unknown word \"dney\" in the write column"),
		BAD(DEFAULT "foo allow deny\n", EINVAL, "2:1: unknown word \"foo\": an MSR index"),
		BAD(DEFAULT "0x100000000 allow deny\n", EINVAL,
		    "2:1: index 0x100000000 does not fit in 32 bits"),
		BAD(DEFAULT "1-4294967296 allow deny\n", EINVAL,
		    "2:3: last index 4294967296 does not fit in 32 bits"),
		BAD(DEFAULT "0x10 allow mask=0x10000000000000000,deny\n", EINVAL,
		    "2:17: mask 0x10000000000000000 does not fit in 64 bits"),
		BAD(DEFAULT "0x20-0x10 allow deny\n", EINVAL, "2:1: reversed range"),
		BAD(DEFAULT "0x10-0x20 allow deny\n0x18-0x28 allow deny\n", EINVAL,
		    "3:1: 0x18-0x28 partly overlaps 0x10-0x20 on line 2"),
		BAD(DEFAULT "0x10 allow deny\n16 deny deny\n", EINVAL,
		    "3:1: duplicate rule: 0x10 is on line 2 already"),
		BAD("0x10 allow deny\n", EINVAL, "0:0: no default line"),
		BAD("", EINVAL, "0:0: no default line"),
		BAD("# only a comment\n", EINVAL, "0:0: no default line"),
		BAD(DEFAULT DEFAULT, EINVAL, "2:1: second default line, the first is on line 1"),
		BAD(DEFAULT "0x10 al\0ow deny\n", EINVAL, "2:8: NUL byte"),
		BAD(DEFAULT "# \0\n", EINVAL, "2:3: NUL byte"),
		BAD(DEFAULT "\0", EINVAL, "2:1: NUL byte"),
		BAD("default deny deny\r\n", EINVAL, "1:18: carriage return"),
		BAD(DEFAULT "0x10 allow deny\x80\n", EINVAL, "2:16: non-ASCII byte 0x80"),
		BAD(DEFAULT "010 allow deny\n", EINVAL, "2:1: index \"010\" looks octal"),
		BAD(DEFAULT "0x10 allow\n", EINVAL, "2:11: the write column is missing"),
		BAD(DEFAULT "0x10 allow mask=1\n", EINVAL,
		    "2:18: mask without a disposition"),
		BAD("default mask=1 deny\n", EINVAL, "1:9: mask in the default line"),
		BAD(DEFAULT "0x10 allow deny loud\n", EINVAL, "2:17: unknown option \"loud\""),
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(texts); i++) {
		/* sysfs takes no write of nothing; a file of 0 bytes is a newline short. */
		if (texts[i].len)
			expect_refused(_metadata, &self->before, texts[i].text, texts[i].len,
				       texts[i].err, texts[i].message);
	}
}

/* A reason is of the last one only. */
TEST_F(input, error_goes_with_success)
{
	char text[MG_ERROR_LEN];

	ASSERT_EQ(-EINVAL, mg_load_policy("nonsense\n"));
	EXPECT_STRNE("", mg_last_error());
	ASSERT_EQ(0, mg_load_policy(IN_FORCE));
	EXPECT_EQ(0, mg_read_file("policy/error", text, sizeof(text)));
	ASSERT_EQ(-EINVAL, mg_add_rule("nonsense"));
	EXPECT_STRNE("", mg_last_error());
	ASSERT_EQ(0, mg_add_rule("0x11 allow deny"));
	EXPECT_EQ(0, mg_read_file("policy/error", text, sizeof(text)));
}

static void make_noise(unsigned char *to, size_t len)
{
	uint64_t x = 0x9e3779b97f4a7c15ull;

	/* A xorshift generator: the same noise each time. */
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		to[i] = x >> 56;
	}
}

TEST_F_TIMEOUT(input, noise, 600)
{
	uint64_t begin = now_ms();

	make_noise((unsigned char *)self->big, 10 * MiB);
	EXPECT_EQ(0, stage(self->big, 10 * MiB));
	EXPECT_EQ(-EINVAL, decide("1"));
	EXPECT_STRNE("", mg_last_error());
	TH_LOG("10 MiB of noise: %s (%lu ms)", mg_last_error(), now_ms() - begin);
	EXPECT_GT(PATIENCE_MS, now_ms() - begin);
	expect_unchanged(_metadata, &self->before);

	/* Noise behind what is well, so that much of it is read. */
	begin = now_ms();
	memset(self->big, '#', 10 * MiB);
	for (size_t i = 511; i < 10 * MiB; i += 512)
		self->big[i] = '\n';
	memcpy(self->big, DEFAULT, strlen(DEFAULT));
	memcpy(self->big + 10 * MiB - 5, "\nfoo\n", 5);
	EXPECT_EQ(0, stage(self->big, 10 * MiB));
	EXPECT_EQ(-EINVAL, decide("1"));
	EXPECT_NE(NULL, strstr(mg_last_error(), ":1: unknown word \"foo\"")) {
		TH_LOG("%s", mg_last_error());
	}
	TH_LOG("10 MiB of comments: %s (%lu ms)", mg_last_error(), now_ms() - begin);
	EXPECT_GT(PATIENCE_MS, now_ms() - begin);
	expect_unchanged(_metadata, &self->before);
}

TEST_F(input, long_lines)
{
	char *line = self->big;
	size_t len = strlen(DEFAULT);

	memcpy(line, DEFAULT, len);
	memset(line + len, '1', MiB);
	memcpy(line + len + MiB, " allow deny\n", 12);
	expect_refused(_metadata, &self->before, line, len + MiB + 12, -E2BIG,
		       "2:513: line longer than 512 bytes");
	memset(line + len, '#', MiB);
	expect_refused(_metadata, &self->before, line, len + MiB + 12, -E2BIG,
		       "2:513: line longer than 512 bytes");
	memset(line + len, ' ', MiB);
	expect_refused(_metadata, &self->before, line, len + MiB + 12, -E2BIG,
		       "2:513: line longer than 512 bytes");
	memset(line, '\0', MiB);
	expect_refused(_metadata, &self->before, line, MiB, -EINVAL, "1:1: NUL byte");
}

TEST_F(input, commit_words)
{
	static const char *const words[] = {
		"2", "11", "yes", "commit", "-1", "1 1", " 1", "", "\n", "0x1",
	};

	EXPECT_EQ(-ENODATA, decide("1"));
	EXPECT_EQ(0, strncmp("0:0: nothing is staged", mg_last_error(), 22)) {
		TH_LOG("%s", mg_last_error());
	}
	expect_unchanged(_metadata, &self->before);
	EXPECT_EQ(0, decide("0"));
	EXPECT_EQ(-ENODATA, decide("1\n"));

	/* A word that is not one leaves what is staged where it is. */
	ASSERT_EQ(0, stage(DEFAULT, strlen(DEFAULT)));
	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++) {
		if (!words[i][0])
			continue;
		EXPECT_EQ(-EINVAL, decide(words[i])) {
			TH_LOG("\"%s\"", words[i]);
		}
		EXPECT_EQ(0, strncmp("0:0: policy/commit takes 1", mg_last_error(), 26)) {
			TH_LOG("%s", mg_last_error());
		}
	}
	expect_unchanged(_metadata, &self->before);
	EXPECT_EQ(0, decide("0\n"));
	EXPECT_EQ(-ENODATA, decide("1"));
	expect_unchanged(_metadata, &self->before);

	ASSERT_EQ(0, stage(DEFAULT, strlen(DEFAULT)));
	EXPECT_EQ(-EINVAL, decide("2"));
	EXPECT_EQ(0, decide("1"));
	EXPECT_EQ(-ENODATA, decide("1"));
}

static int pwrite_load(const char *text, off_t offset)
{
	int fd = open(MG_SYSFS "/policy/load", O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pwrite(fd, text, strlen(text), offset);
	n = n < 0 ? -errno : n == (ssize_t)strlen(text) ? 0 : -EIO;
	close(fd);
	return n;
}

TEST_F(input, offsets)
{
	static const char gap[] = "0:0: policy/load takes one text in consecutive writes";
	const off_t end = strlen(DEFAULT);
	const off_t wrong[] = { end + 1, end - 1, 1, 4096, 1ll << 40 };

	/* Nothing begins in the middle. */
	EXPECT_EQ(-EINVAL, pwrite_load(DEFAULT, 1));
	EXPECT_EQ(0, strncmp(gap, mg_last_error(), strlen(gap)));
	for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++) {
		ASSERT_EQ(0, stage(DEFAULT, end));
		EXPECT_EQ(-EINVAL, pwrite_load("0x10 allow deny\n", wrong[i])) {
			TH_LOG("at %ld", (long)wrong[i]);
		}
		EXPECT_EQ(0, strncmp(gap, mg_last_error(), strlen(gap))) {
			TH_LOG("%s", mg_last_error());
		}
		EXPECT_EQ(-ENODATA, decide("1"));
		expect_unchanged(_metadata, &self->before);
	}
	/* In pieces that fit, by separate writers of one process. */
	ASSERT_EQ(0, stage(DEFAULT, end));
	ASSERT_EQ(0, pwrite_load("0x10 al", end));
	ASSERT_EQ(0, pwrite_load("low deny\n", end + 7));
	EXPECT_EQ(0, decide("1")) {
		TH_LOG("%s", mg_last_error());
	}
	/* And what starts anew replaces what was there. */
	ASSERT_EQ(0, stage("nonsense", 8));
	ASSERT_EQ(0, stage(DEFAULT, end));
	EXPECT_EQ(0, decide("1"));
}

TEST_F_TIMEOUT(input, too_long, 600)
{
	uint64_t begin = now_ms();

	memset(self->big, '\n', TEXT_MAX + 1);
	memcpy(self->big, DEFAULT, strlen(DEFAULT));
	EXPECT_EQ(-EFBIG, stage(self->big, TEXT_MAX + 1));
	EXPECT_EQ(0, strncmp("0:0: the policy's text is longer than 32 MiB", mg_last_error(), 44)) {
		TH_LOG("%s", mg_last_error());
	}
	EXPECT_EQ(-ENODATA, decide("1"));
	expect_unchanged(_metadata, &self->before);
	/* One byte less is a text. */
	EXPECT_EQ(0, stage(self->big, TEXT_MAX));
	EXPECT_EQ(0, decide("1")) {
		TH_LOG("%s", mg_last_error());
	}
	TH_LOG("two texts of 32 MiB: %lu ms", now_ms() - begin);
	EXPECT_GT(2 * PATIENCE_MS, now_ms() - begin);
}

TEST_F_TIMEOUT(input, many_rules, 600)
{
	char hash[128], again[128];
	char *at = self->big, *active;
	uint64_t begin, generation;

	at += sprintf(at, DEFAULT);
	for (unsigned int i = 0; i < BIG_RULES; i++)
		at += sprintf(at, "%u\tallow mask=%#x,keep quiet\n", 7 * i + 3, i + 1);
	begin = now_ms();
	ASSERT_EQ(0, mg_load_policy(self->big)) {
		TH_LOG("%s", mg_last_error());
	}
	TH_LOG("%u rules loaded in %lu ms", BIG_RULES, now_ms() - begin);
	EXPECT_GT(PATIENCE_MS, now_ms() - begin);
	generation = mg_generation();
	ASSERT_LT(0, mg_read_file("policy/hash", hash, sizeof(hash)));
	begin = now_ms();
	active = host_read(MG_SYSFS "/policy/active");
	ASSERT_NE(NULL, active);
	TH_LOG("%zu bytes read back in %lu ms", strlen(active), now_ms() - begin);
	EXPECT_LT(BIG_RULES * 10, strlen(active));
	/* Something else, then what was read: it is the same again, to the letter. */
	ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
	ASSERT_LT(0, mg_read_file("policy/hash", again, sizeof(again)));
	EXPECT_STRNE(hash, again);
	ASSERT_EQ(0, mg_load_policy(active)) {
		TH_LOG("%s", mg_last_error());
	}
	ASSERT_LT(0, mg_read_file("policy/hash", again, sizeof(again)));
	EXPECT_STREQ(hash, again);
	EXPECT_EQ(generation + 2, mg_generation());
	free(self->big);
	self->big = host_read(MG_SYSFS "/policy/active");
	ASSERT_NE(NULL, self->big);
	EXPECT_EQ(0, strcmp(active, self->big));

	begin = now_ms();
	EXPECT_EQ(0, mg_add_rule("0xfffffff0 allow deny"));
	EXPECT_EQ(0, mg_remove_rule("0xfffffff0"));
	TH_LOG("one rule added and removed in %lu ms", now_ms() - begin);
	ASSERT_LT(0, mg_read_file("policy/hash", again, sizeof(again)));
	EXPECT_STREQ(hash, again);
	/* One error at the end of all, and nothing has changed. */
	generation = mg_generation();
	at = active + strlen(active);
	active = realloc(active, at - active + 64);
	strcat(active, "0x3 deny deny\n");
	EXPECT_EQ(-EINVAL, mg_load_policy(active));
	EXPECT_NE(NULL, strstr(mg_last_error(), "duplicate rule: 0x3 is on line"));
	EXPECT_EQ(generation, mg_generation());
	ASSERT_LT(0, mg_read_file("policy/hash", again, sizeof(again)));
	EXPECT_STREQ(hash, again);
	free(active);
}

struct bad_line {
	const char *line;
	size_t len;
	int err;
	const char *message;
};

#define BAD_LINE(_line, _err, _message) \
	{ .line = (_line), .len = sizeof(_line) - 1, .err = -(_err), .message = (_message) }

static void expect_lines_refused(struct __test_metadata *_metadata, const struct state *before,
				 const char *file, const struct bad_line *lines, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		const struct bad_line *bad = &lines[i];

		EXPECT_EQ(bad->err, mg_write_file(file, bad->line, bad->len)) {
			TH_LOG("%s: %s", file, bad->line);
		}
		EXPECT_EQ(0, strncmp(bad->message, mg_last_error(), strlen(bad->message))) {
			TH_LOG("%s: expected \"%s\", got \"%s\"", file, bad->message,
			       mg_last_error());
		}
		expect_unchanged(_metadata, before);
	}
}

TEST_F(input, single_rules)
{
	static const struct bad_line additions[] = {
		BAD_LINE("0x1a0 deny deny", EEXIST,
			 "1:1: duplicate rule: 0x1a0 is on line 2 of the policy already"),
		BAD_LINE("0x83f-0x840 deny deny\n", EINVAL,
			 "1:1: 0x83f-0x840 partly overlaps 0x800-0x83f"),
		BAD_LINE("0x11 alow deny\n", EINVAL, "1:6: unknown word \"alow\""),
		BAD_LINE("0x11 allow deny\n0x12 allow deny\n", EINVAL, "1:16: more than one line"),
		BAD_LINE("# comment\n", EINVAL, "1:1: no rule in this line"),
		BAD_LINE("\n", EINVAL, "1:1: no rule in this line"),
		BAD_LINE("0x11 allow deny\0", EINVAL, "1:16: NUL byte"),
		BAD_LINE("0x20-0x1f allow deny", EINVAL, "1:1: reversed range"),
		BAD_LINE("0x123456789 allow deny", EINVAL, "1:1: index 0x123456789 does not fit"),
	};
	static const struct bad_line removals[] = {
		BAD_LINE("0x11", ENOENT, "1:1: no rule for exactly 0x11"),
		BAD_LINE("0x800", ENOENT, "1:1: no rule for exactly 0x800"),
		BAD_LINE("0x800-0x83e\n", ENOENT, "1:1: no rule for exactly 0x800-0x83e"),
		BAD_LINE("default\n", EINVAL, "1:1: the default line cannot be removed"),
		BAD_LINE("foo", EINVAL, "1:1: unknown word \"foo\""),
		BAD_LINE("\n", EINVAL, "1:1: no MSR index or range"),
		BAD_LINE("0x1a0\n0x800-0x83f\n", EINVAL, "1:6: more than one line"),
	};
	char line[4096];

	expect_lines_refused(_metadata, &self->before, "rules/add", additions,
			     ARRAY_SIZE(additions));
	expect_lines_refused(_metadata, &self->before, "rules/remove", removals,
			     ARRAY_SIZE(removals));
	memset(line, ' ', sizeof(line));
	memcpy(line, "0x11 allow deny", 15);
	EXPECT_EQ(-E2BIG, mg_write_file("rules/add", line, sizeof(line)));
	EXPECT_STREQ("1:513: line longer than 512 bytes", mg_last_error());
	expect_unchanged(_metadata, &self->before);
}

TEST_F(input, mode)
{
	static const char *const words[] = { "Off", "on", "1", "enforc", "enforce audit", "\n" };
	char mode[32];

	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++) {
		EXPECT_EQ(-EINVAL, mg_set_mode(words[i])) {
			TH_LOG("\"%s\"", words[i]);
		}
		ASSERT_LT(0, mg_read_file("mode", mode, sizeof(mode)));
		EXPECT_STREQ("enforce\n", mode);
	}
	expect_unchanged(_metadata, &self->before);
}

/* A process that stages a text, and then does what it is told, one letter at a time. */
struct writer {
	pid_t pid;
	int to, from;
};

static void writer_main(int in, int out, const char *text)
{
	char answer, order = 's';

	do {
		int err = 0;

		if (order == 's')
			err = stage(text, strlen(text));
		else if (order == 'c')
			err = decide("1");
		answer = -err;
		if (write(out, &answer, 1) != 1)
			_exit(1);
	} while (read(in, &order, 1) == 1);
	_exit(0);
}

/* Returns what staging gave. */
static int writer_start(struct writer *writer, const char *text)
{
	int in[2], out[2];
	char answer;

	if (pipe(in) || pipe(out))
		return -errno;
	writer->pid = fork();
	if (!writer->pid) {
		close(in[1]);
		close(out[0]);
		writer_main(in[0], out[1], text);
	}
	close(in[0]);
	close(out[1]);
	writer->to = in[1];
	writer->from = out[0];
	return read(writer->from, &answer, 1) == 1 ? -answer : -EPIPE;
}

static int writer_order(struct writer *writer, char order)
{
	char answer;

	if (write(writer->to, &order, 1) != 1 || read(writer->from, &answer, 1) != 1)
		return -EPIPE;
	return -answer;
}

static void writer_end(struct writer *writer)
{
	close(writer->to);
	close(writer->from);
	waitpid(writer->pid, NULL, 0);
}

#define OF_THE_FIRST	"default deny deny\n0x10\tallow\tdeny\n"

TEST_F(input, two_writers)
{
	char busy[64], text[4096];
	struct writer writer;

	ASSERT_EQ(0, writer_start(&writer, OF_THE_FIRST));
	snprintf(busy, sizeof(busy), "0:0: process %d is staging a policy", writer.pid);
	EXPECT_EQ(-EBUSY, stage(MG_ALLOW_ALL, strlen(MG_ALLOW_ALL)));
	EXPECT_EQ(0, strncmp(busy, mg_last_error(), strlen(busy))) {
		TH_LOG("%s", mg_last_error());
	}
	EXPECT_EQ(-EBUSY, pwrite_load("0x11 deny deny\n", strlen(OF_THE_FIRST)));
	EXPECT_EQ(-EBUSY, pwrite_load("0x11 deny deny\n", 12345));
	EXPECT_EQ(-EBUSY, decide("1"));
	EXPECT_EQ(0, strncmp(busy, mg_last_error(), strlen(busy)));
	EXPECT_EQ(-EBUSY, decide("0"));
	EXPECT_EQ(-EINVAL, decide("2"));
	expect_unchanged(_metadata, &self->before);
	/* Single rules are none of its business. */
	EXPECT_EQ(0, mg_add_rule("0x11 deny deny"));
	EXPECT_EQ(0, mg_remove_rule("0x11"));

	EXPECT_EQ(0, writer_order(&writer, 'c'));
	ASSERT_LT(0, mg_read_file("policy/active", text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "default\t\t\tdeny\tdeny\n")) {
		TH_LOG("%s", text);
	}
	EXPECT_NE(NULL, strstr(text, "0x10\t\t\tallow\tdeny\n"));
	EXPECT_EQ(NULL, strstr(text, "0x11"));
	EXPECT_EQ(NULL, strstr(text, "0x1a0"));

	/* It lives on, but has nothing staged any more. */
	EXPECT_EQ(0, mg_load_policy(IN_FORCE));
	EXPECT_EQ(-ENODATA, writer_order(&writer, 'c'));
	/* Now it stages under us. */
	ASSERT_EQ(0, stage(DEFAULT, strlen(DEFAULT)));
	EXPECT_EQ(-EBUSY, writer_order(&writer, 's'));
	EXPECT_EQ(-EBUSY, writer_order(&writer, 'c'));
	EXPECT_EQ(0, decide("1"));
	EXPECT_EQ(0, writer_order(&writer, 's'));
	writer_end(&writer);
}

/* Who has gone holds nobody up, and what it staged may be committed or replaced. */
TEST_F(input, writer_that_is_gone)
{
	struct writer writer;
	char text[4096];

	ASSERT_EQ(0, writer_start(&writer, OF_THE_FIRST));
	writer_end(&writer);
	EXPECT_EQ(0, decide("1")) {
		TH_LOG("%s", mg_last_error());
	}
	ASSERT_LT(0, mg_read_file("policy/active", text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "0x10\t\t\tallow\tdeny\n"));

	ASSERT_EQ(0, writer_start(&writer, OF_THE_FIRST));
	writer_end(&writer);
	EXPECT_EQ(0, mg_load_policy(IN_FORCE));
	ASSERT_LT(0, mg_read_file("policy/active", text, sizeof(text)));
	EXPECT_STREQ(self->before.text, text);

	/* Dead is gone, also when its parent has not looked yet. */
	ASSERT_EQ(0, writer_start(&writer, OF_THE_FIRST));
	close(writer.to);
	close(writer.from);
	ASSERT_EQ(0, waitid(P_PID, writer.pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT));
	EXPECT_EQ(0, mg_load_policy(IN_FORCE)) {
		TH_LOG("%s", mg_last_error());
	}
	waitpid(writer.pid, NULL, 0);
}

/* Many at once: each has all of its text in force, or is told that it has not. */
TEST_F_TIMEOUT(input, crowd, 120)
{
	enum { WRITERS = 8, ROUNDS = 20 };
	pid_t pids[WRITERS];
	char text[4096];
	int status;

	for (unsigned int w = 0; w < WRITERS; w++) {
		pids[w] = fork();
		ASSERT_LE(0, pids[w]);
		if (pids[w])
			continue;
		for (unsigned int i = 0; i < ROUNDS; i++) {
			int err;

			snprintf(text, sizeof(text), DEFAULT "%u allow deny\n%u allow deny\n",
				 0x100 + w, 0x200 + w);
			err = mg_load_policy(text);
			if (err && err != -EBUSY && err != -ENODATA)
				_exit(1);
		}
		_exit(0);
	}
	for (unsigned int w = 0; w < WRITERS; w++) {
		ASSERT_EQ(pids[w], waitpid(pids[w], &status, 0));
		EXPECT_EQ(0, status);
	}
	ASSERT_LT(0, mg_read_file("policy/active", text, sizeof(text)));
	for (unsigned int w = 0; w < WRITERS; w++) {
		char one[16], other[16];

		snprintf(one, sizeof(one), "\n0x10%u\t", w);
		snprintf(other, sizeof(other), "\n0x20%u\t", w);
		EXPECT_EQ(!strstr(text, one), !strstr(text, other)) {
			TH_LOG("%s", text);
		}
	}
	EXPECT_EQ(0, mg_load_policy(IN_FORCE));
}

TEST_HARNESS_MAIN
