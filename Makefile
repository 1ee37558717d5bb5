# SPDX-License-Identifier: GPL-2.0
#
# For people; the kernel's build system reads Kbuild. "make help" lists all.

KDIR ?= /lib/modules/$(shell uname -r)/build
# A host is a name in scripts/lab/hosts; a kernel means its first host.
KERNEL ?= 6.12
HOST ?=
DESTDIR ?=
PREFIX ?= /usr/local

export PREFIX DESTDIR

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help:
	@echo 'On a hypervisor of your own:'
	@echo '  make module            the module, for the running kernel (or KDIR=...)'
	@echo '  make tools             the command msrguard'
	@echo '  make install           install the command, man page, policies, units'
	@echo '  make uninstall         remove these'
	@echo '  make modules_install   install the module'
	@echo
	@echo 'In an emulated host (Debian 12; needs root only to install packages):'
	@echo '  make demo              see a guest being blocked'
	@echo '  make lab               a shell in a host (HOST= of scripts/lab/hosts, or KERNEL=)'
	@echo
	@echo 'Tests:'
	@echo '  make test              KUnit, the command, costs, and each host'"'"'s set of the selftests'
	@echo '  make kunit             only KUnit'
	@echo '  make fuzz              libFuzzer on what reads text and guest memory (SECONDS=, TARGETS=)'
	@echo '  make test-host         only the selftests on one host (HOST= or KERNEL=, TESTS=)'
	@echo '  make test-all          the same with all selftests on all hosts: some two hours'
	@echo '  make test-guests       real guests under the baseline policy, all of them (HOST=): some ten minutes'
	@echo '  make test-debug        the selftests on kernels that look for faults (HOST=, TESTS=)'
	@echo '  make bench             what an access costs, counted in instructions (HOST=)'
	@echo '  make style             checkpatch, sparse, W=1, shellcheck'
	@echo '  make check-generated   generated files are what the generator makes'
	@echo
	@echo '  make generate          generate them anew'
	@echo '  make clean             remove what was built here'
	@echo
	@echo 'Downloads and builds of the lab are kept in $${MSRGUARD_CACHE:-~/.cache/msrguard}.'

.PHONY: module modules_install
module:
	@test -d '$(KDIR)' || { \
		echo 'No headers of the running kernel ($(KDIR)).' \
			"On Debian: apt-get install linux-headers-$$(uname -r)" >&2; \
		exit 1; }
	$(MAKE) -C '$(KDIR)' M='$(CURDIR)' modules

modules_install: module
	$(MAKE) -C '$(KDIR)' M='$(CURDIR)' modules_install

.PHONY: tools install uninstall
tools:
	$(MAKE) -C tools

install: tools
	$(MAKE) -C tools install

uninstall:
	$(MAKE) -C tools uninstall

.PHONY: demo lab
demo:
	@scripts/deps build lab
	@scripts/demo

lab:
	@scripts/deps build lab
	@scripts/lab/shell $(or $(HOST),$(KERNEL))

.PHONY: test test-all test-guests kunit fuzz test-host test-debug bench
test:
	@scripts/test

test-all:
	@MSRGUARD_TESTS=all scripts/test

kunit:
	@scripts/deps kunit
	@scripts/kunit/run

fuzz:
	@scripts/fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(TARGETS)

test-host:
	@scripts/deps build lab
	@scripts/lab/run-tests $(or $(HOST),$(KERNEL)) $(TESTS)

test-guests:
	@scripts/deps build lab
	@MSRGUARD_GUESTS=all scripts/lab/run-tests $(or $(HOST),amd-6.12) baseline.sh

test-debug:
	@scripts/test-debug $(HOST) $(TESTS)

bench:
	@scripts/deps build lab
	@scripts/bench $(HOST)

.PHONY: style generate check-generated
style:
	@scripts/style

generate:
	@scripts/deps generate
	@scripts/lab/fetch-source 6.12 >/dev/null
	@scripts/ynl-regen
	@scripts/gen-msr-names

check-generated:
	@scripts/deps generate
	@scripts/lab/fetch-source 6.12 >/dev/null
	@scripts/ynl-regen --check
	@scripts/gen-msr-names --check

.PHONY: clean
clean:
	-[ ! -d '$(KDIR)' ] || $(MAKE) -C '$(KDIR)' M='$(CURDIR)' clean
	$(MAKE) -C tools clean
	$(MAKE) -C selftests clean
