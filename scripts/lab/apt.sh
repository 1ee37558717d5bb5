# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Package downloads. Sourced after lib.sh. With APT_ROOT set, all of it means the
# apt of the Debian in that folder (see "chroot"), not this machine's.

apt_in_root()
{
	if [[ ${APT_ROOT:-} ]]; then
		PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root TMPDIR=/tmp \
			DEBIAN_FRONTEND=noninteractive chroot "$APT_ROOT" "$@"
	else
		"$@"
	fi
}

# The sandbox user of apt cannot write into the cache of root.
apt_get()
{
	apt_in_root apt-get -q -o APT::Sandbox::User=root -o DPkg::Lock::Timeout=300 \
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
	apt_in_root apt-cache pkgnames | grep -Ex -- "$1" | sort -V | tail -n 1 || true
}

# apt_field PACKAGE FIELD: of the candidate version.
apt_field()
{
	apt_in_root apt-cache show --no-all-versions -- "$1" | sed -n "s/^$2: //p" | head -n 1
}

# apt_download PACKAGE=VERSION...: into $MG_CACHE/debs; prints a path for each. A
# file that is there and has the right checksum is not downloaded again, and one
# that is half there never carries its final name.
apt_download()
{
	local dir package deb missing='' folder=${APT_ROOT:-$MG_CACHE}/debs
	mkdir -p "$MG_CACHE/debs" "$folder"
	find "$folder" -maxdepth 1 -name '.tmp.*' -mmin +240 -exec rm -rf {} +
	dir=$(mktemp -d "$folder/.tmp.XXXXXX")
	for package in "$@"; do
		deb=$(deb_of "$MG_CACHE/debs" "$package")
		[[ ! $deb ]] || cp -l "$deb" "$dir/"
	done
	# shellcheck disable=SC2016 # the inner shell's words
	if ! (cd "$dir" && APT_DIR=${dir#"${APT_ROOT:-}"} apt_in_root sh -c '
		cd "$APT_DIR" && apt-get -q -o APT::Sandbox::User=root -o Acquire::Retries=3 \
			download "$@"' sh "$@" >log 2>&1); then
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

# apt_release: the name of this machine's Debian.
apt_release()
{
	sed -n 's/^VERSION_CODENAME=//p' /etc/os-release
}

# apt_mirror LABEL: where this machine's apt has Debian from.
apt_mirror()
{
	# shellcheck disable=SC2016 # apt's own words
	apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
		awk -F'|' -v label="$1" '$1 == "Debian" && $2 == label { print $3; exit }'
}

# apt_bootstrap RELEASE FOLDER OPTION...: a new Debian in that folder, by mmdebstrap,
# with its backports in apt's sources, from the mirror that this machine uses.
apt_bootstrap()
{
	local release=$1 folder=$2 main security log path
	local -a sources options=("${@:3}")
	command -v mmdebstrap >/dev/null || die "no mmdebstrap: run scripts/deps lab"
	main=$(apt_mirror Debian)
	[[ $main ]] || die "apt's sources name no Debian archive (or as root: apt-get update)"
	security=$(apt_mirror Debian-Security)
	sources=("deb $main $release main" "deb $main $release-updates main"
		"deb $main $release-backports main")
	[[ ! $security ]] || sources+=("deb $security $release-security main")
	# Nobody reads documentation there.
	for path in doc man info locale gtk-doc; do
		options+=(--dpkgopt="path-exclude=/usr/share/$path/*")
	done
	log=$(mktemp)
	printf '%s\n' "${sources[@]}" |
		mmdebstrap --mode=root "${options[@]}" --dpkgopt=force-unsafe-io \
			--aptopt='APT::Sandbox::User "root"' --aptopt='Acquire::Retries "3"' \
			"$release" "$folder" - >"$log" 2>&1 || {
		tail -n 10 "$log" >&2
		rm -rf "$log" "$folder"
		die "mmdebstrap could not make a Debian $release, see above"
	}
	rm -f "$log"
	chmod 755 "$folder"
}
