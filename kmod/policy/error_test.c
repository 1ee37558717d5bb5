// SPDX-License-Identifier: GPL-2.0
/*
 * Every kind of bad input: the error, the place and the exact words.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/string.h>

#include "policy_test.h"

struct bad_input {
	const char *name;
	const char *text;
	size_t len;
	int error;
	u32 line;
	u32 column;
	const char *reason;
};

#define BAD_CODE(_name, _text, _error, _line, _column, _reason)	\
	{ .name = _name, .text = _text, .len = sizeof(_text) - 1, .error = _error, \
	  .line = _line, .column = _column, .reason = _reason }
#define BAD(name, text, line, column, reason) \
	BAD_CODE(name, text, -EINVAL, line, column, reason)

#define D	"default deny deny\n"
#define Q5	"\"\"\"\"\""
#define EQ5	"\\\"\\\"\\\"\\\"\\\""
#define NO_DEFAULT "no default line: one such as \"default deny deny\" is needed"
#define BAD_WORD(word) \
	"unknown word \"" word "\": an MSR index, a range or \"default\" expected"
#define BAD_ACTION(word, column, masks) \
	"unknown word \"" word "\" in the " column " column: allow, deny, drop or " masks \
	" expected"
#define BAD_READ(word)	BAD_ACTION(word, "read", "mask=M")
#define BAD_WRITE(word)	BAD_ACTION(word, "write", "mask=M,deny or mask=M,keep")
#define CROSSING(rule, other) \
	rule " partly overlaps " other ": ranges may nest, not cross"
#define BAD_NUMBER(number) \
	"malformed number \"" number "\": decimal, or 0x and hexadecimal, expected"
#define NO_DISPOSITION \
	"mask without a disposition for the other bits: mask=M,deny or mask=M,keep"
#define READ_DISPOSITION \
	"disposition in the read column: hidden bits read as 0, write mask=M alone"
#define DEFAULT_MASK "mask in the default line: it takes allow, deny or drop"
#define OCTAL(what, number) \
	what " \"" number "\" looks octal: no leading zeros, or 0x and hexadecimal"
#define EXTRA(word) \
	"too many columns: \"" word "\" follows the write column"
#define CARRIAGE_RETURN "carriage return: lines end with a newline alone"

static const struct bad_input bad_texts[] = {
	/* the text as a whole */
	BAD("empty", "", 0, 0, NO_DEFAULT),
	BAD("only a comment", "# default deny deny\n", 0, 0, NO_DEFAULT),
	BAD("no default", "0x10 allow deny\n", 0, 0, NO_DEFAULT),
	BAD("second default", "# x\n" D "\n  default allow allow\n", 4, 3,
	    "second default line, the first is on line 2"),
	BAD("second default alike", D D, 2, 1,
	    "second default line, the first is on line 1"),

	/* bytes */
	BAD("NUL", "default\0deny deny\n", 1, 8, "NUL byte"),
	BAD("NUL first", "\0", 1, 1, "NUL byte"),
	BAD("NUL in a comment", D "# ab\0c\n", 2, 5, "NUL byte"),
	BAD("NUL behind a rule", D "0x10 allow deny \0", 2, 17, "NUL byte"),
	BAD("control", D "0x10\x01 allow deny\n", 2, 5, "control character 0x01"),
	BAD("escape", D "0x10 allow deny \x1b[31m\n", 2, 17, "control character 0x1b"),
	BAD("delete", D "0x10 all\x7fow deny\n", 2, 9, "control character 0x7f"),
	BAD("vertical tab", D "0x10\vallow deny\n", 2, 5, "control character 0x0b"),
	BAD("form feed", D "\f", 2, 1, "control character 0x0c"),
	BAD("non-ASCII", D "0x10 allow d\xc3\xa9ny\n", 2, 13,
	    "non-ASCII byte 0xc3 outside a comment"),
	BAD("no-break space", D "0x10\xc2\xa0 deny\n", 2, 5,
	    "non-ASCII byte 0xc2 outside a comment"),
	BAD("byte order mark", "\xef\xbb\xbf" D, 1, 1,
	    "non-ASCII byte 0xef outside a comment"),
	BAD("CRLF", "default deny deny\r\n", 1, 18, CARRIAGE_RETURN),
	BAD("CRLF on an empty line", D "\r\n", 2, 1, CARRIAGE_RETURN),
	BAD("CRLF behind a comment", D "0x1 drop deny # x\r\n", 2, 18, CARRIAGE_RETURN),
	BAD("old Macintosh", "default drop deny\rdefault", 1, 18, CARRIAGE_RETURN),

	/* first column */
	BAD("unknown word", D "\tfoo allow deny\n", 2, 2, BAD_WORD("foo")),
	BAD("capital Default", "Default deny deny\n", 1, 1, BAD_WORD("Default")),
	BAD("defaults", "defaults deny deny\n", 1, 1, BAD_WORD("defaults")),
	BAD("negative index", D "-1 allow deny\n", 2, 1, BAD_WORD("-1")),
	BAD("hexadecimal without 0x", D "c0000080 allow deny\n", 2, 1, BAD_WORD("c0000080")),
	BAD("quotes", D "\"a\\b\" allow deny\n", 2, 1, BAD_WORD("\\\"a\\\\b\\\"")),
	BAD("24 bytes", D "abcdefghijklmnopqrstuvwx\n", 2, 1,
	    BAD_WORD("abcdefghijklmnopqrstuvwx")),
	BAD("25 bytes", D "abcdefghijklmnopqrstuvwxy\n", 2, 1,
	    BAD_WORD("abcdefghijklmnopqrstuvwx...")),
	BAD("25 quotes", D Q5 Q5 Q5 Q5 Q5 "\n", 2, 1,
	    BAD_WORD(EQ5 EQ5 EQ5 EQ5 "\\\"\\\"\\\"\\\"...")),
	BAD("percent", D "%s%n allow deny\n", 2, 1, BAD_WORD("%s%n")),
	BAD("malformed decimal", D "12ab allow deny\n", 2, 1, BAD_NUMBER("12ab")),
	BAD("malformed hexadecimal", D "0x12g allow deny\n", 2, 1, BAD_NUMBER("0x12g")),
	BAD("0x alone", D "0x allow deny\n", 2, 1, BAD_NUMBER("0x")),
	BAD("0 and a letter", D "0b11 allow deny\n", 2, 1, BAD_NUMBER("0b11")),
	BAD("octal", D "010 allow deny\n", 2, 1, OCTAL("index", "010")),
	BAD("octal 0", D "00 allow deny\n", 2, 1, OCTAL("index", "00")),
	BAD("octal last", D "0x1-017 allow deny\n", 2, 5, OCTAL("last index", "017")),
	BAD("33 bits", D "0x100000000 allow deny\n", 2, 1,
	    "index 0x100000000 does not fit in 32 bits"),
	BAD("33 bits decimal", D "4294967296 allow deny\n", 2, 1,
	    "index 4294967296 does not fit in 32 bits"),
	BAD("wraps 64 bits", D "0x10000000000000010 allow deny\n", 2, 1,
	    "index 0x10000000000000010 does not fit in 32 bits"),
	BAD("last 33 bits", D "0x10-0x100000000 allow deny\n", 2, 6,
	    "last index 0x100000000 does not fit in 32 bits"),
	BAD("no last", D "0x10- allow deny\n", 2, 6, "the last index is missing"),
	BAD("malformed last", D "0x10-foo allow deny\n", 2, 6, BAD_NUMBER("foo")),
	BAD("two dashes", D "1-2-3 allow deny\n", 2, 3, BAD_NUMBER("2-3")),
	BAD("spaced range", D "0x10 - 0x20 allow deny\n", 2, 6, BAD_READ("-")),
	BAD("reversed", D " 0x20-0x10 allow deny\n", 2, 2,
	    "reversed range: the last index 0x10 is below the first, 0x20"),

	/* read and write columns */
	BAD("no read", D "0x10\n", 2, 5, "the read column is missing"),
	BAD("no write", D "0x10 allow", 2, 11, "the write column is missing"),
	BAD("comment for write", D "0x10 allow # deny\n", 2, 12,
	    "the write column is missing"),
	BAD("default alone", "default\n", 1, 8, "the read column is missing"),
	BAD("unknown read", D "0x10 permit deny\n", 2, 6, BAD_READ("permit")),
	BAD("unknown write", D "0x10 allow refuse\n", 2, 12, BAD_WRITE("refuse")),
	BAD("capital read", D "0x10 ALLOW deny\n", 2, 6, BAD_READ("ALLOW")),
	BAD("mask alone", D "0x10 mask deny\n", 2, 6, BAD_READ("mask")),
	BAD("write without disposition", D "0x10 allow mask=0x1\n", 2, 20, NO_DISPOSITION),
	BAD("write with half of one", D "0x10 allow mask=0x1, deny\n", 2, 21,
	    NO_DISPOSITION),
	BAD("all bits without disposition", D "0x10 allow mask=~0\n", 2, 19, NO_DISPOSITION),
	BAD("unknown disposition", D "0x10 allow mask=0x1,drop\n", 2, 21,
	    "unknown disposition \"drop\": deny or keep expected"),
	BAD("two dispositions", D "0x10 allow mask=0x1,deny,keep\n", 2, 21,
	    "unknown disposition \"deny,keep\": deny or keep expected"),
	BAD("read with disposition", D "0x10 mask=0x1,deny deny\n", 2, 14, READ_DISPOSITION),
	BAD("read with comma", D "0x10 mask=0x1, deny\n", 2, 14, READ_DISPOSITION),
	BAD("empty mask", D "0x10 mask= deny\n", 2, 11, "the mask is missing"),
	BAD("empty inverted mask", D "0x10 allow mask=~,deny\n", 2, 18,
	    "the mask is missing"),
	BAD("twice inverted mask", D "0x10 allow mask=~~1,deny\n", 2, 18, BAD_NUMBER("~1")),
	BAD("malformed mask", D "0x10 allow mask=0x1z,deny\n", 2, 17, BAD_NUMBER("0x1z")),
	BAD("octal mask", D "0x10 allow mask=01,deny\n", 2, 17, OCTAL("mask", "01")),
	BAD("65 bits", D "0x10 allow mask=0x10000000000000000,deny\n", 2, 17,
	    "mask 0x10000000000000000 does not fit in 64 bits"),
	BAD("65 bits inverted", D "0x10 allow mask=~0x10000000000000000,deny\n", 2, 18,
	    "mask 0x10000000000000000 does not fit in 64 bits"),
	BAD("2^64 decimal", D "0x10 mask=18446744073709551616 deny\n", 2, 11,
	    "mask 18446744073709551616 does not fit in 64 bits"),
	BAD("default mask read", "default mask=1 deny\n", 1, 9, DEFAULT_MASK),
	BAD("default mask write", "default deny mask=~0,keep\n", 1, 14, DEFAULT_MASK),

	/* options */
	BAD("unknown option", D "0x10 allow deny loud\n", 2, 17,
	    "unknown option \"loud\": audit or quiet expected"),
	BAD("two options in one", D "0x10 allow deny audit,quiet\n", 2, 17,
	    "unknown option \"audit,quiet\": audit or quiet expected"),
	BAD("audit twice", D "0x10 allow deny audit quiet audit\n", 2, 29,
	    "option \"audit\" given twice"),
	BAD("quiet twice", D "0x10 allow deny quiet quiet\n", 2, 23,
	    "option \"quiet\" given twice"),
	BAD("third action", D "0x10 allow deny allow\n", 2, 17, EXTRA("allow")),
	BAD("mask for option", D "0x10 allow deny audit mask=1\n", 2, 23, EXTRA("mask=1")),
	BAD("two rules on a line", D "0x10 allow deny 0x11 allow deny\n", 2, 17,
	    EXTRA("0x11")),

	/* conflicts */
	BAD("duplicate", "0x10 allow deny\n" D "\n \t16 drop drop\n", 4, 3,
	    "duplicate rule: 0x10 is on line 1 already"),
	BAD("duplicate range", D "1-9 allow deny\n2-3 deny deny\n0x1-0x9 allow deny", 4, 1,
	    "duplicate rule: 0x1-0x9 is on line 2 already"),
	BAD("duplicate of a range of one", D "7-7 allow deny\n7 allow deny\n", 3, 1,
	    "duplicate rule: 0x7 is on line 2 already"),
	BAD("duplicate last MSR", "0xffffffff deny deny\n" D "0xffffffff deny deny\n", 3, 1,
	    "duplicate rule: 0xffffffff is on line 1 already"),
	BAD("overlap", D "0x10-0x20 allow deny\n0x18-0x30 allow deny\n", 3, 1,
	    CROSSING("0x18-0x30", "0x10-0x20 on line 2")),
	BAD("overlap, lower one later", D "0x18-0x30 allow deny\n  0x10-0x20 allow deny\n", 3, 3,
	    CROSSING("0x10-0x20", "0x18-0x30 on line 2")),
	BAD("overlap by one MSR", D "0-16 allow deny\n16-32 allow deny\n", 3, 1,
	    CROSSING("0x10-0x20", "0x0-0x10 on line 2")),
	BAD("overlap inside a range", D "0-100 allow deny\n2-8 allow deny\n4-9 deny deny\n",
	    4, 1, CROSSING("0x4-0x9", "0x2-0x8 on line 3")),
	BAD("overlap behind an inner range",
	    D "0-9 deny deny\n2-4 allow deny\n8-12 drop drop\n", 4, 1,
	    CROSSING("0x8-0xc", "0x0-0x9 on line 2")),
	BAD("overlap at the end", D "0xfffffff0-0xffffffff deny deny\n"
	    "0xffffff00-0xfffffff1 deny deny\n", 3, 1,
	    CROSSING("0xffffff00-0xfffffff1", "0xfffffff0-0xffffffff on line 2")),
};

