# SPDX-License-Identifier: Apache-2.0
"""Both ends of a migration, and what each says of it."""

from .bus import NEXUS
from .errors import Left, Refused, Unreachable


class Sides:
    """here and there are Targets, journal says what was begun between them."""

    def __init__(self, journal, here, there):
        self.journal = journal
        self.here = here
        self.there = there

    def leave(self, text):
        """It is neither finished nor undone."""
        raise Left(
            f"{text} (left as it is; `prmigctl resume {self.journal.name}` goes on from here)"
        )

    def members_here(self):
        """All that there were: what is not open now is not known to be in order."""
        nexuses = self.here.members()
        missing = set(self.journal.members) - {nexus["Name"] for nexus in nexuses}
        if missing or not nexuses:
            raise Refused(
                f"nexus '{', '.join(sorted(missing)) or self.here.name}' is not open on "
                f"{self.here.host.name}: create its backstore again"
            )
        return nexuses

    def exported_ids(self):
        """The hand-overs that are under way here."""
        return sorted({n["HandoverId"] for n in self.members_here() if n["State"] == "exported"})

    def settled_there(self):
        """Its nexuses, when a call that was under way on them is done: Resync waits its turn."""
        for nexus in self.there.members():
            try:
                self.there.host.call(nexus["Path"], NEXUS, "Resync", None)
            except Unreachable:
                raise
            except Refused:
                pass
        return self.there.members()

    def describe_here(self):
        words = []
        for nexus in self.members_here():
            what = "not registered"
            if nexus["Fenced"]:
                what = "fenced by its cluster"
            elif nexus["Holder"]:
                what = f"holds the reservation ({nexus['TypeName']})"
            elif nexus["Key"]:
                what = f"registered with key {nexus['Key']:#x}"
            words.append(f"nexus '{nexus['Name']}' is {nexus['State']}, {what}")
        return "; ".join(words)
