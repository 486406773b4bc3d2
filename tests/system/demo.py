#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The story of prmig, told by a real guest: see scripts/demo.

One emulated machine stands for the whole installation. In it, a LIO LUN is the
shared array; three initiator ports reach it (the source host's, the destination
host's, a stranger's). A prmig backstore over each of the first two is exported
by LIO to a QEMU of its own, and the guest moves from one QEMU to the other.
"""

import argparse
import re
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager

from rig import Rig, RigError, nested, pr
from rig.lio import Lio
from rig.prmig import Prmig
from rig.rig import SOURCE_ROOT

KEY = 0xABCD1
KIND = 5
QMP_SOURCE, QMP_DESTINATION = 4441, 4442
INITIATOR = "iqn.2026-11.org.example:guest"
STEPS_BEFORE, STEPS_AFTER = 300, 300


class Story:
    """What the reader sees, and the list of what has been shown."""

    def __init__(self):
        self._start = time.monotonic()
        self.verdicts = []
        self.notes = []

    def _stamp(self):
        return f"[{time.monotonic() - self._start:4.0f} s]"

    def tell(self, text):
        for i, line in enumerate(textwrap.wrap(text, 88)):
            print(f"{self._stamp() if i == 0 else '':8} {line}", flush=True)

    def quote(self, text):
        """What a program printed."""
        for line in text.strip().splitlines():
            print(f"{'':8}   | {line.rstrip()[:100]}", flush=True)

    def title(self, text):
        print(f"\n== {text}", flush=True)

    @contextmanager
    def working(self, text):
        """What takes long."""
        self.tell(f"{text} ...")
        start = time.monotonic()
        yield
        self.tell(f"... done after {time.monotonic() - start:.0f} s")

    def expect(self, text, holds):
        """A claim of the demo, and whether it is true."""
        self.verdicts.append((text, bool(holds)))
        self.tell(f"{'ok  ' if holds else 'FAIL'}  {text}")

    @property
    def good(self):
        return bool(self.verdicts) and all(holds for _, holds in self.verdicts)


class Demo:
    """The cast, and the acts in their order."""

    def __init__(self, rig, story, fabric, with_prmig):
        self.story = story
        self.fabric = fabric
        self.with_prmig = with_prmig
        self.vm = rig.vm("hosts", memory_mib=1536, forward=[QMP_SOURCE, QMP_DESTINATION])
        self.refused = []
        self.guests = []
        self.prmig = self.lio = None
        self.names = {}

    def _busctl(self, name, method, *arguments):
        path = f"/org/prmig1/nexus/{name}"
        result = self.vm.run(
            ["busctl", "call", "org.prmig1", path, "org.prmig1.Nexus", method, *arguments],
            check=False,
            timeout=40,
        )
        shown = [a if len(a) < 40 else a[:36] + "..." for a in arguments]
        self.story.quote(
            f"busctl call org.prmig1 {path} org.prmig1.Nexus {method} {' '.join(shown)}"
        )
        if not result.ok:
            raise RigError(f"{method} on {name}: {result.stderr.strip()}")
        return result.stdout

    def stranger_writes(self, when):
        """A third initiator tries to write; only a conflict is right."""
        result = pr.write(self.vm, self.stranger.sg, 0, f"stranger, {when}")
        refused = result.status == pr.RESERVATION_CONFLICT
        self.refused.append(refused)
        self.story.tell(
            "The stranger writes to the LUN: "
            + ("RESERVATION CONFLICT." if refused else f"sg_raw's exit status {result.status}!")
        )

    def full_status(self):
        """Show READ FULL STATUS, and return who is registered and who holds."""
        text = pr.full_status(self.vm, self.stranger.sg)
        for name, nexus in self.names.items():
            port = nexus.initiator.removeprefix("naa.")
            text = re.sub(f"0x{port}", rf"\g<0>   <-- {name}", text)
        self.story.quote(text)
        entries = re.split(r"^\s+Key=", text, flags=re.MULTILINE)[1:]
        registered, holder = [], None
        for entry in entries:
            who = re.search(r"<-- (.*)", entry)
            who = who.group(1) if who else "someone unknown"
            registered.append((who, int(entry.split()[0], 16)))
            if "Reservation holder" in entry:
                holder = who
        return registered, holder

    # Acts

    def build_stage(self, rig, deb):
        story, vm = self.story, self.vm
        story.title("The stage")
        with story.working("Booting the machine that everything happens in (emulated, no KVM)"):
            rig.boot(vm)
        with story.working("A LUN with three initiator ports, and nested virtualization"):
            self.lio = Lio(vm)
            self.source, self.destination, self.stranger = self.lio.shared_lun(
                "array", "64M", nexuses=3
            )
            nested.prepare(vm)
        self.names = {
            "the source host": self.source,
            "the destination host": self.destination,
            "the stranger": self.stranger,
        }
        for name, nexus in self.names.items():
            story.tell(f"{name:20} reaches the LUN as {nexus.disk}, port {nexus.initiator}")
        if self.with_prmig:
            with story.working(f"Installing {deb.name}, restarting tcmu-runner with it"):
                self.prmig = Prmig(vm, deb)
            with story.working("Creating the two prmig backstores with targetcli"):
                backstores = [
                    self.prmig.create("source", self.source.disk),
                    self.prmig.create("destination", self.destination.disk, incoming="on"),
                ]
            story.quote(
                f"/backstores/user:prmig create name=source cfgstring={self.source.disk}\n"
                "/backstores/user:prmig create name=destination "
                f"cfgstring={self.destination.disk};incoming=on"
            )
        else:
            story.tell("Without prmig: LIO's pass-through backstores in its place.")
            backstores = [
                self.lio.pscsi("source", self.source),
                self.lio.pscsi("destination", self.destination),
            ]
        self.disks = [self._export(backstore) for backstore in backstores]

    def _export(self, backstore):
        if self.fabric == "vhost":
            return nested.vhost_disk(self.lio.vhost(backstore))
        iqn = f"iqn.2026-11.org.example:{backstore.name}"
        self.lio.iscsi_acl(iqn, INITIATOR, backstore)
        return nested.iscsi_disk("127.0.0.1:3260", iqn, INITIATOR)

    def start_guest(self):
        story = self.story
        story.title("The guest takes a reservation")
        with story.working("Booting the guest in the source QEMU"):
            guest = nested.Guest(
                self.vm, "source", self.disks[0], QMP_SOURCE, key=KEY, kind=KIND
            )
            self.guests.append(guest)
            guest.wait_console(r"guest: up")
            story.tell("The guest's kernel is up.")
            guest.wait_console(r"guest: holds the reservation")
            story.tell(
                f"The guest has registered key {KEY:#x} and holds a reservation of type {KIND}, "
                "Write Exclusive - Registrants Only."
            )
            guest.wait_console(rf"guest: step {STEPS_BEFORE} ")
        story.tell(
            f"It writes numbered blocks, reads earlier ones back and verifies them: "
            f"{STEPS_BEFORE} steps so far."
        )
        story.tell("READ FULL STATUS, asked for by the stranger, before the migration:")
        registered, holder = self.full_status()
        story.expect(
            "before: the source host's port holds the reservation, and nobody else is registered",
            holder == "the source host" and registered == [("the source host", KEY)],
        )
        self.stranger_writes("before the migration")

    def migrate(self):
        story = self.story
        story.title("Live migration")
        with story.working("Starting the destination QEMU"):
            self.guests.append(
                nested.Guest(
                    self.vm, "destination", self.disks[1], QMP_DESTINATION, incoming=True
                )
            )
        source, destination = self.guests
        migration = nested.Migration(source, destination)
        begin = nested.steps(source.console())[-1]
        migration.start()
        story.tell("QEMU copies the guest's memory; the guest goes on meanwhile.")
        self.stranger_writes("while memory is copied")
        migration.wait("pre-switchover")
        stopped = nested.steps(source.console())[-1]
        story.tell(
            f"pre-switchover: the guest is stopped, after step {stopped}; "
            f"{stopped - begin} steps were made while it was copied."
        )
        if self.with_prmig:
            state = self._busctl("source", "Export", "a{sv}", "0").split('"')[1]
            story.tell(f"Exported: a state line of {len(state)} characters.")
            self.stranger_writes("between Export and Import")
            self._busctl("destination", "Import", "sa{sv}", state, "0")
            story.tell("Imported.")
            self.stranger_writes("after Import")
        else:
            story.tell("Nobody moves the reservation: it stays with the source host's port.")
        migration.proceed()
        migration.wait("completed")
        story.tell("QEMU has completed the migration: the guest runs at the destination.")
        if self.with_prmig:
            self._busctl("source", "Release", "a{sv}", "0")
            story.tell("Released at the source.")
        info = migration.status()
        story.tell(
            f"QEMU says: {info.get('total-time', 0) / 1000:.1f} s in all, the guest stood still "
            f"for {info.get('downtime', 0) / 1000:.1f} s (everything here is emulated)."
        )
        self.switch = stopped

    def watch_after(self):
        story = self.story
        source, destination = self.guests
        story.title("After the migration")
        goal = self.switch + STEPS_AFTER
        with story.working(f"The guest goes on, to step {goal}"):
            try:
                destination.wait_console(rf"guest: step {goal} ")
            except RigError as error:
                story.quote(str(error)[-1500:])
        self.stranger_writes("after the migration")
        story.tell("READ FULL STATUS, asked for by the stranger, after the migration:")
        registered, holder = self.full_status()

        text = source.console() + destination.console()
        steps = nested.steps(text)
        errors, stale = nested.complaints(text)
        story.tell("The last thing that the guest said at the source, and the first after it:")
        lines = text.splitlines()
        at = next((i for i, line in enumerate(lines) if f"step {self.switch} " in line), 0)
        story.quote("\n".join(lines[max(at - 1, 0) : at + 4]))

        story.expect(
            "after: the destination host's port holds the reservation, and nobody else is "
            "registered",
            holder == "the destination host" and registered == [("the destination host", KEY)],
        )
        story.expect(
            f"the stranger was refused each of the {len(self.refused)} times that it wrote",
            all(self.refused),
        )
        story.expect(
            "the guest's console has every step from 1 on, none twice, none missing"
            f" (now at {steps[-1] if steps else 0}, {steps[-1] - self.switch if steps else 0} "
            "of them at the destination)",
            steps == list(range(1, len(steps) + 1)) and steps and steps[-1] >= goal,
        )
        story.expect("the guest saw no error in any write or read, and no wrong data", not errors)
        if errors:
            story.quote("\n".join(errors[:5]))
        if self.fabric == "vhost":
            story.tell(
                "What this kernel's vhost-scsi cannot promise: that memory which the guest's "
                "reads fill while it is copied arrives at the destination. vhost_scsi of Linux "
                "6.1 does not log those writes for QEMU. It is a limit of vhost-scsi, whatever "
                "the backstore; use iSCSI for a guest that matters. The guest remembers what it "
                f"reads and found {len(stale)} blocks of memory gone this time."
            )
            if stale:
                story.quote("\n".join(stale[:3]))
            story.notes.append(
                f"vhost-scsi of this kernel lost {len(stale)} blocks of the guest's memory: "
                "its limit, with or without prmig"
                if stale
                else "vhost-scsi of this kernel may lose memory that reads fill; not seen this time"
            )
        else:
            story.expect(
                "memory that the guest's reads filled during the migration was right after it",
                not stale,
            )
            if stale:
                story.quote("\n".join(stale[:5]))

    def end(self):
        for guest in self.guests:
            guest.quit()


def build_deb(story):
    with story.working("Building the prmig package"):
        done = subprocess.run(
            [SOURCE_ROOT / "scripts/build-deb"], stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            raise RigError("scripts/build-deb failed")
    return SOURCE_ROOT / done.stdout.strip().splitlines()[-1]


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__.split("\n")[0])
    parser.add_argument("--fabric", choices=["iscsi", "vhost"], default="iscsi")
    parser.add_argument(
        "--without-prmig", action="store_true", help="show what happens to a guest without it"
    )
    options = parser.parse_args()
    with_prmig = not options.without_prmig

    # Ended from outside, it ends its machine as at a Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    story = Story()
    story.title("A guest with a persistent reservation is live-migrated")
    fabrics = {"iscsi": "iSCSI (QEMU's initiator, LIO's target)", "vhost": "vhost-scsi"}
    story.tell(f"The guest's disk comes by {fabrics[options.fabric]}.")
    demo = None
    try:
        deb = build_deb(story) if with_prmig else None
        with story.working("The machine's image: from the cache, or made now in some minutes"):
            rig = Rig(quiet=True)
        with rig:
            demo = Demo(rig, story, options.fabric, with_prmig)
            demo.build_stage(rig, deb)
            demo.start_guest()
            demo.migrate()
            demo.watch_after()
            demo.end()
    except RigError as error:
        story.tell("The demo could not go on:")
        story.quote(str(error))
        if demo and demo.vm.running:
            story.quote(demo.vm.console_tail())
        story.expect("the demo ran to its end", False)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130

    story.title("Verdict")
    for text, holds in story.verdicts:
        print(f"  {'ok  ' if holds else 'FAIL'}  {text}")
    for text in story.notes:
        print(f"  note  {text}")
    if story.good:
        print(f"\nPASSED: the guest moved by {options.fabric}, its reservation with it.")
    else:
        print("\nFAILED" + ("" if with_prmig else ": this is what prmig is for"))
    return 0 if story.good else 1


if __name__ == "__main__":
    sys.exit(main())
