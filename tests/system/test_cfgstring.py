# SPDX-License-Identifier: Apache-2.0
"""What an administrator gives targetcli and D-Bus, and what each bad word is answered."""

import re
import shlex
from dataclasses import dataclass

import pytest

from rig import initiator, pr
from rig.lio import Lio, Nexus
from rig.prmig import DBusError, Prmig, object_path

MIB = 1 << 20
SIZE = 64 * MIB


@dataclass
class Machine:
    """The machine and what stands in it for a cfgstring to name."""

    vm: object
    lio: Lio
    prmig: Prmig
    disk: Nexus  # a LUN
    other: Nexus  # the same LUN by another nexus
    big: Nexus  # a LUN of 4096-byte blocks
    words: dict  # what {word} in a cfgstring of REFUSED becomes


@pytest.fixture(scope="module")
def machine(rig, deb):
    vm = rig.vm("words")
    rig.boot(vm)
    prmig, lio = Prmig(vm, deb), Lio(vm)
    disk, other = lio.shared_lun("array", "64M")
    backstore = lio.fileio("big", "64M")
    vm.run(f"echo 4096 >{backstore.path}/attrib/block_size")
    big = lio.loopback(backstore)
    loop = vm.run(
        f"""set -e
        modprobe -a loop dm_mod
        truncate -s 16M /root/loop.img /root/file.img
        losetup -f --show /root/loop.img
        dmsetup create linear --table '0 8192 linear {disk.disk} 0'
        addpart {disk.disk} 1 2048 20480
        udevadm settle
        """
    ).stdout.strip()
    words = {"disk": disk.disk, "sg": disk.sg, "loop": loop, "partition": f"{disk.disk}1"}
    return Machine(vm, lio, prmig, disk, other, big, words)


def create(machine, name, cfgstring, size=SIZE):
    """targetcli's create: (whether there is a backstore then, what targetcli printed)."""
    done = machine.prmig.create_raw(name, size, cfgstring, check=False)
    there = machine.vm.run(f"ls -d /sys/kernel/config/target/core/user_*/{name}", check=False).ok
    return there, done.stdout + done.stderr


NO_SCSI = "which takes no SCSI commands: give a SCSI disk, such as /dev/disk/by-id/wwn-0x..."
OPTIONS = "the options are migrate-pr, pr, incoming, group, filter and hold-timeout"
OTHER_NAME = (
    "name the disk by a /dev/disk/by-id link without one, or describe the LUN in "
    "/etc/prmig/<name>.conf and write its name"
)

REFUSED = [
    ("{disk};color=red", f'"color" is no option of prmig: {OPTIONS}'),
    ("{disk};MIGRATE-PR=on", f'"MIGRATE-PR" is no option of prmig: {OPTIONS}'),
    ("{disk};migrate-pr=maybe", '"maybe" is no value for migrate-pr: it takes on or off'),
    ("{disk};migrate-pr", "option migrate-pr has no value: write migrate-pr=, then on or off"),
    ("{disk};filter=on;filter=off", "option filter is given twice: leave one"),
    (
        "{disk};hold-timeout=26",
        '"26" is no value for hold-timeout: it takes a whole number of seconds from 1 to 25',
    ),
    (
        "{disk};group=a/b",
        '"a/b" is no value for group: it takes a name of 1 to 63 letters, digits, '
        "'-', '_' and '.'",
    ),
    ("{disk};", "there is nothing after the last ';': take that ';' away"),
    (
        "{disk};incoming=on;migrate-pr=off",
        "incoming=on waits for a hand-over, which migrate-pr=off rules out: take one of them away",
    ),
    ("{disk};tcmur_cmd_time_out=5", "tcmur_cmd_time_out"),
    ("{disk};filter=on;tcmur_cmd_time_out=5;incoming=on", "tcmur_cmd_time_out"),
    ("", "no LUN is named: write prmig/, then the absolute path of a disk"),
    ("dev/sda", '"dev/sda" is a relative path: write the absolute one'),
    ("array1", "/etc/prmig/array1.conf is not there, and array1 is no path"),
    ("/dev/nothere", "/dev/nothere is not there (No such file or directory)"),
    ("/dev/vda", f"/dev/vda is a virtio-blk disk, {NO_SCSI}"),
    ("{loop}", f"is a loop device, {NO_SCSI}"),
    (
        "{partition}",
        "{partition} is a partition: reservations belong to a whole LUN; give the disk {disk}",
    ),
    ("/dev/mapper/linear", "/dev/mapper/linear is a device-mapper device (device-mapper, linear)"),
    ("/dev/null", "/dev/null is a character device (1:3), but no sg node"),
    ("/root/file.img;pr=passthrough", "pr=passthrough: a file has no persistent reservations"),
    ("/dev", "/dev is a directory"),
    ("{disk},x", f"',' cannot stand here, the kernel cuts the text at it: {OTHER_NAME}"),
    ("/dev/disk/by-path/pci-0000:00", f"':' cannot stand here, rtslib refuses it: {OTHER_NAME}"),
    ("/dev/" + "x" * 245, "256 bytes with prmig/, and the kernel takes 255"),
]


