# SPDX-License-Identifier: Apache-2.0
"""A guest that holds a reservation migrates with nothing but QEMU's own migrate
command: QEMU's dbus-vmstate calls Save and Load of prmig, on a bus of the VM's
own on each side.

One machine is both hosts: two prmig backstores on two nexuses of one LUN, two
groups, two buses, two QEMUs, each with its disk by tcm_loop and scsi-block, so
that udev probes what QEMU closes. In every test the guest writes, reads and
verifies all the way, and a stranger's writes are refused. PRMIG_FULL=1: one way
more for a destination to end.

The hosts reach the LUN by iSCSI: LIO of Linux 6.1 waits for itself, for ever, when
PREEMPT AND ABORT comes to it by tcm_loop.
"""

import os
import re

import pytest
from conftest import SOURCE_ROOT
from rig import initiator, nested, pr
from rig.lio import Lio
from rig.prmig import Prmig
from rig.process import wait_until

FULL = os.environ.get("PRMIG_FULL") == "1"
KEY = 0xABCD1
KIND = 5
ID = "prmig-vm1"
SIDES = {"source": 4441, "destination": 4442}  # and QEMU's QMP ports
BUS_CONFIG = (SOURCE_ROOT / "tcmu-config/examples/vm-bus.conf").read_text()
OFF_BUS = "unix:path=/run/vm-off/bus"
# The second of two ids in the order in which QEMU saves and loads them, that of a GHashTable.
ORDER = """
import ctypes, sys
glib = ctypes.CDLL("libglib-2.0.so.0")
new, insert, keys = glib.g_hash_table_new, glib.g_hash_table_insert, glib.g_hash_table_get_keys
new.restype = keys.restype = ctypes.c_void_p
new.argtypes = [ctypes.c_void_p] * 2
insert.argtypes = [ctypes.c_void_p] * 3
keys.argtypes = [ctypes.c_void_p]
class Iter(ctypes.Structure):
    _fields_ = [("space", ctypes.c_void_p * 8)]
for n in range(100):
    ids = [ctypes.create_string_buffer(sys.argv[1].encode()),
           ctypes.create_string_buffer(b"other-%d" % n)]
    firsts = set()
    for order in (ids, ids[::-1]):
        table = new(glib.g_str_hash, glib.g_str_equal)
        for one in order:
            insert(table, ctypes.addressof(one), ctypes.addressof(one))
        it, key = Iter(), ctypes.c_void_p()
        glib.g_hash_table_iter_init(ctypes.byref(it), ctypes.c_void_p(table))
        glib.g_hash_table_iter_next(ctypes.byref(it), ctypes.byref(key), None)
        firsts.add(ctypes.string_at(key.value))
    if firsts == {sys.argv[1].encode()}:
        print("other-%d" % n)
        break
"""


def other(side):
    return "destination" if side == "source" else "source"


def initiator_name(side):
    return f"iqn.2026-11.org.example:{side}"


def bus(side):
    return f"unix:path=/run/vm1-{side}/bus"


