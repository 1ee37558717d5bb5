#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: MSRGUARD_BIN=FILE tools/tests/verify.sh
#
# Tests "msrguard verify" without the module, with a stand-in for the kernel's netlink. Prints TAP.

set -euo pipefail

# shellcheck source=tools/tests/lib.sh
. "$(dirname "$0")/lib.sh"

# verify ARGUMENT...: the command, with the kernel that $WORK/kernel describes.
verify() { run_fake verify "$@"; }

# vms VM:PID:VCPUS...: what the module lists.
vms()
{
	local vm id pid vcpus
	echo '# id pid vcpus reads writes denied dropped masked audited' >"$ROOT/vms/list"
	for vm; do
		IFS=: read -r id pid vcpus <<<"$vm"
		echo "$id $pid $vcpus 0 0 0 0 0 0" >>"$ROOT/vms/list"
	done
}

test_verify()
{
	fresh
	kernel <<-END
		vm 3
		vcpu 0 0 128 0
		vcpu 1 2 0 0
	END
	verify
	ok "verify, all match or do not run" ended 0
	ok "a vCPU that matches" prints '^vm 3 pid 4242 vcpu 0: matches, 128 guarded accesses are intercepted \(generation 7\)$'
	ok "a vCPU that does not run is named" prints '^vm 3 pid 4242 vcpu 1: not running, '
	ok "all are counted" prints '^1 VM, 2 vCPUs: 1 matches, 0 differs, 1 not-running, 0 unreadable, 0 encrypted$'
	ok "without a word of what to do" prints_not 'do:'
	verify --json
	ok "in JSON" ended 0
	ok "all of it" json 'd == {"ok": True, "vms": [{"id": "0x3", "pid": 4242, "gone": False, "vcpus": [{"vcpu": 0, "state": "matches", "nested": False, "guarded": 128, "missing": 0, "generation": "0x7", "accesses": []}, {"vcpu": 1, "state": "not-running", "nested": False, "guarded": 0, "missing": 0, "generation": "0x7", "accesses": []}]}]}'
	kernel <<-END
		vm 3
		vcpu 0 1 128 5
		access 0 0x174 1
		access 0 0xc0000080 0
		access 0 0xc0000081 0
		access 0 0xc0000082 0
		access 0 0xc0000083 1
		vcpu 1 0 0 0 nested
	END
	verify
	ok "verify, one differs" ended 5
	ok "says how many" prints '^vm 3 .* vcpu 0: DIFFERS, 5 of 128 guarded accesses are not intercepted'
	ok "which" prints '^  msr 0x174 write: the hardware does it without an exit'
	ok "runs of them in one line" prints '^  msr 0xc0000080-0xc0000082 read: '
	ok "by direction" prints '^  msr 0xc0000083 write: '
	ok "in three lines" equal_lines '^  msr' 3
	ok "what to do" prints 'do: msrguard verify --wait'
	ok "a nested guest's" prints '^vm 3 pid 4242 vcpu 1 \(its nested guest\): matches, nothing is guarded'
	verify --json
	ok "differs in JSON" ended 5
	ok "with each access" json 'not d["ok"] and len(d["vms"][0]["vcpus"][0]["accesses"]) == 5 and d["vms"][0]["vcpus"][0]["accesses"][0] == {"msr": "0x174", "dir": "write"} and d["vms"][0]["vcpus"][1]["nested"]'
	local state
	for state in 3 4 77; do
		kernel <<-END
			vm 3
			vcpu 0 0 128 0
			vcpu 1 $state 0 0
		END
		verify
		ok "verify, state $state" ended 6
		kernel <<-END
			vm 3
			vcpu 0 1 1 1
			access 0 0x10 0
			vcpu 1 $state 0 0
		END
		verify --json
		ok "a difference beside state $state" ended 5
	done
	ok "a state of a later module" json 'd["vms"][0]["vcpus"][1]["state"] == "unknown-77"'
	# One vCPU with the bitmaps of both.
	kernel <<-END
		vm 3
		vcpu 0 0 128 0
		vcpu 0 0 128 0 nested
		vcpu 1 0 128 0
	END
	verify
	ok "a vCPU with two bitmaps" ended 0
	ok "is one vCPU" prints '^1 VM, 2 vCPUs: 3 matches'
}

