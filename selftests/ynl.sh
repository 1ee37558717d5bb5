#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: selftests/ynl.sh, as root in a host with KVM
#
# The kernel's own netlink command (tools/net/ynl of the kernel's sources) as a client that knows
# nothing of msrguard but its spec. Prints TAP.
#
#   MSRGUARD_KO  the module
#   ynl/         beside this program: cli.py and lib/, the spec, the kernel's schema for it

set -euo pipefail

# shellcheck source=selftests/files/tap.sh
. "$(dirname "$0")/files/tap.sh"

need_root
KO=${MSRGUARD_KO:?set it to the msrguard.ko to test}
HERE=$(cd "$(dirname "$0")" && pwd)
GUEST=$HERE/files/guest-access
[[ -x $GUEST ]] || die "$GUEST is missing: copy the folder files with this script"
if ! reason=$(python3 -c 'import yaml, jsonschema' 2>&1); then
	echo "1..0 # SKIP this host's Python has no yaml or no jsonschema: ${reason##*$'\n'}"
	exit 0
fi
[[ -f $HERE/ynl/cli.py ]] || die "$HERE/ynl is missing: scripts/lab/stage puts it there"

SYS=/sys/kernel/msrguard
WORK=$(mktemp -d)
RC=0

cleanup()
{
	# shellcheck disable=SC2046 # words
	end_jobs $(jobs -p)
	[[ ! -d /sys/module/msrguard ]] || rmmod msrguard || true
	rm -rf "$WORK"
}
trap cleanup EXIT

# ynl [ARGUMENT...]: sets RC, and the files out and err. The first call has the spec judged by the
# kernel's schema, which is more than half of what a call costs.
SCHEMA=(--schema "$HERE/ynl/genetlink-legacy.yaml")
ynl()
{
	RC=0
	python3 -B "$HERE/ynl/cli.py" --spec "$HERE/ynl/msrguard.yaml" \
		"${SCHEMA[@]}" --output-json "$@" \
		>"$WORK/out" 2>"$WORK/err" </dev/null || RC=$?
	SCHEMA=(--no-schema)
}

say_more() { say_output; }

