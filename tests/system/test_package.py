# SPDX-License-Identifier: Apache-2.0
"""The package: what it installs, says and leaves, and that cmake --install does the same."""

import re
import subprocess

import pytest

from rig.lio import Lio
from rig.prmig import Prmig
from rig.rig import SOURCE_ROOT

HANDLER = "usr/lib/x86_64-linux-gnu/tcmu-runner/handler_prmig.so"
DROP_IN = "usr/lib/systemd/system/tcmu-runner.service.d/prmig.conf"
RESTORE_DROP_IN = "usr/lib/systemd/system/rtslib-fb-targetctl.service.d/prmig.conf"

# What both ways of installing give: path and mode.
FILES = {
    "etc/prmig/": "drwx------",
    HANDLER: "-rw-r--r--",
    DROP_IN: "-rw-r--r--",
    RESTORE_DROP_IN: "-rw-r--r--",
    "usr/share/dbus-1/interfaces/org.prmig1.xml": "-rw-r--r--",
    "usr/share/dbus-1/system.d/org.prmig1.conf": "-rw-r--r--",
    "usr/share/doc/prmig/examples/create-iscsi.sh": "-rwxr-xr-x",
    "usr/share/doc/prmig/examples/create-vhost.sh": "-rwxr-xr-x",
    "usr/share/doc/prmig/examples/hand-over.sh": "-rwxr-xr-x",
    "usr/share/doc/prmig/examples/lun-iscsi.conf": "-rw-r--r--",
    "usr/share/doc/prmig/examples/vm-bus.conf": "-rw-r--r--",
    "var/lib/prmig/": "drwx------",
}
# Beside them, prmigctl and what belongs to it.
PRMIGCTL = {
    r"usr/bin/prmigctl": "-rwxr-xr-x",
    r"usr/(lib|share)/prmig/prmig/[a-z_]+\.py": "-rw-r--r--",
    r"usr/share/man/man\d/prmigctl\.\d": "-rw-r--r--",
}
# What makes it a Debian package.
PACKAGE_ONLY = re.compile(r"usr/share/(doc/prmig/(README|changelog|copyright)|lintian/).*")


def paths(listing):
    """{path: mode} of tar's verbose listing: files, and the directories that are prmig's own."""
    found = {}
    for line in listing.splitlines():
        mode, path = line.split()[0], line.split()[5].removeprefix("./")
        path = path.removesuffix(".gz")  # debhelper's
        if path and (not path.endswith("/") or path in FILES):
            found[path] = mode
    return found


def check_files(found):
    """FILES, and nothing else but prmigctl."""
    assert {path: mode for path, mode in found.items() if path in FILES} == FILES
    for path in found.keys() - FILES.keys():
        assert [mode for pattern, mode in PRMIGCTL.items() if re.fullmatch(pattern, path)] == [
            found[path]
        ], path


def test_contents(deb):
    listing = subprocess.run(["dpkg", "-c", deb], capture_output=True, text=True, check=True).stdout
    found = paths(listing)
    assert all(" root/root " in line for line in listing.splitlines())
    check_files(without_package(found))
    names = "\n".join(found)
    for name in ("README.md", "changelog", "copyright"):
        assert f"usr/share/doc/prmig/{name}" in names
    depends = subprocess.run(
        ["dpkg-deb", "-f", deb, "Depends"], capture_output=True, text=True, check=True
    ).stdout
    for name in ("tcmu-runner (>= 1.5.4)", "targetcli-fb", "dbus", "libglib2.0-0", "libiscsi7", "libc6"):
        assert name in depends


def without_package(found):
    return {path: mode for path, mode in found.items() if not PACKAGE_ONLY.fullmatch(path)}


