#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: selftests/leaks.sh, as root in a host whose kernel has kmemleak
#
# Memory that nobody points to any more: what all tests before this one in the same boot
# have lost, and what a load, a use and an unload of the module lose. Prints TAP.

set -euo pipefail
cd "$(dirname "$0")"

LEAKS=/sys/kernel/debug/kmemleak
SYS=/sys/kernel/msrguard
CYCLES=5

echo "TAP version 13"
if [[ ! -e $LEAKS ]]; then
	echo "1..0 # SKIP this kernel has no kmemleak (CONFIG_DEBUG_KMEMLEAK)"
	exit 4
fi
echo "1..3"

# What is new may be in a register or a cache only: it is not a leak before the second
# scan has not found it, and an object must be some seconds old.
scan()
{
	local i
	for i in 1 2; do
		sleep 6
		echo scan >"$LEAKS"
	done
}

# verdict NUMBER NAME: prints each leak as a comment.
FAILED=0
verdict()
{
	local found
	found=$(<"$LEAKS")
	if [[ $found ]]; then
		printf '# %s\n' "${found//$'\n'/$'\n# '}"
		printf 'not '
		FAILED=1
	fi
	printf 'ok %d - %s\n' "$1" "$2"
	echo clear >"$LEAKS"
}

# A disabled kmemleak reads as empty too.
if ! echo scan >"$LEAKS"; then
	echo "Bail out! kmemleak is switched off: $(dmesg | grep -i 'kmemleak' | tail -n 3 | xargs)"
	exit 1
fi

[[ ! -d /sys/module/msrguard ]] || rmmod msrguard
scan
verdict 1 "nothing is lost by the tests before"

use()
{
	{
		echo "default allow allow"
		for ((i = 0; i < 500; i++)); do
			printf '0x%x deny deny\n' $((0x1000 + i))
		done
	} >"$WORK/policy"
	cat "$WORK/policy" >$SYS/policy/load
	echo 1 >$SYS/policy/commit
	echo "0xc0000082 deny deny" >$SYS/rules/add
	echo "0xc0000082" >$SYS/rules/remove
	./files/guest-access write 0x1010 0 10 >/dev/null
	[[ $(<$SYS/stats/denied) -ge 10 ]]
	echo audit >$SYS/mode
	echo nonsense >$SYS/policy/load
	if echo 1 2>/dev/null >$SYS/policy/commit; then
		return 1
	fi
	cat $SYS/vms/list >/dev/null
	# Staged, and left so.
	cat "$WORK/policy" >$SYS/policy/load
}

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"; [[ ! -d /sys/module/msrguard ]] || rmmod msrguard' EXIT
for ((cycle = 0; cycle < CYCLES; cycle++)); do
	insmod "${MSRGUARD_KO:?}"
	use
	((cycle < CYCLES - 1)) || break
	rmmod msrguard
done
scan
verdict 2 "nothing is lost while it is loaded"
rmmod msrguard
scan
verdict 3 "nothing is lost once it is gone"
exit "$FAILED"
