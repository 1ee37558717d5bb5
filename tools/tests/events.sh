# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Events for the kernel's stand-in (fake_events.c), by the names of the spec. Sourced.

# hex BYTES NUMBER: a number of so many bytes as netlink has it.
hex()
{
	local text i
	printf -v text '%0*x' $((2 * $1)) "$2"
	for ((i = ${#text} - 2; i >= 0; i -= 2)); do
		printf '%s' "${text:i:2}"
	done
}

# text STRING: with its NUL.
text() { printf '%s\0' "$1" | od -An -v -t x1 | tr -d ' \n'; }

# attributes KEY=VALUE...: of an access, by the names of the spec, as the stand-in takes them.
attributes()
{
	local pair key value
	for pair; do
		key=${pair%%=*}
		value=${pair#*=}
		case $key in
		seq) printf ' 2:%s' "$(hex 8 "$value")" ;;
		time) printf ' 3:%s' "$(hex 8 "$value")" ;;
		vm) printf ' 4:%s' "$(hex 8 "$value")" ;;
		pid) printf ' 5:%s' "$(hex 4 "$value")" ;;
		vcpu) printf ' 6:%s' "$(hex 4 "$value")" ;;
		msr) printf ' 7:%s' "$(hex 4 "$value")" ;;
		dir) printf ' 8:%s' "$(hex 1 "$value")" ;;
		origin) printf ' 9:%s' "$(hex 1 "$value")" ;;
		value) printf ' 10:%s' "$(hex 8 "$value")" ;;
		old) printf ' 11:%s' "$(hex 8 "$value")" ;;
		pc) printf ' 12:%s' "$(hex 8 "$value")" ;;
		cpl) printf ' 13:%s' "$(hex 1 "$value")" ;;
		verdict) printf ' 15:%s' "$(hex 1 "$value")" ;;
		would-be) printf ' 16:%s' "$(hex 1 "$value")" ;;
		first) printf ' 17:%s' "$(hex 4 "$value")" ;;
		last) printf ' 18:%s' "$(hex 4 "$value")" ;;
		generation) printf ' 19:%s' "$(hex 8 "$value")" ;;
		count) printf ' 20:%s' "$(hex 8 "$value")" ;;
		kind) printf ' 21:%s' "$(hex 1 "$value")" ;;
		base) printf ' 22:%s' "$(hex 8 "$value")" ;;
		size) printf ' 23:%s' "$(hex 8 "$value")" ;;
		checksum) printf ' 24:%s' "$(hex 4 "$value")" ;;
		timestamp) printf ' 25:%s' "$(hex 4 "$value")" ;;
		image) printf ' 26:%s' "$(text "$value")" ;;
		build-id) printf ' 27:%s' "$value" ;;
		*) echo "no attribute $key" >&2; exit 1 ;;
		esac
	done
}

# event SEQ [KEY=VALUE]...: a line for the stand-in, with what every event has.
event()
{
	local seq=$1 pair wanted=" ${*:2}" default
	local -a all=("seq=$seq")
	shift
	for default in time=1500000000 vm=3 pid=4242 vcpu=0 msr=0x174 dir=1 origin=0 verdict=2 \
		generation=7; do
		[[ $wanted == *" ${default%%=*}="* ]] || all+=("$default")
	done
	for pair; do
		all+=("$pair")
	done
	printf 'event%s\n' "$(attributes "${all[@]}")"
}

# overflowed SEQ COUNT [VM PID]
overflowed()
{
	printf 'lost%s\n' "$(attributes "seq=$1" time=1600000000 "vm=${3:-3}" "pid=${4:-4242}" "count=$2")"
}

# 14 accesses: 1 and 2..6 told one by one or folded, 7..9 as a number, 10 lost, 11..14 folded.
fourteen_accesses()
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
