# SPDX-License-Identifier: Apache-2.0
"""Two hosts, their LUNs and a guest, as far as prmigctl can tell them from real ones.

Written from the documented contract. It watches over itself: `broken` collects what must never be.
"""

import secrets

KEY = 0xABCD1
SOURCE, DESTINATION = "here", "there"
OTHER = {SOURCE: DESTINATION, DESTINATION: SOURCE}


class Error(Exception):
    """What a method answers."""

    def __init__(self, name, text):
        self.name = f"org.prmig1.Error.{name}"
        super().__init__(text)


class Lun:
    """row: of the hand-over's table. registered: the sides that are, with KEY."""

    def __init__(self, name, row):
        self.name = name
        self.row = row
        self.generation = 10
        self.registered = {SOURCE} if row > 1 else set()
        self.holder = SOURCE if row == 3 else None
        self.fenced = False
        self.shared = False  # a stranger has the guest's key: REGISTER AND MOVE, no PREEMPT

    def fence(self):
        """Another initiator removes the guest's registration."""
        self.registered.clear()
        self.fenced = True
        self.holder = "stranger" if self.holder else None
        self.generation += 1

    def meddle(self):
        self.generation += 1


class Nexus:
    """A prmig backstore on one side."""

    def __init__(self, name, group, side, lun):
        self.name, self.group, self.side, self.lun = name, group, side, lun
        self.state = "active" if side == SOURCE else "incoming"
        self.fenced = False
        self.key = KEY if side == SOURCE and lun.row > 1 else 0
        self.out_id = self.in_id = ""
        self.out_generation = 0
        self.in_done = self.ran = self.moved = False

    @property
    def registered(self):
        return self.side in self.lun.registered

    @property
    def properties(self):
        holder = self.key != 0 and self.lun.row == 3
        return {
            "Name": ("s", self.name),
            "Group": ("s", self.group),
            "Device": ("s", "/dev/null"),
            "Lun": ("s", self.lun.name),
            "Backend": ("s", "sg"),
            "State": ("s", self.state),
            "Fenced": ("b", self.fenced),
            "Failure": ("s", ""),
            "MigratePr": ("b", True),
            "Emulated": ("b", False),
            "Key": ("t", self.key),
            "Holder": ("b", holder),
            "Type": ("y", 5 if holder else 0),
            "TypeName": ("s", "Write Exclusive, registrants only" if holder else "none"),
            "Ptpl": ("b", False),
            "HandoverId": ("s", self.out_id if self.state == "exported" else self.in_id),
            "Paths": ("a(sub)", [("", 1, self.registered)]),
            "Generation": ("u", self.lun.generation),
            "InFlight": ("u", 0),
        }

    # Calls

    def prepare(self):
        if not self.lun.shared:
            raise Error("Unsupported", "REGISTER AND MOVE is not offered by this version")
        return "prepared1"

    def export(self, destination=""):
        if self.moved and self.state == "exported":
            return f"prmig1,{self.lun.name},{self.out_id},{self.lun.generation}"
        if self.state == "incoming":
            raise Error("WrongState", f"nexus '{self.name}' is incoming")
        row = self.lun.row
        if row > 1 and not self.fenced:
            if not self.registered:
                if self.lun.registered:
                    raise Error("WrongState", "it was imported: Release or Abort")
                raise Error("Fenced", "the guest is fenced")
            self.lun.generation += 1
        if self.state == "active":
            self.out_id = secrets.token_hex(8)
        self.state = "exported"
        self.out_generation = self.lun.generation
        if destination and self.lun.shared:
            self.lun.registered, self.lun.holder = {OTHER[self.side]}, OTHER[self.side]
            self.moved = True
        return f"prmig1,{self.lun.name},{self.out_id},{self.lun.generation}"

    def import_(self, line, open_gate=True):
        _, lun, ident, generation = line.split(",")
        if lun != self.lun.name:
            raise Error("WrongLun", "another LUN")
        if self.state == "active" and self.in_done and self.in_id == ident:
            return
        if self.state == "active" and self.key:
            raise Error("WrongState", f"nexus '{self.name}' is active and its guest is registered")
        self.in_id = ident
        if self.lun.row > 1 and not self.registered:
            if not self.lun.registered:
                raise Error("Fenced", "the key is gone")
            if self.lun.generation != int(generation):
                raise Error("Stale", "the LUN's registrations have changed since Export")
            self.lun.registered.add(self.side)
            self.lun.generation += 1
            if self.lun.row == 3:
                self.lun.registered.discard(OTHER[self.side])
                self.lun.holder = self.side
                self.lun.generation += 1
        if open_gate:
            self.state, self.in_done, self.ran = "active", True, False
            self.key = KEY if self.lun.row > 1 else 0

    def check(self, _line):
        if self.state == "active" and self.key:
            raise Error("WrongState", f"nexus '{self.name}' is active and its guest is registered")

    def abort(self, ident="", force=False):
        out = self.out_id and ident in ("", self.out_id)
        taken = self.in_id and ident in ("", self.in_id)
        if self.state == "exported" and out:
            self._abort_source(force)
        elif self.state == "incoming" and (taken or not self.in_id):
            self._abort_destination(force)
        elif self.state == "active" and self.in_done and taken:
            self._abort_destination(force)
        elif not (self.state == "active" and (not ident or out)):
            raise Error("WrongState", f"nexus '{self.name}' knows no hand-over {ident}")

    def _abort_source(self, force):
        lun = self.lun
        if self.moved and not self.registered:
            raise Error("WrongState", "moved: Import the line there and Abort there")
        if lun.row > 1:
            if not lun.registered:
                self.state, self.fenced, self.key = "active", True, 0
                raise Error("Fenced", "the guest is fenced, and prmig does not undo that")
            if lun.row == 3:
                if not self.registered and lun.generation != self.out_generation + 2 and not force:
                    raise Error("WrongState", "who holds cannot be told")
                lun.registered = {self.side}
                lun.holder = self.side
            elif len(lun.registered) > 1 and not force:
                raise Error("WrongState", "the destination is registered; Abort there first")
            lun.generation += 1
        self.state = "active"

    def _abort_destination(self, force):
        if self.state == "active" and self.ran and not force:
            raise Error("WrongState", f"the guest runs at nexus '{self.name}'")
        if self.state == "incoming" and not self.registered:
            if self.in_id:
                self.in_id = ""
            else:
                self.state = "active"
            return
        self.state, self.in_done, self.key = "incoming", False, 0
        if self.registered and self.lun.shared:
            self.lun.registered, self.lun.holder = {OTHER[self.side]}, OTHER[self.side]
        elif self.registered:
            if self.lun.registered == {self.side}:
                raise Error("WrongState", f"nexus '{self.name}' alone holds, and keeps it")
            self.lun.registered.discard(self.side)
            self.lun.generation += 1
        self.in_id = ""

    def release(self, force=False):
        if self.state == "active":
            if self.out_id and not self.key:
                return
            raise Error("WrongState", "there is nothing to release")
        if self.state == "incoming":
            raise Error("WrongState", "Release is for the source")
        if self.lun.row > 1 and self.registered:
            if self.lun.row == 3 or (len(self.lun.registered) == 1 and not force):
                raise Error("WrongState", "it has not been imported")
            self.lun.registered.discard(self.side)
            self.lun.generation += 1
        self.state, self.key, self.fenced = "active", 0, False

    def resync(self):
        """A destination that lost its registration to the source's Abort waits again."""
        if self.state == "active" and self.in_done and not self.ran and self.key:
            if not self.registered:
                self.state, self.in_done, self.key, self.in_id = "incoming", False, 0, ""


