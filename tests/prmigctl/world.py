# SPDX-License-Identifier: Apache-2.0
"""prmigctl's surroundings: two D-Bus daemons with an org.prmig1 each, and a QMP socket.

Everything that prmigctl asks of them is a point, named "where.what"; points are counted and noted
in the log, and at each a test may have something happen: see World.at().
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

from model import DESTINATION, KEY, OTHER, SOURCE, Error, Lun, Nexus, Qemu  # noqa: E402

SOURCE_ROOT = Path(__file__).resolve().parents[2]
PRMIGCTL = SOURCE_ROOT / "scripts/prmigctl"

_XML = (SOURCE_ROOT / "handler/org.prmig1.xml").read_text(encoding="utf-8")
_NODE = Gio.DBusNodeInfo.new_for_xml(_XML)
_OBJECT_MANAGER = Gio.DBusNodeInfo.new_for_xml(
    "<node><interface name='org.freedesktop.DBus.ObjectManager'><method name='GetManagedObjects'>"
    "<arg type='a{oa{sa{sv}}}' direction='out'/></method></interface></node>"
)
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/></policy></busconfig>
"""

# What may happen at a point. "no effect": it did not arrive. "effect": it took effect, and
# nobody was told.
ERROR, LOST = "error", "lost"
KILL_BEFORE, KILL_AFTER = "kill, no effect", "kill, effect"
INTERRUPT = "interrupt"


