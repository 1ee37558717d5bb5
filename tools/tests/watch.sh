#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: MSRGUARD_BIN=FILE tools/tests/watch.sh
#
# Tests what listens and what counts (watch, top, vms, rules) without the module, with a stand-in
# for the kernel's netlink. Prints TAP; needs no root, and uses it if it is there.

set -euo pipefail

# shellcheck source=tools/tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/tests/events.sh
. "$(dirname "$0")/events.sh"
TOP=$(cd "$(dirname "$0")/../.." && pwd)

watch() { run_fake watch "$@"; }

# json_lines EXPRESSION: of the list of objects, called d.
json_lines() { python3 -c 'import json, sys; d = [json.loads(l) for l in open(sys.argv[1])]; sys.exit(not eval(sys.argv[2]))' "$WORK/out" "$1"; }

# 14 accesses: 1 and 2..6 told one by one or folded, 7..9 as a number, 10 lost, 11..14 folded.
story()
{
	event 1 value=0x11 old=0 pc=0x1000 cpl=0 first=0x174 last=0x174
	event 6 count=5 vm=4 pid=500 msr=0xc0000080 dir=0 verdict=1 would-be=2 kind=1 \
		base=0xfffff807452b0000 size=0x1f000 checksum=0x68c4f timestamp=0x59fb8dec \
		image=esif_lf.sys pc=0xfffff807452c0200 cpl=0
	overflowed 9 3
	echo overrun
	event 14 count=4 verdict=3 msr=0xc0000081 kind=3 base=0xffffffffc0000000 size=0x1000 \
		image=msr build-id=0123456789abcdef0123456789abcdef01234567
	echo sequence 14
	echo wait 300
	echo signal 2
}

test_text()
{
	fresh
	story | kernel
	watch
	ok "watch" ended 0 '^3 events of 10 accesses, 3 more only counted, 1 lost$'
	ok "says that it listens" ended 0 '^listening: mode enforce, policy generation 7, 2 rules$'
	ok "all of it, in order" out_is <<-'END'
		time=1.500000000 vm=3 pid=4242 vcpu=0 msr=0x174 dir=write origin=exit value=0x11 old=0x0 pc=0x1000 cpl=0 nested=0 verdict=denied would_be=denied rule=0x174 generation=7 seq=1 count=1 image=unknown image_kind=unknown image_base=unknown image_size=unknown checksum=unknown timestamp=unknown build_id=unknown name=MSR_IA32_SYSENTER_CS
		time=1.500000000 vm=4 pid=500 vcpu=0 msr=0xc0000080 dir=read origin=exit value=unknown old=unknown pc=0xfffff807452c0200 cpl=0 nested=0 verdict=audited would_be=denied rule=default generation=7 seq=6 count=5 image=esif_lf.sys image_kind=pe image_base=0xfffff807452b0000 image_size=0x1f000 checksum=0x68c4f timestamp=0x59fb8dec build_id=unknown name=MSR_EFER
		time=1.600000000 vm=3 pid=4242 overflowed=3 seq=9
		time=1.500000000 vm=3 pid=4242 vcpu=0 msr=0xc0000081 dir=write origin=exit value=unknown old=unknown pc=unknown cpl=unknown nested=0 verdict=dropped would_be=dropped rule=default generation=7 seq=14 count=4 image=msr image_kind=linux-module image_base=0xffffffffc0000000 image_size=0x1000 checksum=unknown timestamp=unknown build_id=0123456789abcdef0123456789abcdef01234567 name=MSR_STAR
		lost=1 first=10 last=10
	END
}