class World:
    """The machine, and the guest wherever it runs."""

    def __init__(self, vm, deb):
        self.vm = vm
        nested.prepare(vm)
        lio = Lio(vm)
        array = lio.fileio("array")
        self.stranger = lio.loopback(array, "stranger").sg
        self._luns = {}
        for side in SIDES:
            iqn = "iqn.2026-11.org.example:array"
            lio.iscsi_acl(iqn, initiator_name(side), array)
            self._luns[side], _ = initiator.login(
                vm, initiator_name(side), "127.0.0.1", 3260, iqn, 0, second=bool(self._luns)
            )
        for side in SIDES:
            self._start_bus(side)
        vm.put_data(
            "".join(
                f"[group {name}]\nvmstate-bus={address}\nvmstate-id={ID}\n"
                for name, address in (*((side, bus(side)) for side in SIDES), ("off", OFF_BUS))
            ),
            "/etc/prmig/prmig.conf",
        )
        self.prmig = Prmig(vm, deb)
        self.disks = {}
        for side, options in (("source", {}), ("destination", {"incoming": "on"})):
            backstore = self.prmig.create(side, self._luns[side], group=side, **options)
            self.disks[side] = lio.loopback(backstore).disk
        self.side = "source"
        self._started = 0
        self.guest = self.start()
        self.guest.wait_console(r"guest: holds the reservation")
        self.seen = 0  # the last step that the guest was seen to make
        self.expect_running()

    def _start_bus(self, side):
        config = f"/etc/vm1-{side}.conf"
        self.vm.put_data(BUS_CONFIG.replace("unix:path=/run/vm1/bus", bus(side)), config)
        self.vm.run(f"mkdir -p /run/vm1-{side}")
        self.vm.spawn(f"exec dbus-daemon --config-file={config} --nofork --nopidfile")
        self.vm.wait_for(f"[ -S /run/vm1-{side}/bus ]", 30)

    # QEMU

    def start(self, side=None, paused=False):
        """A QEMU on this side; one that waits for the guest when the guest is there."""
        incoming = side is not None
        side = side or self.side
        self._started += 1
        name = f"{side}-{self._started}"
        disk = (
            f"-drive if=none,id=disk,format=raw,cache=none,file={self.disks[side]} "
            "-device virtio-scsi-pci,id=scsi -device scsi-block,drive=disk,bus=scsi.0 "
            f"-object dbus-vmstate,id=prmig,addr={bus(side)},id-list={ID}"
        )
        if paused:
            disk += " -S"
        guest = nested.Guest(
            self.vm, name, disk, SIDES[side], incoming=incoming, key=KEY, kind=KIND
        )
        # With it the source learns of a Load that fails.
        self.set_capability(guest, "return-path")
        guest.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 30})
        return guest

    @staticmethod
    def set_capability(guest, name, state=True):
        guest.qmp.command(
            "migrate-set-capabilities", {"capabilities": [{"capability": name, "state": state}]}
        )

    def begin_migration(self, destination):
        destination.qmp.command("migrate-incoming", {"uri": "tcp:127.0.0.1:4444"})
        self.guest.qmp.command("migrate", {"uri": "tcp:127.0.0.1:4444"})

    def status(self):
        return self.guest.qmp.command("query-migrate").get("status")

    def wait_status(self, *statuses, seconds=120):
        wait_until(
            lambda: self.status() in statuses,
            seconds,
            lambda: f"migration {statuses}: {self.guest.qmp.command('query-migrate')}",
            0.1,
        )

    def cancel(self):
        """QEMU 7.2 shuts the connection down first, and may find it broken before
        it has noted that it was told to."""
        self.guest.qmp.command("migrate_cancel")
        self.wait_status("cancelled", "failed")
        wait_until(lambda: self.running(self.guest), 30, "the guest runs at the source")

    @staticmethod
    def running(guest):
        return guest.qmp.command("query-status")["status"] == "running"

    # What has to be so

    def expect_running(self, count=60):
        """The guest goes on where it is, with its reservation, and sees no error."""
        goal = self.seen + count
        self.guest.wait_console(rf"guest: step {goal} ", seconds=90)
        text = self.guest.console()
        self.seen = nested.steps(text)[-1]
        assert nested.complaints(text) == ([], [])
        self.expect_holder()

    def expect_holder(self):
        text = pr.full_status(self.vm, self.stranger)
        entries = re.split(r"^\s+Key=", text, flags=re.MULTILINE)[1:]
        (entry,) = entries
        assert int(entry.split()[0], 16) == KEY
        assert "Reservation holder" in entry
        assert f"{initiator_name(self.side)}," in entry, f"{self.side} should hold: {text}"
        assert pr.write(self.vm, self.stranger, 0, "stranger").status == pr.RESERVATION_CONFLICT

    def get(self, side, *names):
        found = self.prmig.properties(side)
        return tuple(found[name] for name in names)

    def expect_soon(self, side, seconds=30, **wanted):
        wait_until(
            lambda: self.get(side, *wanted) == tuple(wanted.values()),
            seconds,
            lambda: f"{side}: {wanted}, not {self.get(side, *wanted)}\n{self.log()}",
            0.5,
        )

    def log(self):
        return self.vm.run("tail -n 30 /var/log/tcmu-runner.log", check=False).stdout

    # Whole acts

    def migrate(self):
        """There, by QEMU alone; what runs at the source afterwards is its
        QEMU, paused, until it is closed."""
        old_side, old = self.side, self.guest
        new = self.start(other(old_side))
        self.begin_migration(new)
        self.wait_status("completed")
        self.seen = max(self.seen, nested.steps(old.console())[-1])
        self.side, self.guest = other(old_side), new
        self.expect_running()
        return old_side, old

    def close(self, side, guest):
        """QEMU at the source ends after the migration, and udev looks at the disk."""
        guest.quit()
        self.probe(side)
        self.expect_soon(side, State="active", Key=0, Fenced=False)
        self.probe(side)
        self.expect_running()

    def probe(self, side):
        """What a host does with a disk that somebody has closed, and what other
        programs that scan do."""
        disk = self.disks[side]
        self.vm.run(
            f"udevadm trigger --settle --action=change $(basename {disk}); udevadm settle; "
            f"blkid -p {disk}; blockdev --flushbufs {disk}; "
            f"dd if={disk} of=/dev/null bs=64k count=16 iflag=direct status=none; "
            f"sg_turs {disk}; sg_inq {disk} >/dev/null; sg_sync {disk}",
            check=False,
        )

    def end(self, guest):
        """QEMU of a migration that came to nothing."""
        if guest.process.running:
            guest.quit()


