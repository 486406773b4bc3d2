# SPDX-License-Identifier: Apache-2.0
"""org.prmig1 of one host.

The host is this one (its system bus), or one that a transport reaches: a command whose standard
input and output are a D-Bus connection, as `busctl -H` starts one with ssh.
"""

import shlex
import signal
import socket
import subprocess

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

from .errors import Refused, Unreachable, Usage  # noqa: E402

NAME = "org.prmig1"
ROOT = "/org/prmig1"
NEXUS = "org.prmig1.Nexus"
MANAGER = "org.prmig1.Manager"
ERROR = "org.prmig1.Error."

CALL_SECONDS = 30  # every method answers within 15 s
PING_SECONDS = 5

# The call, or its answer, was lost on the way.
_LOST = ("NoReply", "Timeout", "TimedOut", "Disconnected")
_ABSENT = ("ServiceUnknown", "NameHasNoOwner")


def ssh_command(host):
    """What `busctl -H` runs; HOST is [USER@]HOST[:PORT]."""
    if not host or host.startswith("-"):
        raise Usage(f"'{host}' is no host")
    words = ["ssh", "-xT", "-o", "ServerAliveInterval=10"]
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit() and (":" not in name or name.endswith("]")):
        words += ["-p", port]
        host = name
    return [*words, "--", host, "systemd-stdio-bridge"]


class Host:
    """Where a prmig is: this host, or the one behind a transport."""

    def __init__(self, name="", transport=None):
        if transport is not None:
            self.transport = transport if isinstance(transport, list) else shlex.split(transport)
            if not self.transport:
                raise Usage("the transport is no command")
        else:
            self.transport = ssh_command(name) if name else None
        self.name = name or ("this host" if self.is_local else "the other host")
        self._connection = None
        self._process = None

    @property
    def is_local(self):
        return self.transport is None

    # The connection

    def connection(self):
        """Gio.DBusConnection, made anew where it is gone."""
        if self._connection is None or self._connection.is_closed():
            self.close()
            self._connection = self._connect_local() if self.is_local else self._connect_remote()
        return self._connection

    def _connect_local(self):
        try:
            address = Gio.dbus_address_get_for_bus_sync(Gio.BusType.SYSTEM, None)
            return Gio.DBusConnection.new_for_address_sync(
                address,
                Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
                None,
                None,
            )
        except GLib.GError as error:
            raise Unreachable(f"the system bus cannot be reached: {error.message}") from None

    def _connect_remote(self):
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                # A Ctrl-C at the terminal is prmigctl's to deal with: ssh must not end by it.
                self._process = subprocess.Popen(
                    self.transport,
                    stdin=theirs,
                    stdout=theirs,
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
                )
            except OSError as error:
                ours.close()
                raise Unreachable(f"{self.name}: {error}") from None
        try:
            stream = Gio.Socket.new_from_fd(ours.detach()).connection_factory_create_connection()
            return Gio.DBusConnection.new_sync(
                stream,
                None,
                Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
                None,
                None,
            )
        except GLib.GError as error:
            self._end_transport()
            raise Unreachable(
                f"{self.name} cannot be reached by '{shlex.join(self.transport)}': {error.message}"
            ) from None

    def close(self):
        if self._connection is not None and not self._connection.is_closed():
            try:
                self._connection.close_sync(None)
            except GLib.GError:
                pass
        self._connection = None
        self._end_transport()

    def _end_transport(self):
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def refresh(self):
        """Make sure that the connection is alive: one that lay idle may have died unseen."""
        try:
            self.call(ROOT, "org.freedesktop.DBus.Peer", "Ping", None, seconds=PING_SECONDS)
        except Unreachable:
            self.close()
            self.call(ROOT, "org.freedesktop.DBus.Peer", "Ping", None, seconds=PING_SECONDS)

    # Calls

    def call(self, path, interface, method, arguments, seconds=CALL_SECONDS):
        """A method call; arguments: a GLib.Variant or None. Returns what it returned, unpacked."""
        connection = self.connection()
        try:
            reply = connection.call_sync(
                NAME,
                path,
                interface,
                method,
                arguments,
                None,
                Gio.DBusCallFlags.NO_AUTO_START,
                seconds * 1000,
                None,
            )
        except GLib.GError as error:
            raise self._refusal(error, method) from None
        return reply.unpack()

    def _refusal(self, error, method):
        remote = Gio.DBusError.get_remote_error(error)
        message = error.message.removeprefix(f"GDBus.Error:{remote}: ")
        text = f"{method} on {self.name}: {message}"
        if remote is None:
            if "imeout" in error.message:
                # Nobody knows what this connection still carries.
                self.close()
            return Unreachable(text)
        short = remote.rpartition(".")[2]
        if short in _ABSENT:
            return Unreachable(
                f"prmig does not run on {self.name}: {NAME} is not on its bus "
                "(is tcmu-runner up, and was it restarted after prmig was installed?)"
            )
        if remote.startswith("org.freedesktop.DBus.Error.") and short in _LOST:
            return Unreachable(text)
        name = remote.removeprefix(ERROR)
        return Refused(f"{method} on {self.name}: {name}: {message}", name)

    def nexuses(self):
        """The properties of every nexus here, sorted by name; Path is its object path."""
        (objects,) = self.call(
            ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", None
        )
        found = []
        for path, interfaces in objects.items():
            if NEXUS in interfaces:
                found.append({**interfaces[NEXUS], "Path": path})
        return sorted(found, key=lambda nexus: nexus["Name"])
