# SPDX-License-Identifier: Apache-2.0
"""tcmu-runner is restarted, killed and stopped under its guests, and LUNs come and go."""

import json
import os
import time
from pathlib import Path

import pytest

from rig import pr
from rig.lio import Lio
from rig.prmig import Prmig
from rig.process import wait_until

INSIDE = Path(__file__).parent / "inside"
FULL = os.environ.get("PRMIG_FULL") == "1"
KEY, OTHER_KEY = 0xABCD1, 0xB0B
KIND = 5
# systemd kills a daemon that does not stop after 90 s; emulated, a clean stop takes about one.
QUICK_S = 15


class Machine:
    """One LUN, a source and a destination backstore on it, and a stranger."""

    def __init__(self, vm, deb):
        self.vm = vm
        self.lio = Lio(vm)
        self.prmig = Prmig(vm, deb)
        source, destination, self.stranger = self.lio.shared_lun("array", "64M", nexuses=3)
        self.prmig.create("a", source.disk, group="vm1")
        self.prmig.create("b.1", destination.disk, group="vm1", incoming="on")
        self.a = self.lio.loopback(self.lio.backstore("a"))
        self.b = self.lio.loopback(self.lio.backstore("b.1"))

    def restart(self):
        """systemctl restart; returns the seconds that the stop took."""
        begin = time.monotonic()
        self.vm.run("systemctl stop tcmu-runner.service", timeout=120)
        stopped = time.monotonic() - begin
        self.vm.run("systemctl start tcmu-runner.service", timeout=120)
        self.prmig.wait_bus()
        return stopped

    def wait_open(self, *names):
        """Until these nexuses are open and have their LUN."""
        for name in names:
            wait_until(lambda: name in "".join(self.names()), 30, f"nexus {name} is open")
            wait_until(lambda: not self.prmig.get(name, "Failure"), 30, f"{name} has its LUN")

    def names(self):
        text = self.prmig.call(
            "/org/prmig1", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"
        )
        return text

    def remembered(self, name):
        properties = self.prmig.properties(name)
        return {word: properties[word] for word in ("State", "Key", "Holder", "Type", "Fenced")}

    def fio(self, disk):
        """Writes that are read back and verified, until check_load() ends them."""
        load = self.vm.spawn(
            f"exec fio --name=load --filename={disk} --direct=1 --ioengine=libaio --iodepth=16 "
            f"--rw=randwrite --bs=4k --size=48M --offset=8M --time_based --runtime=3600 "
            "--verify=crc32c --verify_backlog=32 --verify_fatal=1 --output-format=json"
        )
        self.wait_writes(disk, 50)
        return load

    def writes(self, disk):
        """How many writes the disk has completed."""
        return int(self.vm.run(f"cat /sys/block/{disk[5:]}/stat").stdout.split()[4])

    def wait_writes(self, disk, more):
        """Until that many more writes have been completed."""
        goal = self.writes(disk) + more
        wait_until(lambda: self.writes(disk) >= goal, 60, f"{more} more writes to {disk}")


def check_load(load):
    """The load has met no error and nothing wrong in what it read back."""
    assert load.running, load.stdout + load.stderr
    load.signal("INT")
    done = load.wait(120, check=False)  # 128: ended by a signal
    job = json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0]
    assert job["error"] == 0 and not done.stderr.count("verify:"), done.stdout + done.stderr
    assert job["write"]["total_ios"] > 100
    assert job["read"]["total_ios"] > 100


HELD = {"State": "active", "Key": KEY, "Holder": True, "Type": KIND, "Fenced": False}


@pytest.fixture(scope="module")
def machine(rig, deb):
    vm = rig.vm("daemon")
    rig.boot(vm)
    return Machine(vm, deb)


@pytest.fixture(scope="module")
def reserved(machine):
    """The guest on a holds a reservation; a registrant is beside it."""
    vm = machine.vm
    assert pr.register(vm, machine.a.sg, KEY).ok
    assert pr.reserve(vm, machine.a.sg, KEY, KIND).ok
    assert pr.register(vm, machine.stranger.sg, OTHER_KEY).ok
    return machine