/* To the policy of base_text below. */
static const struct bad_input bad_additions[] = {
	BAD("nothing", "", 1, 1, "no rule in this line"),
	BAD("empty line", "\n", 1, 1, "no rule in this line"),
	BAD("comment", "# 0x20 deny deny\n", 1, 1, "no rule in this line"),
	BAD("two lines", "0x20 deny deny\n0x21 deny deny\n", 1, 15, "more than one line"),
	BAD("empty second line", "0x20 deny deny\n\n", 1, 15, "more than one line"),
	BAD("parser's words", " foo deny deny", 1, 2, BAD_WORD("foo")),
	BAD("NUL", "0x20 deny deny\0", 1, 15, "NUL byte"),
	BAD_CODE("duplicate", " 0x10 allow allow\n", -EEXIST, 1, 2,
		 "duplicate rule: 0x10 is on line 2 of the policy already"),
	BAD_CODE("duplicate range", "0x800-0x83f allow allow\n", -EEXIST, 1, 1,
		 "duplicate rule: 0x800-0x83f is on line 3 of the policy already"),
	BAD("overlap", "0x700-0x800 allow allow\n", 1, 1,
	    CROSSING("0x700-0x800", "0x800-0x83f on line 3 of the policy")),
	BAD("default with a mask", "default mask=1 allow\n", 1, 9, DEFAULT_MASK),
};