class Qemu:
    """The source's QEMU and what it knows of the destination's."""

    def __init__(self, wrote):
        self.status = "none"
        self.runs_here = True
        self.there = "waiting"  # running, dead
        self.gone = False
        self.fails = None  # the status in which the migration fails
        self.fails_after_start = False  # the destination runs by then
        self.capabilities = {
            "events": False, "return-path": False, "pause-before-switchover": False, "xbzrle": False
        }
        self._polls = 0
        self._wrote = wrote  # called when the guest at the destination writes

    def become(self, status):
        self.status, self._polls = status, 0
        if status in ("failed", "cancelled"):
            self.runs_here = True
            self.there = "running" if self.fails_after_start and status == "failed" else "dead"
            if self.there == "running":
                self._wrote()
        elif status == "pre-switchover":
            self.runs_here = False
        elif status == "completed":
            self.there = "running"
            self._wrote()

    def poll(self):
        """Time goes by."""
        self._polls += 1
        if self.status == self.fails:
            self.become("failed")
            return
        after = {
            "setup": "active", "active": "pre-switchover", "cancelling": "cancelled",
            "device": "completed",
        }
        if self.status in after and self._polls > (1 if self.status in ("active", "device") else 0):
            if self.status == "active" and not self.capabilities["pause-before-switchover"]:
                self.runs_here = False
                self.become("device")
                return
            self.become(after[self.status])

    def run_state(self):
        if self.runs_here:
            return "running"
        return "postmigrate" if self.status == "completed" else "finish-migrate"

    def migrate(self, _uri):
        if self.status in ("setup", "active", "pre-switchover", "device", "cancelling"):
            raise ValueError("There's a migration process in progress")
        self.become("setup")

    def migrate_cancel(self):
        if self.status in ("setup", "active", "pre-switchover"):
            self.become("cancelling")
        elif self.status == "device":
            raise AssertionError("migrate_cancel while QEMU switches over")

    def migrate_continue(self, state):
        if self.status != state:
            raise ValueError(f"Migration not in expected state: {self.status}")
        self.become("device")
