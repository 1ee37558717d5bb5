/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What each target has: the function that libFuzzer calls, and how it says that something is wrong.
 */
#ifndef MG_FUZZ_H
#define MG_FUZZ_H

#include "shim.h"

#define CHECK(condition) do { if (!(condition)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#endif /* MG_FUZZ_H */
