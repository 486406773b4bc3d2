#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hand-overs forth and back under a guest that goes on writing. In a machine.

    soak.py JSON

JSON: {"count": hand-overs, "key": K, "sides": [[nexus, disk], ...two of them],
"lun": the stranger's disk, "stranger": its sg node}.

The guest is fio on a device-mapper device, whose table says where it runs: it is
suspended (what is under way is waited for, as QEMU does when it stops a guest),
the reservation moves, and it is resumed over the other side's disk. Every third
hand-over or so the older one is not released first, so that the nexus that the
guest comes back to is closed; then the guest is resumed there before Export, and
its writes wait at the closed gate. All the while a stranger writes to where fio
does; each of its writes has to be refused.

The last line is the outcome, as JSON.
"""

import glob
import json
import os
import random
import subprocess
import sys
import threading
import time

import scsi
from stranger import Stranger
from gi.repository import Gio, GLib

DEVICE = "soak"
REGION_MIB = 6
REGIONS = 4
FIRST_MIB = 4  # the blocks before are others'


def run(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


class Nexus:
    """A nexus on the bus."""

    def __init__(self, bus, name, disk):
        self.name = name
        self.disk = disk
        self._bus = bus
        self._path = f"/org/prmig1/nexus/{name}"

    def _call(self, interface, method, arguments, reply):
        return self._bus.call_sync(
            "org.prmig1",
            self._path,
            interface,
            method,
            arguments,
            GLib.VariantType(reply) if reply else None,
            Gio.DBusCallFlags.NONE,
            20000,
            None,
        ).unpack()

    def call(self, method, state=None, reply=None):
        arguments = GLib.Variant("(a{sv})", ({},))
        if state is not None:
            arguments = GLib.Variant("(sa{sv})", (state, {}))
        return self._call("org.prmig1.Nexus", method, arguments, reply)

    def get(self, name):
        arguments = GLib.Variant("(ss)", ("org.prmig1.Nexus", name))
        return self._call("org.freedesktop.DBus.Properties", "Get", arguments, "(v)")[0]


class Guest:
    """fio, on the device that is now one side's disk and now the other's."""

    def __init__(self, disk, size_mib):
        self._sectors = size_mib * 2048
        run("dmsetup", "create", DEVICE, "--table", self._table(disk))
        # fio takes a link for a file.
        self.path = os.path.realpath(f"/dev/mapper/{DEVICE}")
        self.runs = 0
        self.errors = []
        self._stop = False
        self._last = {}  # region: the run that wrote it last
        self._thread = threading.Thread(target=self._work)

    @staticmethod
    def _dmsetup(*words):
        """Without waiting for udev, which has nothing to do for it."""
        run("dmsetup", "--noudevsync", "--noudevrules", *words)

    def _table(self, disk):
        return f"0 {self._sectors} linear {disk} 0"

    def suspend(self):
        self._dmsetup("suspend", "--nolockfs", DEVICE)

    def resume(self, disk):
        self._dmsetup("load", DEVICE, "--table", self._table(disk))
        self._dmsetup("resume", DEVICE)

    def _fio(self, number, path, *more):
        region = number % REGIONS
        words = ["fio", "--name=soak", f"--filename={path}", "--rw=randwrite", "--bs=4k"]
        words += ["--direct=1", "--ioengine=libaio", "--iodepth=8", "--verify=crc32c"]
        # Not all that one CPU can: the hand-overs are what there have to be many of.
        words += ["--rate_iops=200,200"]
        words += [f"--offset={FIRST_MIB + region * REGION_MIB}m", f"--size={REGION_MIB}m"]
        words += ["--do_verify=1", "--verify_fatal=1", f"--randseed={number + 1}"]
        words += ["--allow_file_create=0", "--output-format=terse", *more]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode or "error" in done.stderr:
            self.errors.append(f"fio run {number}: {done.stderr}"[:2000])

    def _work(self):
        while not self._stop and not self.errors:
            self._fio(self.runs, self.path)
            self._last[self.runs % REGIONS] = self.runs
            self.runs += 1

    def start(self):
        self._thread.start()

    def end(self, lun):
        """The last run ends; then all that was written is read from the LUN
        itself, by another nexus."""
        self._stop = True
        self._thread.join()
        if not self.errors:
            for number in self._last.values():
                self._fio(number, lun, "--verify_only")
        run("dmsetup", "remove", "--retry", DEVICE)


class Daemon:
    """What the daemon uses."""

    def __init__(self):
        self._pid = run("systemctl", "show", "-P", "MainPID", "tcmu-runner.service").strip()

    def usage(self):
        status = dict(
            line.split(":", 1) for line in open(f"/proc/{self._pid}/status", encoding="ascii")
        )
        return {
            "pid": int(self._pid),
            "rss_kib": int(status["VmRSS"].split()[0]),
            "anonymous_kib": int(status["RssAnon"].split()[0]),
            "threads": int(status["Threads"]),
            "descriptors": len(os.listdir(f"/proc/{self._pid}/fd")),
            "files": sorted(
                name.removeprefix("/var/lib/prmig/")
                for name in glob.glob("/var/lib/prmig/**", recursive=True, include_hidden=True)
                if os.path.isfile(name)
            ),
        }


def pr_out(disk, action, key=0, new=0, kind=0):
    parameters = scsi.pr_list(key, new)
    for _ in range(5):  # unit attentions
        answer = disk.command(scsi.pr_out(action, parameters, kind), parameters)
        if answer.good:
            return
    raise RuntimeError(f"PERSISTENT RESERVE OUT {action}: {answer}")


def read_keys(disk):
    for _ in range(5):
        answer = disk.command(scsi.pr_in(0, 4096), in_len=4096)
        if answer.good:
            break
    length = int.from_bytes(answer.data[4:8], "big")
    return [int.from_bytes(answer.data[8 + i : 16 + i], "big") for i in range(0, length, 8)]


def read_reservation(disk):
    data = disk.command(scsi.pr_in(1, 24), in_len=24).data
    if not int.from_bytes(data[4:8], "big"):
        return None
    return int.from_bytes(data[8:16], "big"), data[21] & 15


def main():
    options = json.loads(sys.argv[1])
    key, count = options["key"], options["count"]
    bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
    sides = [Nexus(bus, name, disk) for name, disk in options["sides"]]
    here, there = sides
    disk = scsi.Disk(here.disk)
    pr_out(disk, 0, new=key)
    pr_out(disk, 1, key, kind=5)
    guest = Guest(here.disk, FIRST_MIB + REGION_MIB * REGIONS)
    stranger = Stranger(options["stranger"], FIRST_MIB << 8, REGIONS * REGION_MIB << 8)
    daemon = Daemon()
    chance = random.Random(2)
    times, held, done, failure = [], 0, 0, ""
    before, memory = None, []
    # Memory that is taken once, stacks and the allocator's arenas, is taken by then.
    warm = count // 2
    guest.start()
    stranger.start()
    begin = time.monotonic()
    try:
        while done < count and not guest.errors:
            if done == warm:
                before = daemon.usage()
            if done % 10 == 0:
                memory.append(daemon.usage()["anonymous_kib"])
            closed = there.get("State") != "active"
            guest.suspend()
            if closed:
                guest.resume(there.disk)
                held += 1
            start = time.monotonic()
            state = here.call("Export", reply="(s)")[0]
            there.call("Import", state)
            times.append(time.monotonic() - start)
            if not closed:
                guest.resume(there.disk)
            if chance.randrange(3):
                here.call("Release")
            here, there = there, here
            done += 1
            time.sleep(chance.random() * 0.1)
    except (GLib.Error, RuntimeError) as error:
        failure = f"hand-over {done + 1}: {error}"
    seconds = time.monotonic() - begin
    if not failure:
        guest.end(options["lun"])
    refused, taken, others = stranger.end()
    # A connection of the bus, a thread: what ends by itself has a moment for it.
    time.sleep(1)
    look = scsi.Disk(options["stranger"])
    print(
        json.dumps(
            {
                "done": done,
                "held": held,
                "seconds": seconds,
                "median_ms": 1000 * sorted(times)[len(times) // 2] if times else None,
                "failure": failure,
                "fio_runs": guest.runs,
                "fio_errors": guest.errors,
                "refused": refused,
                "taken": taken,
                "others": others,
                "keys": read_keys(look),
                "reservation": read_reservation(look),
                "before": before,
                "after": daemon.usage(),
                "memory": memory,
                "states": {
                    nexus.name: [nexus.get(name) for name in ("State", "Key", "Fenced", "Failure")]
                    for nexus in sides
                },
                "at": here.name,
            }
        ),
        flush=True,
    )
    if failure:
        os._exit(1)  # fio may wait for a disk that will not answer


if __name__ == "__main__":
    main()
