/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_CRYPTO_SHA2_H
#define MG_SHIM_CRYPTO_SHA2_H

#include <linux/types.h>

void sha256(const u8 *data, unsigned int len, u8 *out);

#endif /* MG_SHIM_CRYPTO_SHA2_H */