test_json()
{
	fresh
	story | kernel
	watch --json
	ok "watch --json" ended 0
	ok "types" json_lines '[o["type"] for o in d] == ["access", "access", "overflowed", "access", "lost", "summary"]'
	ok "counts" json_lines 'd[1]["count"] == "0x5" and d[2] == {"type": "overflowed", "time": "0x5f5e1000", "vm": "0x3", "pid": 4242, "count": "0x3", "seq": "0x9"}'
	ok "images" json_lines 'd[1]["image"] == "esif_lf.sys" and d[1]["timestamp"] == "0x59fb8dec" and d[1]["build_id"] is None and d[3]["build_id"] == "0123456789abcdef0123456789abcdef01234567" and d[0]["image"] is None'
	ok "summary" json_lines 'd[5] == {"type": "summary", "events": "0x3", "accesses": "0xa", "overflowed": "0x3", "lost": "0x1", "shown": "0x3"}'
	ok "the equation" json_lines 'int(d[5]["accesses"], 0) + int(d[5]["overflowed"], 0) + int(d[5]["lost"], 0) == 14'
	if ! python3 -c 'import jsonschema' 2>/dev/null; then
		skip "the lines and the schema agree" "python3-jsonschema is missing"
		return
	fi
	{
		story
		echo sequence 20
		event 15 image=$'a"b\\ \xff\n' kind=77 verdict=200 dir=9 origin=8 cpl=3
	} | grep -v signal >"$WORK/kernel"
	echo "signal 2" >>"$WORK/kernel"
	watch --json
	ok "lines of every kind" json_lines 'len({o["type"] for o in d}) == 4 and d[5]["verdict"] == "unknown-200"'
	ok "the lines and the schema agree" python3 - "$TOP/Documentation/event.schema.json" "$WORK/out" <<-'END'
		import json, sys, jsonschema
		schema = json.load(open(sys.argv[1]))
		jsonschema.Draft202012Validator.check_schema(schema)
		validator = jsonschema.Draft202012Validator(schema)
		lines = [json.loads(line) for line in open(sys.argv[2])]
		assert lines
		for line in lines:
		    validator.validate(line)
		    # No key that is not documented, and each that is.
		    assert list(line) == list(schema["$defs"][line["type"]]["properties"]), line
		    # A schema that takes anything would be no proof.
		    for key in line:
		        for wrong in [{k: v for k, v in line.items() if k != key}, line | {key: []}]:
		            assert not validator.is_valid(wrong), (key, wrong)
	END
}

test_hyperv()
{
	fresh
	story | kernel
	watch --hyperv
	ok "watch --hyperv" ended 0
	ok "sentences and nothing else" out_is <<-'END'
		Hyper-V detected access to a restricted MSR (Msr: 0x174, IsWrite: 0x1, MsrValue: 0x11, AccessStatus: 0x2, Pc: 0x1000, ImageBase: 0x0, ImageChecksum: 0x0, ImageTimestamp: 0x0, ImageName: )
		Hyper-V detected access to a restricted MSR (Msr: 0xC0000080, IsWrite: 0x0, MsrValue: 0x0, AccessStatus: 0x1, Pc: 0xFFFFF807452C0200, ImageBase: 0xFFFFF807452B0000, ImageChecksum: 0x68C4F, ImageTimestamp: 0x59FB8DEC, ImageName: esif_lf.sys)
		Hyper-V detected access to a restricted MSR (Msr: 0xC0000081, IsWrite: 0x1, MsrValue: 0x0, AccessStatus: 0x3, Pc: 0x0, ImageBase: 0xFFFFFFFFC0000000, ImageChecksum: 0x0, ImageTimestamp: 0x0, ImageName: msr)
	END
	ok "what was lost stands beside" ended 0 '^lost=1 first=10 last=10$'
	ok "what was only counted too" ended 0 '^vm=3 pid=4242 overflowed=3$'
}

# shown SEQ...: exactly these events were printed.
shown() { [[ $(sed -n 's/.* seq=\([0-9]*\) count=.*/\1/p' "$WORK/out" | xargs) == "$*" ]]; }

