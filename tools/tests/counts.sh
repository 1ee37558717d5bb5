#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: MSRGUARD_BIN=FILE tools/tests/counts.sh
#
# Tests what counts (vms, rules, top) without the module, with a stand-in for the kernel's netlink.
# Prints TAP.

set -euo pipefail

# shellcheck source=tools/tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/tests/events.sh
. "$(dirname "$0")/events.sh"

# stats DENIED DROPPED MASKED AUDITED QUIET SEQ PENDING OVERFLOWED LOST: an answer of the stand-in
stats()
{
	local type=4 value
	printf 'answer 5\nmessage 2:%s 3:%s' "$(hex 8 1)" "$(hex 8 2)"
	for value in "$@" 0 0 0; do
		printf ' %d:%s' "$type" "$(hex 8 "$value")"
		type=$((type + 1))
	done
	echo
}

# vm_line ID PID VCPUS DENIED DROPPED MASKED AUDITED QUIET PENDING OVERFLOWED [IMAGE...]
vm_line()
{
	local type=7 value
	printf 'message 2:%s 3:%s 4:%s 5:%s 6:%s' "$(hex 8 "$1")" "$(hex 4 "$2")" "$(hex 4 "$3")" \
		"$(hex 8 100)" "$(hex 8 200)"
	shift 3
	for value; do
		printf ' %d:%s' "$type" "$(hex 8 "$value")"
		type=$((type + 1))
	done
	echo
}

test_vms()
{
	local line left
	fresh
	{
		echo answer 6
		vm_line 3 4242 2 1 2 3 4 5 6 7 8 9 10 11
		vm_line 4 $$ 1 9000 0 0 0 0 0 0
		echo datagram
		vm_line 5 4242 1 0 0 0 0xffffffffffffff 0 0 0
	} | kernel
	run_fake vms
	ok "vms" ended 0
	ok "the busiest first" test "$(awk 'NR > 1 { print $1 }' "$WORK/out" | xargs)" = "5 4 3"
	ok "with all that was counted" prints '^ +3 +4242 \S+ +2 +100 +200 +1 +2 +3 +4 +5 +6 +7$'
	ok "and the name of its process" prints "^ +4 +$$ counts.sh +1 "
	run_fake vms --json
	ok "in JSON" json '[v["id"] for v in d["vms"]] == ["0x5", "0x4", "0x3"] and d["vms"][2] | {"process": None} == {"id": "0x3", "pid": 4242, "process": None, "vcpus": 2, "reads": "0x64", "writes": "0xc8", "denied": "0x1", "dropped": "0x2", "masked": "0x3", "audited": "0x4", "quiet": "0x5", "pending": "0x6", "overflowed": "0x7", "image_lookups": "0x8", "image_hits": "0x9", "image_pages": "0xa", "image_spent": "0xb"} and d["vms"][1]["process"] == "counts.sh"'
	run_fake vms pid:4242
	ok "those of a process" test "$(awk 'NR > 1 { print $1 }' "$WORK/out" | xargs)" = "5 3"
	run_fake vms pid:1
	ok "a process without one" ended 1 'no VM of this host is pid:1'
	kernel <<<'answer 6'
	run_fake vms
	ok "no VM" prints '^no VM is running$'
	kernel <<<$'answer 6\nerror 2 2 no VM has this id'
	run_fake vms 77
	ok "no such VM" ended 1 'no VM of this host is 77'
	run_fake vms 0
	ok "no id" ended 2 'vms takes a VM.s id'
	run_fake vms 1 2
	ok "two ids" ended 2 'vms takes one VM, or none'
	kernel <<<''
	run_fake vms
	ok "a module that cannot tell" ended 1 'the module cannot tell of the VMs'
	kernel <<<$'answer 6\nerror 1'
	run_fake vms
	ok "no permission" ended 4 'asking for the VMs is not permitted'
	line=$(vm_line 3 4242 2 1 2 3 4 5 6 7)
	for left in 2:0300000000000000 3:92100000 4:02000000 13:0700000000000000; do
		kernel <<<$'answer 6\n'"${line/$left/}"
		run_fake vms
		ok "a VM without attribute ${left%%:*}" ended 1 'answer about the VMs is malformed'
		kernel <<<$'answer 6\n'"${line/$left/${left}00}"
		run_fake vms
		ok "attribute ${left%%:*} too long" ended 1 'answer about the VMs is malformed'
	done
	kernel <<<$'answer 6\n'"$line"$'\nother\n'"$line"
	run_fake vms
	ok "a message of another family" ended 1 'malformed'
	ok "nothing looks well" silent out
	{ echo answer 6; echo torn; echo "$line"; echo answer 6; echo "$line"; } | kernel
	run_fake vms
	ok "an answer that is not of one piece is asked for again" equal_lines ' 4242 ' 1
}

