# SPDX-License-Identifier: Apache-2.0
"""prmigctl on the real thing: a guest's QEMU is migrated between two prmig backstores, there and back,
through failures, a Ctrl-C and a kill -9.

Source and destination are one machine, so the transport is a command of this machine; while the
file HOLD is there, it lets nobody through: prmigctl waits for it when the guest stands still.

They reach the LUN by iSCSI, not by tcm_loop: there, LIO of Linux 6.1 waits for ever in a PREEMPT AND
ABORT when a command of the nexus that is preempted stands behind it in the queue of its CPU
(target_queued_submit_work runs both, one after the other).
"""

import json
import re

import pytest
from rig import initiator, nested, pr
from rig.lio import Lio
from rig.prmig import Prmig
from rig.process import wait_until

KEY, KIND = 0xABCD1, 5
GUEST = "iqn.2026-11.org.example:guest"
ARRAY = "iqn.2026-11.org.example:array"
QMP = {"source": 4441, "destination": 4442}
OTHER = {"source": "destination", "destination": "source"}
HOLD = "/run/hold"
TRANSPORT = "/usr/local/bin/to-the-other-host"


def host_name(who):
    """Of the initiator by which it reaches the LUN."""
    return f"iqn.2026-11.org.example:host-{who}"


class Story:
    """The guest, and where it is."""

    def __init__(self, rig, deb):
        self.vm = rig.vm("hosts", memory_mib=1536, forward=list(QMP.values()))
        rig.boot(self.vm)
        lio = Lio(self.vm)
        lun = lio.fileio("array", "64M")
        nodes = {}
        for who in ("source", "destination", "stranger"):
            lio.iscsi_acl(ARRAY, host_name(who), lun)
            nodes[who] = initiator.login(
                self.vm, host_name(who), "127.0.0.1", 3260, ARRAY, 0, second=who != "source"
            )
        self.stranger = nodes["stranger"][1]
        nested.prepare(self.vm)
        self.prmig = Prmig(self.vm, deb)
        self.disks = {}
        for name in QMP:
            options = {"incoming": "on"} if name == "destination" else {}
            backstore = self.prmig.create(name, nodes[name][0], **options)
            iqn = f"iqn.2026-11.org.example:disk-{name}"
            lio.iscsi_acl(iqn, GUEST, backstore)
            self.disks[name] = nested.iscsi_disk("127.0.0.1:3260", iqn, GUEST)
        self.vm.put_data(
            "#!/bin/sh\n"
            f"while [ -e {HOLD} ]; do sleep 0.1; done\nexec systemd-stdio-bridge\n",
            TRANSPORT,
            mode="755",
        )
        self.guests = {}
        self.at = "source"
        self.start("source", key=KEY, kind=KIND)
        self.guests["source"].wait_console(r"guest: step 20 ")

    def start(self, name, **options):
        disk = f"{self.disks[name]} -qmp unix:/run/{name}.qmp,server=on,wait=off"
        self.guests[name] = nested.Guest(self.vm, name, disk, QMP[name], **options)

    def end(self, name):
        guest = self.guests.pop(name, None)
        if guest:
            guest.process.stop()

    def begin(self, *, slowly=False):
        """A QEMU waits at the other side, and prmigctl begins. Returns it, running."""
        there = OTHER[self.at]
        self.end(there)
        self.start(there, incoming=True)
        self.guests[there].qmp.command("migrate-incoming", {"uri": "tcp:127.0.0.1:4444"})
        self.guests[self.at].qmp.command(
            "migrate-set-parameters", {"max-bandwidth": (4 << 20) if slowly else (1 << 30)}
        )
        return self.vm.spawn(
            f"exec prmigctl migrate --json --qmp /run/{self.at}.qmp --uri tcp:127.0.0.1:4444 "
            f"--transport {TRANSPORT} --as {there} {self.at}"
        )

    def begin_and_hold(self):
        """The same, up to where the guest stands still and nothing is exported yet."""
        prmigctl = self.begin(slowly=True)
        source = self.guests[self.at]
        wait_until(
            lambda: source.qmp.command("query-migrate").get("status") == "active",
            60,
            lambda: f"memory is copied: {prmigctl.stdout}{prmigctl.stderr}",
        )
        self.vm.run(f"touch {HOLD}; pkill -f ^systemd-stdio-bridge")
        source.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 30})
        wait_until(
            lambda: source.qmp.command("query-migrate").get("status") == "pre-switchover",
            60,
            "the guest stands still",
        )
        assert prmigctl.running
        return prmigctl

    def let_go(self):
        self.vm.run(f"rm {HOLD}")

    def last_step(self, name=None):
        return (nested.steps(self.guests[name or self.at].console()) or [0])[-1]

    def expect_at(self, name):
        """The guest runs here, has its reservation, and nobody else has anything of it."""
        self.at = name
        guest = self.guests[name]
        goal = self.last_step() + 40
        guest.wait_console(rf"guest: step {goal} ")
        assert nested.complaints(guest.console()) == ([], [])
        text = pr.full_status(self.vm, self.stranger)
        entries = re.split(r"^\s+Key=", text, flags=re.MULTILINE)[1:]
        assert len(entries) == 1, text
        assert int(entries[0].split()[0], 16) == KEY and "Reservation holder" in entries[0]
        assert f"{host_name(name)}," in entries[0]
        write = pr.write(self.vm, self.stranger)
        assert write.status == pr.RESERVATION_CONFLICT
        found = self.prmig.properties(name)
        assert (found["State"], found["Key"], found["Holder"]) == ("active", KEY, True)
        assert self.prmig.properties(OTHER[name])["Key"] == 0
        assert not self.vm.run("ls /var/lib/prmig/migrate/*.json", check=False).ok


