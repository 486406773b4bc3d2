# SPDX-License-Identifier: Apache-2.0
"""open-iscsi in a machine."""


def login(vm, initiator, host, port, iqn, lun, second=False):
    """Log in under this initiator name; returns (/dev/sdX, /dev/sgN) of the LUN.

    The first login decides the machine's own name. second: as another
    initiator beside it, by an interface of that name.
    """
    use = f"-I {initiator}" if second else "-I default"
    if second:
        name = f"""
        iscsiadm -m iface -I {initiator} >/dev/null 2>&1 ||
            iscsiadm -m iface -I {initiator} -o new >/dev/null
        iscsiadm -m iface -I {initiator} -o update -n iface.transport_name -v tcp >/dev/null
        iscsiadm -m iface -I {initiator} -o update -n iface.initiatorname -v {initiator} >/dev/null
        """
    else:
        name = f"""
        if ! grep -qx InitiatorName={initiator} /etc/iscsi/initiatorname.iscsi; then
            echo InitiatorName={initiator} >/etc/iscsi/initiatorname.iscsi
            systemctl restart iscsid.service
        fi
        """
    vm.run(
        f"""
        modprobe -a iscsi_tcp sg
        systemctl start iscsid.service
        {name}
        iscsiadm -m node -o new -T {iqn} -p {host}:{port},1 {use} >/dev/null
        """
    )
    vm.run(f"iscsiadm -m node -T {iqn} -p {host}:{port} {use} --login")
    return nodes(vm, iqn, lun, initiator)


def nodes(vm, iqn, lun, initiator=""):
    """(/dev/sdX, /dev/sgN) of a LUN of the target that is logged in to, by
    the session of that initiator name where there are several."""
    done = vm.wait_for(
        f"""set -e
        for s in /sys/class/iscsi_session/session*; do
            [ "$(cat $s/targetname)" = {iqn} ] || continue
            [ -z "{initiator}" ] || [ "$(cat $s/initiatorname)" = "{initiator}" ] || continue
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
