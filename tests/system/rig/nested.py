# SPDX-License-Identifier: Apache-2.0
"""A guest of a guest: a QEMU inside a machine, and its live migration.

The guest is Debian's kernel with an initramfs of busybox, sg_persist and the
writer of tests/system/guest. It takes a reservation on its disk and then writes,
reads and verifies for ever, one line on its console for each step.
"""

import re
import subprocess
from pathlib import Path

from .errors import RigError
from .process import wait_until
from .qmp import Qmp

SOURCES = Path(__file__).resolve().parents[1] / "guest"
_FOLDER = "/var/lib/rig/guest"


def _cpio(entries):
    """An archive of files (name, mode, data) in the kernel's newc format."""
    archive = b""
    for number, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + path
        archive += header + b"\0" * (-len(header) % 4) + data + b"\0" * (-len(data) % 4)
    return archive


def prepare(vm):
    """Make a machine able to run nested guests: KVM, kernel and initramfs."""
    writer = vm.folder / "writer"
    subprocess.run(
        ["gcc", "-std=gnu11", "-O2", "-static", "-o", writer, SOURCES / "writer.c"], check=True
    )
    extra = _cpio(
        [
            ("init", 0o100755, (SOURCES / "init").read_bytes()),
            ("writer", 0o100755, writer.read_bytes()),
        ]
    )
    vm.put_data(extra, f"{_FOLDER}/extra.cpio")
    vm.run(
        f"""set -e
        cd {_FOLDER}
        cat /usr/local/lib/rig/guest-base.cpio extra.cpio >initrd
        ln -sf /boot/vmlinuz-* kernel
        modprobe kvm_amd 2>/dev/null || modprobe kvm_intel
        [ -c /dev/kvm ]
        """
    )


def iscsi_disk(portal, iqn, initiator, lun=0):
    """QEMU's arguments for a disk over its own iSCSI initiator."""
    return (
        f"-drive if=none,id=disk,format=raw,cache=none,file.driver=iscsi,file.transport=tcp,"
        f"file.portal={portal},file.target={iqn},file.lun={lun},file.initiator-name={initiator} "
        "-device virtio-scsi-pci,id=scsi -device scsi-block,drive=disk,bus=scsi.0"
    )


def vhost_disk(wwpn):
    """QEMU's arguments for a disk over vhost-scsi."""
    return f"-device vhost-scsi-pci,id=scsi,wwpn={wwpn},migratable=on"


class Guest:
    """One QEMU in a machine, running or waiting for a guest.

    vm must have been made with forward=[qmp_port, ...] and prepared.
    incoming: wait for a migration instead of booting.
    key, kind: what the guest registers and which type it reserves; 0: nothing.
    """

    def __init__(
        self, vm, name, disk, qmp_port, incoming=False, key=0xABCD1, kind=5, memory_mib=160
    ):
        self.vm = vm
        self.name = name
        self._console = f"{_FOLDER}/{name}.console"
        vm.run(f"rm -f {self._console}")
        self.process = vm.spawn(
            f"exec qemu-system-x86_64 -name {name} -nodefaults -no-user-config -display none "
            f"-machine q35 -accel kvm -cpu host -smp 1 -m {memory_mib} "
            f"-kernel {_FOLDER}/kernel -initrd {_FOLDER}/initrd "
            f"-append 'console=ttyS0 loglevel=4 mitigations=off panic=0 "
            f"guest.key={key:#x} guest.type={kind}' "
            f"-serial file:{self._console} {disk} "
            f"-qmp tcp:0.0.0.0:{qmp_port},server=on,wait=off"
            + (" -incoming defer" if incoming else "")
        )
        vm.wait_for(
            f"[ -s {self.process.pid_file} ] && {{ ss -Hltn sport = :{qmp_port} | grep -q . || "
            f"! kill -0 $(cat {self.process.pid_file}); }}",
            60,
            f"QMP of {name}",
        )
        try:
            self.qmp = Qmp(("127.0.0.1", vm.ports[qmp_port]))
        except (OSError, RigError):
            raise RigError(f"{name}: {self.process.stdout}{self.process.stderr}") from None

    def console(self):
        """All that the guest has said here."""
        if not self.process.running:
            raise RigError(f"QEMU {self.name} ended: {self.process.stdout}{self.process.stderr}")
        return self.vm.run(f"cat {self._console} 2>/dev/null", check=False).stdout

    def wait_console(self, pattern, seconds=180):
        """Wait until the guest has said what matches; returns the match."""

        def said():
            text = self.console()
            if "guest: ERROR" in text and "ERROR" not in pattern:
                raise RigError(f"{self.name}:\n" + "\n".join(text.splitlines()[-20:]))
            return re.search(pattern, text)

        return wait_until(
            said, seconds, lambda: f"{self.name} says {pattern}\n{self.console()[-2000:]}", 0.5
        )

    def quit(self):
        """End this QEMU as a management layer does after a migration."""
        try:
            self.qmp.command("quit")
        except RigError:
            pass  # it may be gone before its answer is here
        return self.process.wait(60, check=False)


def steps(text):
    """The numbers of the steps in a console's text, in their order."""
    return [int(n) for n in re.findall(r"^guest: step (\d+) wrote \d+ read", text, re.MULTILINE)]


def complaints(text):
    """(errors, stale): the lines that tell of each."""
    lines = text.splitlines()
    return (
        [line for line in lines if "guest: ERROR" in line],
        [line for line in lines if "guest: STALE" in line],
    )


class Migration:
    """A live migration with a stop before the switch-over.

        migration = Migration(source, destination)
        migration.start(port)
        migration.wait("pre-switchover")
        ... the reservation moves here ...
        migration.proceed()
        migration.wait("completed")
    """

    def __init__(self, source, destination):
        self.source = source
        self.destination = destination
        capabilities = [
            {"capability": "pause-before-switchover", "state": True},
            {"capability": "return-path", "state": True},
        ]
        for guest in (source, destination):
            guest.qmp.command("migrate-set-capabilities", {"capabilities": capabilities})
        source.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 30})

    def start(self, host="127.0.0.1", port=4444, listen=None):
        """Begin. host: where the source finds the destination."""
        self.destination.qmp.command(
            "migrate-incoming", {"uri": f"tcp:{listen or host}:{port}"}
        )
        self.source.qmp.command("migrate", {"uri": f"tcp:{host}:{port}"})

    def status(self):
        return self.source.qmp.command("query-migrate")

    def wait(self, status, seconds=120):
        """Wait until the source says this status."""

        def reached():
            now = self.status()
            if now.get("status") in ("failed", "cancelled") and now["status"] != status:
                raise RigError(
                    f"migration {now['status']}: {now.get('error-desc', '')}\n"
                    f"{self.destination.process.stderr}"
                )
            return now.get("status") == status

        wait_until(reached, seconds, lambda: f"migration {status}: {self.status()}", 0.1)

    def proceed(self):
        self.source.qmp.command("migrate-continue", {"state": "pre-switchover"})

    def cancel(self):
        self.source.qmp.command("migrate_cancel")
