#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: MSRGUARD_BIN=FILE tools/tests/watch.sh
#
# Tests what listens ("msrguard watch") without the module, with a stand-in for the kernel's
# netlink. Prints TAP; needs no root, and uses it if it is there.

set -euo pipefail

# shellcheck source=tools/tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/tests/events.sh
. "$(dirname "$0")/events.sh"
TOP=$(cd "$(dirname "$0")/../.." && pwd)

watch() { run_fake watch "$@"; }

# json_lines EXPRESSION: of the list of objects, called d.
json_lines() { python3 -c 'import json, sys; d = [json.loads(l) for l in open(sys.argv[1])]; sys.exit(not eval(sys.argv[2]))' "$WORK/out" "$1"; }

test_text()
{
	fresh
	fourteen_accesses | kernel
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
	fourteen_accesses | kernel
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
		fourteen_accesses
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
	fourteen_accesses | kernel
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
	fourteen_accesses | kernel
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
	fourteen_accesses | kernel
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
		fourteen_accesses | grep -v signal
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

test_text
test_json
test_hyperv
test_filters
test_order
test_journal
test_catalog
test_unit
end_tests
