#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Moves the reservation of one nexus to the nexus of the same name on another host, while the guest
# is paused (QEMU: pause-before-switchover, at pre-switchover). The caller lets the guest go on, there
# if this succeeds, here if it does not, and then calls Release here.
#
#   hand-over.sh NAME HOST
set -eu

if [ $# != 2 ]; then
	sed -n '3,7s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi

object=/org/prmig1/nexus/$1

call_here() {
	busctl call org.prmig1 "$object" org.prmig1.Nexus "$@"
}
call_there() {
	busctl -H "$2" call org.prmig1 "$object" org.prmig1.Nexus "$1" "$3" "$4" "$5"
}

call_there Check "$2" 'sa{sv}' '' 0
state=$(call_here Export 'a{sv}' 0 | cut -d'"' -f2)
if ! call_there Import "$2" 'sa{sv}' "$state" 0; then
	echo "Import failed: back to this host" >&2
	call_here Abort 'a{sv}' 0
	exit 1
fi
