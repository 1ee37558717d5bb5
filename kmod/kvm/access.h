/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_ACCESS_H
#define MG_ACCESS_H

#include <linux/types.h>

/** mg_access_unattributed - accesses counted for the host only, for want of a VM's record */
u64 mg_access_unattributed(void);

#endif /* MG_ACCESS_H */
