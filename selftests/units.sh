#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: selftests/units.sh, as root in a host with KVM
#
# The systemd units, at a boot of systemd: the host's kernel, and a small Debian whose first process
# is systemd, in namespaces of its own. The module and its policy are there before what starts
# guests; the journal is written; what is wrong fails aloud, and what is in force stays. Prints TAP.
#
#   MSRGUARD_KO  the module
#   units/       beside this program: root.cpio (scripts/lab/root systemd), and installed/, what
#                "make install" installs (scripts/lab/stage puts them there)

set -euo pipefail

# shellcheck source=selftests/files/tap.sh
. "$(dirname "$0")/files/tap.sh"

need_root
KO=${MSRGUARD_KO:?set it to the msrguard.ko to test}
HERE=$(cd "$(dirname "$0")" && pwd)
[[ -f $HERE/units/root.cpio ]] || die "$HERE/units is missing: scripts/lab/stage puts it there"
need_programs cpio depmod nsenter python3 unshare
if ! reason=$(unshare --mount --pid --ipc --uts --cgroup --fork true 2>&1); then
	echo "1..0 # SKIP this kernel lacks namespaces that systemd is to have here: $reason"
	exit 0
fi
GUEST=$HERE/files/guest-access
SYS=/sys/kernel/msrguard
UCODE=0xc0010020
[[ ${LAB_VENDOR:-amd} == amd ]] || UCODE=0x79
WORK=$(mktemp -d)
ROOT=$WORK/root
PATIENCE=$((120 * ${MSRGUARD_PATIENCE:-1}))
INIT=
OUTER=
SAID=

cleanup()
{
	[[ ! $INIT ]] || kill -KILL "$INIT" 2>/dev/null || true
	[[ ! $OUTER ]] || wait "$OUTER" 2>/dev/null || true
	[[ ! -d /sys/module/msrguard ]] || rmmod msrguard || true
	rm -rf "$WORK"
}
trap cleanup EXIT

# What there is to say of a failure is in SAID.
say_more() { tail -n 40 <<<"$SAID" | sed 's/^/# /'; }

# inside COMMAND...: in systemd's namespaces.
inside() { nsenter -t "$INIT" -m -u -i -p -C -- /usr/bin/env -i PATH=/usr/local/sbin:/usr/sbin:/usr/bin LC_ALL=C.UTF-8 "$@"; }

# is STATE UNIT...: each one's active state, and how it ended last.
is()
{
	local unit
	SAID=$(inside systemctl status --no-pager --full "${@:2}" 2>&1) || true
	for unit in "${@:2}"; do
		[[ $(inside systemctl show -P ActiveState "$unit") == "${1% *}" &&
			$(inside systemctl show -P Result "$unit") == "${1#* }" ]] || return 1
	done
}

said() { grep -Eq -- "$1" <<<"$SAID"; }

# as systemd's own switch of roots does it
# shellcheck disable=SC2016 # for that shell
ENTER='set -e
mount --make-rprivate /
mount --rbind "$1" "$1"
cd "$1"
mount --rbind /dev dev
mount --rbind /sys sys
umount sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t proc proc proc
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mount --move . /
exec chroot . /usr/bin/env -i container=lab PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \
	/lib/systemd/systemd --log-target=console --show-status=no'

# boot: systemd, until it has done what there is to do at a boot; sets INIT.
boot()
{
	local try
	unshare --mount --pid --ipc --uts --cgroup --fork bash -c "$ENTER" - "$ROOT" \
		>"$WORK/console" 2>&1 </dev/null &
	OUTER=$!
	INIT=
	for ((try = 0; try < PATIENCE; try++)); do
		kill -0 "$OUTER" 2>/dev/null || break
		INIT=$(pgrep -P "$OUTER") || true
		[[ ! $INIT || ! -S /proc/$INIT/root/run/systemd/private ]] || break
		sleep 1
	done
	SAID=$(<"$WORK/console")
	[[ $INIT && -S /proc/$INIT/root/run/systemd/private ]] || return 1
	SAID=$(timeout "$PATIENCE" nsenter -t "$INIT" -m -p -- systemctl is-system-running --wait 2>&1) || true
	SAID+=$'\n'$(inside systemctl list-units --failed --no-legend --no-pager)
	SAID+=$'\n'$(<"$WORK/console")
}

power_off()
{
	inside systemctl poweroff --no-wall 2>/dev/null || true
	timeout "$PATIENCE" tail --pid="$INIT" -f /dev/null || kill -KILL "$INIT"
	wait "$OUTER" 2>/dev/null || true
	INIT=
	OUTER=
}