class World:
    """One for all tests; reset() before each."""

    def __init__(self, folder):
        self.folder = folder
        self.lock = threading.RLock()
        self.addresses = {}
        self._ended = []
        self._context = GLib.MainContext()
        for side in (SOURCE, DESTINATION):
            self._start_bus(side)
        self._qmp = _QmpServer(self, str(folder / "qmp"))
        self.reset()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait(10)

    def close(self):
        self._loop.quit()
        self._thread.join()
        for process in self._ended:
            process.terminate()
            process.wait()

    def reset(self, row=3, group=""):
        """A guest that runs at the source. group: it has two disks, in a group of that name."""
        with self.lock:
            names = [f"{group}-a", f"{group}-b"] if group else ["vm1"]
            self.luns = [Lun(f"naa.{i}", row) for i, _ in enumerate(names)]
            self.nexuses = {
                side: [Nexus(n, group, side, lun) for n, lun in zip(names, self.luns)]
                for side in (SOURCE, DESTINATION)
            }
            self.row = row
            self.log = []
            self.broken = []
            self.reachable = True
            self.happens = {}
            self.seen = {}
            self.process = None
            self.writes_there = True
            self.qemu = Qemu(self._guest_wrote)
            self._qmp.listen()
        root = self.folder / "root"
        for path in (root / "var/lib/prmig/migrate").glob("*"):
            path.unlink()

    def _guest_wrote(self):
        for nexus in self.nexuses[DESTINATION]:
            if nexus.state == "active" and self.writes_there:
                nexus.ran = True

    # Points

    def at(self, point, what, count=1, action=None):
        """At the count-th time of this point: an ERROR..., or action() before it takes effect."""
        self.happens[point, count] = (what, action)

    def point(self, name, effect):
        """Run a point; returns what effect() does. Raises Error, or _Lost: give no answer."""
        with self.lock:
            count = self.seen[name] = self.seen.get(name, 0) + 1
            self.log.append(name)
            what, action = self.happens.get((name, count), (None, None))
            if action:
                action()
            if what == INTERRUPT:
                self.process.send_signal(signal.SIGINT)
            elif what == ERROR:
                raise Error("Lun", f"the test lets {name} fail")
            elif what == KILL_BEFORE:
                self._kill()
                raise Lost
            try:
                return effect()
            finally:
                self._watch(name)
                if what == KILL_AFTER:
                    self._kill()
                if what in (LOST, KILL_AFTER):
                    raise Lost

    def _kill(self):
        self.process.kill()
        self.process.wait()

    def _watch(self, name):
        """What must hold at every moment."""
        for source, destination in zip(self.nexuses[SOURCE], self.nexuses[DESTINATION]):
            lun = source.lun
            if lun.row == 3 and lun.holder not in lun.registered and not lun.fenced:
                self.broken.append(f"{name}: the reservation is free")
            if lun.row > 1 and not lun.registered and not lun.fenced:
                self.broken.append(f"{name}: nobody is registered")
            if (
                source.state == "active" and source.key
                and destination.state == "active" and destination.key
                and len(lun.registered) == 2
            ):
                self.broken.append(f"{name}: two gates are open")

    # D-Bus

    def _start_bus(self, side):
        path = self.folder / f"bus-{side}"
        config = self.folder / f"bus-{side}.conf"
        config.write_text(_BUS.format(path=path))
        self._ended.append(
            subprocess.Popen(
                ["dbus-daemon", "--nofork", "--config-file", config], stderr=subprocess.DEVNULL
            )
        )
        deadline = time.monotonic() + 10
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.addresses[side] = f"unix:path={path}"

    def _serve(self, ready):
        self._context.push_thread_default()
        self._loop = GLib.MainLoop(self._context)
        self.connections = {}
        for side, address in self.addresses.items():
            connection = self.connections[side] = Gio.DBusConnection.new_for_address_sync(
                address,
                Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
                None,
                None,
            )
            for info in (_NODE.interfaces[1], _OBJECT_MANAGER.interfaces[0]):
                connection.register_object("/org/prmig1", info, self._caller(side), None, None)
            for name in ("vm1", "vm1-a", "vm1-b"):
                connection.register_object(
                    _path(name), _NODE.interfaces[0], self._caller(side), self._getter(side), None
                )
            connection.call_sync(
                "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                "RequestName", GLib.Variant("(su)", ("org.prmig1", 4)), None, 0, 5000, None,
            )
        ready.set()
        self._loop.run()

    def _caller(self, side):
        def call(_connection, _sender, path, _interface, method, parameters, invocation):
            try:
                value = self._call(side, path, method, parameters.unpack())
            except Lost:
                # As when the daemon has died; at once, so that nobody has to wait.
                invocation.return_dbus_error("org.freedesktop.DBus.Error.NoReply", "no reply")
            except Error as error:
                invocation.return_dbus_error(error.name, str(error))
            except Exception as error:  # shown by the test that looks
                self.broken.append(repr(error))
                invocation.return_dbus_error("org.prmig1.Error.Lun", repr(error))
            else:
                invocation.return_value(value)

        return call

    def _getter(self, side):
        def get(_connection, _sender, path, _interface, name):
            (nexus,) = [n for n in self.nexuses[side] if _path(n.name) == path]
            return GLib.Variant(*nexus.properties[name])

        return get

    def _call(self, side, path, method, arguments):
        if method == "GetNexus":
            return GLib.Variant("(o)", (_path(arguments[0]),))
        if method == "GetManagedObjects":
            return self.point(f"{side}.list", lambda: self._list(side))
        *strings, options = arguments or ({},)
        if path == "/org/prmig1":
            group = strings.pop(0)
            nexuses = [n for n in self.nexuses[side] if n.group == group]
        else:
            nexuses = [n for n in self.nexuses[side] if _path(n.name) == path]
        if not nexuses:
            raise Error("WrongState", "there is no such nexus")
        return self.point(
            f"{side}.{method}", lambda: self._effect(nexuses, method, strings, options)
        )

    def _list(self, side):
        return GLib.Variant(
            "(a{oa{sa{sv}}})",
            (
                {
                    _path(n.name): {
                        "org.prmig1.Nexus": {
                            k: GLib.Variant(*v) for k, v in n.properties.items()
                        }
                    }
                    for n in self.nexuses[side]
                },
            ),
        )

    @staticmethod
    def _effect(nexuses, method, strings, options):
        if method == "Prepare":
            return GLib.Variant("(s)", ("+".join(nexus.prepare() for nexus in nexuses),))
        if method == "Export":
            to = options.get("destination", "")
            return GLib.Variant("(s)", ("+".join(nexus.export(to) for nexus in nexuses),))
        if method in ("Import", "Check") and strings[0]:
            lines = {line.split(",")[1]: line for line in strings[0].split("+")}
            for open_gate in (False, True) if method == "Import" else ():
                for nexus in nexuses:
                    nexus.import_(lines[nexus.lun.name], open_gate)
            return None
        refusals = []
        for nexus in nexuses:
            try:
                {
                    "Check": lambda n=nexus: n.check(""),
                    "Abort": lambda n=nexus: n.abort(
                        options.get("id", ""), options.get("force", False)
                    ),
                    "Release": lambda n=nexus: n.release(options.get("force", False)),
                    "Resync": nexus.resync,
                }[method]()
            except Error as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]
        return None

    def emit(self, nexus, properties):
        """PropertiesChanged of a nexus."""
        self.connections[nexus.side].emit_signal(
            None, _path(nexus.name), "org.freedesktop.DBus.Properties", "PropertiesChanged",
            GLib.Variant(
                "(sa{sv}as)",
                ("org.prmig1.Nexus", {k: GLib.Variant(*v) for k, v in properties.items()}, []),
            ),
        )

    def emit_fenced(self, nexus, fenced):
        self.connections[nexus.side].emit_signal(
            None, _path(nexus.name), "org.prmig1.Nexus", "FencedChanged",
            GLib.Variant("(bt)", (fenced, KEY)),
        )

    # prmigctl

    @contextlib.contextmanager
    def unreachable(self):
        """The destination host cannot be reached."""
        self.reachable = False
        yield
        self.reachable = True

    def transport(self):
        if not self.reachable:
            return "false"
        return f"systemd-stdio-bridge --bus-path={self.addresses[DESTINATION]}"

    def environment(self):
        return {
            **os.environ,
            "DBUS_SYSTEM_BUS_ADDRESS": self.addresses[SOURCE],
            "PRMIG_ROOT": str(self.folder / "root"),
        }

    def run(self, *words, stdin=None, environment=None):
        """Run prmigctl to its end, however it comes."""
        with self.lock:
            self.process = subprocess.Popen(
                [PRMIGCTL, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                stdin=subprocess.PIPE, env=environment or self.environment(),
            )
        process = self.process
        try:
            out, err = process.communicate(stdin, timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def migrate(self, *words, name="vm1"):
        return self.run(
            "migrate", "--qmp", self._qmp.path, "--uri", "tcp:there:4444",
            "--transport", self.transport(), *words, name,
        )

    def resume(self, *words):
        return self.run("resume", "--transport", self.transport(), *words, "vm1")

    @property
    def journal(self):
        return self.folder / "root/var/lib/prmig/migrate/vm1.json"

    def journal_text(self):
        return json.loads(self.journal.read_text(encoding="utf-8"))

    def end_qemu(self):
        """QEMU at the source ends."""
        self._qmp.stop()
        self.qemu.runs_here = False

    # What a test expects at the end

    def expect_moved(self):
        self._expect_at(DESTINATION)
        assert self.qemu.there == "running" and not self.qemu.runs_here

    def expect_here(self, guest_runs=True, fenced=False):
        self._expect_at(SOURCE, fenced)
        assert self.qemu.there != "running"
        assert self.qemu.runs_here == guest_runs

    def expect_here_untouched(self):
        """As before, and nobody was asked to change anything."""
        self.expect_here()
        assert not any(name.split(".")[1] in ("Export", "Import", "Abort") for name in self.log)

    def _expect_at(self, side, fenced=False):
        assert not self.broken
        assert not self.journal.exists()
        for nexus in self.nexuses[side]:
            assert nexus.state == "active"
            assert nexus.fenced == fenced
            assert nexus.lun.registered == ({side} if self.row > 1 and not fenced else set())
            if self.row == 3:
                assert nexus.lun.holder == ("stranger" if fenced else side)
        for nexus in self.nexuses[OTHER[side]]:
            assert nexus.key == 0
            assert nexus.state == ("active" if side == DESTINATION else "incoming")

    def calls(self, *hidden):
        """The log without what only looks."""
        dull = ("list", "query-status", "query-migrate-capabilities", "qmp_capabilities", *hidden)
        return [
            name for name in self.log
            if not name.startswith("qmp.query-migrate@") and name.partition(".")[2] not in dull
        ]


class Lost(Exception):
    """No answer is given."""


def _path(name):
    return "/org/prmig1/nexus/" + name.replace("-", "_2d")


class _QmpServer:
    """One client at a time, as QEMU has it."""

    def __init__(self, world, path):
        self.world = world
        self.path = path
        self._listener = None
        self._client = None

    def listen(self):
        self.stop()
        Path(self.path).unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(5)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self):
        for end in (self._listener, self._client):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self._listener = self._client = None

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._client = client
            with contextlib.suppress(OSError), client:
                self._converse(client)

    def _converse(self, client):
        def send(message):
            client.sendall(json.dumps(message).encode() + b"\r\n")

        send({"QMP": {"version": {}, "capabilities": []}})
        for line in client.makefile("r"):
            message = json.loads(line)
            before = self.world.qemu.status
            try:
                result = self._execute(message["execute"], message.get("arguments", {}))
                answer = {"return": result}
            except Lost:
                return
            except (Error, ValueError) as error:
                answer = {"error": {"class": "GenericError", "desc": str(error)}}
            if "id" in message:
                answer["id"] = message["id"]
            # Time goes by when prmigctl asks: let it ask without a pause.
            moving = self.world.qemu.status in ("setup", "active", "device", "cancelling")
            if self.world.qemu.capabilities["events"] and (
                moving or self.world.qemu.status != before
            ):
                send({"event": "MIGRATION", "data": {"status": self.world.qemu.status}})
            send(answer)

    def _execute(self, name, arguments):
        qemu = self.world.qemu
        if name == "query-migrate":
            with self.world.lock:
                qemu.poll()
            return self.world.point(f"qmp.{name}@{qemu.status}", lambda: self._status(qemu))
        effects = {
            "qmp_capabilities": lambda: {},
            "query-status": lambda: {"status": qemu.run_state()},
            "query-migrate-capabilities": lambda: [
                {"capability": k, "state": v} for k, v in qemu.capabilities.items()
            ],
            "migrate-set-capabilities": lambda: qemu.capabilities.update(
                {entry["capability"]: entry["state"] for entry in arguments["capabilities"]}
            ),
            "migrate": lambda: qemu.migrate(arguments["uri"]),
            "migrate_cancel": qemu.migrate_cancel,
            "migrate-continue": lambda: qemu.migrate_continue(arguments["state"]),
            "stop": lambda: setattr(qemu, "runs_here", False),
            "cont": lambda: setattr(qemu, "runs_here", True),
        }
        return self.world.point(f"qmp.{name}", effects[name]) or (
            [] if name == "query-migrate-capabilities" else {}
        )

    @staticmethod
    def _status(qemu):
        if qemu.status == "none":
            return {}
        found = {"status": qemu.status, "ram": {"total": 1 << 28, "remaining": 1 << 20,
                                                "transferred": 1 << 27, "mbps": 812.5}}
        if qemu.status == "failed":
            found["error-desc"] = "the test lets the migration fail"
        return found