test_verify_vms()
{
	local i list=()
	fresh
	vms
	: >"$WORK/kernel"
	verify
	ok "verify without a VM" ended 0
	ok "says so" prints '^no VM is running: there is nothing to verify$'
	verify 3
	ok "verify of a VM that is not there" ended 1 'no VM of this host has the id or process id 3'
	verify three
	ok "verify of no number" ended 2 'id or process id, .* not "three"'
	verify pid:
	ok "verify of no process id" ended 2 'not "pid:"'
	vms 3:500:1 4:500:1 500:7:1 7:8:0
	kernel <<-END
		vm 3
		vcpu 0 0 1 0
		vm 4
		vcpu 0 0 1 0
		vm 500
		vcpu 0 0 1 0
		vm 7
	END
	verify 3
	ok "verify by id" ended 0
	ok "verifies that" prints '^1 VM, 1 vCPU: '
	verify 8
	ok "verify by process id" prints '^vm 7 pid 8: has no vCPU$'
	verify 500
	ok "id of one, process id of another" ended 2 '500 is the id of one VM and the process id of another'
	ok "says how to tell them apart" grep -q 'msrguard verify id:500, or pid:500' "$WORK/err"
	verify id:500
	ok "id:N" prints '^vm 500 '
	verify pid:500
	ok "pid:N, of two VMs" prints '^2 VMs, 2 vCPUs: 2 matches'
	verify id:8
	ok "no such id" ended 1 'no VM of this host has the id 8'
	verify pid:3
	ok "no such process id" ended 1 'no VM of this host has the process id 3'
	verify 0x3
	ok "an id as JSON has it" prints '^vm 3 '
	: >"$WORK/kernel"
	for ((i = 1; i <= 200; i++)); do
		list+=("$i:$((10000 + i)):2")
		printf 'vm %d\nvcpu 0 0 9 0\ndatagram\nvcpu 1 0 9 0\n' "$i" >>"$WORK/kernel"
	done
	vms "${list[@]}"
	verify
	ok "200 VMs" ended 0
	ok "each of them" prints '^200 VMs, 400 vCPUs: 400 matches'
	{
		echo vm 1
		echo vcpu 0 1 40000 6000
		for ((i = 0; i < 6000; i++)); do
			((i % 100)) || echo datagram
			echo access 0 $((2 * i)) 1
		done
	} >"$WORK/kernel"
	vms 1:1:1
	verify --json
	ok "6000 differences" ended 5
	ok "all are told" json '[int(a["msr"], 0) for a in d["vms"][0]["vcpus"][0]["accesses"]] == list(range(0, 12000, 2))'
}

test_verify_gone()
{
	fresh
	vms 3:500:1 4:501:1
	kernel <<-END
		vm 3
		error 2 2 no such VM
		vm 4
		vcpu 0 0 1 0
	END
	verify
	ok "a VM that goes meanwhile is no difference" ended 0
	ok "but named" prints '^vm 3 pid 500: gone meanwhile$'
	ok "and counted" prints '^2 VMs, 1 vCPU: 1 matches, .*, 1 VM gone$'
	verify --json
	ok "in JSON too" json 'd["vms"][0]["gone"] and d["vms"][0]["vcpus"] == [] and not d["vms"][1]["gone"]'
	verify 3
	ok "one that was asked for is not verified" ended 1
	kernel <<-END
		vm 3
		error 2
	END
	verify 3
	ok "an error without a reason is another thing" ended 1 'cannot verify VM 3: No such file'
	kernel <<-END
		vm 3
		error 2 0 \033what
	END
	verify 3
	ok "what the kernel says reaches no terminal" ended 1 'cannot verify VM 3: No such file.* \(\\033what\)'
	kernel <<-END
		vm 3
		remove $ROOT
		error 2
	END
	(cd "$WORK" && verify 3; echo "$RC" >"$WORK/rc")
	RC=$(<"$WORK/rc")
	ok "a module that goes meanwhile" ended 3 'the module was unloaded meanwhile'
	rm -rf "$WORK/.gone"
	fresh
	kernel <<-END
		family 2
	END
	verify
	ok "no family" ended 1 'not in this network namespace'
	ok "says what to do" grep -q 'nsenter .* msrguard verify' "$WORK/err"
}

