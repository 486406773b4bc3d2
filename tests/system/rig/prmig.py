# SPDX-License-Identifier: Apache-2.0
"""prmig in a machine: the package, its backstores, its D-Bus interface."""

import ast
import json
import re
import shlex
import string

from .errors import RigError, RigTimeout
from .lio import Lio

_LABEL = set(string.ascii_letters + string.digits)


def object_path(name):
    """The nexus's object path, escaped as systemd escapes a bus label."""
    escaped = "".join(
        c if c in _LABEL and not (i == 0 and c.isdigit()) else f"_{ord(c):02x}"
        for i, c in enumerate(name)
    )
    return f"/org/prmig1/nexus/{escaped or '_'}"


class DBusError(RigError):
    """A method answered an error: `name` without org.prmig1.Error. in front."""

    def __init__(self, method, name, message):
        self.name = name.removeprefix("org.prmig1.Error.")
        self.message = message
        super().__init__(f"{method}: {name}: {message}")


def _variants(options):
    """a{sv} in GVariant's text form."""
    words = []
    for key, value in options.items():
        if isinstance(value, bool):
            text = "true" if value else "false"
        elif isinstance(value, int):
            text = f"uint64 {value}"
        else:
            text = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        words.append(f"'{key}': <{text}>")
    return "{" + ", ".join(words) + "}"