def holder(machine):
    return pr.read_reservation(machine.vm, machine.stranger.sg)


def test_dropped_by_libtcmu(machine):
    """What libtcmu cannot size never reaches the handler's handle_cmd, and is answered all the same."""
    machine.vm.put(INSIDE / "scsi.py", "/usr/local/lib/prmig-test/scsi.py")
    program = """
import sys, time
sys.path.insert(0, "/usr/local/lib/prmig-test")
from scsi import Disk
disk = Disk(sys.argv[1])
for opcode in sys.argv[2:]:
    for length in (6, 10, 12, 16):
        begin = time.monotonic()
        answer = disk.command(bytes.fromhex(opcode) + bytes(length - 1), timeout_ms=30000)
        print(opcode, length, answer, "late" if time.monotonic() - begin > 5 else "")
"""
    opcodes = ["60", "7e", "c1", "ff"]
    done = machine.vm.run(["python3", "-B", "-c", program, machine.a.sg, *opcodes])
    assert [line.strip() for line in done.lines] == [
        f"{opcode} {length} CHECK 5/20/00" for opcode in opcodes for length in (6, 10, 12, 16)
    ]
    assert machine.restart() < QUICK_S
    machine.wait_open("a", "b.1")
    assert pr.write(machine.vm, machine.a.sg).ok


def test_restart_under_load_and_hand_over(reserved):
    """Under load and under a reservation; the guest goes on, and can be handed over afterwards."""
    machine, vm = reserved, reserved.vm
    before = machine.remembered("a")
    assert before == HELD
    pid = machine.prmig.daemon_pid()
    load = machine.fio(machine.a.disk)
    assert machine.restart() < QUICK_S
    machine.wait_open("a", "b.1")
    machine.wait_writes(machine.a.disk, 200)
    assert machine.prmig.daemon_pid() != pid
    assert machine.remembered("a") == before
    assert machine.remembered("b.1")["State"] == "incoming"
    check_load(load)

    names = machine.names()
    for path in ("/org/prmig1/nexus/a", "/org/prmig1/nexus/b_2e1"):
        assert f"'{path}'" in names
    assert machine.prmig.get("a", "Group") == machine.prmig.get("b.1", "Group") == "vm1"

    state = machine.prmig.export("a")
    # Exported is remembered, too.
    assert machine.restart() < QUICK_S
    machine.wait_open("a", "b.1")
    assert machine.remembered("a")["State"] == "exported"
    machine.prmig.import_("b.1", state)
    machine.prmig.release("a")
    assert machine.remembered("b.1") == HELD
    assert machine.remembered("a")["Key"] == 0
    assert pr.write(vm, machine.b.sg).ok
    assert pr.write(vm, machine.a.sg).status == pr.RESERVATION_CONFLICT
    assert holder(machine) == (KEY, KIND)
    _, keys = pr.read_keys(vm, machine.stranger.sg)
    assert sorted(keys) == sorted([KEY, OTHER_KEY])


def test_killed_with_commands_in_flight(reserved):
    """SIGKILL, again and again: systemd starts it anew, and fio sees nothing of it."""
    machine, vm = reserved, reserved.vm
    front, name = (machine.b, "b.1") if machine.remembered("b.1")["Key"] else (machine.a, "a")
    load = machine.fio(front.disk)
    for _ in range(6 if FULL else 2):
        pid = machine.prmig.daemon_pid()
        vm.run(f"kill -KILL {pid}")
        wait_until(
            lambda: machine.prmig.daemon_pid() not in (0, pid), 60, "tcmu-runner is started again"
        )
        machine.prmig.wait_bus()
        machine.wait_open(name)
        machine.wait_writes(front.disk, 50)
    check_load(load)
    assert machine.remembered(name) == HELD
    assert holder(machine) == (KEY, KIND)
    assert pr.write(vm, front.sg).ok