def test_cmake_install(deb, tmp_path):
    """The same files with the same modes, but for what makes it a Debian package."""
    build, root = tmp_path / "build", tmp_path / "root"
    root.mkdir(mode=0o755)
    configure = ["cmake", "-S", SOURCE_ROOT, "-B", build, "-G", "Ninja"]
    configure += ["-DPRMIG_TESTS=OFF", "-DPRMIG_WERROR=OFF"]
    for command in (configure, ["cmake", "--build", build]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(
        f"umask 022; DESTDIR={root} cmake --install {build}",
        shell=True, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    listing = subprocess.run(
        f"tar -C {root} -c . | tar -tv --numeric-owner",
        shell=True, check=True, stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip
    found = {re.sub("^lib/", "usr/lib/", path): mode for path, mode in paths(listing).items()}
    check_files(found)
    listing = subprocess.run(["dpkg", "-c", deb], capture_output=True, text=True, check=True).stdout
    assert found == without_package(paths(listing))


@pytest.fixture(scope="module")
def vm(rig):
    machine = rig.vm("package")
    rig.boot(machine)
    return machine


def pid(vm):
    return vm.run("systemctl show -P MainPID tcmu-runner.service").stdout.strip()


def dpkg(vm, words):
    done = vm.run(f"DEBIAN_FRONTEND=noninteractive dpkg {words}", timeout=180)
    return done.stdout + done.stderr


def unit(vm, *names):
    """Properties of tcmu-runner.service."""
    text = vm.run(f"systemctl show {' '.join(f'-p {n}' for n in names)} tcmu-runner.service").stdout
    return dict(line.split("=", 1) for line in text.splitlines())


def modes(vm, path):
    return vm.run(f"stat -c '%a %U:%G' {path}").stdout.split("\n")[0]


def test_life(vm, deb):
    """Installed, upgraded, removed and purged, in one machine's life."""
    vm.put(deb, "/root/prmig.deb")
    first = pid(vm)
    assert first != "0"

    # Installed: the daemon goes on, and the administrator is told.
    said = dpkg(vm, "-i /root/prmig.deb")
    assert "prmig: tcmu-runner runs without prmig" in said
    assert "systemctl restart tcmu-runner" in said
    assert pid(vm) == first
    assert not vm.run("busctl --system status org.prmig1", check=False).ok
    assert modes(vm, "/etc/prmig") == modes(vm, "/var/lib/prmig") == "700 root:root"
    assert modes(vm, f"/{HANDLER}") == "644 root:root"
    # Its policy counts at once: root may own the name, and nobody else.
    request = "busctl --system call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus"
    request += " RequestName su org.prmig1 4"
    refused = vm.run(f"runuser -u nobody -- {request}", check=False)
    assert not refused.ok and "ccess denied" in refused.stderr
    assert vm.run(request).stdout.strip() == "u 1"
    # So does the drop-in, from the next start on.
    shown = unit(vm, "Restart", "OOMScoreAdjust", "Before", "After", "DropInPaths")
    assert shown["Restart"] == "always"
    assert shown["OOMScoreAdjust"] == "-900"
    assert "rtslib-fb-targetctl.service" in shown["Before"].split()
    assert "multipathd.service" in shown["After"].split()
    assert DROP_IN.removeprefix("usr") in shown["DropInPaths"].replace("/usr/lib", "/lib")

    prmig = Prmig(vm)
    prmig.restart()
    assert pid(vm) != first
    assert f"/{HANDLER.rsplit('/', 1)[1]}" in vm.run(f"cat /proc/{pid(vm)}/maps").stdout
    version = vm.run("dpkg-query -W -f '${Version}' prmig").stdout
    got = vm.run("busctl get-property org.prmig1 /org/prmig1 org.prmig1.Manager Version").stdout
    assert got.strip() == f's "{version}"'

    # A backstore is in use from now on.
    nexus = Lio(vm).shared_lun("array", "16M", nexuses=1)[0]
    prmig.create("made", nexus.disk)
    front = Lio(vm).loopback(Lio(vm).backstore("made"))
    state = "/var/lib/prmig/nexus/made"
    assert vm.run(f"sg_persist -n -o -G -S 0xabc {front.sg}").ok
    assert modes(vm, state) == "600 root:root"
    assert modes(vm, "/var/lib/prmig/nexus") == "700 root:root"
    vm.run("echo secret >/etc/prmig/array.conf; chmod 600 /etc/prmig/array.conf")

    # Upgraded: the same.
    running = pid(vm)
    said = dpkg(vm, "-i /root/prmig.deb")
    assert "prmig: tcmu-runner still runs the previous version of prmig" in said
    assert pid(vm) == running
    prmig.restart()
    assert prmig.get("made", "Key") == 0xABC
    said = dpkg(vm, "--configure prmig 2>&1 || true")
    assert "Restart it" not in said

    # Removed: what is in use goes on, and the administrator is warned; nothing remembered is lost.
    running = pid(vm)
    said = dpkg(vm, "-r prmig")
    assert "prmig: warning: backstore made uses prmig" in said
    assert pid(vm) == running
    assert vm.run(f"sg_turs {front.sg}").ok
    # Nobody may call any more: that was the policy's to allow.
    assert not vm.run("busctl tree org.prmig1 | grep made", check=False).ok
    for path in (f"/{HANDLER}", f"/{DROP_IN}", "/usr/share/dbus-1/system.d/org.prmig1.conf"):
        assert not vm.run(f"ls {path}", check=False).ok, path
    assert vm.run(f"ls {state} /etc/prmig/array.conf").ok
    shown = unit(vm, "Restart", "DropInPaths")
    assert shown["Restart"] == "no" and "prmig" not in shown["DropInPaths"]

    # Installed again before the next restart: as if nothing had been.
    dpkg(vm, "-i /root/prmig.deb")
    prmig.restart()
    assert prmig.get("made", "Key") == 0xABC

    # Purged.
    Lio(vm).remove_loopback(front)
    prmig.delete("made")
    said = dpkg(vm, "-P prmig")
    assert "warning" not in said
    for path in ("/etc/prmig", "/var/lib/prmig"):
        assert not vm.run(f"ls -d {path}", check=False).ok, path
    vm.run("systemctl restart tcmu-runner.service")
    assert not vm.run("busctl --system status org.prmig1", check=False).ok
    assert not vm.run("busctl --system status org.kernel.TCMUService1", check=False).stderr