class Prmig:
    """prmig of one machine. deb: the package to install, on the outer machine."""

    def __init__(self, vm, deb=None):
        self.vm = vm
        self.lio = Lio(vm)
        if deb:
            self.install(deb)

    def install(self, deb):
        """Install the package and restart tcmu-runner with it."""
        self.vm.put(deb, "/root/prmig.deb")
        self.vm.run("DEBIAN_FRONTEND=noninteractive dpkg -i /root/prmig.deb", timeout=180)
        self.restart()

    def restart(self):
        """Restart tcmu-runner and wait for prmig's bus name."""
        self.vm.run("systemctl restart tcmu-runner.service", timeout=120)
        self.wait_bus()

    def wait_bus(self, seconds=60):
        self.vm.wait_for(
            "busctl --system status org.prmig1 >/dev/null", seconds, "org.prmig1 on the bus"
        )

    def wait_open(self, name, seconds=60):
        """Until a nexus is there and nothing is wrong with its LUN."""
        self.vm.wait_for(
            f"busctl get-property org.prmig1 {object_path(name)} org.prmig1.Nexus Failure"
            " | grep -qx 's \"\"'",
            seconds,
            f"nexus {name} has its LUN",
        )

    def daemon_pid(self):
        return int(self.vm.run("systemctl show -P MainPID tcmu-runner.service").stdout)

    # A handler that stops at named points: see handler/points.h

    _POINT, _POINTS = "/run/prmig-point", "/var/log/prmig-points"

    def install_points(self, handler):
        """Put a handler that was built with the points in the place of the installed one."""
        installed = self.vm.run("dpkg -L prmig | grep /handler_prmig.so").stdout.strip()
        self.vm.put(handler, f"{installed}.new")
        self.vm.run(["mv", f"{installed}.new", installed])
        self.vm.put_data(
            f"""[Service]
            Environment=PRMIG_POINT={self._POINT} PRMIG_POINT_LOG={self._POINTS} PRMIG_POINT_STOP=1
            """,
            "/etc/systemd/system/tcmu-runner.service.d/points.conf",
        )
        self.vm.run("systemctl daemon-reload")
        self.restart()

    def arm(self, point):
        """The daemon will stop at this point, once."""
        self.vm.run(f"rm -f {self._POINTS}; echo -n {point} >{self._POINT}")

    def wait_point(self, point, seconds=30):
        """Until the daemon stands at that point; returns its pid."""
        pid = self.daemon_pid()
        self.vm.run(
            f"""timeout {seconds} sh -c 'until grep -q "^State:.T" /proc/{pid}/status
            do sleep 0.05; done'; tail -n 1 {self._POINTS} | grep -qx {point}""",
            timeout=seconds + 30,
        )
        return pid

    # Backstores

    def create(self, name, device, check=True, **options):
        """A prmig backstore on a LUN, by targetcli, as large as the LUN.

        options: of the cfgstring, with '_' for '-'. Returns the Backstore, or
        with check=False the Result, whose stderr says why it was refused.
        """
        words = [str(device)] + [f"{k.replace('_', '-')}={v}" for k, v in options.items()]
        size = self.vm.run(
            f"blockdev --getsize64 {device} 2>/dev/null || stat -L -c %s {device}"
        ).stdout.strip()
        result = self.create_raw(name, size, ";".join(words), check)
        return self.lio.backstore(name) if check else result

    def create_raw(self, name, size, cfgstring, check=True):
        """targetcli's create with this cfgstring, whatever it is."""
        result = self.vm.run(
            "targetcli " + shlex.quote(
                f"/backstores/user:prmig create name={name} size={size} cfgstring={cfgstring}"
            ),
            check=False,
        )
        if check and not (
            result.ok and self.vm.run(f"ls -d {self._glob(name)}", check=False).ok
        ):
            raise RigError(f"{self.vm.name}: {name} was not created: {result.stdout}{result.stderr}")
        return result

    @staticmethod
    def _glob(name):
        return f"/sys/kernel/config/target/core/user_*/{name}"

    def delete(self, name, timeout=60):
        """Remove a backstore; nothing may export it any more."""
        self.vm.run(f"rmdir {self._glob(name)}", timeout=timeout)

    # D-Bus

    def call(self, path, interface, method, *arguments, timeout=30):
        """Call a method; returns its results, and takes its arguments, as texts
        in GVariant's form."""
        result = self.vm.run(
            ["gdbus", "call", "--system", "--timeout", str(timeout), "--dest", "org.prmig1"]
            + ["--object-path", path, "--method", f"{interface}.{method}", *arguments],
            check=False,
            timeout=timeout + 30,
        )
        if not result.ok:
            found = re.search(r"GDBus\.Error:([\w.]+): (.*)", result.stderr, re.DOTALL)
            if found:
                # gdbus adds a hint on the types of the arguments.
                message = found.group(2).split("\n(According to")[0].strip()
                raise DBusError(method, found.group(1), message)
            if "Timeout was reached" in result.stderr:
                raise RigTimeout(f"{method} on {path}: {result.stderr.strip()}")
            raise DBusError(method, "", result.stderr.strip())
        return result.stdout.strip()

    def _nexus(self, name, method, *arguments, timeout=30):
        return self.call(object_path(name), "org.prmig1.Nexus", method, *arguments, timeout=timeout)

    def export(self, name, **options):
        """Export: the state line."""
        return ast.literal_eval(self._nexus(name, "Export", _variants(options)))[0]

    def import_(self, name, state, **options):
        self._nexus(name, "Import", f"'{state}'", _variants(options))

    def release(self, name, **options):
        self._nexus(name, "Release", _variants(options))

    def abort(self, name, **options):
        self._nexus(name, "Abort", _variants(options))

    def check(self, name, state="", **options):
        self._nexus(name, "Check", f"'{state}'", _variants(options))

    def prepare(self, name, **options):
        return ast.literal_eval(self._nexus(name, "Prepare", _variants(options)))[0]

    def forget(self, name, **options):
        self._nexus(name, "Forget", _variants(options))

    def resync(self, name):
        self._nexus(name, "Resync")

    def get(self, name, prop):
        """A property of a nexus."""
        done = self.vm.run(
            ["busctl", "--json=short", "get-property", "org.prmig1", object_path(name)]
            + ["org.prmig1.Nexus", prop]
        )
        return json.loads(done.stdout)["data"]

    def properties(self, name):
        """All properties of a nexus: {name: value}."""
        done = self.vm.run(
            ["busctl", "--json=short", "call", "org.prmig1", object_path(name)]
            + ["org.freedesktop.DBus.Properties", "GetAll", "s", "org.prmig1.Nexus"]
        )
        return {k: v["data"] for k, v in json.loads(done.stdout)["data"][0].items()}

    def manager(self, method, *arguments, timeout=30):
        """A method of org.prmig1.Manager; arguments in GVariant's text form."""
        return self.call("/org/prmig1", "org.prmig1.Manager", method, *arguments, timeout=timeout)

    def names(self):
        """The nexuses that are open, by name."""
        tree = self.vm.run("busctl --system --list tree org.prmig1", check=False).stdout
        return [
            line.rsplit("/", 1)[1] for line in tree.split() if line.startswith("/org/prmig1/nexus/")
        ]