static const struct bad_input bad_removals[] = {
	BAD("nothing", "", 1, 1, "no MSR index or range in this line"),
	BAD("comment", "#0x10", 1, 1, "no MSR index or range in this line"),
	BAD("two lines", "0x10\n0x11\n", 1, 5, "more than one line"),
	BAD("default", " default", 1, 2, "the default line cannot be removed, only replaced"),
	BAD("unknown word", "foo", 1, 1, BAD_WORD("foo")),
	BAD("reversed", "2-1", 1, 1,
	    "reversed range: the last index 0x1 is below the first, 0x2"),
	BAD("NUL behind", "0x10 allow \0", 1, 12, "NUL byte"),
	BAD_CODE("unknown", "\t0x11\n", -ENOENT, 1, 2, "no rule for exactly 0x11"),
	BAD_CODE("part of a range", "0x800-0x83e", -ENOENT, 1, 1,
		 "no rule for exactly 0x800-0x83e"),
	BAD_CODE("one of a range", "0x800", -ENOENT, 1, 1, "no rule for exactly 0x800"),
	BAD_CODE("behind all", "0xffffffff", -ENOENT, 1, 1,
		 "no rule for exactly 0xffffffff"),
};

static const char base_text[] = "# two rules\n\n0x800-0x83f allow allow\n" D "0x10 allow deny\n";