test_filters()
{
	fresh
	story | kernel
	watch --vm 4
	ok "watch --vm" shown 6
	ok "tells the loss of all" prints '^lost=1 first=10 last=10$'
	ok "but not what another VM's number is" prints_not overflowed
	ok "and counts all" ended 0 '^3 events of 10 accesses, 3 more only counted, 1 lost; 1 events shown$'
	watch --vm pid:4242
	ok "watch --vm pid:" shown 1 14
	ok "with that VM's number" prints '^time.* overflowed=3'
	watch --vm 4 --vm id:3
	ok "two VMs" shown 1 6 14
	watch --msr 0xc0000000-0xc0000080
	ok "watch --msr" shown 6
	ok "what is only a number may be any MSR" prints overflowed=3
	watch --msr 372 --msr 0xc0000081
	ok "two MSRs" shown 1 14
	watch --msr sysenter_cs
	ok "an MSR by its name" shown 1
	watch --msr NO_SUCH_NAME
	ok "no such name" ended 2 '^msrguard: --msr takes an MSR, a range FIRST-LAST, or a name, not "NO_SUCH_NAME"$'
	watch --verdict denied --verdict dropped
	ok "watch --verdict" shown 1 14
	watch --dir read
	ok "watch --dir" shown 6
	watch --dir write --verdict denied --vm 3 --msr 0x174
	ok "all of them" shown 1
	watch --dir read --vm 3
	ok "none is left" shown
	ok "but the loss" ended 0 '^3 events of 10 .*, 1 lost; 0 events shown$'
	watch --json --vm 4
	ok "in JSON" json_lines 'd[-1]["events"] == "0x3" and d[-1]["shown"] == "0x1" and d[-1]["lost"] == "0x1"'
	watch --hyperv --verdict audited
	ok "in the words of Hyper-V" equal_lines '^Hyper-V' 1
	watch --count 2 --dir write
	ok "--count counts what is shown" shown 1 14
	watch --count 1
	ok "--count and nothing behind it" shown 1
	ok "counted" ended 0 '^1 events of 1 accesses, 0 lost$'
	watch --vm x
	ok "no VM" ended 2 '^msrguard: --vm takes a VM.s id, or pid: and its process id, not "x"$'
	watch --msr 0x10-0x1
	ok "no MSR" ended 2 '^msrguard: --msr takes an MSR, a range'
	watch --verdict deny
	ok "no verdict" ended 2 '^msrguard: --verdict takes denied, dropped'
	watch --dir both
	ok "no direction" ended 2 '^msrguard: --dir takes read or write'
	watch --json --hyperv
	ok "one form at a time" ended 2 '^msrguard: --json and --hyperv exclude each other$'
	watch --journal --json
	ok "the journal is one" ended 2 '^msrguard: --journal and --json exclude each other$'
}

test_order()
{
	fresh
	{
		echo answer 1
		echo message 2:02 3:0700000000000000 5:02000000 6:6400000000000000
		echo sequence 100
		# Told before we were there, or by an access that was under way.
		event 100 count=100
		event 110 count=5
		event 105 count=5
		event 130 count=10
		overflowed 120 10
		echo sequence 130
		echo signal 15
	} | kernel
	watch
	ok "folded events that overtake each other" prints_not '^lost'
	ok "only those from our time" shown 110 105 130
	{
		event 5 count=5
		echo gone
	} | kernel
	watch
	ok "the module goes" ended 3 'the module was unloaded'
	ok "with a summary" ended 3 '^1 events of 5 accesses, 0 lost$'
	{
		event 5 count=9
		event 5 count=0
		event 6
		printf 'foreign%s\n' "$(attributes seq=7)"
		echo 'event 2:00'
		echo 'lost 2:0700000000000000'
		echo signal 2
	} | kernel
	watch
	ok "malformed events" ended 1 '^msrguard: 4 messages were not understood'
	ok "are not shown" shown 6
	{ event 1; echo failure 12; } | kernel
	watch
	ok "receiving fails" ended 1 'cannot receive events: Cannot allocate memory'
}