@pytest.fixture(scope="module")
def answers(machine):
    """What targetcli prints for each of REFUSED, all given to one targetcli."""
    lines = ["set global auto_save_on_exit=false", "pwd"]
    for cfgstring, _ in REFUSED:
        cfgstring = cfgstring.format(**machine.words)
        create_it = f"create name=refused size={SIZE} cfgstring={cfgstring}"
        lines += [f"/backstores/user:prmig {create_it}", "pwd"]
    done = machine.vm.run(
        "PYTHONUNBUFFERED=1 targetcli 2>&1", stdin="\n".join([*lines, "exit", ""]), timeout=300
    )
    # pwd answers "/" behind the prompt.
    printed = re.split(r"^(?:/> )*/$", done.stdout, flags=re.MULTILINE)[1:]
    assert len(printed) == len(REFUSED) + 1, done.stdout
    return printed


@pytest.mark.parametrize("row", range(len(REFUSED)), ids=[words[:40] for words, _ in REFUSED])
def test_refused(machine, answers, row):
    text = REFUSED[row][1].format(**machine.words)
    assert "cfgstring invalid: " in answers[row]
    assert text in answers[row]
    assert "Created" not in answers[row]


def test_nothing_was_made(machine, answers):
    assert answers
    assert not machine.vm.run("ls -d /sys/kernel/config/target/core/user_*/*", check=False).ok


def test_longest(machine):
    """255 bytes are not too many: the path is looked for."""
    path = "/dev/" + "x" * 244
    there, output = create(machine, "longest", path)
    assert f"{path} is not there" in output
    assert not there


@pytest.mark.parametrize("name", ["bad*name", "n" * 64])
def test_bad_name(machine, name):
    """A backstore's name is known to open only, whose reason targetcli does not show: the log does."""
    log = "/var/log/tcmu-runner.log"
    before = int(machine.vm.run(f"wc -c <{log}").stdout)
    there, output = create(machine, name, machine.other.disk)
    assert not there
    assert "Created" not in output
    said = machine.vm.run(f"tail -c +{before + 1} {log}").stdout
    assert "1 to 63 letters, digits, '-', '_' and '.'" in said


def created(machine, cfgstring, size=SIZE):
    """A backstore as it stands after targetcli's create: its attributes, and its D-Bus properties."""
    there, output = create(machine, "made", cfgstring, size)
    assert there, output
    attributes = machine.vm.run(
        "cd /sys/kernel/config/target/core/user_*/made/attrib; "
        "grep . pgr_support cmd_time_out dev_size hw_block_size"
    ).stdout
    properties = machine.prmig.properties("made")
    machine.prmig.delete("made")
    machine.vm.run("rm -f /var/lib/prmig/nexus/made")
    return dict(re.findall(r"(\w+):(\d+)", attributes)), properties


def expected_attributes(block=512):
    return {
        "pgr_support": "0",
        "cmd_time_out": "0",
        "dev_size": str(SIZE),
        "hw_block_size": str(block),
    }