static void describe(const struct bad_input *bad, char *name)
{
	strscpy(name, bad->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(bad_text, bad_texts, describe);
KUNIT_ARRAY_PARAM(bad_addition, bad_additions, describe);
KUNIT_ARRAY_PARAM(bad_removal, bad_removals, describe);

/* Give the parser memory of exactly the right size, so that KASAN sees a step beyond. */
static char *exact_copy(struct kunit *test, const char *text, size_t len)
{
	char *copy = kunit_kmalloc(test, max(len, 1), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, copy);
	memcpy(copy, text, len);
	return copy;
}

static void expect_refused(struct kunit *test, const struct bad_input *bad,
			   struct mg_policy *policy, const struct mg_policy_error *err)
{
	KUNIT_EXPECT_EQ(test, PTR_ERR(policy), bad->error);
	KUNIT_EXPECT_EQ(test, err->line, bad->line);
	KUNIT_EXPECT_EQ(test, err->column, bad->column);
	KUNIT_EXPECT_STREQ(test, err->reason, bad->reason);
	if (!IS_ERR(policy))
		mg_policy_free(policy);
}

static void parse_refuses(struct kunit *test)
{
	const struct bad_input *bad = test->param_value;
	struct mg_policy_error err;

	expect_refused(test, bad,
		       mg_policy_parse(exact_copy(test, bad->text, bad->len), bad->len, &err),
		       &err);
}

static void add_refuses(struct kunit *test)
{
	const struct bad_input *bad = test->param_value;
	struct mg_policy *base = mg_test_policy(test, base_text);
	struct mg_policy_error err;

	expect_refused(test, bad, mg_policy_add(base, exact_copy(test, bad->text, bad->len),
						bad->len, &err), &err);
}

static void remove_refuses(struct kunit *test)
{
	const struct bad_input *bad = test->param_value;
	struct mg_policy *base = mg_test_policy(test, base_text);
	struct mg_policy_error err;

	expect_refused(test, bad, mg_policy_remove(base, exact_copy(test, bad->text, bad->len),
						   bad->len, &err), &err);
}

/* What stood in the error before must not shine through. */
static void success_clears_the_error(struct kunit *test)
{
	struct mg_policy_error err = { .line = 7, .column = 7, .reason = "old" };
	struct mg_policy *policy = mg_policy_parse(D, strlen(D), &err);

	KUNIT_ASSERT_FALSE(test, IS_ERR(policy));
	mg_policy_free(policy);
	KUNIT_EXPECT_EQ(test, err.line, 0);
	KUNIT_EXPECT_EQ(test, err.column, 0);
	KUNIT_EXPECT_STREQ(test, err.reason, "");
}

static void longest_line_is_accepted(struct kunit *test)
{
	char *text = kunit_kzalloc(test, MG_LINE_MAX + sizeof("\n" D), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, text);
	memset(text, '#', MG_LINE_MAX);
	memcpy(text + MG_LINE_MAX, "\n" D, sizeof("\n" D));
	mg_test_policy(test, text);

	/* The same as the last line, which need not end in a newline. */
	memset(text, ' ', MG_LINE_MAX);
	memcpy(text, D, strlen(D));
	text[MG_LINE_MAX] = '\0';
	mg_test_policy(test, text);
}

/* One byte too many, of a line that is the second of a text or all that is added. */
static void too_long_lines(struct kunit *test)
{
	static const struct {
		const char *start;
		char fill;
		const char *end;
		const char *reason;
		int error;
		u32 column;
	} lines[] = {
		{ "0x10 allow deny ", ' ', "\n", "line longer than 512 bytes", -E2BIG, 513 },
		{ "0x10 allow deny ", ' ', "", "line longer than 512 bytes", -E2BIG, 513 },
		{ "0x10 allow deny", 'x', "\n", "line longer than 512 bytes", -E2BIG, 513 },
		{ "#", '#', "\n", "line longer than 512 bytes", -E2BIG, 513 },
		{ "0x10 allow deny #", 'x', "", "line longer than 512 bytes", -E2BIG, 513 },
		/* What is wrong before that counts first. */
		{ "foo ", 'x', "\n", BAD_WORD("foo"), -EINVAL, 1 },
		{ "x\x01", 'x', "\n", "control character 0x01", -EINVAL, 2 },
	};
	struct mg_policy *base = mg_test_policy(test, D);
	struct mg_policy_error err;
	int i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		size_t start = strlen(D), end = start + MG_LINE_MAX + 1;
		size_t len = end + strlen(lines[i].end);
		char *text = kunit_kmalloc(test, len, GFP_KERNEL);
		struct bad_input bad = {
			.error = lines[i].error, .line = 2, .column = lines[i].column,
			.reason = lines[i].reason,
		};

		KUNIT_ASSERT_NOT_NULL(test, text);
		memset(text, lines[i].fill, len);
		memcpy(text, D, start);
		memcpy(text + start, lines[i].start, strlen(lines[i].start));
		memcpy(text + end, lines[i].end, strlen(lines[i].end));
		expect_refused(test, &bad, mg_policy_parse(text, len, &err), &err);
		bad.line = 1;
		expect_refused(test, &bad, mg_policy_add(base, text + start, len - start, &err),
			       &err);
	}
}

static void free_text(void *text)
{
	kvfree(text);
}

static char *big_text(struct kunit *test, size_t len)
{
	char *text = kvmalloc(len, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_text, text));
	return text;
}

