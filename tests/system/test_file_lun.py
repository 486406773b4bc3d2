# SPDX-License-Identifier: Apache-2.0
"""A regular file as a LUN, on Debian's kernel: what is on the medium after a power loss, a file system
that is full, a file that changes its size, a block device in its place, files that are none for a disk.

PRMIG_FULL=1: also that the crash images would show a flush that is left out, the identity through several
openings, and each reason for which a file is refused (the unit tests have them all).
"""

import json
import os
import re
import struct
import subprocess
from pathlib import Path

import pytest
from rig.prmig import Prmig

FULL = os.environ.get("PRMIG_FULL") == "1"
INSIDE = Path(__file__).parent / "inside"
FOLDER = "/var/lib/rig"

# What a handler would be that leaves out its flushes.
NO_FLUSH = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
int fdatasync(int fd) { (void)fd; return 0; }
ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	(void)flags;
	return syscall(SYS_pwritev2, fd, iov, count, offset, 0, 0);
}
"""


class Stage:
    """A machine with prmig."""

    def __init__(self, rig, deb):
        self.folder = rig.folder
        self.vm = rig.vm("files")
        rig.boot(self.vm)
        self.prmig = Prmig(self.vm, deb)
        for name in ("scsi.py", "crash_images.py"):
            self.vm.put(INSIDE / name, f"/root/{name}", mode="755")
        self.vm.run(f"mkdir -p {FOLDER} && modprobe -a loop dm_log_writes")

    def loop(self, name, size):
        """A block device of zeros."""
        path = f"{FOLDER}/{name}.loop"
        return self.vm.run(
            f"rm -f {path}; truncate -s {size} {path}; losetup -f --show --direct-io=on {path}"
        ).stdout.strip()

    def logged_file_system(self, name):
        """ext4 on a map that logs what reaches the medium: (mount point, the log's device)."""
        medium, log = self.loop(f"{name}-medium", "64M"), self.loop(f"{name}-log", "512M")
        self.vm.run(
            f"""set -e
            dmsetup create {name} --table "0 $(blockdev --getsz {medium}) log-writes {medium} {log}"
            mkfs.ext4 -q /dev/mapper/{name}
            mkdir -p /mnt/{name}
            mount -o commit=300 /dev/mapper/{name} /mnt/{name}
            """
        )
        return f"/mnt/{name}", log

    def without_flushes(self):
        source, library = self.folder / "no-flush.c", self.folder / "no-flush.so"
        source.write_text(NO_FLUSH)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
        self.vm.put(library, "/root/no-flush.so", mode="755")
        self.vm.put_data(
            "[Service]\nEnvironment=LD_PRELOAD=/root/no-flush.so\n",
            "/etc/systemd/system/tcmu-runner.service.d/no-flush.conf",
        )
        self.vm.run("systemctl daemon-reload")
        self.prmig.restart()

    def with_flushes(self):
        self.vm.run(
            "rm /etc/systemd/system/tcmu-runner.service.d/no-flush.conf; systemctl daemon-reload"
        )
        self.prmig.restart()

    def crash_images(self, name):
        """Writes to a file LUN, and judges the crash images."""
        where, log = self.logged_file_system(name)
        self.vm.run(f"truncate -s 16M {where}/disk.img && sync -f {where}")
        backstore = self.prmig.create(name, f"{where}/disk.img")
        nexus = self.prmig.lio.loopback(backstore)
        self.vm.run(f"/root/crash_images.py write {nexus.disk} {name} /root/{name}.json")
        self.prmig.lio.remove_loopback(nexus)
        self.prmig.delete(name)
        self.vm.run(f"umount {where} && dmsetup remove {name}")
        done = self.vm.run(
            f"/root/crash_images.py check {log} /root/{name}.json disk.img", timeout=300
        )
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def stage(rig, deb):
    return Stage(rig, deb)


# ---- power loss ----


def test_crash_images(stage):
    """What FUA, SYNCHRONIZE CACHE and STOP have answered is on the medium, whenever the power fails."""
    found = stage.crash_images("flushed")
    assert found["wrong"] == []
    assert found["images"] >= 30, found


if FULL:

    def test_crash_images_show_a_flush_that_is_left_out(stage):
        """The same with a handler whose flushes do nothing: the test would see it."""
        stage.without_flushes()
        try:
            found = stage.crash_images("unflushed")
        finally:
            stage.with_flushes()
        assert found["wrong"], found


# ---- what can happen to a file ----


class Disk:
    """A file LUN as this machine's kernel sees it, by tcm_loop."""

    def __init__(self, stage, name, path, **options):
        self.stage, self.name = stage, name
        self.backstore = stage.prmig.create(name, path, **options)
        self.nexus = stage.prmig.lio.loopback(self.backstore)

    def write(self, lba, blocks):
        """The answer to a WRITE (16): "GOOD", or "CHECK 7/27/07"."""
        cdb = struct.pack(">BBQIBB", 0x8A, 0, lba, blocks, 0, 0)
        return self.send(cdb, f"bytes({blocks * 512})")

    def send(self, cdb, out="b''", in_len=0):
        done = self.stage.vm.run(
            ["python3", "-c", f"import scsi; print(scsi.Disk({self.nexus.sg!r}).command("
             f"{cdb!r}, {out}, {in_len}))"]
        )
        return done.stdout.strip()

    def end(self):
        self.stage.prmig.lio.remove_loopback(self.nexus)
        self.stage.prmig.delete(self.name)


def test_full_file_system(stage):
    """A write that finds no room is refused for just that; what had room is there, and room helps."""
    medium = stage.loop("small", "16M")
    stage.vm.run(
        f"""set -e; mkfs.ext4 -q -m 0 {medium}; mkdir -p /mnt/small; mount {medium} /mnt/small
        truncate -s 64M /mnt/small/disk.img; : >/mnt/small/ballast
        """
    )
    disk = Disk(stage, "small", "/mnt/small/disk.img")
    try:
        disk.send(bytes(6))  # unit attentions
        assert disk.write(0, 2048) == "GOOD"
        stage.vm.run("! dd if=/dev/zero of=/mnt/small/ballast bs=4k 2>&1 && sync -f /mnt/small")
        assert disk.write(8192, 2048) == "CHECK 7/27/07"
        assert disk.write(0, 2048) == "GOOD"
        stage.vm.run("truncate -s 0 /mnt/small/ballast; sync -f /mnt/small")
        assert disk.write(8192, 2048) == "GOOD"
    finally:
        disk.end()
        stage.vm.run("umount /mnt/small")


def test_longer_and_shorter(stage):
    """Each initiator is told, and what is beyond the end is refused."""
    path = f"{FOLDER}/long.img"
    stage.vm.run(f"truncate -s 8M {path}")
    disk = Disk(stage, "long", path)
    try:
        assert disk.send(bytes(6)) in ("GOOD", "CHECK 6/29/00")
        stage.vm.run(f"truncate -s 16M {path}")
        assert disk.write(16384, 1) == "CHECK 6/2A/09"
        assert disk.write(16384, 1) == "GOOD"
        stage.vm.run(f"truncate -s 4M {path}")
        assert disk.write(8191, 1) == "CHECK 6/2A/09"
        assert disk.write(8192, 1) == "CHECK 5/21/00"
        assert disk.write(8191, 1) == "GOOD"
        assert stage.vm.run(f"stat -c %s {path}").stdout.strip() == str(4 << 20)
        assert f"{path} has become shorter: 8192 blocks" in stage.vm.get("/var/log/tcmu-runner.log")
    finally:
        disk.end()


if FULL:

    def test_identity_stays(stage):
        """The kernel sees the same disk, by the same name, at each opening."""
        path = f"{FOLDER}/same.img"
        stage.vm.run(f"truncate -s 8M {path}")
        seen = set()
        for _ in range(2):
            disk = Disk(stage, "same", path)
            page = stage.vm.run(f"sg_inq --page=0x83 --raw {disk.nexus.sg} | od -v -An -tx1").stdout
            seen.add("".join(page.split())[16:48])
            disk.end()
        assert len(seen) == 1 and re.fullmatch("6001405[0-9a-f]{25}", seen.pop())


def test_block_device(stage):
    """With pr=emulate a device-mapper node is a disk in the same way; it is then prmig's alone."""
    medium = stage.loop("node", "64M")
    stage.vm.run(
        f"""set -e
        dmsetup create node --uuid LVM-rig --table "0 $(blockdev --getsz {medium}) linear {medium} 0"
        """
    )
    refused = stage.prmig.create("node", "/dev/mapper/node", check=False)
    assert "device-mapper" in refused.stdout + refused.stderr
    disk = Disk(stage, "node", "/dev/mapper/node", pr="emulate")
    try:
        disk.send(bytes(6))
        assert disk.write(7, 2) == "GOOD"
        stage.vm.run(
            f"""set -e
            mkfs.ext4 -q {disk.nexus.disk}; mount {disk.nexus.disk} /mnt; echo kept >/mnt/text
            umount /mnt
            """
        )
        assert "busy" in stage.vm.run("mount /dev/mapper/node /mnt 2>&1", check=False).stdout
    finally:
        disk.end()
    stage.vm.run("mount /dev/mapper/node /mnt && grep -qx kept /mnt/text; umount /mnt")
    stage.vm.run("dmsetup remove node")


# ---- what is refused ----


def test_refused(stage):
    """targetcli shows what is wrong with a file, and what would be right."""
    medium = stage.loop("read-only", "16M")
    stage.vm.run(
        f"""set -e; cd {FOLDER}
        truncate -s 100000 odd; : >empty; mkdir -p folder; truncate -s 8M damaged whole
        head -c 512 /dev/zero >damaged.prmig
        mkfs.ext4 -q {medium}; mkdir -p ro; mount {medium} ro; truncate -s 8M ro/disk
        mount -o remount,ro ro
        """
    )
    expected = {
        "odd": "truncate -s 100352",
        "empty": "is empty",
        "folder": "is a directory",
        "not-there": "is not there",
        "damaged": "is damaged",
        "ro/disk": "read-only",
    }
    for name in expected if FULL else ("odd", "damaged"):
        reason = expected[name]
        done = stage.prmig.create_raw("refused", 8 << 20, f"{FOLDER}/{name}", check=False)
        assert reason in done.stdout + done.stderr, f"{name}: {done}"
    done = stage.prmig.create_raw("refused", 8 << 20, f"{FOLDER}/whole;pr=passthrough", check=False)
    assert "pr=passthrough" in done.stdout + done.stderr
    # A damaged one is left for whoever repairs it.
    assert stage.vm.run(f"stat -c %s {FOLDER}/damaged.prmig").stdout.strip() == "512"
    stage.vm.run(f"umount {FOLDER}/ro")
