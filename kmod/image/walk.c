// SPDX-License-Identifier: GPL-2.0
/*
 * Bounded reads of guest memory, and the copies that an answer is taken from.
 */
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "internal.h"

/* No address of a page. */
#define NO_PAGE		1

void mg_walk_begin(struct mg_walk *walk, const struct mg_image_memory *mem, u64 pc, bool is_64bit,
		   u32 pages)
{
	walk->mem = mem;
	walk->pc = pc;
	walk->is_64bit = is_64bit;
	walk->is_spent = false;
	walk->is_unstable = false;
	walk->pages_left = pages;
	walk->pages = 0;
	walk->last_page = NO_PAGE;
	walk->again = 0;
	mg_walk_forget(walk);
}

/* One read that crosses no page. A page that cannot be read counts as well. */
static int read_in_page(struct mg_walk *walk, u64 addr, void *buf, u32 len)
{
	u64 page = addr & MG_GUEST_PAGE_MASK;

	if (walk->is_spent)
		return MG_SPENT;
	if (page != walk->last_page || ++walk->again == MG_READS_A_PAGE) {
		if (!walk->pages_left || fatal_signal_pending(current)) {
			walk->is_spent = true;
			return MG_SPENT;
		}
		walk->pages_left--;
		walk->pages++;
		walk->last_page = page;
		walk->again = 0;
		cond_resched();
	}
	return walk->mem->read(walk->mem->ctx, addr, buf, len) ? -EFAULT : 0;
}

/**
 * mg_walk_read_some - read until something cannot be read
 * @walk: the look-up
 * @addr: where; the read does not go round the end of the address space
 * @buf:  receives the bytes
 * @len:  how many at most
 *
 * Return: how many were read.
 */
u32 mg_walk_read_some(struct mg_walk *walk, u64 addr, void *buf, u32 len)
{
	u32 done = 0;

	while (done < len) {
		u64 at = addr + done;
		u32 step = MG_GUEST_PAGE - (at & (MG_GUEST_PAGE - 1));

		if (at < addr)
			break;
		step = min(step, len - done);
		if (read_in_page(walk, at, (u8 *)buf + done, step))
			break;
		done += step;
	}
	return done;
}

/**
 * mg_walk_read - read all or fail
 * @walk: the look-up
 * @addr: where
 * @buf:  receives the bytes
 * @len:  how many
 *
 * Return: 0, -EFAULT, or MG_SPENT.
 */
int mg_walk_read(struct mg_walk *walk, u64 addr, void *buf, u32 len)
{
	if (mg_walk_read_some(walk, addr, buf, len) == len)
		return 0;
	return walk->is_spent ? MG_SPENT : -EFAULT;
}

/** mg_walk_forget - begin anew to collect what an answer rests on */
void mg_walk_forget(struct mg_walk *walk)
{
	walk->nr_pieces = 0;
	walk->evidence_len = 0;
}

static u8 *add_piece(struct mg_walk *walk, u64 addr, u32 len)
{
	u8 *at = walk->evidence + walk->evidence_len;

	if (walk->nr_pieces == MG_PIECES || len > MG_EVIDENCE_LEN - walk->evidence_len)
		return NULL;
	walk->pieces[walk->nr_pieces].addr = addr;
	walk->pieces[walk->nr_pieces].len = len;
	walk->pieces[walk->nr_pieces].at = walk->evidence_len;
	return at;
}

static void commit_piece(struct mg_walk *walk, u32 len)
{
	walk->pieces[walk->nr_pieces++].len = len;
	walk->evidence_len += len;
}

/**
 * mg_walk_keep - a copy of guest memory that the answer will rest on
 * @walk: the look-up
 * @addr: where
 * @len:  how many bytes
 *
 * Return: the copy; NULL if it cannot be read, or if there is no room left.
 */
const u8 *mg_walk_keep(struct mg_walk *walk, u64 addr, u32 len)
{
	u8 *at = add_piece(walk, addr, len);

	if (!at || mg_walk_read(walk, addr, at, len))
		return NULL;
	commit_piece(walk, len);
	return at;
}