static void text_too_long(struct kunit *test)
{
	size_t len = MG_POLICY_TEXT_MAX + 1;
	char *text = big_text(test, len);
	struct mg_policy_error err;
	struct mg_policy *policy;

	memset(text, '\n', len);
	memcpy(text, D, strlen(D));
	policy = mg_policy_parse(text, len, &err);
	KUNIT_ASSERT_EQ(test, PTR_ERR(policy), -E2BIG);
	KUNIT_EXPECT_EQ(test, err.line, 0);
	KUNIT_EXPECT_EQ(test, err.column, 0);
	KUNIT_EXPECT_STREQ(test, err.reason,
			   "the text has 33554433 bytes, 33554432 are allowed");

	policy = mg_policy_parse(text, len - 1, &err);
	KUNIT_ASSERT_FALSE(test, IS_ERR(policy));
	mg_policy_free(policy);
}

static void too_many_rules(struct kunit *test)
{
	size_t room = 24 * (size_t)(MG_POLICY_MAX_RULES + 2);
	char *text = big_text(test, room);
	struct mg_policy_error err;
	struct mg_policy *policy;
	size_t len;
	u32 i;

	len = scnprintf(text, room, D);
	for (i = 0; i <= MG_POLICY_MAX_RULES; i++)
		len += scnprintf(text + len, room - len, "%u deny deny\n", i);
	policy = mg_policy_parse(text, len, &err);
	KUNIT_ASSERT_EQ(test, PTR_ERR(policy), -E2BIG);
	KUNIT_EXPECT_EQ(test, err.line, MG_POLICY_MAX_RULES + 2);
	KUNIT_EXPECT_EQ(test, err.column, 1);
	KUNIT_EXPECT_STREQ(test, err.reason, "more than 1000000 rules");
}