# rule FIRST LAST READ WRITE READS WRITES [ATTRIBUTE]...: "-" as FIRST is the default line, an
# action is a number, or 3,MASK.
rule()
{
	printf message
	[[ $1 == - ]] || printf ' 2:%s 3:%s' "$(hex 4 "$1")" "$(hex 4 "$2")"
	printf ' 4:%s 6:%s' "$(hex 1 "${3%,*}")" "$(hex 1 "${4%,*}")"
	[[ $3 != 3,* ]] || printf ' 5:%s' "$(hex 8 "${3#*,}")"
	[[ $4 != 3,* ]] || printf ' 7:%s' "$(hex 8 "${4#*,}")"
	printf ' 11:%s 12:%s 13:%s' "$(hex 8 "$5")" "$(hex 8 "$6")" "${GENERATION:-$(hex 8 7)}"
	shift 6
	printf ' %s' "$@"
	echo
}

test_rules()
{
	local i
	fresh
	{
		echo answer 7
		rule - - 1 2 10 0 9:
		rule 0x10 0x10 0 0 0 0
		rule 0x800 0x83f 0 1 0 5
		rule 0xc0000080 0xc0000080 3,0xfffffffffffffffe 3,0x1000 7 3 8: 10:
		echo datagram
		rule 0x174 0x174 1 1 0 0
	} | kernel
	run_fake rules
	ok "rules" ended 0
	ok "as policies have them, with names" diff <(sed 's/  */ /g; s/ $//' "$WORK/out") - <<-'END'
		MSR READ WRITE OPTIONS NAME
		default deny drop audit
		0x10 allow allow MSR_IA32_TSC
		0x174 deny deny MSR_IA32_SYSENTER_CS
		0x800-0x83f allow deny
		0xc0000080 mask=~0x1 mask=0x1000,keep quiet MSR_EFER
	END
	run_fake rules --hits
	ok "the most used first" diff <(awk 'NR > 1 { print $1, $2, $3 }' "$WORK/out") - <<-'END'
		10 0 default
		7 3 0xc0000080
		- 5 0x800-0x83f
		- - 0x10
		0 0 0x174
	END
	run_fake rules --unused
	ok "the least used first, what cannot be used last" diff <(awk 'NR > 1 { print $1, $2, $3 }' "$WORK/out") - <<-'END'
		0 0 0x174
		- 5 0x800-0x83f
		10 0 default
		7 3 0xc0000080
		- - 0x10
	END
	run_fake rules --json
	ok "in JSON" json 'd["generation"] == "0x7" and len(d["rules"]) == 5 and d["rules"][0] == {"rule": "default", "read": "deny", "write": "drop", "audit": True, "quiet": False, "reads": "0xa", "writes": "0x0", "name": None} and d["rules"][4]["write"] == "mask=0x1000,keep" and d["rules"][4]["name"] == "MSR_EFER"'
	run_fake rules extra
	ok "rules takes no argument" ended 2 'rules takes no argument'
	kernel <<<$'answer 7'
	run_fake rules
	ok "no rule is no answer" ended 1 'answer about the rules is malformed'
	{ echo answer 7; rule 0x10 0x10 1 1 0 0; } | kernel
	run_fake rules
	ok "nor are rules without a default line" ended 1 malformed
	{ echo answer 7; rule - - 1 1 0 0; rule - - 1 1 0 0; } | kernel
	run_fake rules
	ok "nor two of them" ended 1 malformed
	{ echo answer 7; rule - - 1 1 0 0; GENERATION=$(hex 8 8) rule 1 1 1 1 0 0; } | kernel
	run_fake rules
	ok "nor rules of two policies" ended 1 malformed
	{ echo answer 7; rule - - 1 1 0 0; rule 2 1 1 1 0 0; } | kernel
	run_fake rules
	ok "nor a range that ends before it begins" ended 1 malformed
	{ echo answer 7; rule - - 3 1 0 0; } | kernel
	run_fake rules
	ok "nor a mask that is not there" ended 1 malformed
	{ echo answer 7; rule - - 1 1 0 0 5:0000000000000000; } | kernel
	run_fake rules
	ok "nor one too many" ended 1 malformed
	{ echo answer 7; echo torn; rule - - 1 1 0 0; } | kernel
	run_fake rules
	ok "policies that change all the time" ended 1 'they change faster than they can be read'
	{ echo answer 7; echo torn; rule - - 1 1 0 0; echo answer 7; rule - - 2 2 0 0; } | kernel
	run_fake rules
	ok "or once" equal_lines '^default +drop +drop' 1
	{
		echo answer 7
		rule - - 1 1 0 0
		for ((i = 1; i <= 2000; i++)); do
			((i % 100)) || echo datagram
			rule $i $i 1 1 $i 0
		done
	} | kernel
	run_fake rules --hits --json
	ok "2000 rules" json '[int(r["reads"], 0) for r in d["rules"]] == list(range(2000, -1, -1))'
}

# What top is shown in its first and its second second.
busy_host()
{
	mkdir -p "$ROOT/events"
	echo 1000 >"$ROOT/events/window"
	stats 100 10 0 5 1 114 0 0 0
	stats 300 10 0 5 1 314 2 3 4
	echo answer 6
	vm_line 3 4242 2 100 10 0 5 1 0 0
	vm_line 4 $$ 1 0 0 0 0 0 0 0
	echo answer 6
	vm_line 4 $$ 1 0 0 0 0 0 0 0
	vm_line 3 4242 2 300 10 0 5 1 0 0
	fourteen_accesses | grep -v signal
	event 214 count=200 value=1 pc=0x1000
}

test_top()
{
	local bad
	fresh
	busy_host | kernel
	run_fake top --once --delay 1
	ok "top --once" ended 0
	ok "is one report" equal_lines '^msrguard top +[0-9:]{8}  mode enforce  generation 7  rules 2  window 1000 ms$' 1
	# Rates are of the time that has passed, which is longer on a busy machine.
	ok "the host" prints '^denied 300 \([1-9][0-9]*\.[0-9]/s\)  dropped 10 \(0\.0/s\)  masked 0 \(0\.0/s\)  audited 5 \(0\.0/s\)$'
	ok "what is not in it" prints '^quiet 1  pending 2  here: overflowed 3  lost 1  not listed 0$'
	ok "the VMs" prints '^ +3 +4242 \S+ +2 +[1-9][0-9]*\.[0-9] +300 +10 +0 +5 +1$'
	ok "the busiest first" test "$(awk '$2 == 4242 || $2 == '$$' { print $1 }' "$WORK/out" | xargs)" = "3 4"
	ok "an MSR, its rate, its sum, and where" prints '^ +3 0x174 +MSR_IA32_SYSENTER_CS +write denied +[1-9][0-9]*\.[0-9] +201  pc 0x1000$'
	ok "and who" prints '^ +4 0xc0000080 +MSR_EFER +read +audited +[1-5]\.[0-9] +5  esif_lf.sys$'
	ok "the busiest first" test "$(awk '$2 ~ /^0x/ { print $2 }' "$WORK/out" | xargs)" = "0x174 0xc0000080 0xc0000081"
	ok "no escape sequence" test -z "$(tr -d '[:print:]\n' <"$WORK/out")"
	busy_host | sed "s/2:$(hex 8 3) 3:/2:$(hex 8 12345678901) 3:/" | kernel
	run_fake top --once --delay 1
	ok "a VM's id may be long" prints '^12345678901 +4242 '
	ok "then the others are as wide" prints '^ {10}3 0x174 '
	busy_host | kernel
	run_fake top --batch 2 --delay 1
	ok "top --batch" equal_lines '^msrguard top' 2
	ok "what has passed has no rate" test "$(awk '$2 == "0x174" { print ($6 > 0) }' "$WORK/out" | xargs)" = "1 0"
	{ busy_host; echo gone; } | kernel
	run_fake top --batch 5 --delay 1
	ok "the module goes" ended 3 'the module was unloaded'
	{ busy_host; echo wait 1500; echo signal 15; } | kernel
	run_fake top --delay 1
	ok "without a terminal it prints reports" equal_lines '^msrguard top' 1
	ok "until it is ended" ended 0
	RC=0
	LD_PRELOAD=$FAKE_SO FAKE_KERNEL=$WORK/kernel timeout 20 "$WORK/msrguard" top --delay 1 \
		>/dev/full 2>"$WORK/err" || RC=$?
	ok "output that cannot be written" ended 1 'cannot write the output: No space left'
	kernel <<<''
	run_fake top --once
	ok "a module that cannot tell" ended 1 'the module cannot tell of the counters'
	for bad in 0 x -1 1.5; do
		run_fake top --batch "$bad"
		ok "top --batch $bad" ended 2 'batch takes a number from 1'
		run_fake top --delay "$bad"
		ok "top --delay $bad" ended 2 'delay takes a number from 1 to 3600'
	done
	run_fake top extra
	ok "top takes no argument" ended 2 'top takes no argument'
}

# on_terminal SCRIPT: runs top on a terminal; SCRIPT is Python and has wait_for(TEXT), keys(TEXT),
# resize(ROWS, COLUMNS), kill(SIGNAL) and all that came, seen.
on_terminal()
{
	RC=0
	LD_PRELOAD='' FAKE_SO=$FAKE_SO FAKE_KERNEL=$WORK/kernel TERM=xterm timeout 60 python3 - \
		"$WORK/msrguard" "$1" >"$WORK/out" 2>"$WORK/err" <<-'END' || RC=$?
		import fcntl, os, pty, re, select, signal, struct, sys, termios, time
		pid, fd = pty.fork()
		if not pid:
		    os.environ["LD_PRELOAD"] = os.environ["FAKE_SO"]
		    os.execv(sys.argv[1], ["msrguard", "top", "--delay", "1"])
		def resize(rows, columns):
		    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
		seen = ""
		def wait_for(text, seconds=15):
		    global seen
		    end = time.monotonic() + seconds
		    start = len(seen)
		    while text not in seen[start:]:
		        ready = select.select([fd], [], [], max(0, end - time.monotonic()))[0]
		        assert ready, ("no", text, "in", seen[start:])
		        try:
		            seen += os.read(fd, 65536).decode()
		        except OSError:
		            assert text in seen[start:], ("ended without", text, seen[start:])
		def keys(text): os.write(fd, text.encode())
		def kill(number): os.kill(pid, number)
		def cooked(): return bool(termios.tcgetattr(fd)[3] & termios.ICANON) and bool(termios.tcgetattr(fd)[3] & termios.ECHO)
		def ended(): return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
		resize(24, 80)
		ENTER, LEAVE = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"
		def frame():
		    last = seen[seen.rindex("\033[H"):]
		    for code in "\033[K", "\033[H", "\033[J":
		        last = last.replace(code, "")
		    return last.split("\r\n")
		exec(sys.argv[2])
	END
}

test_top_terminal()
{
	fresh
	busy_host | kernel
	on_terminal '
wait_for("msrguard top")
assert ENTER in seen and LEAVE not in seen
assert not cooked()
wait_for("0x174")
keys("q")
wait_for(LEAVE)
assert cooked()
assert ended() == 0'
	ok "top on a terminal, ended by q" ended 0
	on_terminal '
wait_for("0x174")
wait_for("\033[J")
lines = frame()
assert max(map(len, lines)) == 80 and len(lines) <= 24, lines
assert any(line.endswith("esif_lf.sys") for line in lines), lines
resize(8, 40)
wait_for("\033[H")
time.sleep(0.3)
wait_for("\033[J")
lines = frame()
assert max(map(len, lines)) == 40 and len(lines) <= 8, lines
kill(signal.SIGTERM)
wait_for(LEAVE)
assert cooked()
assert ended() == 0'
	ok "it fits the terminal, also when that changes" ended 0
	on_terminal '
wait_for("0x174")
keys("\x03")
wait_for(LEAVE)
assert cooked()
assert ended() == 0'
	ok "ended by Ctrl-C" ended 0
	on_terminal '
wait_for("0x174")
keys("\x1a")
wait_for(LEAVE)
assert cooked()
assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
kill(signal.SIGCONT)
wait_for(ENTER)
assert not cooked()
wait_for("0x174")
keys("q")
wait_for(LEAVE)
assert ended() == 0'
	ok "stopped by Ctrl-Z and taken up again" ended 0
	on_terminal '
wait_for("0x174")
wait_for("\033[J")
order = lambda: re.findall("0x174|0xc00000..", "\n".join(frame()))
assert order() == ["0x174", "0xc0000080", "0xc0000081"], order()
keys("ss")
wait_for("\033[J")
time.sleep(0.3)
wait_for("\033[J")
assert order() == ["0x174", "0xc0000081", "0xc0000080"], order()
keys("q")
assert ended() == 0'
	ok "s changes the order" ended 0
	{ busy_host; echo wait 1500; echo gone; } | kernel
	on_terminal '
wait_for("0x174")
wait_for("the module was unloaded")
assert seen.index(LEAVE) < seen.index("the module was unloaded")
assert cooked()
assert ended() == 3'
	ok "what is wrong is told when the terminal is given back" ended 0
}

test_vms
test_rules
test_top
test_top_terminal
end_tests