@pytest.fixture(scope="module")
def world(rig, deb):
    vm = rig.vm("hosts", memory_mib=1536, forward=SIDES.values())
    rig.boot(vm)
    return World(vm, deb)


@pytest.fixture(autouse=True)
def log_of_failures(world, request):
    """tcmu-runner's log, with what has failed."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        print(world.log())


def test_says_once_that_a_bus_is_not_there(world):
    log = world.vm.run("cat /var/log/tcmu-runner.log").stdout
    lines = [line for line in log.splitlines() if OFF_BUS in line]
    assert len(lines) == 1, lines
    assert "group 'off'" in lines[0] and "cannot be reached: " in lines[0]


def test_guest_reboots(world):
    """The nexus is the host's: what the guest had registered stands, and it finds that again."""
    before = world.get(world.side, "Key", "Holder", "Type")
    world.guest.qmp.command("system_reset")
    world.guest.wait_console(r"(?s)(guest: holds the reservation.*){2}")
    world.expect_running()
    assert world.get(world.side, "Key", "Holder", "Type") == before
    world.close(*world.migrate())


def test_there_and_back_twice(world):
    """Nothing but QEMU's own migrate command; QEMU at the source is closed
    after each, or, once, killed."""
    begin = world.side
    for number in range(4):
        side, old = world.migrate()
        if number == 1:
            # It has not gone yet, and its host looks at the disk.
            world.probe(side)
            world.expect_running()
            assert world.get(side, "State") == ("exported",)
        if number == 2:
            old.process.signal("KILL")
            old.process.wait(30, check=False)
        world.close(side, old)
    assert world.side == begin


def test_cancelled_while_memory_is_copied(world):
    """Save is not called."""
    destination = world.start(other(world.side))
    world.guest.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 20})
    world.begin_migration(destination)
    world.wait_status("active")
    world.cancel()
    world.guest.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 30})
    world.expect_running()
    world.end(destination)
    world.expect_running()


def test_cancelled_at_pre_switchover(world):
    """The guest has stopped, its device state is not saved yet."""
    destination = world.start(other(world.side))
    for guest in (world.guest, destination):
        world.set_capability(guest, "pause-before-switchover")
    world.begin_migration(destination)
    world.wait_status("pre-switchover")
    world.cancel()
    world.expect_running()
    world.set_capability(world.guest, "pause-before-switchover", False)
    world.end(destination)
    world.expect_running()


@pytest.mark.parametrize("how", ["KILL", "quit"] if FULL else ["KILL"])
def test_destination_ends_before_its_guest_runs(world, how):
    """All is loaded, the guest is not started, and QEMU at the destination is
    gone: the management layer lets the guest go on at the source."""
    there = other(world.side)
    destination = world.start(there, paused=True)
    world.begin_migration(destination)
    world.wait_status("completed")
    assert world.get(there, "State", "Holder") == ("active", True)
    assert world.get(world.side, "State") == ("exported",)
    if how == "quit":
        destination.quit()
    else:
        destination.process.signal("KILL")
        destination.process.wait(30, check=False)
    world.guest.qmp.command("cont")
    world.expect_running()
    world.expect_soon(there, State="incoming", Key=0)
    world.expect_soon(world.side, State="active", Key=KEY, Holder=True, Fenced=False)


