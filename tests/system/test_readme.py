# SPDX-License-Identifier: Apache-2.0
"""README.md's way to give a guest its disk: the lines that it shows under Configure are taken out of
it and run, for each kind of LUN, by vhost-scsi and by iSCSI, up to a guest that reserves and writes.

What stands for something of the reader's own is replaced, by Stage.stands_for; all else is as shown.
PRMIG_FULL=1: each LUN by each fabric; else so that every line is run.
"""

import json
import os
import re

import pytest
from conftest import SOURCE_ROOT
from rig import initiator, nested, pr
from rig.lio import Lio
from rig.prmig import Prmig
from two_hosts import Port

FULL = os.environ.get("PRMIG_FULL") == "1"
QMP = 4500
KEY, TYPE = 0xABCD1, 5
HOST = "iqn.2026-11.com.example:host1"
DISKS = "iqn.2003-01.com.example:disks"
EXAMPLE = SOURCE_ROOT / "tcmu-config/examples/lun-iscsi.conf"


def shown():
    """The blocks of lines that stand under Configure."""
    text = (SOURCE_ROOT / "README.md").read_text()
    section = re.search(r"^## Configure$(.*?)^## ", text, re.MULTILINE | re.DOTALL).group(1)
    blocks = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    return [[line[4:] for line in block.splitlines()] for block in blocks]


BLOCKS = shown()
LINES = [line for block in BLOCKS for line in block]
# {what the cfgstring begins with: the line}
CREATE = {
    re.search(r"cfgstring=(/dev/disk|/dev/mapper|/srv|)", line).group(1): line
    for line in LINES
    if line.startswith("/backstores/user:prmig create ")
}
FABRIC = {
    name: [line for line in LINES if line.startswith(f"/{name}")] for name in ("vhost", "iscsi")
}
(DEFINITION,) = [block for block in BLOCKS if block[0] == "[lun]"]
(INSTALL,) = [line for line in LINES if line.startswith("install ")]
(BLACKLIST,) = [line for line in LINES if line.startswith("blacklist ")]
(TRUNCATE,) = [line for line in LINES if line.startswith("truncate ")]
(MOVE,) = [line for line in LINES if line.startswith("move=")]

OF_ARRAY = {"disk": "/dev/disk", "definition": "", "map": "/dev/mapper"}
LUNS = {**OF_ARRAY, "file": "/srv"}
CASES = [("disk", "vhost"), ("disk", "iscsi"), ("definition", "iscsi"), ("map", "iscsi")]
CASES += [("file", "iscsi")]
if FULL:
    CASES += [("definition", "vhost"), ("map", "vhost")]


def word(name, lines=DEFINITION):
    """A value of the definition file."""
    return next(line.split("=", 1)[1] for line in lines if line.startswith(f"{name}="))


class Stage:
    """An array with a LUN of each kind, and a host to configure."""

    def __init__(self, array, host, deb):
        self.array, self.host = Lio(array), host
        self.seen = {}
        luns = {}
        for name in OF_ARRAY:
            luns[name] = self.array.fileio(name, size="20G")
            self.seen[name] = Port(array, self.array.loopback(luns[name], f"seen {name}").sg)
        for who in (HOST, f"{HOST}-b"):
            self.array.iscsi_acl(DISKS, who, luns["map"], lun=1)
        self.array.iscsi_acl(DISKS, HOST, luns["disk"], lun=0)
        self._array_of_the_definition(luns["definition"])
        self.prmig = Prmig(host, deb)
        # The machines' dpkg leaves out what is documentation.
        host.run("dpkg-deb --fsys-tarfile /root/prmig.deb | tar -x -C / --wildcards '*/examples/*'")
        self._attach()

    def _array_of_the_definition(self, lun):
        """Target, LUN number, initiator and CHAP secret as README has them."""
        iqn = word("target")
        for who in (word("initiator"), word("move", [MOVE])):
            self.array.iscsi_acl(iqn, who, lun, lun=int(word("lun")))
            self.array.vm.run(
                f"""set -e
                cd /sys/kernel/config/target/iscsi/{iqn}/tpgt_1
                echo -n {word("user")} >acls/{who}/auth/userid
                echo -n {word("password")} >acls/{who}/auth/password
                echo 1 >attrib/authentication
                """
            )

    def _attach(self):
        """The LUNs that the host has as disks, and the names that README writes in their place."""
        vm, port = self.host, self.array.vm.ports[3260]
        vm.put_data(
            f"defaults {{\n find_multipaths yes\n}}\n{BLACKLIST}\n", "/etc/multipath.conf"
        )
        vm.run(
            """set -e
            rm -f /etc/udev/rules.d/*-multipath.rules
            udevadm control --reload
            modprobe -a dm_multipath
            systemctl unmask multipathd.service multipathd.socket 2>/dev/null
            systemctl start multipathd.service
            """
        )
        disk, _ = initiator.login(vm, HOST, vm.OUTSIDE, port, DISKS, 0)
        initiator.login(vm, f"{HOST}-b", vm.OUTSIDE, port, DISKS, 1, second=True)
        link = vm.run(
            f"""for link in /dev/disk/by-id/wwn-0x600*; do
                if [ $(readlink -f $link) = {disk} ]; then echo $link; fi
            done"""
        ).stdout.strip()
        found = vm.wait_for(
            "dmsetup ls --target multipath | cut -f1 | grep .", 60, "a multipath map"
        )
        self.stands_for = {
            "/dev/disk/by-id/wwn-0x600...": link,
            "/dev/mapper/NAME": f"/dev/mapper/{found.stdout.strip()}",
            "192.0.2.10:3260": f"{vm.OUTSIDE}:{port}",
        }

    def own(self, text):
        """README's text with what is this host's own in it."""
        for what, stands in self.stands_for.items():
            text = text.replace(what, stands)
        return text

    def configure(self, lines):
        """In one targetcli, as somebody would type it, which saves it at its end."""
        done = self.host.run("targetcli", stdin=self.own("\n".join([*lines, "exit"])))
        assert "is not a valid" not in done.stdout + done.stderr
        saved = json.loads(self.host.get("/etc/rtslib-fb-target/saveconfig.json"))
        assert [one["name"] for one in saved["storage_objects"]] == ["vm1"], done
        self.prmig.wait_open("vm1")

    def end(self):
        self.host.run("targetcli clearconfig confirm=True && rm /var/lib/prmig/nexus/vm1")

    def expect_held(self, lun):
        """The LUN has what the guest did."""
        found = self.prmig.properties("vm1")
        assert (found["Key"], found["Holder"], found["Type"]) == (KEY, True, TYPE)
        if lun not in self.seen:
            return
        seen = self.seen[lun]
        assert pr.read_reservation(seen, seen.node) == (KEY, TYPE)
        assert seen.write("stranger") == pr.RESERVATION_CONFLICT


