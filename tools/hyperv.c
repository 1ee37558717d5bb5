// SPDX-License-Identifier: GPL-2.0
/*
 * One event in the words of Windows' event 12550 of Hyper-V, for what already reads those:
 *
 *   Hyper-V detected access to a restricted MSR (Msr: 0x65C, IsWrite: 0x0, MsrValue: 0xDD0000,
 *   AccessStatus: 0x0, Pc: 0xFFFFF807452C0200, ImageBase: 0xFFFFF807452B0000, ImageChecksum:
 *   0x68C4F, ImageTimestamp: 0x59FB8DEC, ImageName: esif_lf.sys)
 *
 * That sentence has no word for "unknown": such a number is 0x0, such a name is empty. The values
 * of AccessStatus are not documented; here it is our verdict's number.
 */
#include <inttypes.h>
#include <stdio.h>

#include "event.h"

static void put_number(const char *name, bool known, uint64_t value)
{
	printf(", %s: 0x%" PRIX64, name, known ? value : 0);
}

void mg_event_print_hyperv(const struct mg_event *event)
{
	printf("Hyper-V detected access to a restricted MSR (Msr: 0x%" PRIX32 ", IsWrite: 0x%X",
	       event->msr, event->direction == MSRGUARD_DIRECTION_WRITE);
	put_number("MsrValue", MG_EVENT_HAS(event, VALUE), event->value);
	put_number("AccessStatus", true, event->verdict);
	put_number("Pc", MG_EVENT_HAS(event, PC), event->pc);
	put_number("ImageBase", MG_EVENT_HAS(event, IMAGE_BASE), event->image_base);
	put_number("ImageChecksum", MG_EVENT_HAS(event, IMAGE_CHECKSUM), event->image_checksum);
	put_number("ImageTimestamp", MG_EVENT_HAS(event, IMAGE_TIMESTAMP), event->image_timestamp);
	printf(", ImageName: %s)\n", MG_EVENT_HAS(event, IMAGE_NAME) ? event->image_name : "");
}