test_verify_wait()
{
	fresh
	vms 3:500:2
	kernel <<-END
		vm 3
		vcpu 0 1 2 1
		access 0 0x10 0
		vcpu 1 2 0 0
		vm 3
		vcpu 0 0 2 0
		vcpu 1 2 0 0
		vm 3
		vcpu 0 0 2 0
		vcpu 1 0 2 0
	END
	verify
	ok "the first answer differs" ended 5
	verify --wait 30
	ok "the third does not" ended 0
	ok "and is what is told" prints '^1 VM, 2 vCPUs: 2 matches, 0 differs, 0 not-running'
	kernel <<-END
		vm 3
		vcpu 0 1 2 1
		access 0 0x10 0
		vcpu 1 0 2 0
	END
	SECONDS=0
	verify --wait 1
	ok "a difference that stays" ended 5
	ok "waits" [ "$SECONDS" -ge 1 ]
	kernel <<-END
		vm 3
		vcpu 0 2 0 0
		vcpu 1 2 0 0
	END
	verify --wait 1
	ok "vCPUs that never run are no difference" ended 0
	kernel <<-END
		vm 3
		vcpu 0 2 0 0
		vcpu 1 0 2 0
		vm 3
		error 2 2 no such VM
	END
	verify --wait 30
	ok "a VM that goes while we wait" prints '^vm 3 pid 500: gone meanwhile$'
}

# malformed NAME: what $WORK/kernel says is no answer, and says so.
malformed()
{
	verify
	ok "$1" ended 1 "answer about VM 3 is malformed"
	ok "$1: nothing looks well" silent out
}