/* A text that can be loaded has a canonical text that can be loaded, or is refused. */
static void canonical_text_too_long(struct kunit *test)
{
	/* Some 34 bytes here, 40 in canonical text. */
	static const char line[] = "%u-%u mask=1 mask=1,deny\n";
	u32 nr = 900000;
	size_t room = MG_POLICY_TEXT_MAX;
	char *text = big_text(test, room);
	struct mg_policy_error err;
	struct mg_policy *policy;
	size_t len;
	u32 i;

	len = scnprintf(text, room, D);
	for (i = 0; i < nr; i++)
		len += scnprintf(text + len, room - len, line, 2 * i, 2 * i + 1);
	KUNIT_ASSERT_LT(test, len, room - 1);
	policy = mg_policy_parse(text, len, &err);
	KUNIT_ASSERT_EQ(test, PTR_ERR(policy), -E2BIG);
	KUNIT_EXPECT_EQ(test, err.line, 0);
	KUNIT_EXPECT_TRUE_MSG(test, strstarts(err.reason, "the canonical text would have "),
			      "%s", err.reason);
	KUNIT_EXPECT_NOT_NULL(test, strstr(err.reason, " bytes, 33554432 are allowed"));
}

#define NOISE_LEN	(10 << 20)

static void refuse_noise(struct kunit *test, const char *text, int error, u32 line,
			 u32 column, const char *reason)
{
	ktime_t start = ktime_get();
	struct mg_policy_error err;
	struct mg_policy *policy = mg_policy_parse(text, NOISE_LEN, &err);

	kunit_info(test, "%u:%u: %s, after %lld us", err.line, err.column, err.reason,
		   ktime_us_delta(ktime_get(), start));
	KUNIT_ASSERT_EQ(test, PTR_ERR(policy), error);
	KUNIT_EXPECT_EQ(test, err.line, line);
	KUNIT_EXPECT_EQ(test, err.column, column);
	KUNIT_EXPECT_STREQ(test, err.reason, reason);
}