# What runs in a mount namespace with a /run of its own: a journal, and a writer of it.
# journal_main WORK SO PROGRAM [ARGUMENT...]
journal_main()
{
	local work=$1 so=$2 program=$3 journald=/lib/systemd/systemd-journald try
	shift 3
	mount -t tmpfs -o mode=755 tmpfs /run || return
	# Nothing of this goes to the machine's own journal, nor to its kernel's log.
	mount -t tmpfs tmpfs /var/log || return
	mount --bind /dev/null /dev/kmsg || return
	mkdir -p /run/systemd/journal /run/log/journal
	echo 0123456789abcdef0123456789abcdef >/run/machine-id
	mount --bind /run/machine-id /etc/machine-id || return
	"$journald" >"$work/journald" 2>&1 &
	for ((try = 0; try < 100; try++)); do
		[[ ! -S /run/systemd/journal/socket ]] || break
		sleep 0.1
	done
	LD_PRELOAD=$so FAKE_KERNEL=$work/kernel "$program" "$@" >"$work/out" 2>"$work/err" </dev/null
	echo $? >"$work/rc"
	journalctl --sync
	journalctl -D /run/log/journal -o json SYSLOG_IDENTIFIER=msrguard >"$work/entries"
	kill %1
	wait
	true
}

# entries EXPRESSION: of the list of entries, called d.
entries() { python3 -c 'import json, sys; d = [json.loads(l) for l in open(sys.argv[1])]; sys.exit(not eval(sys.argv[2]))' "$WORK/entries" "$1"; }

test_journal()
{
	local space=(unshare -m --propagation private) namespaces
	fresh
	if [[ $(ldd "$WORK/msrguard") != *libsystemd* ]]; then
		watch --journal
		ok "watch --journal, built without libsystemd" ended 1 'built without libsystemd'
		skip "watch --journal and a journal" "built without libsystemd"
		return
	fi
	story | kernel
	[[ $(id -u) == 0 ]] || space=(unshare -rm --propagation private)
	if [[ ! -x /lib/systemd/systemd-journald || ! -f /etc/machine-id ]] ||
		! namespaces=$("${space[@]}" true 2>&1); then
		skip "watch --journal and a journal" "${namespaces:-no systemd-journald here}"
		return
	fi
	RC=0
	# shellcheck disable=SC2016 # for the shell within
	"${space[@]}" bash -c '
		mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal
		LD_PRELOAD=$1 FAKE_KERNEL=$2 "$3" watch --journal' - "$FAKE_SO" "$WORK/kernel" \
		"$WORK/msrguard" >"$WORK/out" 2>"$WORK/err" </dev/null || RC=$?
	ok "watch --journal without a journal" ended 1 'cannot write to the journal: .*/socket: No such file'
	ok "says what to do" grep -q 'do: start systemd-journald' "$WORK/err"

	# The VMM is a process that is there, for the journal to look at.
	sleep 1000 &
	{
		story | grep -v signal
		echo sequence 15
		event 15 "pid=$!" value=0xffffffffffffffff
		echo signal 2
	} | kernel
	: >"$WORK/entries"
	export -f journal_main
	"${space[@]}" bash -c 'journal_main "$@"' - "$WORK" "$FAKE_SO" "$WORK/msrguard" watch --journal
	kill %1
	RC=$(<"$WORK/rc")
	ok "watch --journal" ended 0 '^4 events of 11 accesses, 3 more only counted, 1 lost$'
	ok "prints nothing" silent out
	ok "an entry for each" entries '[e["MSRGUARD_TYPE"] for e in d] == ["access", "access", "overflowed", "access", "lost", "access"]'
	ok "with what it was" entries 'd[0]["MESSAGE"] == "VM 3 (pid 4242): write of MSR 0x174 (MSR_IA32_SYSENTER_CS), value 0x11, denied by rule 0x174, at 0x1000" and d[0]["PRIORITY"] == "4" and d[0]["MSRGUARD_VALUE"] == "0x11" and "MSRGUARD_IMAGE" not in d[0]'
	ok "and whose" entries 'd[1]["MSRGUARD_IMAGE"] == "esif_lf.sys" and d[1]["MSRGUARD_TIMESTAMP"] == "0x59fb8dec" and d[1]["PRIORITY"] == "5" and d[3]["MSRGUARD_BUILD_ID"].startswith("01234567")'
	ok "a MESSAGE_ID for each kind" entries 'len({e["MESSAGE_ID"] for e in d}) == 4 and d[0]["MESSAGE_ID"] == d[3]["MESSAGE_ID"]'
	ok "the sum is that of the accesses" entries 'sum(int(e["MSRGUARD_COUNT"]) for e in d) == 15'
	if [[ $(id -u) == 0 ]]; then
		ok "and the journal says which VMM it is" entries 'd[5]["OBJECT_PID"] == "'"$!"'" and d[5]["OBJECT_COMM"] == "sleep" and d[5]["MSRGUARD_VALUE"] == "0xffffffffffffffff"'
	else
		skip "and the journal says which VMM it is" "it believes root only"
	fi
}

