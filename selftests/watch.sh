#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: selftests/watch.sh, as root in a host with KVM
#
# What listens and what counts (msrguard watch, vms, rules, top) against the real module: events, and
# exactly how many were lost. Prints TAP.
#
#   MSRGUARD_BIN  the command (default: msrguard in PATH)
#   MSRGUARD_KO   the module

set -euo pipefail

# shellcheck source=selftests/files/command.sh
. "$(dirname "$0")/files/command.sh"

test_watch()
{
	local before
	run mode enforce
	echo 'default deny deny' >"$WORK/policy"
	run load "$WORK/policy"
	run add '0x174 allow deny' '0x175-0x176 allow deny quiet'
	# Each access an event of its own.
	echo 0 >"$SYS/events/window"

	watch
	watch_end INT
	ok "watch without an event" ended 0 '^0 events of 0 accesses, 0 lost$'

	before=$(sequence)
	watch
	ok "the guest faults" equal "$("$GUEST" write 0x174 0x1122334455667788 3)" "accesses=3 faults=3"
	ok "and on the default line" equal "$("$GUEST" read 0x12345 0 2)" "accesses=2 faults=2"
	ok "and on a quiet rule" equal "$("$GUEST" write 0x176 0 5)" "accesses=5 faults=5"
	sleep 0.5
	watch_end INT
	ok "watch" ended 0 '^5 events of 5 accesses, 0 lost$'
	ok "one line an event" lines_are out 5
	ok "of a write" prints "^time=[0-9]+\.[0-9]{9} vm=[0-9]+ pid=[0-9]+ vcpu=0 msr=0x174 dir=write origin=exit value=0x1122334455667788 old=0x0 pc=0x1000 cpl=0 nested=0 verdict=denied would_be=denied rule=0x174 generation=$(<"$SYS/policy/generation") seq=$((before + 1)) count=1 image=unknown .* build_id=unknown name=MSR_IA32_SYSENTER_CS\$"
	ok "of a read" prints "msr=0x12345 dir=read origin=exit value=unknown old=unknown pc=0x1000 .* verdict=denied would_be=denied rule=default .* seq=$((before + 5)) count=1 .* name=unknown\$"

	watch --json --count 2
	"$GUEST" write 0x174 0xffffffffffffffff 5 >/dev/null
	watch_end
	ok "watch --json --count" ended 0
	ok "is JSON, with a summary" json_lines '[o["type"] for o in d] == ["access", "access", "summary"]'
	ok "has all bits" json_lines 'd[0]["value"] == "0xffffffffffffffff" and d[0]["msr"] == "0x174" and d[0]["cpl"] == 0 and d[0]["nested"] is False'
	ok "counts them" json_lines 'd[2] == {"type": "summary", "events": "0x2", "accesses": "0x2", "overflowed": "0x0", "lost": "0x0", "shown": "0x2"}'

	before=$(sequence)
	watch --msr sysenter_cs --dir write
	"$GUEST" write 0x174 0x55 2 >/dev/null
	"$GUEST" read 0x12345 0 3 >/dev/null
	sleep 0.5
	watch_end INT
	ok "watch --msr" lines_are out 2
	ok "counts what it does not show" ended 0 '^5 events of 5 accesses, 0 lost; 2 events shown$'
	watch --hyperv --count 1
	"$GUEST" write 0x174 0x55 2 >/dev/null
	watch_end
	ok "watch --hyperv" equal "$(<"$WORK/out")" \
		"Hyper-V detected access to a restricted MSR (Msr: 0x174, IsWrite: 0x1, MsrValue: 0x55, AccessStatus: 0x2, Pc: 0x1000, ImageBase: 0x0, ImageChecksum: 0x0, ImageTimestamp: 0x0, ImageName: )"

	echo 500 >"$SYS/events/window"
	before=$(sequence)
	watch --json
	"$GUEST" write 0x174 0x55 1000 >/dev/null
	sleep 2
	watch_end INT
	echo 0 >"$SYS/events/window"
	ok "folded events" json_lines '1 < len(d) < 100 and [int(o["count"], 0) for o in d[:-1]][0] == 1 and sum(int(o["count"], 0) for o in d[:-1]) == 1000'
	ok "in a row" json_lines 'all(int(a["seq"], 0) + int(b["count"], 0) == int(b["seq"], 0) for a, b in zip(d, d[1:-1]))'
	ok "and all there are" equal "$(($(sequence) - before))" 1000
	ok "in the summary too" json_lines 'd[-1]["accesses"] == "0x3e8" and d[-1]["lost"] == "0x0"'

	run mode audit
	watch --json
	ok "in audit, the guest does not fault" equal "$("$GUEST" write 0x174 8 2)" "accesses=2 faults=0"
	sleep 0.5
	watch_end TERM
	ok "audited, with what it would be" json_lines 'len(d) == 3 and all((o["verdict"], o["would_be"]) == ("audited", "denied") for o in d[:2])'
	run mode enforce
}

