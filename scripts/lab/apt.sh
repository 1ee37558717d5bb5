# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Package downloads for fetch and fetch-source. Sourced after lib.sh.

# The sandbox user of apt cannot write into the cache of root.
apt_get()
{
	apt-get -q -o APT::Sandbox::User=root -o DPkg::Lock::Timeout=300 \
		-o Acquire::Retries=3 "$@"
}

# Refreshes apt's lists, with patience for another apt at work. Old lists may
# still do, so a failure is only told.
apt_refresh()
{
	local log try
	[[ $(id -u) == 0 ]] || return 0
	log=$(mktemp)
	for try in 1 2 3 4 5; do
		if apt_get update >"$log" 2>&1; then
			rm -f "$log"
			return 0
		fi
		sleep "$try"
	done
	note "apt-get update failed, going on with the lists as they are:"
	tail -n 3 "$log" >&2
	rm -f "$log"
}

# apt_newest PATTERN: the newest package whose whole name matches.
apt_newest()
{
	apt-cache pkgnames | grep -Ex -- "$1" | sort -V | tail -n 1 || true
}

# apt_field PACKAGE FIELD: of the candidate version.
apt_field()
{
	apt-cache show --no-all-versions -- "$1" | sed -n "s/^$2: //p" | head -n 1
}

# apt_download PACKAGE=VERSION...: into $MG_CACHE/debs; prints a path for each. A
# file that is there and has the right checksum is not downloaded again, and one
# that is half there never carries its final name.
apt_download()
{
	local dir package deb missing=
	mkdir -p "$MG_CACHE/debs"
	find "$MG_CACHE/debs" -maxdepth 1 -name '.tmp.*' -mmin +240 -exec rm -rf {} +
	dir=$(mktemp -d "$MG_CACHE/debs/.tmp.XXXXXX")
	for package in "$@"; do
		deb=$(deb_of "$MG_CACHE/debs" "$package")
		[[ ! $deb ]] || cp -l "$deb" "$dir/"
	done
	if ! (cd "$dir" && apt_get download "$@" >log 2>&1); then
		missing=$(tail -n 5 "$dir/log")
	fi
	for package in "$@"; do
		deb=$(deb_of "$dir" "$package")
		if [[ ! $deb ]]; then
			missing+=${missing:-"no file for $package"}
			break
		fi
	done
	if [[ $missing ]]; then
		rm -rf "$dir"
		die "apt-get download failed: $missing"$'\n' \
			"Check the network and apt's sources (as root: apt-get update), then run this again"
	fi
	for package in "$@"; do
		deb=$(deb_of "$dir" "$package")
		[[ $deb -ef $MG_CACHE/debs/${deb##*/} ]] || mv -f "$deb" "$MG_CACHE/debs/"
		printf '%s\n' "$MG_CACHE/debs/${deb##*/}"
	done
	rm -rf "$dir"
}

# deb_of FOLDER PACKAGE=VERSION: the file of that name, if it is there.
deb_of()
{
	local version=${2#*=}
	find "$1" -maxdepth 1 -name "${2%%=*}_${version//:/%3a}_*.deb" | head -n 1
}
