# SPDX-License-Identifier: Apache-2.0
"""The reservation back to the source, after a migration that has not come about.

Abort there, Abort here, Abort there: the destination gives up what it can, the source takes back
what it could not, the rest is cleaned up. Where the guest may have run at the destination, the first
of them decides: it is refused when the guest has written there since Import, and closes the gate
otherwise.
"""

from . import journal as phases
from .errors import Refused, Unreachable


class TakeBack:
    """dead: the destination host is known to be dead. stop_guest(): it must not run here."""

    def __init__(self, sides, report, dead, stop_guest):
        self._sides = sides
        self._report = report
        self._dead = dead
        self._stop_guest = stop_guest

    def run(self, unsure):
        """Abort there, here, there. unsure: the guest may have run there. Raises Left."""
        ids = self._own_ids()
        if not ids:
            return
        left = self._abort_there(ids, unsure)
        fenced = self._abort_here(ids, moved=bool(self._sides.journal.prepared) and not unsure)
        if left and not self._dead:
            left = self._abort_there(ids, False)
            if left:
                self._sides.leave(
                    f"the guest goes on here{fenced}, but something may be left on "
                    f"{self._sides.there.host.name}: {left}"
                )
        self._report.step(f"taken back: {self._asked_here(self._sides.describe_here)}", "aborted")

    def _own_ids(self):
        """The hand-overs that this migration began; another's is left alone."""
        journal = self._sides.journal
        exported = set(self._asked_here(self._sides.exported_ids))
        if journal.phase == phases.EXPORT or journal.guessed:
            return exported | set(journal.ids)  # Export's answer may have been lost
        foreign = exported - set(journal.ids)
        if foreign:
            self._sides.leave(
                f"{self._sides.here} is exported by another hand-over "
                f"({', '.join(sorted(foreign))}): that one is not touched"
            )
        return set(journal.ids)

    def _abort_there(self, ids, unsure):
        """Returns what is left there of this migration, in words; "": nothing.

        Only where this hand-over is: an Abort also gives up waiting, which opens the gate.
        """
        try:
            ran, open_still, left = self._try_abort_there(ids)
        except Refused as error:
            if unsure and not self._dead:
                self._sides.leave(
                    f"the guest may have run at the destination, and {error}. Once that answers, "
                    "or with --dead once that host is known to be dead, go on"
                )
            self._report.step(str(error), "note")
            return str(error)
        if ran:
            self._stop_guest()
            self._sides.leave(
                f"the guest runs at {self._sides.there.host.name}, or has run there: it has "
                "written to its disk after Import. It must not go on here, and QEMU here was told "
                "to stop it. If it runs there, end this QEMU, and `prmigctl release --force` here"
            )
        if open_still and unsure:
            self._sides.leave(f"the guest may run at {self._sides.there.host.name}: {left}")
        return left

    def _try_abort_there(self, ids):
        """(the guest has run there, a gate is open there, what is left there)."""
        refusals, ran, open_still, left = {}, False, False, []
        for nexus in self._sides.settled_there():
            if nexus["HandoverId"] in ids and self._has_something(nexus):
                try:
                    self._sides.there.abort_nexus(nexus, nexus["HandoverId"])
                except Unreachable:
                    raise
                except Refused as error:
                    refusals[nexus["Name"]] = error
        after = self._sides.there.members()
        for nexus in after:
            if nexus["HandoverId"] not in ids or not self._has_something(nexus):
                continue
            refusal = refusals.get(nexus["Name"], "it is registered")
            if nexus["State"] == "active":
                open_still = True
                ran = ran or getattr(refusal, "name", "") == "WrongState"
            left.append(f"nexus '{nexus['Name']}': {refusal}")
        missing = set(self._sides.journal.there_members) - {nexus["Name"] for nexus in after}
        left += [f"nexus '{name}' is not open" for name in sorted(missing)]
        return ran, open_still, "; ".join(left)

    @staticmethod
    def _has_something(nexus):
        """Imported, or at least registered."""
        return nexus["State"] == "active" or any(path[2] for path in nexus["Paths"])

    def _abort_here(self, ids, moved):
        """" (fenced ...)" where the cluster has fenced the guest; "" otherwise.

        moved: Export may have moved the reservation to the destination (REGISTER AND MOVE), which
        can move it back only when it has imported it.
        """
        if not self._asked_here(self._sides.exported_ids):
            return ""
        options = {"force": True} if self._dead else {}
        if self._sides.here.kind == "nexus" and len(ids) == 1:
            options["id"] = next(iter(ids))
        try:
            self._sides.here.abort(**options)
        except Refused as error:
            if error.name == "WrongState" and moved:
                self._bring_back(ids)
                return self._abort_here(ids, moved=False)
            if error.name != "Fenced":
                self._sides.leave(f"the guest's disk is still closed here: {error}")
            self._report.step(str(error), "fenced")
            return " (fenced by its cluster)"
        return ""

    def _bring_back(self, ids):
        """Nobody runs at the destination: the migration was cancelled before it switched over."""
        journal = self._sides.journal
        try:
            if not journal.line:
                journal.line = self._sides.here.export(destination=journal.prepared)
            self._sides.there.import_(journal.line)
        except Refused as error:
            self._report.step(str(error), "note")
        else:
            self._abort_there(ids, unsure=True)

    def _asked_here(self, function):
        try:
            return function()
        except Refused as error:
            self._sides.leave(str(error))