static void noise(struct kunit *test)
{
	char *text = big_text(test, NOISE_LEN);
	struct mg_policy_error err;
	struct rnd_state state;
	struct mg_policy *policy;
	int round;

	memset(text, 0, NOISE_LEN);
	refuse_noise(test, text, -EINVAL, 1, 1, "NUL byte");
	memset(text, 'a', NOISE_LEN);
	refuse_noise(test, text, -E2BIG, 1, 513, "line longer than 512 bytes");
	memset(text, ' ', NOISE_LEN);
	refuse_noise(test, text, -E2BIG, 1, 513, "line longer than 512 bytes");
	memset(text, '\n', NOISE_LEN);
	refuse_noise(test, text, -EINVAL, 0, 0, NO_DEFAULT);
	text[NOISE_LEN - 1] = '!';
	refuse_noise(test, text, -EINVAL, NOISE_LEN, 1, BAD_WORD("!"));

	/* Of random bytes one in 16 may start a good word, and none is a rule. */
	prandom_seed_state(&state, 20261122);
	for (round = 0; round < 4; round++) {
		prandom_bytes_state(&state, text, NOISE_LEN);
		policy = mg_policy_parse(text, NOISE_LEN, &err);
		kunit_info(test, "random bytes: %u:%u: %s", err.line, err.column, err.reason);
		KUNIT_ASSERT_TRUE(test, IS_ERR(policy));
		KUNIT_EXPECT_LE(test, err.line, 20);
		KUNIT_EXPECT_NE(test, err.line, 0);
	}
}

static struct kunit_case error_cases[] = {
	KUNIT_CASE_PARAM(parse_refuses, bad_text_gen_params),
	KUNIT_CASE_PARAM(add_refuses, bad_addition_gen_params),
	KUNIT_CASE_PARAM(remove_refuses, bad_removal_gen_params),
	KUNIT_CASE(success_clears_the_error),
	KUNIT_CASE(longest_line_is_accepted),
	KUNIT_CASE(too_long_lines),
	KUNIT_CASE(text_too_long),
	KUNIT_CASE(too_many_rules),
	KUNIT_CASE(canonical_text_too_long),
	KUNIT_CASE(noise),
	{}
};

static struct kunit_suite error_suite = {
	.name = "msrguard-policy-errors",
	.test_cases = error_cases,
};

kunit_test_suites(&error_suite);
