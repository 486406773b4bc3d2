#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One guest's disk by iSCSI, on a LUN of this host: to be run on both hosts, on the destination with
# ";incoming=on", which keeps the disk closed until a guest is imported. One backstore and one ACL
# for each guest: prmig cannot tell initiators of one backstore apart.
#
#   create-iscsi.sh NAME LUN SIZE TARGET INITIATOR [OPTIONS]
#   create-iscsi.sh vm1 /dev/disk/by-id/wwn-0x600140500000000000000000000001a 20G \
#       iqn.2026-11.com.example.host1:vm1 iqn.2026-11.com.example:vm1
#
# SIZE is the LUN's own. The guest, with QEMU's own initiator (Debian: qemu-block-extra):
#   -drive if=none,id=d0,format=raw,cache=none,file.driver=iscsi,file.transport=tcp,
#          file.portal=127.0.0.1:3260,file.target=TARGET,file.lun=0,file.initiator-name=INITIATOR
#   -device virtio-scsi-pci -device scsi-block,drive=d0
set -eu

if [ $# -lt 5 ] || [ $# -gt 6 ]; then
	sed -n '3,14s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi

targetcli <<END
/backstores/user:prmig create name=$1 size=$3 cfgstring=$2${6:-}
/iscsi create $4
/iscsi/$4/tpg1/acls create $5 add_mapped_luns=false
/iscsi/$4/tpg1/luns create /backstores/user:prmig/$1 add_mapped_luns=false
/iscsi/$4/tpg1/acls/$5 create 0 0
saveconfig
END
