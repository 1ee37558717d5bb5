// SPDX-License-Identifier: GPL-2.0
/*
 * ELF notes of a Linux kernel and its modules, in memory.
 *
 * A vmlinux has all of its notes in one section, .notes: the GNU build id, Linux's own (build
 * salt, type 0x100, and LTO, type 0x101, see include/linux/build-salt.h and elfnote-lto.h), and
 * with CONFIG_XEN or CONFIG_PVH those of Xen (include/xen/interface/elfnote.h). A module has the
 * first two kinds in sections of their own. The vDSO's have a note of type 0 with the version.
 */
#include <linux/align.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "internal.h"

/* The name begins with the same word as theirs; "Linux" takes two. */
#define NAME_LINUX_REST		0x00000078	/* "x\0" and padding */
#define NOTE_LINUX_VERSION	0
#define NOTE_LINUX_SALT		0x100
#define NOTE_LINUX_LTO		0x101

/* Build salts are short, and so is what Xen wants to know. */
#define DESC_MAX		256

/* A note at @at of a copy. Its length, padding included, or 0 if there is none. */
static u32 parse_note(const u8 *copy, u32 at, u32 len, u64 addr, struct mg_notes *notes)
{
	u32 namesz, descsz, type, name, desc, end;

	if (len - at < MG_NOTE_HEADER + 4)
		return 0;
	namesz = mg_le32(copy + at);
	descsz = mg_le32(copy + at + 4);
	type = mg_le32(copy + at + 8);
	name = mg_le32(copy + at + MG_NOTE_HEADER);
	if (descsz > DESC_MAX)
		return 0;
	if (namesz == 4)
		desc = MG_NOTE_HEADER + 4;
	else if (namesz == 6)
		desc = MG_NOTE_HEADER + 8;
	else
		return 0;
	end = desc + ALIGN(descsz, 4);
	if (end > len - at)
		return 0;

	if (namesz == 6) {
		if (name != MG_NOTE_NAME_LINUX ||
		    mg_le32(copy + at + MG_NOTE_HEADER + 4) != NAME_LINUX_REST)
			return 0;
		if (type == NOTE_LINUX_VERSION)
			notes->has_vdso = true;
		else if (type == NOTE_LINUX_SALT || type == NOTE_LINUX_LTO)
			notes->has_linux = true;
	} else if (name == MG_NOTE_NAME_XEN) {
		notes->has_xen = true;
	} else if (name == MG_NOTE_NAME_GNU) {
		if (type != MG_NOTE_BUILD_ID)
			return end;
		/* One of another length is none that we could tell. */
		notes->nr_build_ids++;
		notes->build_id_len = 0;
		if (descsz >= 4 && descsz <= MG_BUILD_ID_MAX) {
			notes->build_id_at = addr + at;
			notes->build_id_len = descsz;
			memcpy(notes->build_id, copy + at + desc, descsz);
		}
	} else {
		return 0;
	}
	return end;
}

/**
 * mg_notes_parse - the run of known notes that begins at an address
 * @walk:  the look-up
 * @addr:  where the first one's header would be
 * @notes: receives what they are; of no length if there is none
 */
void mg_notes_parse(struct mg_walk *walk, u64 addr, struct mg_notes *notes)
{
	u32 len, step;

	memset(notes, 0, sizeof(*notes));
	notes->addr = addr;
	/* The header alone first: most of what looks like a name is none. */
	len = mg_walk_read_some(walk, addr, walk->notes, MG_NOTE_HEADER);
	if (len < MG_NOTE_HEADER || mg_le32(walk->notes) < 4 || mg_le32(walk->notes) > 6 ||
	    mg_le32(walk->notes + 4) > DESC_MAX)
		return;
	len = mg_walk_read_some(walk, addr, walk->notes, MG_NOTES_LEN);
	do {
		step = parse_note(walk->notes, notes->len, len, addr, notes);
		notes->len += step;
	} while (step);
}

/**
 * mg_notes_keep_build_id - make the answer rest on the build id's note
 * @walk:  the look-up
 * @notes: the run that has it
 * @found: gets the build id
 *
 * Return: false, and @walk->is_unstable, if it is not what it was when it was parsed.
 */
bool mg_notes_keep_build_id(struct mg_walk *walk, const struct mg_notes *notes,
			    struct mg_found *found)
{
	u32 len = MG_NOTE_HEADER + 4 + notes->build_id_len;
	const u8 *note = mg_walk_keep(walk, notes->build_id_at, len);

	if (!note || mg_le32(note) != 4 || mg_le32(note + 4) != notes->build_id_len ||
	    mg_le32(note + 8) != MG_NOTE_BUILD_ID ||
	    mg_le32(note + MG_NOTE_HEADER) != MG_NOTE_NAME_GNU ||
	    memcmp(note + MG_NOTE_HEADER + 4, notes->build_id, notes->build_id_len)) {
		walk->is_unstable = !walk->is_spent;
		return false;
	}
	mg_walk_identify(found, notes->build_id_at, note, len);
	found->image.build_id_len = notes->build_id_len;
	memcpy(found->image.build_id, notes->build_id, notes->build_id_len);
	return true;
}