# Attributes: 2 vm-id, 3 vm-pid, 4 vcpu, 5 state, 7 guarded, 8 missing, 9 generation, 10 msr,
# 11 direction.
test_verify_malformed()
{
	local id=2:0300000000000000 pid=3:f4010000 vcpu=4:00000000 state=5:00 guarded=7:05000000 \
		missing=8:00000000 generation=9:0700000000000000 msr=10:10000000 dir=11:00 whole left
	fresh
	vms 3:500:1
	whole="$id $pid $vcpu $state $guarded $missing $generation"
	kernel <<<"vm 3"$'\n'"message $whole"
	verify
	ok "a vCPU by its attributes" ended 0
	kernel <<<"vm 3"$'\n'"message $whole 1:00 77:0102030405"
	verify
	ok "attributes of a later version" ended 0
	for left in $whole; do
		kernel <<<"vm 3"$'\n'"message ${whole/$left/}"
		malformed "a vCPU without attribute ${left%%:*}"
		kernel <<<"vm 3"$'\n'"message ${whole/$left/${left}00}"
		malformed "attribute ${left%%:*} too long"
		kernel <<<"vm 3"$'\n'"message ${whole/$left/${left%:*}:}"
		malformed "attribute ${left%%:*} empty"
	done
	kernel <<<"vm 3"$'\n'"message $whole 6:00"
	malformed "a flag with a value"
	kernel <<<"vm 3"$'\n'"message $whole $msr $dir"
	malformed "a vCPU and an access in one"
	kernel <<<"vm 3"$'\n'"message ${whole/$id/2:0400000000000000}"
	malformed "another VM"
	kernel <<<"vm 3"
	malformed "no word of a vCPU that is there"
	kernel <<<"vm 3"$'\n'"message $id $vcpu $msr $dir"
	malformed "an access before any vCPU"
	for left in $id $vcpu $msr $dir; do
		kernel <<-END
			vm 3
			vcpu 0 1 2 1
			message $(printf '%s ' $id $vcpu $msr $dir | sed "s/$left //")
		END
		malformed "an access without attribute ${left%%:*}"
	done
	kernel <<-END
		vm 3
		vcpu 0 1 2 2
		access 0 0x10 0
	END
	malformed "an access too few"
	kernel <<-END
		vm 3
		vcpu 0 1 2 2
		access 0 0x10 0
		vcpu 1 0 2 0
	END
	malformed "an access too few, and another vCPU"
	kernel <<-END
		vm 3
		vcpu 0 1 2 1
		access 0 0x10 0
		access 0 0x11 0
	END
	malformed "an access too many"
	kernel <<-END
		vm 3
		vcpu 0 1 2 1
		access 1 0x10 0
	END
	malformed "an access of another vCPU"
	kernel <<<$'vm 3\nvcpu 0 1 2 1 nested\naccess 0 0x10 0'
	malformed "an access of another bitmap"
	kernel <<<$'vm 3\nvcpu 0 1 2 1 nested\naccess 0 0x10 0 nested'
	verify
	ok "an access of a nested guest's" ended 5
	kernel <<-END
		vm 3
		vcpu 0 1 2 3
		access 0 0x10 0
		access 0 0x11 0
		access 0 0x12 0
	END
	malformed "more missing than guarded"
	kernel <<<$'vm 3\nvcpu 0 1 2 0'
	malformed "differs in nothing"
	kernel <<<$'vm 3\nvcpu 0 0 2 1\naccess 0 0x10 0'
	malformed "matches in spite of differences"
	kernel <<<$'vm 3\nvcpu 0 2 2 1\naccess 0 0x10 0'
	malformed "does not run in spite of differences"
	kernel <<<$'vm 3\nvcpu 0 0 2 0\nother\nvcpu 1 0 2 0'
	malformed "a message of another family"
	for left in '' 03 03010000 0301000008 030100000c000200 03010000080002000300 0301000004000200 \
		01010000 03010000ff000200; do
		kernel <<<$'vm 3\nvcpu 0 0 2 0\nbytes '"$left"
		malformed "bytes \"$left\""
	done
	kernel <<<$'vm 3\nvcpu 0 0 2 0\nstale\nvcpu 1 3 0 0'
	verify
	ok "a message of another request is skipped" ended 0
	kernel <<<$'vm 3\nvcpu 0 0 2 0\nsilence'
	verify
	ok "no end" ended 1 'cannot verify VM 3: Connection timed out'
	ok "nothing looks well" silent out
	kernel <<<$'vm 3\nvcpu 0 0 2 0\ndone 12'
	verify
	ok "an error at the end" ended 1 'cannot verify VM 3: Cannot allocate memory'
	ok "nothing looks well" silent out
	kernel <<<$'vm 3\ntorn\nvcpu 0 0 2 0\nvm 3\nvcpu 0 0 2 0'
	verify
	ok "an answer that is not of one piece is asked for again" ended 0
	kernel <<<$'vm 3\ntorn\nvcpu 0 0 2 0'
	verify
	ok "but not for ever" ended 1 'changes faster than it can be read'
	kernel <<<$'vm 3\nerror 1'
	verify
	ok "no permission" ended 4 'not permitted'
	kernel <<<$'vm 3\nerror 95'
	verify
	ok "a module that cannot verify" ended 1 'the module cannot verify VM 3'
	echo garbage >"$ROOT/vms/list"
	verify
	ok "garbage in vms/list" ended 1 'vms/list holds something else'
}

test_verify
test_verify_vms
test_verify_gone
test_verify_wait
test_verify_malformed
end_tests
