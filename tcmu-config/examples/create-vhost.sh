#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One guest's disk by vhost-scsi, on a LUN of this host: to be run on both hosts, on the destination
# with ";incoming=on", which keeps the disk closed until a guest is imported.
#
#   create-vhost.sh NAME LUN SIZE WWN [OPTIONS]
#   create-vhost.sh vm1 /dev/disk/by-id/wwn-0x600140500000000000000000000001a 20G naa.5001405000000001
#   create-vhost.sh vm1 /dev/disk/by-id/wwn-0x600140500000000000000000000001a 20G naa.5001405000000001 ";incoming=on"
#
# SIZE is the LUN's own. WWN: the same on both hosts, naa.5001405 and nine more hex digits. The guest:
#   -device vhost-scsi-pci,wwpn=WWN,migratable=on
set -eu

if [ $# -lt 4 ] || [ $# -gt 5 ]; then
	sed -n '3,10s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi

targetcli <<END
/backstores/user:prmig create name=$1 size=$3 cfgstring=$2${5:-}
/vhost create $4
/vhost/$4/tpg1/luns create /backstores/user:prmig/$1
saveconfig
END