@pytest.mark.parametrize("size", [SIZE, 128 * MIB])
def test_size_is_the_lun_s(machine, size):
    attributes, properties = created(machine, machine.other.disk, size)
    assert attributes == expected_attributes()
    assert properties["Device"] == machine.other.disk
    assert properties["State"] == "active"
    assert properties["Failure"] == ""
    assert re.fullmatch(r"naa\.6001405[0-9a-f]{25}", properties["Lun"])
    assert (properties["Backend"], properties["MigratePr"], properties["Emulated"]) == (
        "sg",
        True,
        False,
    )


def test_sg_node(machine):
    """The block node is used in its place."""
    attributes, properties = created(machine, machine.other.sg)
    assert attributes == expected_attributes()
    assert properties["Device"] == machine.other.disk


def test_by_id(machine):
    link = machine.vm.run(
        f"udevadm info -q symlink {machine.big.disk} | tr ' ' '\\n' | grep disk/by-id/wwn"
    ).stdout.strip()
    attributes, properties = created(machine, f"/dev/{link}", SIZE)
    assert attributes == expected_attributes(4096)
    assert properties["Device"] == machine.big.disk


def test_4096_byte_blocks(machine):
    """The LUN's own block size, all the way to the guest."""
    backstore = machine.prmig.create("blocks", machine.big.disk)
    front = machine.lio.loopback(backstore)
    text = machine.vm.run(f"blockdev --getss --getsize64 {front.disk}").stdout
    assert text.split() == ["4096", str(SIZE)]
    machine.vm.run(
        f"head -c 8192 /dev/urandom >/root/data; "
        f"dd if=/root/data of={front.disk} bs=4096 seek=5 oflag=direct status=none && "
        f"dd if={machine.big.disk} bs=4096 skip=5 count=2 iflag=direct status=none "
        "| cmp - /root/data"
    )
    machine.lio.remove_loopback(front)
    machine.prmig.delete("blocks")


# D-Bus


@pytest.fixture(scope="module")
def nexus(machine):
    """A nexus called "n.1-2"."""
    machine.prmig.create("n.1-2", machine.other.disk, group="g")
    yield "n.1-2"
    machine.prmig.delete("n.1-2")


def test_everybody_looks_and_root_alone_calls(machine, nexus):
    path = object_path(nexus)
    assert path == "/org/prmig1/nexus/n_2e1_2d2"

    def nobody(words):
        return machine.vm.run(f"runuser -u nobody -- {words}", check=False)

    shown = nobody(f"busctl introspect org.prmig1 {path}")
    assert shown.ok, shown.stderr
    for word in ("org.prmig1.Nexus", ".Export", ".State", ".FencedChanged"):
        assert word in shown.stdout
    got = nobody(f"busctl get-property org.prmig1 {path} org.prmig1.Nexus State Group Key")
    assert got.lines == ['s "active"', 's "g"', "t 0"]
    assert nobody("busctl tree org.prmig1").ok
    objects = nobody(
        "busctl call org.prmig1 /org/prmig1 org.freedesktop.DBus.ObjectManager GetManagedObjects"
    )
    assert path in objects.stdout
    for call in (
        f"{path} org.prmig1.Nexus Export 'a{{sv}}' 0",
        f"{path} org.prmig1.Nexus Import 'sa{{sv}}' x 0",
        f"{path} org.prmig1.Nexus Forget 'a{{sv}}' 0",
        f"{path} org.prmig1.Nexus Resync",
        f"{path} org.freedesktop.DBus.Properties Set ssv org.prmig1.Nexus State s x",
        "/org/prmig1 org.prmig1.Manager Export 'sa{sv}' g 0",
    ):
        refused = nobody(f"busctl call org.prmig1 {call}")
        assert not refused.ok
        assert "ccess denied" in refused.stderr, refused.stderr
    # Nor by the connection that everybody may send to.
    other = nobody(f"busctl call org.kernel.TCMUService1 {path} org.prmig1.Nexus Export 'a{{sv}}' 0")
    assert not other.ok
    assert machine.prmig.get(nexus, "State") == "active"