make_root()
{
	local release
	release=$(uname -r)
	mkdir "$ROOT"
	(cd "$ROOT" && cpio -id --quiet) <"$HERE/units/root.cpio"
	cp -r "$HERE"/units/installed/* "$ROOT/"
	# Loaded by modprobe, as on any host. What it needs is loaded already.
	mkdir -p "$ROOT/lib/modules/$release/updates"
	cp "$KO" "$ROOT/lib/modules/$release/updates/msrguard.ko"
	touch "$ROOT/lib/modules/$release/modules."{order,builtin}
	depmod -b "$ROOT" "$release" 2>/dev/null
	echo 00000000000000000000000000000001 >"$ROOT/etc/machine-id"
	mkdir -p "$ROOT/etc/msrguard" "$ROOT/var/log/journal" "$ROOT/var/lib/systemd/catalog"
	printf 'include "%s"\n' /usr/local/share/msrguard/policies/baseline.policy \
		>"$ROOT/etc/msrguard/policy"
	# A stand-in for libvirt: it must find the policy in force.
	cat >"$ROOT/etc/systemd/system/libvirtd.service" <<-'END'
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=sh -c '{ cat /sys/kernel/msrguard/mode; wc -l </sys/kernel/msrguard/policy/active; } >/run/found'
		[Install]
		WantedBy=multi-user.target
	END
	chroot "$ROOT" systemctl enable --quiet msrguard-policy.service msrguard-journal.service \
		libvirtd.service
	chroot "$ROOT" journalctl --update-catalog --quiet
}

# entries: of the journal, those of msrguard, as JSON, to be judged by Python as a list e.
entries()
{
	SAID=$(inside journalctl -o json --no-pager SYSLOG_IDENTIFIER=msrguard 2>&1) || true
	python3 -c 'import json, sys
e = [json.loads(l) for l in sys.argv[1].splitlines() if l.startswith("{")]
sys.exit(not eval(sys.argv[2]))' "$SAID" "$1"
}

# until_it COMMAND...: succeeds, or gives up.
until_it()
{
	local try
	for ((try = 0; try < PATIENCE; try++)); do
		! "$@" || return 0
		sleep 1
	done
	return 1
}

test_boot()
{
	ok "systemd comes up" boot
	[[ $INIT ]] || return 0
	ok "with all its units" said '^running'
	ok "msrguard-policy.service" is "active success" msrguard-policy.service
	ok "it is enforced" test "$(<"$SYS/mode")" = enforce
	SAID=$(inside msrguard diff active /etc/msrguard/policy 2>&1) || SAID+="exit status $?"
	ok "and is what the file says" test -z "$SAID"
	SAID=$(cat "/proc/$INIT/root/run/found" 2>&1) || true
	ok "what starts guests found it in force" test "$(head -n 1 <<<"$SAID")" = enforce
	ok "with its rules" test "$(tail -n 1 <<<"$SAID")" -gt 10
}

test_journal()
{
	ok "msrguard-journal.service" is "active success" msrguard-journal.service
	SAID=$("$GUEST" write $UCODE 0x1000 1 2>&1) || true
	ok "a guest is denied" said 'faults=1'
	ok "the journal has it" until_it entries 'any(x.get("MSRGUARD_MSR") == "'$UCODE'" and "MESSAGE_ID" in x for x in e)'
	SAID=$(inside journalctl -x --no-pager SYSLOG_IDENTIFIER=msrguard 2>&1) || true
	ok "and its catalogue explains it" said "Subject: A guest's access to MSR $UCODE was denied"
	SAID=$(inside systemd-analyze security --no-pager msrguard-journal.service 2>&1 | tail -n 1) || true
	ok "the journal's unit has few rights" said 'exposure level.*: [0-2]\.[0-9] OK'
}

# What is wrong fails, and what is in force stays.
test_wrong()
{
	local before
	before=$(<"$SYS/policy/hash")
	inside systemctl stop msrguard-policy.service
	ok "stopped, the policy stays" test "$(<"$SYS/policy/hash") $(<"$SYS/mode")" = "$before enforce"
	printf 'default deny deny\n0x10 alow\n' >"/proc/$INIT/root/etc/msrguard/policy"
	inside systemctl start msrguard-policy.service 2>/dev/null || true
	ok "a wrong policy fails the unit" is "failed exit-code" msrguard-policy.service
	ok "with the place" said '/etc/msrguard/policy:2:'
	ok "and the policy before stays" test "$(<"$SYS/policy/hash") $(<"$SYS/mode")" = "$before enforce"
	rm "/proc/$INIT/root/etc/msrguard/policy"
	inside systemctl start msrguard-policy.service 2>/dev/null || true
	ok "no policy fails it" is "failed exit-code" msrguard-policy.service
	ok "with the file's name" said '/etc/msrguard/policy.*No such file'
	printf '[intel family=0x3 model=0x1]\n0x10 allow deny\n' >"/proc/$INIT/root/etc/msrguard/policy"
	inside systemctl start msrguard-policy.service 2>/dev/null || true
	ok "one for other CPUs only fails it" is "failed exit-code" msrguard-policy.service
	ok "and changes nothing" test "$(<"$SYS/policy/hash")" = "$before"
	printf 'default deny deny\n' >"/proc/$INIT/root/etc/msrguard/policy"
	inside systemctl start msrguard-policy.service 2>/dev/null || true
	ok "a good one mends it" is "active success" msrguard-policy.service
	ok "and is in force" test "$(<"$SYS/policy/hash")" != "$before"
}

test_unload()
{
	rmmod msrguard || die "the module cannot be unloaded"
	until_it test "$(inside systemctl show -P ActiveState msrguard-journal.service)" != active || true
	ok "without the module, the journal's unit ends" \
		is "failed exit-code" msrguard-journal.service
	ok "and says why" said 'the module was unloaded'
	ok "it is not started again and again" \
		test "$(inside systemctl show -P NRestarts msrguard-journal.service)" = 0
	inside systemctl restart msrguard-policy.service msrguard-journal.service 2>/dev/null || true
	ok "by hand, both come back" \
		is "active success" msrguard-policy.service msrguard-journal.service
}

# A host whose module cannot be loaded.
test_no_module()
{
	power_off
	rmmod msrguard || die "the module cannot be unloaded"
	rm "$ROOT/lib/modules/$(uname -r)/updates/msrguard.ko"
	depmod -b "$ROOT" "$(uname -r)" 2>/dev/null
	ok "a boot without the module" boot
	ok "the policy's unit fails" is "failed exit-code" msrguard-policy.service
	ok "and says why" said 'Module msrguard not found'
	ok "the journal's does not even start" is "inactive success" msrguard-journal.service
	power_off
}

make_root
test_boot
if [[ $INIT ]]; then
	test_journal
	test_wrong
	test_unload
	test_no_module
fi
end_tests