def test_guest_goes_on_while_destination_is_there(world):
    """The same, but QEMU at the destination, its guest loaded and paused, is
    ended only when the guest at the source has written again."""
    there = other(world.side)
    destination = world.start(there, paused=True)
    world.begin_migration(destination)
    world.wait_status("completed")
    world.guest.qmp.command("cont")
    world.expect_running()
    world.end(destination)
    world.expect_soon(there, State="incoming", Key=0)
    world.expect_running()


class Owner:
    """One more owner of org.qemu.VMState1, beside prmig, on each bus."""

    def __init__(self, world, at_load):
        vm = self._vm = world.vm
        vm.put(SOURCE_ROOT / "tests/system/inside/vmstate_owner.py", "/root/vmstate_owner.py")
        self.ident = vm.run(["python3", "-c", ORDER, ID]).stdout.strip()
        self._owners = {}
        for side in SIDES:
            mode = "accept" if side == world.side else at_load
            self._owners[side] = vm.spawn(
                f"exec python3 /root/vmstate_owner.py {bus(side)} {self.ident} {mode}"
            )
        for side in SIDES:
            self.wait(side, "ready")

    def wait(self, side, word):
        owner = self._owners[side]
        wait_until(
            lambda: word in owner.stdout.split(),
            60,
            lambda: f"{side}'s owner says {word}: {owner.stdout}{owner.stderr}",
        )

    def stop(self):
        for owner in self._owners.values():
            owner.stop()


@pytest.fixture
def second(world, request):
    """A second owner, whose Load comes after prmig's."""
    owner = Owner(world, request.param)
    both = f"{ID},{owner.ident}"
    world.guest.qmp.command(
        "qom-set", {"path": "/objects/prmig", "property": "id-list", "value": both}
    )
    destination = world.start(other(world.side))
    destination.qmp.command(
        "qom-set", {"path": "/objects/prmig", "property": "id-list", "value": both}
    )
    yield owner, destination
    world.guest.qmp.command(
        "qom-set", {"path": "/objects/prmig", "property": "id-list", "value": ID}
    )
    world.end(destination)
    owner.stop()


def expect_back(world, there):
    """The migration failed after Load; QEMU lets the guest go on by itself."""
    world.wait_status("failed")
    wait_until(lambda: world.running(world.guest), 30, "the guest runs at the source")
    world.expect_running()
    world.expect_soon(there, State="incoming", Key=0)
    world.expect_soon(world.side, State="active", Key=KEY, Holder=True, Fenced=False)


@pytest.mark.parametrize("second", ["refuse"], indirect=True)
def test_load_of_another_fails_after_prmigs(world, second):
    owner, destination = second
    there = other(world.side)
    world.begin_migration(destination)
    owner.wait(there, "Load")
    expect_back(world, there)


@pytest.mark.parametrize("second", ["hang"], indirect=True)
def test_destination_killed_after_load(world, second):
    owner, destination = second
    there = other(world.side)
    world.begin_migration(destination)
    owner.wait(there, "Load")
    assert world.get(there, "State", "Holder") == ("active", True)
    destination.process.signal("KILL")
    destination.process.wait(30, check=False)
    expect_back(world, there)


def test_load_is_refused(world):
    """prmig refuses, as another guest uses the destination; when that has gone,
    the migration succeeds."""
    there = other(world.side)
    disk = world.disks[there]
    for _ in range(2):  # what an Import left, and then the waiting for one
        if world.get(there, "State") == ("incoming",):
            world.prmig.abort(there)
    assert world.get(there, "State") == ("active",)
    for _ in range(5):  # unit attentions of what was before
        if pr.register(world.vm, disk, 0x77).status == pr.GOOD:
            break
    assert world.get(there, "Key") == (0x77,)
    destination = world.start(there)
    world.begin_migration(destination)
    world.wait_status("failed")
    wait_until(lambda: world.running(world.guest), 30, "the guest runs at the source")
    world.guest.wait_console(rf"guest: step {world.seen + 60} ", seconds=90)
    world.end(destination)
    assert "Failed to Load" in destination.process.stderr
    assert "is active and its guest is registered with key 0x77" in world.log()
    assert pr.register(world.vm, disk, 0, old=0x77).status == pr.GOOD
    world.prmig.forget(there, force=True)
    world.expect_running()
    world.close(*world.migrate())