def refusal(machine, call):
    """(name, message) of the error that this call of gdbus's is answered."""
    with pytest.raises(DBusError) as caught:
        machine.prmig.call(*call)
    return caught.value.name, caught.value.message


def test_unknown_nexus(machine, nexus):
    name, message = refusal(
        machine, ("/org/prmig1", "org.prmig1.Manager", "GetNexus", "'nobody'")
    )
    assert name == "org.freedesktop.DBus.Error.UnknownObject"
    assert "there is no nexus 'nobody' on this host" in message
    assert message.endswith(f"there are: {nexus}")
    name, _ = refusal(
        machine, ("/org/prmig1/nexus/nobody", "org.prmig1.Nexus", "Export", "{}")
    )
    assert name in (
        "org.freedesktop.DBus.Error.UnknownObject",
        "org.freedesktop.DBus.Error.UnknownMethod",
    )


def test_get_nexus(machine, nexus):
    answer = machine.prmig.manager("GetNexus", f"'{nexus}'")
    assert answer == f"(objectpath '{object_path(nexus)}',)"


BAD_STATES = ["", "x", "prmig", "prmig1:", "a b;c'd\\\"", "x" * 5000, "räum", "prmig/999 0"]


@pytest.mark.parametrize("state", BAD_STATES, ids=[state[:10] or "empty" for state in BAD_STATES])
def test_malformed_state(machine, nexus, state):
    quoted = "'" + state.replace("\\", "\\\\").replace("'", "\\'") + "'"
    call = (object_path(nexus), "org.prmig1.Nexus", "Import", quoted, "{}")
    name, message = refusal(machine, call)
    assert name == "BadState", message
    assert machine.prmig.get(nexus, "State") == "active"


CALLS = {
    "Export": (["{'color': <'red'>}"], "unknown option 'color': Export knows destination (s)"),
    "Import": (["'x'", "{'color': <'red'>}"], "unknown option 'color': Import knows force (b)"),
    "Abort": (["{'color': <1>}"], "unknown option 'color': Abort knows force (b), id (s)"),
    "Release": (["{'force': <'yes'>}"], "option 'force' has type s, but is a boolean (b)"),
    "Check": (["''", "{'force': <true>}"], "unknown option 'force': Check takes no options"),
    "Prepare": (["{'force': <true>}"], "unknown option 'force': Prepare takes no options"),
    "Forget": (["{'id': <'0'>}"], "unknown option 'id': Forget knows force (b)"),
}


@pytest.mark.parametrize("method", CALLS)
def test_unknown_option(machine, nexus, method):
    arguments, text = CALLS[method]
    name, message = refusal(
        machine, (object_path(nexus), "org.prmig1.Nexus", method, *arguments)
    )
    assert name == "org.freedesktop.DBus.Error.InvalidArgs"
    assert text in message
    assert machine.prmig.get(nexus, "State") == "active"


def test_malformed_id(machine, nexus):
    name, message = refusal(
        machine, (object_path(nexus), "org.prmig1.Nexus", "Abort", "{'id': <'not hex'>}")
    )
    assert name == "org.freedesktop.DBus.Error.InvalidArgs"
    assert "option 'id' is a hand-over's id" in message


def test_wrong_state(machine, nexus):
    """What comes before its turn is refused, says so, and changes nothing."""
    prmig = machine.prmig
    name, message = refusal(machine, (object_path(nexus), "org.prmig1.Nexus", "Forget", "{}"))
    assert name == "NotRegistered", message
    # Prompt, whatever it was: a hand-over that never began.
    with pytest.raises(DBusError) as caught:
        prmig.release(nexus, id="00112233445566778899aabbccddeeff")
    assert caught.value.name == "WrongState"
    with pytest.raises(DBusError) as caught:
        prmig.abort(nexus, id="00112233445566778899aabbccddeeff")
    assert caught.value.name == "WrongState"

    state = prmig.export(nexus)
    assert prmig.get(nexus, "State") == "exported"
    assert shlex.quote(state) == state or not set(state) & set(" \"'\\;")
    with pytest.raises(DBusError) as caught:
        prmig.abort(nexus, id="00112233445566778899aabbccddeeff")
    assert caught.value.name == "WrongState"
    damaged = state[:-1] + ("0" if state[-1] != "0" else "1")
    with pytest.raises(DBusError) as caught:
        prmig.import_(nexus, damaged)
    assert caught.value.name == "BadState"
    prmig.abort(nexus)
    assert prmig.get(nexus, "State") == "active"