def test_held_commands_and_a_stop(machine):
    """A write at a closed gate keeps the daemon for hold-timeout at most, and is not lost.

    tcmu-runner waits for the ring to be empty before it tells a handler that it stops.
    """
    vm = machine.vm
    nexus = machine.lio.shared_lun("gate-lun", "16M", nexuses=1)[0]
    machine.prmig.create("gate", nexus.disk, incoming="on", hold_timeout="8")
    front = machine.lio.loopback(machine.lio.backstore("gate"))
    write = vm.spawn(
        f"head -c 512 /dev/zero | tr '\\0' h | "
        f"dd of={front.disk} bs=512 count=1 oflag=direct iflag=fullblock status=none"
    )
    wait_until(lambda: machine.prmig.get("gate", "InFlight") > 0, 20, "the write is held")
    assert machine.restart() < 8 + QUICK_S
    machine.wait_open("gate")
    assert machine.prmig.get("gate", "State") == "incoming"
    assert write.running
    assert pr.read(vm, nexus.sg)[1] == ""
    machine.prmig.abort("gate")
    assert machine.prmig.get("gate", "State") == "active"
    write.wait(40)
    assert pr.read(vm, nexus.sg)[1] == "h" * 512
    machine.lio.remove_loopback(front)
    machine.prmig.delete("gate")


def test_removed_while_commands_run(machine):
    """The LUN goes from under its user; the user gets errors, and nothing hangs."""
    nexus = machine.lio.shared_lun("away-lun", "64M", nexuses=1)[0]
    for _ in range(10 if FULL else 2):
        machine.prmig.create("away", nexus.disk)
        front = machine.lio.loopback(machine.lio.backstore("away"))
        load = machine.fio(front.disk)
        begin = time.monotonic()
        machine.lio.remove_loopback(front)
        machine.prmig.delete("away")
        assert time.monotonic() - begin < QUICK_S
        load.wait(60, check=False)
        assert "away" not in machine.names()
    # The others have gone on, and the daemon still stops.
    machine.prmig.get("a", "State")
    assert machine.restart() < QUICK_S


def test_lun_missing_at_a_restart(machine):
    """The nexus opens without its LUN, says what is missing, and goes on when it is back."""
    vm = machine.vm
    nexus = machine.lio.shared_lun("comes-lun", "16M", nexuses=1)[0]
    # udev's links would turn to the disk in front of prmig, which has the same identity.
    link = "/dev/the-lun"
    vm.run(f"ln -s {nexus.disk} {link}")
    machine.prmig.create("comes", link)
    front = machine.lio.loopback(machine.lio.backstore("comes"))
    assert pr.register(vm, front.sg, KEY).ok
    assert pr.reserve(vm, front.sg, KEY, 3).ok
    known = machine.remembered("comes")

    host = nexus.address.split(":")[0]
    vm.run(f"echo 1 >/sys/class/scsi_device/{nexus.address}/device/delete; udevadm settle")
    vm.wait_for(f"! [ -e {link} ]", 20, "the LUN is gone")
    assert machine.restart() < QUICK_S
    assert "comes" in machine.names()
    assert link in machine.prmig.get("comes", "Failure")
    assert "is not there" in machine.prmig.get("comes", "Failure")
    assert vm.run(f"sg_turs {front.sg}", check=False).status == pr.NOT_READY
    assert machine.remembered("comes") == known
    # The other nexuses have theirs.
    machine.wait_open("a", "b.1")

    vm.run(f"echo '- - -' >/sys/class/scsi_host/host{host}/scan")
    disk, _ = machine.lio.nodes(nexus.address)
    vm.run(f"ln -sfn {disk} {link}")
    wait_until(lambda: not machine.prmig.get("comes", "Failure"), 30, "the LUN is back")
    assert machine.remembered("comes") == known
    assert pr.write(vm, front.sg, 3, "back").ok
    assert pr.read(vm, front.sg, 3)[1] == "back"
    assert pr.read_reservation(vm, front.sg) == (KEY, 3)
    machine.lio.remove_loopback(front)
    machine.prmig.delete("comes")