/**
 * mg_walk_keep_string - the same of a string
 * @walk: the look-up
 * @addr: where it begins
 * @max:  how long it may be, its NUL included
 * @len:  receives its length without the NUL
 *
 * A page is only read if the string goes on there.
 *
 * Return: the copy; NULL also if no NUL was found.
 */
const u8 *mg_walk_keep_string(struct mg_walk *walk, u64 addr, u32 max, u32 *len)
{
	u8 *at = add_piece(walk, addr, max);
	u32 done = 0;

	if (!at)
		return NULL;
	while (done < max) {
		u32 step = MG_GUEST_PAGE - ((addr + done) & (MG_GUEST_PAGE - 1));
		const u8 *end;

		step = min(step, max - done);
		if (addr + done < addr || mg_walk_read(walk, addr + done, at + done, step))
			return NULL;
		end = memchr(at + done, 0, step);
		if (end) {
			*len = end - at;
			commit_piece(walk, *len + 1);
			return at;
		}
		done += step;
	}
	return NULL;
}

/* Whether @len bytes at @addr are still what they were. */
static bool is_unchanged(struct mg_walk *walk, u64 addr, const u8 *bytes, u32 len)
{
	u8 now[128];
	u32 done, step;

	for (done = 0; done < len; done += step) {
		step = min_t(u32, len - done, sizeof(now));
		if (mg_walk_read(walk, addr + done, now, step) || memcmp(now, bytes + done, step))
			return false;
	}
	return true;
}

/**
 * mg_walk_holds - whether all that was kept is still there
 * @walk: the look-up
 *
 * A copy made while another vCPU wrote to it may mix two states, and one more look may hit upon
 * the same mixture. So it has to stand still over several, and they go forth and back: what is
 * changed in step with one direction is not with the other.
 *
 * Return: false, and @walk->is_unstable, if it is not, or cannot be read any more.
 */
bool mg_walk_holds(struct mg_walk *walk)
{
	unsigned int i, round;

	for (round = 0; round < MG_SETTLE_READS; round++) {
		for (i = 0; i < walk->nr_pieces; i++) {
			unsigned int nth = round % 2 ? i : walk->nr_pieces - 1 - i;

			if (!is_unchanged(walk, walk->pieces[nth].addr,
					  walk->evidence + walk->pieces[nth].at,
					  walk->pieces[nth].len)) {
				walk->is_unstable = !walk->is_spent;
				return false;
			}
		}
	}
	return true;
}

/** mg_walk_identify - add what the cached answer is to be held against */
void mg_walk_identify(struct mg_found *found, u64 addr, const u8 *bytes, u32 len)
{
	struct mg_identity *identity = &found->identity[found->nr_identity];

	if (WARN_ON_ONCE(found->nr_identity == MG_IDENTITIES || len > MG_IDENTITY_LEN))
		return;
	identity->addr = addr;
	identity->len = len;
	memcpy(identity->bytes, bytes, len);
	found->nr_identity++;
}

static bool stands_for_itself(u8 c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '\'' && c != '\\' && c != '=';
}

/**
 * mg_image_set_name - a name out of the guest's memory, as &struct mg_image says
 * @image: gets the name
 * @name:  @len bytes, any
 * @len:   their number
 */
void mg_image_set_name(struct mg_image *image, const u8 *name, u32 len)
{
	static const char hex[] = "0123456789abcdef", more[] = "...";
	const u32 room = MG_IMAGE_NAME_LEN - 1;
	char *out = image->name;
	u32 i, at = 0, cut = 0;

	for (i = 0; i < len; i++) {
		u32 need = stands_for_itself(name[i]) ? 1 : 4;

		/* As far as it may reach if the rest does not fit. */
		if (at <= room - (sizeof(more) - 1))
			cut = at;
		if (need > room - at) {
			strscpy(out + cut, more, MG_IMAGE_NAME_LEN - cut);
			return;
		}
		if (need == 1) {
			out[at++] = name[i];
			continue;
		}
		out[at++] = '\\';
		out[at++] = 'x';
		out[at++] = hex[name[i] >> 4];
		out[at++] = hex[name[i] & 0xf];
	}
	out[at] = '\0';
}
