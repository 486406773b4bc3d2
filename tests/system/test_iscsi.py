# SPDX-License-Identifier: Apache-2.0
"""The iscsi backend on LIO, which knows a nexus by its initiator name and ISID
and keeps its registration when the session ends: two guests of one host, with
CHAP and header digests, through lost connections and daemons that die.
"""

import pytest
from rig import pr
from rig.lio import Lio
from rig.process import wait_until
from rig.prmig import Prmig
from two_hosts import Port, initiator_name

IQN = initiator_name("array")
KEYS = {"vm1": 0x1111, "vm2": 0x2222}
EXCLUSIVE = 1
SECRET = "quite-secret-word"


def define(vm, name, who, portal, lun=0, password=SECRET, iqn=IQN):
    """/etc/prmig/<name>.conf."""
    vm.put_data(
        f"""[lun]
backend=iscsi
portal={portal}
target={iqn}
lun={lun}
initiator={initiator_name(who)}
[chap]
user=guest
password={password}
""",
        f"/etc/prmig/{name}.conf",
        mode="600",
    )


@pytest.fixture(scope="module")
def target(rig):
    """LIO's iSCSI target, which asks for CHAP and header digests."""
    machine = rig.vm("target", forward=[3260])
    rig.boot(machine)
    lio = Lio(machine)
    backstore = lio.fileio("array")
    for who in (*KEYS, "stranger"):
        lio.iscsi_acl(IQN, initiator_name(who), backstore)
        if who != "stranger":
            machine.run(
                f"""cd /sys/kernel/config/target/iscsi/{IQN}/tpgt_1/acls/{initiator_name(who)}/auth
                echo -n guest >userid; echo -n {SECRET} >password"""
            )
    machine.run(
        f"""cd /sys/kernel/config/target/iscsi/{IQN}/tpgt_1
        echo 1 >attrib/authentication; echo CRC32C >param/HeaderDigest"""
    )
    return lio


@pytest.fixture(scope="module")
def portal(target):
    """Where the hosts reach it."""
    return f"{target.vm.OUTSIDE}:{target.vm.ports[3260]}"


@pytest.fixture(scope="module")
def prmig(rig, deb):
    """prmig on a host."""
    machine = rig.vm("host")
    rig.boot(machine)
    return Prmig(machine, deb)


@pytest.fixture(scope="module")
def guests(prmig, portal):
    """Two guests' disks, by their names; the first holds the reservation."""
    found = {}
    for name, key in KEYS.items():
        define(prmig.vm, f"{name}-disk", name, portal)
        prmig.create_raw(name, "64M", f"{name}-disk")
        found[name] = Port(prmig.vm, prmig.lio.loopback(prmig.lio.backstore(name)).sg)
        assert found[name].register(key) == pr.GOOD
    assert found["vm1"].reserve(KEYS["vm1"], EXCLUSIVE) == pr.GOOD
    return found


def expect_as_it_was(prmig, guests):
    """The first guest holds, the second is registered and shut out."""
    for name, key in KEYS.items():
        prmig.wait_open(name)
        wait_until(
            lambda name=name, key=key: prmig.properties(name)["Key"] == key, 20, f"{name}: its key"
        )
        found = prmig.properties(name)
        assert found["Holder"] == (name == "vm1")
        assert not found["Fenced"]
    assert guests["vm1"].write("first", lba=1) == pr.GOOD
    assert guests["vm2"].write("second", lba=2) == pr.RESERVATION_CONFLICT
    keys, reservation = pr.look(guests["vm2"], guests["vm2"].node)[:2]
    assert sorted(keys) == sorted(KEYS.values())
    assert reservation == (KEYS["vm1"], EXCLUSIVE)


def test_two_guests_of_one_host(prmig, guests):
    expect_as_it_was(prmig, guests)
    assert prmig.get("vm1", "Backend") == "iscsi"
    assert prmig.get("vm1", "Lun") == prmig.get("vm2", "Lun")


def test_lost_connections(prmig, guests, target):
    """LIO ends every session of the portal group; the same nexuses log in again."""
    tpg = f"/sys/kernel/config/target/iscsi/{IQN}/tpgt_1/enable"
    for _ in range(3):
        target.vm.run(f"echo 0 >{tpg}; echo 1 >{tpg}")
        expect_as_it_was(prmig, guests)


def test_daemon_restarted(prmig, guests):
    prmig.restart()
    expect_as_it_was(prmig, guests)


def test_daemon_killed(prmig, guests):
    """Nobody logs out: the new login ends the old session."""
    prmig.vm.run(f"kill -9 {prmig.daemon_pid()}")
    prmig.wait_bus()
    expect_as_it_was(prmig, guests)


def test_refused(prmig, portal):
    """What is wrong, and what would be right; the password in no text."""
    cases = (
        ({"who": "vm1", "password": "x" + SECRET}, "refuses the CHAP user or password"),
        ({"who": "nobody"}, f"does not let initiator {initiator_name('nobody')} in"),
        ({"who": "vm1", "iqn": initiator_name("none")}, f"target {initiator_name('none')} at {portal} is not there or is not"),
        ({"who": "vm1", "lun": 7}, "LUN 7 (lun= in bad.conf) of target"),
    )
    for words, text in cases:
        define(prmig.vm, "bad", portal=portal, **words)
        done = prmig.create_raw("bad", "64M", "bad", check=False)
        assert not done.ok
        assert text in " ".join((done.stdout + done.stderr).split())
    prmig.vm.run("chmod 644 /etc/prmig/bad.conf")
    done = prmig.create_raw("bad", "64M", "bad", check=False)
    assert "chmod 600 it" in " ".join((done.stdout + done.stderr).split())
    found = prmig.vm.run(
        f"""grep -rl {SECRET} /var/log /var/lib/prmig /sys/kernel/config/target/core 2>/dev/null
        journalctl -b | grep {SECRET}""",
        check=False,
    )
    assert not found.stdout
