#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: MSRGUARD_BIN=FILE tools/tests/install.sh
#
# Tests that "make install" puts all that is shipped where it is looked for, and that "make
# uninstall" leaves nothing of it. Prints TAP.

set -euo pipefail

# shellcheck source=tools/tests/lib.sh
. "$(dirname "$0")/lib.sh"
TOP=$(cd "$(dirname "$0")/../.." && pwd)
DEST=$WORK/dest
LOCAL=$DEST/usr/local

# make_in_tools TARGET: sets RC and the files out and err, as run does.
make_in_tools()
{
	RC=0
	make -s --no-print-directory -C "$TOP/tools" O="$(cd "$(dirname "$MSRGUARD_BIN")" && pwd)" \
		DESTDIR="$DEST" "$1" >"$WORK/out" 2>"$WORK/err" </dev/null || RC=$?
}

make_in_tools install
ok "install" ended 0
ok "the command" cmp "$MSRGUARD_BIN" "$LOCAL/sbin/msrguard"
for unit in "$TOP"/tools/systemd/*.service; do
	ok "${unit##*/}" [ -f "$LOCAL/lib/systemd/system/${unit##*/}" ]
	ok "runs the command by its path" grep -q '^ExecStart=/usr/local/sbin/msrguard ' \
		"$LOCAL/lib/systemd/system/${unit##*/}"
done
ok "all policies" diff -r -x '*.rst' -x '*.md' "$TOP/policies" "$LOCAL/share/msrguard/policies"
ok "the catalogue" [ -f "$LOCAL/lib/systemd/catalog/msrguard.catalog" ]
ok "the manual page" [ -f "$LOCAL/share/man/man8/msrguard.8" ]
RC=0
"$LOCAL/sbin/msrguard" check "$LOCAL/share/msrguard/policies/baseline.policy" \
	>"$WORK/out" 2>"$WORK/err" || RC=$?
ok "an installed policy finds what it includes" ended 0
echo mine >"$LOCAL/share/msrguard/policies/site.policy"
make_in_tools uninstall
ok "uninstall" ended 0
ok "leaves what is not ours" [ "$(find "$DEST" -type f)" = "$LOCAL/share/msrguard/policies/site.policy" ]
rm "$LOCAL/share/msrguard/policies/site.policy"
make_in_tools install
make_in_tools uninstall
ok "and no folder of ours" [ ! -e "$LOCAL/share/msrguard" ]
end_tests