@pytest.fixture(scope="module")
def stage(rig, deb):
    array = rig.vm("array", forward=[3260])
    host = rig.vm("host", memory_mib=1536, forward=[3260, QMP])
    rig.boot(array, host)
    nested.prepare(host)
    return Stage(array, host, deb)


def guest_by_vhost(stage):
    """A guest of QEMU's, which reserves its disk and then writes and reads."""
    wwpn = re.search(r"^/vhost create (\S+)$", FABRIC["vhost"][0]).group(1)
    guest = nested.Guest(
        stage.host, "vm1", nested.vhost_disk(wwpn), QMP, key=KEY, kind=TYPE
    )
    guest.wait_console(rf"guest: holds the reservation, type {TYPE}")
    guest.wait_console(r"guest: step 20 ")
    return guest.quit


def guest_by_iscsi(stage):
    """Another machine, under the initiator name that README lets in."""
    target = re.search(r"^/iscsi create (\S+)$", FABRIC["iscsi"][0]).group(1)
    (name,) = re.findall(r"acls create (\S+)", "\n".join(FABRIC["iscsi"]))
    vm = stage.array.vm
    _, sg = initiator.login(vm, name, vm.OUTSIDE, stage.host.ports[3260], target, 0)
    guest = Port(vm, sg)
    assert guest.register(KEY) == pr.GOOD
    assert guest.reserve(KEY, TYPE) == pr.GOOD
    assert guest.write("guest") == pr.GOOD
    assert guest.read() == "guest"
    return lambda: initiator.logout(vm, target)


GUESTS = {"vhost": guest_by_vhost, "iscsi": guest_by_iscsi}


@pytest.mark.parametrize("lun, fabric", CASES)
def test_lines(stage, lun, fabric):
    if lun == "definition":
        path = INSTALL.split()[-1]
        stage.host.run(INSTALL)
        # Edited, its mode stays.
        at = DEFINITION.index("[chap]")
        lines = DEFINITION[:at] + [MOVE] * (fabric == "iscsi") + DEFINITION[at:]
        stage.host.run(f"cat >{path}", stdin=stage.own("\n".join(lines)) + "\n")
    if lun == "file":
        stage.host.run(TRUNCATE)
    stage.configure([CREATE[LUNS[lun]], *FABRIC[fabric]])
    end_guest = GUESTS[fabric](stage)
    stage.expect_held(lun)
    end_guest()
    stage.prmig.forget("vm1", force=True)
    stage.end()


def test_every_line_is_run():
    """Of what is shown nothing is left out but the form of the cfgstring."""
    run = [INSTALL, BLACKLIST, TRUNCATE, MOVE, *DEFINITION, *CREATE.values()]
    assert {("disk", "vhost"), ("disk", "iscsi")} <= set(CASES)
    assert {lun for lun, _ in CASES} == set(LUNS) and set(CREATE) == set(LUNS.values())
    for lines in FABRIC.values():
        run += lines
    assert set(LINES) - set(run) == {"prmig/<LUN>[;option=value]..."}


def test_example_is_what_is_shown():
    """The file that README's install line copies, but for its comments."""
    lines = EXAMPLE.read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == DEFINITION
    assert INSTALL.split()[3] == f"/usr/share/doc/prmig/examples/{EXAMPLE.name}"