@pytest.fixture(scope="module")
def story(rig, deb):
    return Story(rig, deb)


def events(result):
    return [json.loads(line)["event"] for line in result.stdout.splitlines()]


def test_there_and_back(story):
    for there in ("destination", "source"):
        result = story.begin().wait(180)
        assert events(result)[-1] == "done"
        story.guests[there].wait_console(r"guest: step \d+ ")
        story.expect_at(there)


def test_list_and_show(story):
    """What is said of the real LUN."""
    found = json.loads(story.vm.run("prmigctl list --json").stdout)
    assert [nexus["Name"] for nexus in found] == ["destination", "source"]
    assert "Write Exclusive, registrants only" in story.vm.run("prmigctl list").stdout
    (nexus,) = json.loads(story.vm.run("prmigctl show --json source").stdout)
    (registrant,) = nexus["OnLun"]["registrants"]
    assert registrant["nexus"] == "source" and registrant["holder"] and registrant["key"] == KEY
    assert nexus["OnLun"]["reservation"]["type"] == KIND
    text = story.vm.run("prmigctl show").stdout
    assert "HOLDER" in text and "<- nexus source on this host" in text
    told = story.vm.run(f"prmigctl list --transport {TRANSPORT}").stdout
    assert told == story.vm.run("prmigctl list").stdout
    refused = story.vm.run("prmigctl release source", check=False)
    assert refused.status == 1 and "WrongState" in refused.stderr
    assert story.vm.run("prmigctl list --nonsense", check=False).status == 2


def test_destination_killed(story):
    """After the guest has stopped: QEMU learns of it when it switches over."""
    prmigctl = story.begin_and_hold()
    story.end("destination")
    story.let_go()
    result = prmigctl.wait(180, check=False)
    assert result.status == 1 and "the guest goes on here" in result.stderr, result
    assert {"imported", "continued", "aborted"} <= set(events(result))
    story.expect_at("source")


def test_interrupted(story):
    prmigctl = story.begin_and_hold()
    prmigctl.signal("INT")
    story.let_go()
    result = prmigctl.wait(180, check=False)
    assert result.status == 1 and "not migrated: interrupted" in result.stderr, result
    story.expect_at("source")


def test_killed_and_resumed(story):
    prmigctl = story.begin_and_hold()
    prmigctl.stop()
    story.let_go()
    stopped = story.last_step()
    result = story.vm.run(f"prmigctl resume --json {story.at}", timeout=180)
    assert events(result)[-1] == "done"
    wait_until(lambda: story.last_step("destination") > stopped, 60, "the guest goes on")
    story.expect_at("destination")
