# SPDX-License-Identifier: Apache-2.0
"""open-iscsi in a machine."""


def login(vm, initiator, host, port, iqn, lun):
    """Log in under this initiator name; returns (/dev/sdX, /dev/sgN) of the LUN.

    One name for the whole machine: the first login decides it.
    """
    vm.run(
        f"""
        modprobe -a iscsi_tcp sg
        if ! grep -qx InitiatorName={initiator} /etc/iscsi/initiatorname.iscsi; then
            echo InitiatorName={initiator} >/etc/iscsi/initiatorname.iscsi
            systemctl restart iscsid.service
        fi
        systemctl start iscsid.service
        iscsiadm -m node -o new -T {iqn} -p {host}:{port},1 >/dev/null
        """
    )
    vm.run(f"iscsiadm -m node -T {iqn} -p {host}:{port} --login")
    return nodes(vm, iqn, lun)


def nodes(vm, iqn, lun):
    """(/dev/sdX, /dev/sgN) of a LUN of the target that is logged in to."""
    done = vm.wait_for(
        f"""set -e
        for s in /sys/class/iscsi_session/session*; do
            [ "$(cat $s/targetname)" = {iqn} ] || continue
            for d in $s/device/target*/*:*:*:{lun}; do
                sd=$(ls $d/block); sg=$(ls $d/scsi_generic)
                [ -b /dev/$sd ] && [ -c /dev/$sg ]
                echo /dev/$sd /dev/$sg
                exit 0
            done
        done
        exit 1""",
        60,
        f"LUN {lun} of {iqn}",
    )
    vm.run("udevadm settle")
    return tuple(done.stdout.split())


def logout(vm, iqn):
    vm.run(f"iscsiadm -m node -T {iqn} --logout")
