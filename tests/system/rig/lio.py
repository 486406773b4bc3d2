# SPDX-License-Identifier: Apache-2.0
"""LIO's target side in a machine: backstores, and the fabrics above them.

Written straight into configfs: a call of targetcli takes seconds under
emulation. What it makes, targetcli sees.
"""

import hashlib
import re
import shlex
from dataclasses import dataclass

TARGET = "/sys/kernel/config/target"


def naa(text):
    """A name for a target port or initiator port, the same for the same text.
    naa.5: targetcli would turn a naa.6 into one."""
    return "naa.5001405" + hashlib.sha256(text.encode()).hexdigest()[:9]


@dataclass
class Backstore:
    """A backstore in LIO."""

    name: str
    path: str  # in configfs


@dataclass
class Nexus:
    """A LUN as one tcm_loop initiator port sees it."""

    disk: str  # /dev/sdX
    sg: str  # /dev/sgN
    address: str  # host:channel:id:lun
    target: str  # the target port's name
    initiator: str  # the initiator port's name


class Lio:
    """LIO of one machine."""

    def __init__(self, vm):
        self.vm = vm
        self._ports = set()
        vm.run("modprobe -a target_core_mod target_core_file tcm_loop")

    def _script(self, text, **options):
        return self.vm.run(f"set -e; cd {TARGET}\n{text}", **options)

    def pr_folder(self, present=True):
        """Make the folder that LIO writes its APTPL files into, or remove it.

        Debian lacks it, and then every REGISTER takes effect and yet answers
        CHECK CONDITION, NOT READY.
        """
        action = 'mkdir -p "$root/pr"' if present else 'rm -rf "$root/pr"'
        self._script(f'root=$(cat dbroot); {action}')

    def fileio(self, name, size="64M", path=None, pr_folder=True):
        """A fileio backstore: the "physical" LUN. Its file is kept if it exists."""
        path = path or f"/var/lib/rig/{name}.img"
        self.pr_folder(pr_folder)
        done = self._script(
            f"""
            mkdir -p "$(dirname {path})"; [ -e {path} ] || truncate -s {size} {path}
            n=0; while [ -d core/fileio_$n ]; do n=$((n + 1)); done
            mkdir -p core/fileio_$n/{name}; cd core/fileio_$n/{name}
            echo fd_dev_name={path},fd_dev_size=$(stat -c %s {path}),fd_buffered_io=1 >control
            echo {path} >udev_path
            echo {hashlib.sha256(name.encode()).hexdigest()[:32]} >wwn/vpd_unit_serial
            echo 1 >enable
            pwd
            """
        )
        return Backstore(name, done.stdout.strip())

    def ramdisk(self, name, size_mib):
        """A backstore in memory: a LUN that is as fast as a LUN can be."""
        self.pr_folder()
        done = self._script(
            f"""
            n=0; while [ -d core/rd_mcp_$n ]; do n=$((n + 1)); done
            mkdir -p core/rd_mcp_$n/{name}; cd core/rd_mcp_$n/{name}
            echo rd_pages={size_mib * 256} >control
            echo {hashlib.sha256(name.encode()).hexdigest()[:32]} >wwn/vpd_unit_serial
            echo 1 >enable
            pwd
            """
        )
        return Backstore(name, done.stdout.strip())

    def iblock(self, name, nexus):
        """A backstore on a block device, whose reservations are LIO's own."""
        done = self._script(
            f"""
            modprobe target_core_iblock
            n=0; while [ -d core/iblock_$n ]; do n=$((n + 1)); done
            mkdir -p core/iblock_$n/{name}; cd core/iblock_$n/{name}
            echo udev_path={nexus.disk} >control
            echo {nexus.disk} >udev_path
            echo {hashlib.sha256(name.encode()).hexdigest()[:32]} >wwn/vpd_unit_serial
            echo 1 >enable
            pwd
            """
        )
        return Backstore(name, done.stdout.strip())

    def pscsi(self, name, nexus):
        """A backstore that passes everything through to a SCSI device, PERSISTENT
        RESERVE included: what a guest has without prmig."""
        host, channel, ident, lun = nexus.address.split(":")
        done = self._script(
            f"""
            modprobe target_core_pscsi
            n=0; while [ -d core/pscsi_$n ]; do n=$((n + 1)); done
            mkdir -p core/pscsi_$n/{name}; cd core/pscsi_$n/{name}
            echo scsi_host_id={host},scsi_channel_id={channel},scsi_target_id={ident},\
scsi_lun_id={lun} >control
            echo {nexus.disk} >udev_path
            echo 1 >enable
            pwd
            """
        )
        return Backstore(name, done.stdout.strip())

    def backstore(self, name):
        """A backstore that exists, such as one that targetcli made."""
        done = self._script(f"ls -d {TARGET}/core/*/{name}")
        return Backstore(name, done.stdout.strip())

    def remove_backstore(self, backstore, check=True):
        """Remove a backstore; nothing may export it any more."""
        self._script(f"rmdir {backstore.path}", check=check)

    # tcm_loop

    def loopback(self, backstore, name=None):
        """Show a backstore to this machine by a tcm_loop nexus of its own."""
        name = name or backstore.name
        target, initiator = naa(f"target {name}"), naa(f"initiator {name}")
        done = self._script(
            f"""
            modprobe tcm_loop
            mkdir -p loopback/{target}/tpgt_1; cd loopback/{target}/tpgt_1
            echo {initiator} >nexus
            mkdir lun/lun_0
            ln -s {backstore.path} lun/lun_0/port
            cat address
            """
        )
        host, channel, ident = done.stdout.strip().split(":")[:3]
        # The TPG's address has the channel and the id in it, the LUN is 0.
        device = f"{host}:{channel}:{ident}:0"
        return Nexus(*self.nodes(device), device, target, initiator)

    def nodes(self, address):
        """(/dev/sdX, /dev/sgN) of the SCSI device host:channel:id:lun."""
        where = f"/sys/class/scsi_device/{address}/device"
        done = self.vm.wait_for(
            f"set -e; sd=$(ls {where}/block); sg=$(ls {where}/scsi_generic); "
            "[ -b /dev/$sd ]; [ -c /dev/$sg ]; udevadm settle; echo /dev/$sd /dev/$sg",
            30,
            f"SCSI device {address}",
        )
        return done.stdout.split()

    def remove_loopback(self, nexus, check=True):
        """Take a tcm_loop nexus away."""
        self._script(
            f"""
            cd loopback/{nexus.target}
            rm tpgt_1/lun/lun_0/port; rmdir tpgt_1/lun/lun_0
            echo NULL >tpgt_1/nexus
            rmdir tpgt_1; cd ..; rmdir {nexus.target}
            """,
            check=check,
        )

    def shared_lun(self, name="shared", size="64M", nexuses=2, pr_folder=True):
        """A fileio LUN and that many tcm_loop nexuses to it: [Nexus, ...]."""
        backstore = self.fileio(name, size, pr_folder=pr_folder)
        return [self.loopback(backstore, f"{name}{i}") for i in range(nexuses)]

    # vhost-scsi

    def vhost(self, backstore, name=None):
        """Export by vhost-scsi; returns the wwpn for QEMU's vhost-scsi-pci."""
        name = name or backstore.name
        target = naa(f"vhost {name}")
        self._script(
            f"""
            modprobe vhost_scsi
            mkdir -p vhost/{target}/tpgt_1; cd vhost/{target}/tpgt_1
            echo {naa(f"vhost initiator {name}")} >nexus
            mkdir lun/lun_0
            ln -s {backstore.path} lun/lun_0/port
            """
        )
        return target

    def remove_vhost(self, target, check=True):
        self._script(
            f"""
            cd vhost/{target}
            rm tpgt_1/lun/lun_0/port; rmdir tpgt_1/lun/lun_0
            echo NULL >tpgt_1/nexus
            rmdir tpgt_1; cd ..; rmdir {target}
            """,
            check=check,
        )

    # iSCSI

    def iscsi_acl(self, iqn, initiator, backstore, lun=0, port=3260):
        """Export a backstore to one initiator name, as LUN `lun` of target iqn.

        The target is made with the first of them and listens on every address
        of the machine. Several initiators may see different backstores under
        the same LUN number. An IQN's domain needs a dot in it.
        """
        if not re.fullmatch(r"iqn\.\d{4}-\d{2}\.[^.:]+\.[^:]+(:.+)?", iqn):
            raise ValueError(f"targetcli would refuse the IQN {iqn}")
        portal = f"0.0.0.0:{port}"
        self._script(
            f"""
            modprobe iscsi_target_mod
            mkdir -p iscsi/{iqn}/tpgt_1; cd iscsi/{iqn}/tpgt_1
            [ -d np/{portal} ] || mkdir np/{portal}
            echo 0 >attrib/authentication
            found=
            for l in lun/lun_*; do
                if [ "$(readlink -f $l/{backstore.name})" = {shlex.quote(backstore.path)} ]; then
                    found=$l
                fi
            done
            if [ -z "$found" ]; then
                n=0; while [ -d lun/lun_$n ]; do n=$((n + 1)); done
                found=lun/lun_$n; mkdir $found; ln -s {backstore.path} $found/{backstore.name}
            fi
            mkdir -p acls/{initiator}/lun_{lun}
            ln -s $PWD/$found acls/{initiator}/lun_{lun}/mapped
            [ "$(cat enable)" = 1 ] || echo 1 >enable
            """
        )

    def remove_iscsi(self, iqn, check=True):
        """Take an iSCSI target away, with all sessions to it."""
        self._script(
            f"""
            cd iscsi/{iqn}/tpgt_1
            echo 0 >enable
            for a in acls/*/; do [ -d $a ] || continue
                for l in $a/lun_*/; do [ -d $l ] || continue
                    find $l -maxdepth 1 -type l -delete; rmdir $l; done
                rmdir $a; done
            for l in lun/*/; do [ -d $l ] || continue
                find $l -maxdepth 1 -type l -delete; rmdir $l; done
            for p in np/*/; do [ -d $p ] || continue; rmdir $p; done
            cd ..; rmdir tpgt_1; cd ..; rmdir {iqn}
            """,
            check=check,
        )