# The same line as the tracepoint's, but for the time and the name.
test_watch_and_trace()
{
	[[ -d $TRACING/events ]] || mount -t tracefs tracefs "$TRACING"
	echo >"$TRACING/trace"
	echo 1 >"$TRACING/events/msrguard/msrguard_access/enable"
	watch
	"$GUEST" write 0x174 0x55 3 >/dev/null
	"$GUEST" read 0xc0000082 0 1 >/dev/null
	sleep 0.5
	watch_end INT
	echo 0 >"$TRACING/events/msrguard/msrguard_access/enable"
	sed 's/^time=[^ ]* //; s/ name=[^ ]*$//' "$WORK/watch.out" >"$WORK/by-watch"
	sed -n 's/.* msrguard_access: //p' "$TRACING/trace" >"$WORK/by-trace"
	ok "watch and the tracepoint say something" equal "$(wc -l <"$WORK/by-trace")" 4
	ok "and the same" cmp -s "$WORK/by-watch" "$WORK/by-trace"
}

# A listener that stands still: what it did not get, it says.
test_watch_loss()
{
	local before after lost events
	before=$(sequence)
	watch --json --buffer 16
	kill -STOP "$WATCH"
	"$GUEST" write 0x174 1 2000 >/dev/null
	kill -CONT "$WATCH"
	sleep 2
	"$GUEST" write 0x174 1 10 >/dev/null
	sleep 1
	after=$(sequence)
	watch_end INT
	ok "watch that fell behind" ended 0
	events=$(python3 -c 'import json, sys; print(int(json.loads(sys.stdin.readlines()[-1])["events"], 0))' <"$WORK/out")
	lost=$(python3 -c 'import json, sys; print(int(json.loads(sys.stdin.readlines()[-1])["lost"], 0))' <"$WORK/out")
	ok "lost something" [ "$lost" -gt 0 ]
	ok "and got something" [ "$events" -gt 10 ]
	ok "events and lost are all there were" equal $((events + lost)) $((after - before))
	ok "as the module counted too" equal "$lost" "$(<"$SYS/stats/events_lost")"
	ok "each gap is where it was" json_lines 'sum(int(o["count"], 0) for o in d if o["type"] == "lost") == '"$lost"' and all(int(o["last"], 0) - int(o["first"], 0) + 1 == int(o["count"], 0) for o in d if o["type"] == "lost")'
	ok "a loss is told before the end" json_lines '"lost" in [o["type"] for o in d[:-11]]'
	run status
	ok "and is wrong in status" prints "^wrong: $lost events, which stand for $lost accesses, did not reach"

	before=$(sequence)
	watch --buffer 16
	kill -STOP "$WATCH"
	"$GUEST" write 0x174 1 500 >/dev/null
	kill -INT "$WATCH"
	kill -CONT "$WATCH"
	watch_end
	events=$(wc -l < <(grep '^time=' "$WORK/out"))
	ok "a loss at the end is told too" ended 0 "^$events events of $events accesses, $((500 - events)) lost\$"

	# Folded: what is lost is counted in accesses, not in events.
	local storm=20000
	echo 1 >"$SYS/events/window"
	before=$(sequence)
	watch --json --buffer 16
	kill -STOP "$WATCH"
	"$GUEST" write 0x174 1 "$storm" >/dev/null
	until_it all_told
	kill -CONT "$WATCH"
	sleep 1
	watch_end INT
	echo 0 >"$SYS/events/window"
	ok "a storm of folded events" equal "$(($(sequence) - before))" "$storm"
	ok "is lost and told to the last access" json_lines 'int(d[-1]["lost"], 0) > 0 and int(d[-1]["accesses"], 0) + int(d[-1]["overflowed"], 0) + int(d[-1]["lost"], 0) == '"$storm"
}