test_catalog()
{
	local catalog=$TOP/tools/catalog/msrguard.catalog root=$WORK/catalog-root id
	if ! command -v journalctl >/dev/null; then
		skip "the catalogue" "journalctl is missing"
		return
	fi
	mkdir -p "$root/usr/lib/systemd/catalog"
	cp "$catalog" "$root/usr/lib/systemd/catalog/"
	RC=0
	journalctl --root="$root" --update-catalog >"$WORK/out" 2>"$WORK/err" || RC=$?
	ok "the catalogue is one" ended 0
	ok "nothing is wrong with it" silent err
	journalctl --root="$root" --list-catalog >"$WORK/out" 2>&1 || RC=$?
	ok "four kinds" equal_lines '^[0-9a-f]{32} msrguard: ' 4
	while read -r id; do
		ok "the command's $id is one" prints "^$id "
	done < <(sed -n 's/^#define MG_JOURNAL_[A-Z]*.*"\([0-9a-f]*\)"/\1/p' "$TOP/tools/journal.h")
	# What it calls by name is a field that the command writes.
	grep -o '@[A-Z_]*@' "$catalog" | tr -d @ | sort -u >"$WORK/used"
	ok "its fields are the command's" python3 - "$WORK/used" "$TOP/tools/journal.c" <<-'END'
		import re, sys
		used = open(sys.argv[1]).read().split()
		source = open(sys.argv[2]).read()
		written = set(re.findall(r'"(MSRGUARD_[A-Z_]+)=', source))
		written |= {"MSRGUARD_" + name for name in re.findall(r'add_hex\(entry, "([A-Z_]+)"', source)}
		assert used and set(used) <= written, (used, written)
	END
}

test_unit()
{
	local unit=$WORK/msrguard-journal.service
	if ! command -v systemd-analyze >/dev/null; then
		skip "the unit" "systemd-analyze is missing"
		return
	fi
	sed "s|^ExecStart=[^ ]*|ExecStart=$WORK/msrguard|" "$TOP/tools/systemd/msrguard-journal.service" >"$unit"
	RC=0
	systemd-analyze verify --man=no "$unit" >"$WORK/out" 2>"$WORK/err" || RC=$?
	ok "the unit is one" ended 0
	ok "nothing is wrong with it" silent err
	systemd-analyze security --offline=true --threshold=20 "$unit" >"$WORK/out" 2>"$WORK/err" || RC=$?
	ok "it has few rights" ended 0
	# shellcheck disable=SC2046 # words
	run $(sed -n 's/^ExecStart=[^ ]* //p' "$unit") --help
	ok "what it runs is a command" ended 0
}

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
	ok "and the name of its process" prints "^ +4 +$$ watch.sh +1 "
	run_fake vms --json
	ok "in JSON" json '[v["id"] for v in d["vms"]] == ["0x5", "0x4", "0x3"] and d["vms"][2] | {"process": None} == {"id": "0x3", "pid": 4242, "process": None, "vcpus": 2, "reads": "0x64", "writes": "0xc8", "denied": "0x1", "dropped": "0x2", "masked": "0x3", "audited": "0x4", "quiet": "0x5", "pending": "0x6", "overflowed": "0x7", "image_lookups": "0x8", "image_hits": "0x9", "image_pages": "0xa", "image_spent": "0xb"} and d["vms"][1]["process"] == "watch.sh"'
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
	story | grep -v signal
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

test_text
test_json
test_hyperv
test_filters
test_order
test_journal
test_catalog
test_unit
test_vms
test_rules
test_top
test_top_terminal
end_tests