def test_a_second_nexus_by_the_same_port(machine, nexus):
    """The LUN could not tell them apart."""
    there, output = create(machine, "second", machine.other.disk)
    if there:
        machine.prmig.delete("second")
    log = machine.vm.run("tail -n 5 /var/log/tcmu-runner.log").stdout
    assert not there, "two nexuses were opened by one physical nexus"
    assert nexus in output + log


def test_nexuses_of_one_lun(machine):
    """A LUN by iSCSI, in three sessions of this host: of one initiator name, of the same name once more
    (with another ISID), of another name. The first sees the LUN under two numbers."""
    vm, lio = machine.vm, machine.lio
    iqn, one, two = (f"iqn.2026-11.org.example:{word}" for word in ("sessions", "one", "two"))
    lun = lio.fileio("sessions", "16M")
    for number in (0, 1):
        lio.iscsi_acl(iqn, one, lun, number)
    lio.iscsi_acl(iqn, two, lun)
    disk, sg = initiator.login(vm, one, "127.0.0.1", 3260, iqn, 0)
    again, again_sg = initiator.nodes(vm, iqn, 1, one)
    disks = [disk, initiator.login(vm, two, "127.0.0.1", 3260, iqn, 0, second=True)[0]]
    first = vm.run("iscsiadm -m session").stdout.split("[")[1].split("]")[0]
    vm.run(f"iscsiadm -m session -r {first} --op new")
    vm.wait_for("[ $(ls /sys/class/iscsi_session | wc -l) = 3 ]", 30, "a third session")
    session = vm.run("ls -d /sys/class/iscsi_session/session* | sort -V | tail -n 1").stdout.strip()
    assert vm.get(f"{session}/initiatorname").strip() == one
    found = vm.wait_for(f"ls {session}/device/target*/*:0/block", 30, "its LUN")
    disks.append(f"/dev/{found.stdout.strip()}")

    names = [f"session{number}" for number in range(3)]
    assert create(machine, names[0], disk)[0]
    for node in (again, again_sg, sg):
        assert not create(machine, "second", node)[0], f"{node} is {disk} by another name"
        log = vm.run("tail -n 5 /var/log/tcmu-runner.log").stdout
        assert f"nexus '{names[0]}' is on LUN" in log and one in log and iqn in log
        assert "NPIV" in log
    for name, node in zip(names[1:], disks[1:]):
        assert create(machine, name, node)[0], f"{node} is a nexus of its own"

    # Indeed the LUN tells them apart.
    fronts = [lio.loopback(lio.backstore(name)) for name in names]
    for number, front in enumerate(fronts):
        assert pr.register(vm, front.sg, 0x1000 + number).ok
    assert sorted(pr.read_keys(vm, fronts[0].sg)[1]) == [0x1000, 0x1001, 0x1002]
    for number, (name, front) in enumerate(zip(names, fronts)):
        assert pr.register(vm, front.sg, 0, old=0x1000 + number).ok
        lio.remove_loopback(front)
        machine.prmig.delete(name)
    initiator.logout(vm, iqn)


def test_migrate_pr_off_exports_nothing(machine):
    machine.prmig.create("off", machine.disk.disk, migrate_pr="off")
    with pytest.raises(DBusError) as caught:
        machine.prmig.export("off")
    assert caught.value.name == "Unsupported"
    assert "migrate-pr" in caught.value.message
    front = machine.lio.loopback(machine.lio.backstore("off"))
    assert "(SIP_C): 1" in pr.capabilities(machine.vm, front.sg)
    machine.lio.remove_loopback(front)
    machine.prmig.delete("off")
