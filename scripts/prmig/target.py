# SPDX-License-Identifier: Apache-2.0
"""What a call is for: a nexus, or a group, on a host."""

import re

from gi.repository import GLib

from .bus import MANAGER, NEXUS, ROOT
from .errors import Refused, Usage


def check_name(name):
    """Names of nexuses and groups, as prmig takes them."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,63}", name):
        raise Usage(
            f"'{name}' is no name of a nexus or a group: letters, digits, '-', '_' and '.', at "
            "most 63"
        )
    return name


def _variants(options):
    types = {bool: "b", str: "s"}
    return {key: GLib.Variant(types[type(value)], value) for key, value in options.items()}


class Target:
    """A nexus or a group of a host. kind: "nexus" or "group"."""

    def __init__(self, host, name, kind):
        self.host = host
        self.name = name
        self.kind = kind

    def __str__(self):
        return f"{self.kind} '{self.name}' on {self.host.name}"

    @classmethod
    def find(cls, host, name, kind=None):
        """The group of that name; where there is none, the nexus. kind: only that."""
        check_name(name)
        if kind == "group":
            return cls(host, name, kind)  # prmig knows of members that are not open, too
        nexuses = host.nexuses()
        if kind is None and any(nexus["Group"] == name for nexus in nexuses):
            return cls(host, name, "group")
        if any(nexus["Name"] == name for nexus in nexuses):
            return cls(host, name, "nexus")
        there_are = sorted(
            {nexus["Name"] for nexus in nexuses} | {n["Group"] for n in nexuses if n["Group"]}
        )
        what = "nexus" if kind else "nexus or group"
        raise Refused(
            f"there is no {what} '{name}' on {host.name}"
            + (f" (there are {', '.join(there_are)})" if there_are else " (there is none at all)")
        )

    def members(self):
        """The properties of its nexuses that are open."""
        key = "Group" if self.kind == "group" else "Name"
        return [nexus for nexus in self.host.nexuses() if nexus[key] == self.name]

    def _call(self, method, *strings, **options):
        texts = list(strings)
        if self.kind == "group":
            path, interface = ROOT, MANAGER
            texts.insert(0, self.name)
        else:
            (path,) = self.host.call(
                ROOT, MANAGER, "GetNexus", GLib.Variant("(s)", (self.name,))
            )
            interface = NEXUS
        arguments = GLib.Variant(
            f"({'s' * len(texts)}a{{sv}})", (*texts, _variants(options))
        )
        return self.host.call(path, interface, method, arguments)

    def export(self, **options):
        return self._call("Export", **options)[0]

    def import_(self, line, **options):
        self._call("Import", line, **options)

    def check(self, line="", **options):
        self._call("Check", line, **options)

    def prepare(self):
        """What Export takes as destination; "" where prmig does not offer it."""
        try:
            return self._call("Prepare")[0]
        except Refused as error:
            if error.name.rpartition(".")[2] in ("Unsupported", "UnknownMethod"):
                return ""
            raise

    def abort(self, **options):
        self._call("Abort", **self._with_id(options, "Abort"))

    def release(self, **options):
        self._call("Release", **self._with_id(options, "Release"))

    def _with_id(self, options, method):
        if self.kind == "group" and options.get("id"):
            raise Usage(f"{method} of a group takes no --id")
        return {key: value for key, value in options.items() if value}

    # Nexuses only: of a group, one after the other.

    def forget(self, **options):
        for nexus in self._each():
            self.host.call(
                nexus["Path"], NEXUS, "Forget", GLib.Variant("(a{sv})", (_variants(options),))
            )

    def resync(self):
        for nexus in self._each():
            self.host.call(nexus["Path"], NEXUS, "Resync", None)

    def abort_nexus(self, nexus, handover_id):
        """Abort of one nexus, and of this hand-over only."""
        self.host.call(
            nexus["Path"],
            NEXUS,
            "Abort",
            GLib.Variant("(a{sv})", (_variants({"id": handover_id}),)),
        )

    def _each(self):
        nexuses = self.members()
        if not nexuses:
            raise Refused(f"there is no {self}")
        return nexuses