# Who does what how often, while a guest does it.
test_counts()
{
	local guest hits
	run rules --hits --json
	ok "rules" ended 0
	hits=$(python3 -c 'import json, sys; print(*[int(r["writes"], 0) for r in json.load(open(sys.argv[1]))["rules"] if r["rule"] == "0x174"])' "$WORK/out")
	"$GUEST" write 0x174 1 77 >/dev/null
	run rules --hits --json
	ok "counts to the last one" json '[int(r["writes"], 0) for r in d["rules"] if r["rule"] == "0x174"] == ['$((hits + 77))']'
	run rules
	ok "the default line first" equal "$(sed -n '2s/ .*//p' "$WORK/out")" default
	echo 500 >"$SYS/events/window"
	"$GUEST" write 0x174 1 4000000000 >/dev/null 2>&1 &
	guest=$!
	until_it lists "$guest" || die "the guest does not start"
	run vms "pid:$guest"
	ok "vms" ended 0
	ok "finds it" prints "^ *[0-9]+ +$guest "
	run vms --json
	ok "with what it did" json 'd["vms"][0]["pid"] == '"$guest"' and int(d["vms"][0]["denied"], 0) > 0'
	run top --once
	ok "top" ended 0
	ok "shows who" prints "^ *[0-9]+ +$guest "
	ok "and what, with a rate" prints '^ *[0-9]+ 0x174 +MSR_IA32_SYSENTER_CS +write denied +[0-9]*[1-9][0-9]*\.[0-9] '
	kill -KILL "$guest"
	wait "$guest" 2>/dev/null || true
	run vms "pid:$guest"
	ok "vms after its end" ended 1 'no VM of this host is'
	echo 0 >"$SYS/events/window"
}

test_watch_ends()
{
	RC=0
	# shellcheck disable=SC2016 # for the shell within
	timeout 60 bash -c '"$1" watch | head -n 1; exit "${PIPESTATUS[0]}"' - "$BIN" \
		>"$WORK/out" 2>"$WORK/err" &
	WATCH=$!
	until grep -q '^listening' "$WORK/err" 2>/dev/null; do
		kill -0 "$WATCH" || break
		sleep 0.1
	done
	"$GUEST" write 0x174 1 3 >/dev/null
	wait "$WATCH" || RC=$?
	ok "watch whose reader goes away" ended 0
	RC=0
	"$BIN" watch --count 1 >/dev/full 2>"$WORK/err" &
	WATCH=$!
	sleep 1
	"$GUEST" write 0x174 1 1 >/dev/null
	wait "$WATCH" || RC=$?
	ok "watch that cannot write" ended 1 'cannot write the output: No space left'
	watch
	rmmod msrguard
	watch_end
	ok "watch when the module goes" ended 3 'the module was unloaded'
	ok "has a summary too" complains '^0 events of 0 accesses, 0 lost$'
}

[[ ! -d /sys/module/msrguard ]] || rmmod msrguard
insmod "$KO" || die "the module cannot be loaded: $(dmesg | grep msrguard | tail -n 1)"
test_watch
test_watch_and_trace
test_watch_loss
test_counts
test_watch_ends
end_tests