ended() { [[ $RC == "$1" ]]; }
# json EXPRESSION: of the answer, called d; f(NAME) is the number in that file of the module.
json() { python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
f = lambda name: int(open("/sys/kernel/msrguard/" + name).read())
sys.exit(not eval(sys.argv[2]))' "$WORK/out" "$1"; }

insmod "$KO" || die "the module cannot be loaded: $(dmesg | grep msrguard | tail -n 1)"
echo 0 >"$SYS/events/window"
printf 'default allow allow\n0x174 allow deny\n0x2000-0x20ff drop drop quiet\n0xc0000080 allow mask=~0x1000,keep audit\n' \
	>"$SYS/policy/load"
echo 1 >"$SYS/policy/commit"

ynl --list-ops
ok "the spec is one" ended 0
ok "with its operations" test "$(awk '{ print $1 }' "$WORK/out" | sort | xargs)" = \
	"rule-get stats-get status-get verify vm-get"

"$GUEST" write 0x174 1 5 >/dev/null
"$GUEST" read 0x2001 0 3 >/dev/null

ynl --do status-get
ok "status-get" ended 0
ok "is what sysfs says" json 'd["mode"] == "enforce" and d["generation"] == f("policy/generation") and d["rules"] == 3 and d["seq"] == f("stats/sequence") == 5 and d["hash"] == open("/sys/kernel/msrguard/policy/hash").read().strip()'

ynl --do stats-get
ok "stats-get" ended 0
ok "has all" json 'len(d) == 14 and d["denied"] == 5 and d["dropped"] == d["quiet"] == 3'
ok "is what sysfs says" json 'all(f("stats/" + {"seq": "sequence"}.get(k, k.replace("-", "_"))) == v for k, v in d.items())'

ynl --dump rule-get
ok "rule-get" ended 0
ok "is the policy" json '[(r.get("first"), r.get("last"), r["read-action"], r["write-action"], sorted(set(r) & {"keep", "audit", "quiet"}), r.get("write-mask")) for r in d] == [(None, None, "allow", "allow", [], None), (0x174, 0x174, "allow", "deny", [], None), (0x2000, 0x20ff, "drop", "drop", ["quiet"], None), (0xc0000080, 0xc0000080, "allow", "mask", ["audit", "keep"], 0xffffffffffffefff)]'
ok "with what each decided" json '[(r["reads"], r["writes"]) for r in d] == [(0, 0), (0, 5), (3, 0), (0, 0)] and {r["generation"] for r in d} == {f("policy/generation")}'

ynl --dump vm-get
ok "vm-get without a VM" json 'd == []'
denied=$(<"$SYS/stats/denied")
"$GUEST" write 0x174 1 4000000000 >/dev/null 2>&1 &
guest=$!
until [[ $(<"$SYS/stats/denied") != "$denied" ]]; do
	kill -0 "$guest" || die "the guest does not start"
	sleep 0.1
done
# It has done what it is for; a VM it stays.
kill -STOP "$guest"
ynl --dump vm-get
ok "vm-get" ended 0
ok "finds it" json 'len(d) == 1 and d[0]["pid"] == '"$guest"' and d[0]["vcpus"] == 1 and d[0]["denied"] > 0 and len(d[0]) == 16'
id=$(awk -v pid="$guest" '$2 == pid { print $1 }' "$SYS/vms/list")
ynl --dump vm-get --json "{\"id\": $id}"
ok "vm-get of one" json 'len(d) == 1 and d[0]["id"] == '"$id"
ynl --dump vm-get --json '{"id": 18446744073709551600}'
ok "vm-get of one that there is not" ended 1
if [[ $(uname -r) != 6.1.* ]]; then
	ok "says why, and which attribute it is" grep -q "no VM has this id.*'bad-attr': '\.id'" "$WORK/out"
fi

end_jobs "$guest"

# subscribed SECONDS: in the background, when events reach it; sets LISTENER.
subscribed()
{
	local sent
	sent=$(<"$SYS/stats/events_sent")
	ynl --subscribe events --sleep "$1" &
	LISTENER=$!
	# It has to read the spec first, which takes it a while here.
	while [[ $(<"$SYS/stats/events_sent") == "$sent" ]]; do
		kill -0 "$LISTENER" 2>/dev/null || break
		"$GUEST" read 0x175 0 1 >/dev/null
	done
}

echo '0x175 deny allow' >"$SYS/rules/add"
subscribed 10
"$GUEST" write 0x174 0x55 5 >/dev/null
wait "$LISTENER"
ok "events come" json '{e["name"] for e in d} == {"access-ntf"}'
ok "with what they are" json '[(e["msg"]["direction"], e["msg"]["verdict"], e["msg"]["origin"], e["msg"]["count"], e["msg"]["value"], e["msg"]["rule-first"]) for e in d if e["msg"]["msr"] == 0x174] == 5 * [("write", "denied", "exit", 1, 0x55, 0x174)]'
ok "in a row" json '[e["msg"]["seq"] for e in d] == list(range(d[0]["msg"]["seq"], d[0]["msg"]["seq"] + len(d)))'
echo 500 >"$SYS/events/window"
subscribed 10
"$GUEST" write 0x174 0x55 100 >/dev/null
wait "$LISTENER"
ok "folded events" json '[e["msg"]["count"] for e in d if e["msg"]["msr"] == 0x174][0] == 1 and sum(e["msg"]["count"] for e in d if e["msg"]["msr"] == 0x174) == 100 > len(d)'
ok "in a row" json 'all(a["msg"]["seq"] + b["msg"]["count"] == b["msg"]["seq"] for a, b in zip(d, d[1:]))'

end_tests
