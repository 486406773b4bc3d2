#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long a group's hand-over takes, and how many SCSI commands. In a machine.

    group_times.py JSON

JSON: {"rounds": n, "groups": [source, destination], "disks": [those of the guest
at the source], "commands": [files that count a LUN's commands]}. Each disk gets
a registration and a reservation; then the group goes forth and back. The last
line is JSON: {"export_ms": [...], "import_ms": [...], "commands": [...]}, an
entry for each hand-over.
"""

import json
import sys
import time

import scsi
from gi.repository import Gio, GLib

KEY = 0xBE7C


def reserve(node):
    disk = scsi.Disk(node)
    for action, key, new, kind in ((0, 0, KEY, 0), (1, KEY, 0, 5)):
        parameters = scsi.pr_list(key, new)
        for _ in range(5):  # unit attentions
            answer = disk.command(scsi.pr_out(action, parameters, kind), parameters)
            if answer.good:
                break
        else:
            raise SystemExit(f"{node}: PERSISTENT RESERVE OUT {action}: {answer}")


def main():
    options = json.loads(sys.argv[1])
    bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
    found = {"export_ms": [], "import_ms": [], "commands": []}

    def call(method, signature, *arguments):
        start = time.monotonic()
        answer = bus.call_sync(
            "org.prmig1",
            "/org/prmig1",
            "org.prmig1.Manager",
            method,
            GLib.Variant(signature, (*arguments, {})),
            None,
            Gio.DBusCallFlags.NONE,
            20000,
            None,
        )
        return answer.unpack(), (time.monotonic() - start) * 1000

    def commands():
        return sum(int(open(name, encoding="ascii").read()) for name in options["commands"])

    for node in options["disks"]:
        reserve(node)
    here, there = options["groups"]
    for _ in range(options["rounds"]):
        time.sleep(0.2)
        before = commands()
        (state,), export_ms = call("Export", "(sa{sv})", here)
        _, import_ms = call("Import", "(ssa{sv})", there, state)
        found["commands"].append(commands() - before)
        found["export_ms"].append(export_ms)
        found["import_ms"].append(import_ms)
        call("Release", "(sa{sv})", here)
        here, there = there, here
    print(json.dumps(found))


if __name__ == "__main__":
    main()
