# SPDX-License-Identifier: Apache-2.0
"""A whole live migration, and what finishes or undoes one that was begun.

One loop for `migrate` and `resume`: it asks QEMU how far the migration is and does what comes next,
so that it can begin anywhere. QEMU's statuses, and what each allows:

    setup, active         memory is copied, the guest runs here; can be cancelled
    pre-switchover        the guest stands still: Export, Import, migrate-continue; can be cancelled
    device, postcopy-*    the guest may run at the destination at any time: only to be waited for
                          (QEMU takes migrate_cancel here, and the guest would run twice)
    completed             it runs at the destination: Release
    failed, cancelled     QEMU lets it run here again: Abort

After migrate-continue the destination alone can tell that its guest has not run. So from then on
nothing is taken back here before the destination's gate is known to be closed.
"""

import time

from . import journal as phases
from . import qmp as qemu
from .errors import Refused, Unreachable
from .sides import Sides
from .takeback import TakeBack

COPYING = ("setup", "active", "wait-unplug")
ENDED = ("none", "failed", "cancelled")

STALE_TRIES, STALE_SECONDS = 10, 5
CONTINUE_TRIES, CONTINUE_SECONDS = 10, 1.0
GONE_SECONDS = 2
RUNS_SECONDS = 5


class Migration:
    """journal says what; here and there are Targets, report takes what people are told.

    interrupted: a function that is true when the user wants it undone. dead: the destination host
    is known to be dead.
    """

    def __init__(self, journal, here, there, qmp, report, interrupted, dead=False):
        self.journal = journal
        self.here = here
        self.there = there
        self._sides = Sides(journal, here, there)
        self.qmp = qmp
        self.report = report
        self.interrupted = interrupted
        self.dead = dead
        self.why = ""  # it has to be undone; "": it has not
        self.after = ""  # how things are when it was undone
        self._imported = False
        self._continued = None  # when migrate-continue was sent
        self._continues = 0
        self._said_late = False

    # Begin

    def begin(self, uri):
        """Check everything, and start. What is refused here has changed nothing."""
        journal, here, there = self.journal, self.here, self.there
        self._check_sides()
        status = self.qmp.migration()["status"]
        if status not in (*ENDED, "completed"):
            raise Refused(f"QEMU is migrating already (status {status})")
        if self._completed_here(status):
            raise Refused("this QEMU's guest has been migrated away already")
        there.check()
        journal.prepared = there.prepare()
        self.report.step(f"{there} can take it", "checked")
        journal.was_running = self.qmp.run_state() == "running"
        wanted = {"pause-before-switchover": True, "return-path": True, "events": True}
        known = self.qmp.capabilities()
        journal.capabilities = {name: known[name] for name in wanted if name in known}
        if "pause-before-switchover" not in known or "return-path" not in known:
            raise Refused("this QEMU has no pause-before-switchover or return-path")
        if self.interrupted():
            raise Refused("interrupted: nothing was begun")
        journal.save(phases.BEGUN)
        try:
            self.qmp.set_capabilities({name: wanted[name] for name in journal.capabilities})
            self.qmp.command("migrate", uri=uri)
        except Refused as error:
            self.why = str(error)
        else:
            self.report.step(f"{here} is being migrated to {uri}", "migrating")

    def _check_sides(self):
        luns = []
        for target in (self.here, self.there):
            nexuses = target.members()
            if not nexuses:
                raise Refused(f"there is no {target}")
            for nexus in nexuses:
                who = f"nexus '{nexus['Name']}' on {target.host.name}"
                if not nexus["MigratePr"]:
                    raise Refused(f"{who} has migrate-pr=off")
                if nexus["Failure"]:
                    raise Refused(f"{who}: {nexus['Failure']}")
                if target is self.here and nexus["State"] != "active":
                    raise Refused(
                        f"{who} is {nexus['State']}, and must be active: an earlier hand-over "
                        f"({nexus['HandoverId'] or 'none yet'}) is not done with"
                    )
                if target is self.here and target.kind == "nexus" and nexus["Group"]:
                    raise Refused(
                        f"{who} belongs to group '{nexus['Group']}': migrate that, all its "
                        "nexuses together"
                    )
            luns.append(sorted(nexus["Lun"] for nexus in nexuses))
            names = self.journal.members if target is self.here else self.journal.there_members
            names[:] = [nexus["Name"] for nexus in nexuses]
        if luns[0] != luns[1]:
            raise Refused(
                f"{self.here} is on LUN {', '.join(luns[0])}, and {self.there} on "
                f"{', '.join(luns[1])}: they must be the same"
            )

    # The loop

    def run(self):
        """True: the guest has moved. False: it has not, and why says why. Raises Left."""
        while True:
            status = self._status()
            if status == "gone":
                return self._without_qemu()
            if status == "completed":
                return self._finish()
            if status in ENDED:
                return self._undo(status)
            if status == "pre-switchover":
                self._before_switch()
            elif status in COPYING:
                self._look_for_interrupt()
                if self.why:
                    self._cancel()
            elif self.interrupted() and not self._said_late and status != "cancelling":
                self._said_late = True
                self.report.step(
                    "interrupted too late to undo: QEMU is switching over; waiting for it", "late"
                )
            self.qmp.wait_event(0.2)

    def _status(self):
        """QEMU's, or "gone"."""
        deadline = time.monotonic() + GONE_SECONDS
        while True:
            try:
                migration = self.qmp.migration()
                status = migration["status"]
                if status == "completed" and not self._completed_here(status):
                    status = "none"
                break
            except qemu.Gone:
                if time.monotonic() >= deadline:
                    return "gone"
            except Refused as error:
                if time.monotonic() >= deadline:
                    self._sides.leave(f"{error}; how far it is is not known")
            time.sleep(0.1)
        if status == "failed" and not self.why:
            self.why = f"QEMU: {migration.get('error-desc', 'the migration has failed')}"
        self.report.progress(status, migration)
        return status

    def _completed_here(self, status):
        """A QEMU that a guest has arrived at says "completed", too, until it sends it on."""
        return status == "completed" and (
            self.journal.reached(phases.CONTINUE) or self.qmp.run_state() == "postmigrate"
        )

    def _look_for_interrupt(self):
        if not self.why and self.interrupted():
            self.why = "interrupted"

    def _cancel(self):
        self.report.step(f"{self.why}: cancelling the migration", "cancelling")
        try:
            self.qmp.command("migrate_cancel")
        except Refused as error:
            self.report.step(str(error), "note")

    # The guest stands still

    def _before_switch(self):
        journal = self.journal
        if journal.reached(phases.CONTINUE):
            # Sent, and QEMU has not taken it yet; or prmigctl was killed before it sent it.
            self._continued = self._continued or time.monotonic()
            if time.monotonic() - self._continued < CONTINUE_SECONDS:
                return
            journal.phase, self._continued = phases.IMPORT, None
            if self._continues >= CONTINUE_TRIES:
                self.why = "QEMU does not go on after migrate-continue"
        if not self._continues:
            self._look_for_interrupt()
        if not self.why:
            try:
                self._hand_over(interruptible=True)
                journal.save(phases.CONTINUE)
            except Exception as error:  # whatever it is: the guest stands still
                self.why = str(error) or repr(error)
        if self.why:
            self._cancel()
            return
        self._continues += 1
        self._continued = time.monotonic()
        try:
            self.qmp.command("migrate-continue", state="pre-switchover")
        except Refused as error:
            self.report.step(str(error), "note")
        else:
            self.report.step("QEMU goes on", "continued")

    def _hand_over(self, interruptible):
        """Export here, Import there: when this returns, the reservation is there."""
        journal = self.journal
        if self._imported:
            return
        self.there.host.refresh()
        if journal.line and self._import(again=True):
            return
        deadline = time.monotonic() + STALE_SECONDS
        tries = 0
        while True:
            tries += 1
            journal.line = ""
            journal.save(phases.EXPORT)
            options = {"destination": journal.prepared} if journal.prepared else {}
            line = self.here.export(**options)
            journal.line = line
            journal.ids = self._sides.exported_ids()
            journal.save(phases.IMPORT)
            self.report.step("exported here", "exported")
            if interruptible and self.interrupted():
                raise Refused("interrupted")
            if self._import(again=tries < STALE_TRIES and time.monotonic() < deadline):
                return

    def _import(self, again):
        """False: the line is stale, and again says that another may be made."""
        for attempt in (1, 2):
            try:
                self.there.import_(self.journal.line)
                break
            except Unreachable:
                # It may have taken effect; repeated, it changes nothing.
                if attempt == 2:
                    raise
                self.there.host.refresh()
            except Refused as error:
                if error.name == "Stale" and again:
                    self.report.step("the LUN's registrations have changed: once more", "stale")
                    return False
                raise
        self._imported = True
        self.report.step(f"imported on {self.there.host.name}", "imported")
        return True

    # The guest has moved

    def _finish(self):
        journal = self.journal
        known = journal.reached(phases.CONTINUE) or self._imported
        try:
            if not known:
                # Somebody else let QEMU go on: the guest waits there at a closed gate.
                self._hand_over(interruptible=False)
            journal.save(phases.RELEASE)
            self._release(force=True)
        except Refused as error:
            self._sides.leave(f"the guest runs at {self.there.host.name}, but {error}")
        journal.drop()
        return True

    def _release(self, force):
        if not self._sides.exported_ids():
            return
        for left in (2, 1, 0):
            try:
                self.here.release(force=force)
                break
            except Refused as error:
                if not left or error.name == "WrongState":
                    raise
                time.sleep(0.5)
        self.report.step("released here", "released")

    def _without_qemu(self):
        """QEMU has ended: after a migration, or its guest with it."""
        if self.dead or not self.journal.reached(phases.CONTINUE):
            self.why = self.why or "QEMU at the source has gone"
            return self._undo("gone")
        self.report.step(
            "QEMU at the source has gone after it was told to switch over: taken for completed",
            "gone",
        )
        try:
            self._release(force=False)
        except Refused as error:
            self._sides.leave(
                f"QEMU at the source has gone, the guest may run at {self.there.host.name} or "
                f"nowhere, and {error}"
            )
        self.journal.drop()
        return True

    # The guest has not moved

    def _undo(self, status):
        journal = self.journal
        self.why = self.why or (
            "the migration was cancelled" if status == "cancelled" else "it was not finished"
        )
        if journal.reached(phases.EXPORT):
            TakeBack(self._sides, self.report, self.dead, self._stop_here).run(
                unsure=status == "gone" or journal.reached(phases.CONTINUE) or journal.guessed
            )
        self._see_guest_run(status)
        journal.drop()
        return False

    def _see_guest_run(self, status):
        """QEMU lets it run again by itself, unless it failed in the middle of the switch-over."""
        if status == "gone":
            self.after = "the reservation is here, but QEMU has gone, its guest with it"
            return
        self.after = "the guest goes on here"
        try:
            restore = self.journal.capabilities
            if restore:
                self.qmp.set_capabilities(restore)
            if not self.journal.was_running:
                self.after = "the guest is here, stopped as it was before"
                return
            deadline = time.monotonic() + RUNS_SECONDS
            while (state := self.qmp.run_state()) != "running" and time.monotonic() < deadline:
                time.sleep(0.1)
            if state in ("finish-migrate", "postmigrate"):
                self.qmp.command("cont")
                state = self.qmp.run_state()
            if state != "running":
                self.after = f"the guest is here, and QEMU says that it is '{state}'"
        except Refused as error:
            self.report.step(str(error), "note")

    def _stop_here(self):
        try:
            self.qmp.command("stop")
        except Refused as error:
            self.report.step(str(error), "note")
