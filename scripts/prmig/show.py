# SPDX-License-Identifier: Apache-2.0
"""`list`, `show` and `watch`: what prmig and the LUN say, in words."""

import json
import time

from gi.repository import Gio, GLib

from . import reservations as pr
from . import scsi
from .bus import NAME, NEXUS, ROOT
from .errors import Refused
from .report import put


def guest_words(nexus):
    """What the guest of a nexus has on the LUN."""
    if nexus["Fenced"]:
        return "fenced: another initiator removed its registration"
    if not nexus["Key"]:
        return "not registered"
    words = f"registered with key {nexus['Key']:#x}"
    if nexus["Holder"]:
        words += f", holds the reservation: {nexus['TypeName']}"
    return words


def print_list(nexuses, as_json):
    if as_json:
        put(json.dumps(nexuses, indent=1))
        return
    rows = [("NAME", "GROUP", "STATE", "KEY", "RESERVATION", "LUN", "DEVICE")]
    for nexus in nexuses:
        reservation = nexus["TypeName"] if nexus["Holder"] else "-"
        rows.append(
            (
                nexus["Name"],
                nexus["Group"] or "-",
                nexus["State"],
                "fenced" if nexus["Fenced"] else f"{nexus['Key']:#x}" if nexus["Key"] else "-",
                reservation,
                nexus["Lun"] or "-",
                nexus["Device"],
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        put("  ".join(map(str.ljust, row, widths)).rstrip())
    for nexus in nexuses:
        if nexus["Failure"]:
            put(f"{nexus['Name']}: {nexus['Failure']}")


# The LUN


def ask_lun(node):
    """All that PERSISTENT RESERVE IN tells: a dict of plain values."""
    with scsi.Device(node) as device:
        found = {"generation": None, "registrants": None, "notes": []}
        try:
            found["generation"], registrants = pr.parse_full_status(
                device.reserve_in(scsi.READ_FULL_STATUS)
            )
            found["registrants"] = [_registrant(r) for r in registrants]
        except scsi.NotOffered:
            found["notes"].append("this LUN has no READ FULL STATUS: it does not say who is who")
        except pr.Malformed as error:
            found["notes"].append(f"READ FULL STATUS: {error}")
        try:
            found["generation"], keys = pr.parse_keys(device.reserve_in(scsi.READ_KEYS))
            if found["registrants"] is None:
                found["registrants"] = [{"key": key, "who": "", "transport_id": ""} for key in keys]
            held = pr.parse_reservation(device.reserve_in(scsi.READ_RESERVATION))
            found["reservation"] = held and {
                "key": held[0], "type": held[1], "type_name": pr.type_name(held[1])
            }
            found["capabilities"] = None
            found["capabilities"] = pr.parse_capabilities(
                device.reserve_in(scsi.REPORT_CAPABILITIES)
            )
        except scsi.NotOffered as error:
            found["notes"].append(str(error))
        except pr.Malformed as error:
            raise Refused(f"{node}: {error}") from None
        for code in device.attentions:
            found["notes"].append(
                "a unit attention (ASC {:02x}h/{:02x}h) met these commands in place of the "
                "guest's".format(*code)
            )
    found.setdefault("reservation", None)
    return found


def _registrant(registrant):
    return {
        "key": registrant.key,
        "holder": registrant.holder,
        "type": registrant.kind,
        "who": registrant.transport_id.words,
        "transport_id": registrant.transport_id.text,
        "all_target_ports": registrant.all_target_ports,
        "relative_target_port": registrant.relative_target_port,
    }


def name_registrants(registrants, nexus, hosts):
    """Say of each which nexus of which host it is. hosts: [(name of the host, its nexuses)]."""
    for registrant in registrants:
        registrant["nexus"] = registrant["host"] = ""
        for host, nexuses in hosts:
            for other in nexuses:
                if other["Lun"] == nexus["Lun"] and any(
                    text == registrant["transport_id"] != ""
                    and port in (registrant["relative_target_port"], 0)
                    for text, port, _ in other["Paths"]
                ):
                    registrant["nexus"], registrant["host"] = other["Name"], host
    # A nexus whose TransportID prmig has not learnt is known by a key that nobody shares.
    own = [r for r in registrants if r["key"] == nexus["Key"] and not r["nexus"]]
    if len(own) == 1 and not any(r["nexus"] == nexus["Name"] for r in registrants):
        own[0]["nexus"], own[0]["host"] = nexus["Name"], hosts[0][0]


def print_nexus(nexus, lun, host):
    rows = [
        ("state", nexus["State"]),
        ("guest", guest_words(nexus)),
        ("APTPL", "yes" if nexus["Ptpl"] else "no"),
        ("group", nexus["Group"] or "none"),
        ("LUN", f"{nexus['Lun']} by {nexus['Device']} ({nexus['Backend']})"),
    ]
    for text, port, registered in nexus["Paths"]:
        rows.append(
            (
                "path",
                f"{text or 'TransportID not known yet'}, target port {port}, "
                + ("registered" if registered else "not registered"),
            )
        )
    rows.append(("hand-over", nexus["HandoverId"] or "none"))
    rows.append(("commands", f"{nexus['InFlight']} at the LUN or held"))
    if not nexus["MigratePr"]:
        rows.append(("migrate-pr", "off: cannot be migrated"))
    if nexus["Failure"]:
        rows.append(("FAILURE", nexus["Failure"]))
    put(f"nexus {nexus['Name']} on {host}")
    for name, text in rows:
        put(f"  {name:12}{text}")
    if lun is not None:
        _print_lun(lun)


def _print_lun(lun):
    if "error" in lun:
        put(f"the LUN was not asked: {lun['error']}")
        return
    capabilities = lun.get("capabilities")
    aptpl = f", APTPL {'on' if capabilities['aptpl'] else 'off'}" if capabilities else ""
    put(f"the LUN says (PRGENERATION {lun['generation']}{aptpl})")
    held = lun["reservation"]
    words = f"{held['type_name']} (type {held['type']})" if held else "none"
    if held and held["key"]:
        words += f", held with key {held['key']:#x}"
    put(f"  reservation {words}")
    for registrant in lun["registrants"] or []:
        put("  " + _registrant_words(registrant))
    if not lun["registrants"]:
        put("  nobody is registered")
    for note in lun["notes"]:
        put(f"  note: {note}")


def _registrant_words(registrant):
    words = [f"key {registrant['key']:#018x}", "HOLDER" if registrant.get("holder") else " " * 6]
    if registrant["who"]:
        port = f"target port {registrant['relative_target_port']}"
        if registrant["all_target_ports"]:
            port = "every target port"
        words.append(f"{registrant['who']}, {port}")
    if registrant["nexus"]:
        words.append(f"<- nexus {registrant['nexus']} on {registrant['host']}")
    elif registrant["who"]:
        words.append("<- not a nexus of the hosts asked")
    return " ".join(words)


# Signals


class Watch:
    """Prints what changes until the loop is left. names: None for every nexus."""

    def __init__(self, host, target, as_json):
        self._loop = GLib.MainLoop()
        self._target = target
        self._json = as_json
        self._host = host
        self._known = {n["Path"]: n for n in host.nexuses()}
        self._lost = False
        connection = host.connection()
        for sender, interface, path, handler in (
            (NAME, "org.freedesktop.DBus.Properties", None, self._on_properties),
            (NAME, NEXUS, None, self._on_fenced),
            (NAME, "org.freedesktop.DBus.ObjectManager", ROOT, self._on_objects),
            ("org.freedesktop.DBus", "org.freedesktop.DBus", None, self._on_owner),
        ):
            connection.signal_subscribe(
                sender,
                interface,
                "NameOwnerChanged" if handler == self._on_owner else None,
                path,
                NAME if handler == self._on_owner else None,
                Gio.DBusSignalFlags.NONE,
                handler,
            )
        connection.connect("closed", self._on_closed)

    def run(self, signals):
        for number in signals:
            GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, self._loop.quit)
        self._loop.run()
        if self._lost:
            raise Refused(f"the connection to {self._host.name} is gone")

    def _wanted(self, nexus):
        if self._target is None:
            return True
        return nexus["Group" if self._target.kind == "group" else "Name"] == self._target.name

    def _say(self, name, event, text, **values):
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        if self._json:
            put(json.dumps({"time": now, "nexus": name, "event": event, **values}))
        else:
            put(f"{now} {name or 'prmig'}: {text}")

    def _on_properties(self, _connection, _sender, path, _interface, _signal, parameters):
        interface, changed, _ = parameters.unpack()
        nexus = self._known.get(path)
        if interface != NEXUS or nexus is None:
            return
        before = {name: nexus.get(name) for name in changed}
        nexus.update(changed)
        if self._wanted(nexus):
            text = ", ".join(f"{k} {before[k]} -> {changed[k]}" for k in sorted(changed))
            self._say(nexus["Name"], "changed", text, properties=changed)

    def _on_fenced(self, _connection, _sender, path, _interface, signal, parameters):
        nexus = self._known.get(path)
        if signal != "FencedChanged" or nexus is None or not self._wanted(nexus):
            return
        fenced, key = parameters.unpack()
        text = f"key {key:#x} was removed by another initiator" if fenced else "not fenced any more"
        self._say(nexus["Name"], "fenced", text, fenced=fenced, key=key)

    def _on_objects(self, _connection, _sender, _path, _interface, signal, parameters):
        values = parameters.unpack()
        if signal == "InterfacesAdded" and NEXUS in values[1]:
            nexus = self._known[values[0]] = {**values[1][NEXUS], "Path": values[0]}
            if self._wanted(nexus):
                self._say(nexus["Name"], "added", f"is there, {nexus['State']}", properties=nexus)
        elif signal == "InterfacesRemoved" and values[0] in self._known:
            nexus = self._known.pop(values[0])
            if self._wanted(nexus):
                self._say(nexus["Name"], "removed", "is gone")

    def _on_owner(self, _connection, _sender, _path, _interface, _signal, parameters):
        _, _, owner = parameters.unpack()
        if not owner:
            self._known.clear()
            self._say("", "stopped", "has left the bus (tcmu-runner has ended)")
            return
        self._say("", "started", "is on the bus")
        try:
            self._known = {n["Path"]: n for n in self._host.nexuses()}
        except Refused:
            pass  # it has gone again, and says so

    def _on_closed(self, *_):
        self._lost = True
        self._loop.quit()
