# SPDX-License-Identifier: Apache-2.0
"""One virtual machine: its QEMU, its console, and commands in it by ssh."""

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass

from .errors import CommandFailed, RigError, RigTimeout
from .process import end, start_bound, wait_until
from .qmp import Qmp

READY = "prmig-rig: ready"
_ACCEL = os.environ.get("PRMIG_ACCEL", "tcg,thread=multi,tb-size=512")
# What udev would load for hardware that no test uses; modprobe still loads it.
_NOT_NEEDED = (
    "ahci,libahci,libata,iTCO_wdt,i2c_i801,lpc_ich,pcspkr,button,evdev,serio_raw,psmouse,ccp,kvm_amd,"
    "kvm_intel,ghash_clmulni_intel,sha512_ssse3,sha256_ssse3,sha1_ssse3,aesni_intel,"
    "crc32_pclmul,crct10dif_pclmul,qemu_fw_cfg"
)
_KERNEL_ARGUMENTS = (
    "root=/dev/vda rw console=ttyS0 loglevel=5 net.ifnames=0 mitigations=off "
    "systemd.show_status=no audit=0 apparmor=0 no_timer_check "
    f"modprobe.blacklist={_NOT_NEEDED}"
)


@dataclass
class Result:
    """What a command in a machine did."""

    where: str
    command: str
    status: int
    stdout: str
    stderr: str

    def __str__(self):
        return self.stdout

    @property
    def ok(self):
        return self.status == 0

    @property
    def lines(self):
        return self.stdout.splitlines()


class VM:
    """A machine on an overlay of the image. Made by Rig.vm().

    memory_mib, cpus: its size. One CPU unless the test needs more: nested
        guests hang now and then with two under emulation.
    warm: its first start takes the memory of a machine that has just booted,
        from the cache, in place of booting; False: it boots. Later starts,
        reboots and resets always boot.
    forward: TCP ports of the machine to be reached from outside; `ports` maps
        each to a port of this machine's loopback, and other machines reach
        that one at 10.0.2.2. The numbers stay the same while the VM object
        lives, over kill() and start().
    """

    OUTSIDE = "10.0.2.2"

    def __init__(self, name, image, folder, memory_mib=1024, cpus=1, forward=(), warm=True):
        self.name = name
        self.image = image
        self.folder = folder
        self.folder.mkdir()
        self.console = folder / "console.log"
        self.ports = {port: 0 for port in (22, *forward)}
        self.qmp = None
        self._memory_mib = memory_mib
        self._cpus = cpus
        self._qemu = None
        self._master = None
        self._ready_offset = 0
        self._spawned = 0
        self._overlay = folder / "disk.qcow2"
        self._state = None
        backing, kind = image / "root.img", "raw"
        if warm and _ACCEL.startswith("tcg"):
            saved = self._warm_state()
            self._state = saved / "state"
            backing, kind = saved / "disk.qcow2", "qcow2"
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", backing, self._overlay],
            check=True,
        )

    def _warm_state(self):
        """The folder with disk and memory of a machine like this one that has
        just booted: made the first time, then each such machine starts there."""
        version = subprocess.run(
            ["qemu-system-x86_64", "--version"], stdout=subprocess.PIPE, check=True
        ).stdout
        words = [str(word) for word in self._hardware()]
        key = hashlib.sha256(version + "\0".join(words).encode()).hexdigest()[:16]
        saved = self.image / f"warm-{key}"
        with open(self.image / "warm.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if saved.exists():
                return saved
            print(
                f"rig: booting a machine of {self._memory_mib} MiB once, to start others from it",
                file=sys.stderr,
                flush=True,
            )
            making = self.image / f"making-{key}"
            shutil.rmtree(making, ignore_errors=True)
            model = VM(
                "model", self.image, making, self._memory_mib, self._cpus, warm=False
            )
            try:
                model.boot()
                model.save(making / "state")
            finally:
                model.kill()
            for rest in making.iterdir():
                if rest.name not in ("disk.qcow2", "state"):
                    rest.unlink()
            making.rename(saved)
        return saved

    def save(self, path):
        """Stop the machine, write its memory to a file and end its QEMU."""
        self.run("systemctl is-system-running --wait", check=False)
        self.run("sync")
        end(self._master)
        self.qmp.command("stop")
        self.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 40})
        self.qmp.command("migrate", {"uri": f"exec:cat >{path}"})
        wait_until(
            lambda: self.qmp.command("query-migrate").get("status") == "completed",
            120,
            f"{self.name}: memory saved",
        )
        self.qmp.command("quit")
        self._qemu.wait(30)

    # Power

    @property
    def running(self):
        return self._qemu is not None and self._qemu.poll() is None

    def start(self):
        """Power on, and return at once. From the main thread only: see
        process.start_bound()."""
        if self.running:
            raise RigError(f"{self.name} is running")
        self._ready_offset = self.console.stat().st_size if self.console.exists() else 0
        forwards = "".join(
            f",hostfwd=tcp:127.0.0.1:{outside}-:{inside}"
            for inside, outside in self.ports.items()
        )
        qmp_path = self.folder / "qmp"
        qmp_path.unlink(missing_ok=True)
        command = (
            ["qemu-system-x86_64", "-name", f"prmig-{self.name}"]
            + self._hardware()
            + ["-drive", f"file={self._overlay},if=none,id=disk0,cache=unsafe,discard=unmap"]
            + ["-netdev", f"user,id=net0{forwards}"]
            + ["-chardev", f"file,id=serial0,path={self.console},append=on"]
            + ["-qmp", f"unix:{qmp_path},server=on,wait=off"]
        )
        if self._state:
            command += ["-incoming", f"exec:cat {self._state}"]
        with open(self.folder / "qemu.log", "ab") as log:
            self._qemu = start_bound(command, stdout=log, stderr=log)
        wait_until(
            lambda: qmp_path.exists() or not self.running, 30, f"{self.name}: QEMU's socket"
        )
        if not self.running:
            raise RigError(f"{self.name}: {(self.folder / 'qemu.log').read_text()}")
        self.qmp = Qmp(str(qmp_path))
        self._learn_ports()

    def _hardware(self):
        """QEMU's arguments that a saved state depends on."""
        return (
            ["-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35"]
            + ["-accel", _ACCEL, "-cpu", "max", "-smp", str(self._cpus)]
            + ["-m", str(self._memory_mib)]
            + ["-kernel", self.image / "vmlinuz", "-initrd", self.image / "initrd.img"]
            + ["-append", _KERNEL_ARGUMENTS]
            + ["-device", "virtio-blk-pci,drive=disk0"]
            + ["-device", "virtio-net-pci,netdev=net0,mac=52:54:00:12:34:56"]
            + ["-object", "rng-random,filename=/dev/urandom,id=rng0"]
            + ["-device", "virtio-rng-pci,rng=rng0", "-device", "vmgenid,guid=auto"]
            + ["-serial", "chardev:serial0"]
        )

    def _learn_ports(self):
        # Port 0 lets the kernel choose a free one; then it is kept.
        found = re.findall(
            r"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)",
            self.qmp.monitor("info usernet"),
        )
        for outside, inside in found:
            self.ports[int(inside)] = int(outside)
        if 0 in self.ports.values():
            raise RigError(f"{self.name}: a forwarded port is not known: {self.ports}")

    def wait_ready(self, seconds=240):
        """Wait until the machine says on its console that it is up, or has
        the state of one that did."""
        if self._state:
            self._wait_loaded(seconds)
            return

        def ready():
            if not self.running:
                raise RigError(f"{self.name}: QEMU ended\n{self.console_tail()}")
            with open(self.console, "rb") as console:
                console.seek(self._ready_offset)
                return READY.encode() in console.read()

        wait_until(ready, seconds, lambda: f"{self.name} is up\n{self.console_tail()}")
        self._connect()

    def _wait_loaded(self, seconds):
        wait_until(
            lambda: self.qmp.command("query-status")["status"] != "inmigrate",
            seconds,
            f"{self.name}: saved state loaded",
            interval=0.05,
        )
        self._state = None  # from now on this machine has a state of its own
        self.qmp.command("cont")
        self._connect()
        # The state is as old as the clock in it, and others start from it too.
        self.run(
            f"date -s @{time.time():.3f} >/dev/null; echo {uuid.uuid4().hex} >/etc/machine-id; "
            f"echo {self.name} >/etc/hostname; hostname {self.name}; "
            f"echo 127.0.0.1 localhost {self.name} >/etc/hosts"
        )

    def boot(self, seconds=240):
        """start() and wait_ready()."""
        self.start()
        self.wait_ready(seconds)

    def kill(self):
        """Power off at once, as a power failure does."""
        end(self._master)
        if self.running:
            self._qemu.kill()
            self._qemu.wait()
        if self.qmp:
            self.qmp.close()
        self._qemu = self._master = self.qmp = None

    def shutdown(self, seconds=120):
        """Shut down as an administrator does, and wait until it is off."""
        self.run("systemctl --no-block poweroff")
        try:
            self._qemu.wait(seconds)
        except subprocess.TimeoutExpired:
            raise RigTimeout(f"{self.name} does not power off\n{self.console_tail()}") from None
        self.kill()

    def reboot(self, seconds=300):
        """Reboot as an administrator does, and wait until it is up again."""
        self._ready_offset = self.console.stat().st_size
        self.run("systemctl --no-block reboot")
        end(self._master)
        self.wait_ready(seconds)

    def reset(self, seconds=240):
        """Power failure and power on again."""
        self.kill()
        self.boot(seconds)

    def console_tail(self, lines=30):
        if not self.console.exists():
            return ""
        return "\n".join(self.console.read_text(errors="replace").splitlines()[-lines:])

    # Commands

    def _ssh(self):
        return (
            ["ssh", "-F", "none", "-i", self.image / "id_ed25519", "-p", str(self.ports[22])]
            + ["-o", f"ControlPath={self.folder}/ssh", "-o", "StrictHostKeyChecking=no"]
            + ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
            + ["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "GSSAPIAuthentication=no"]
        )

    def _connect(self):
        end(self._master)
        path = self.folder / "ssh"
        path.unlink(missing_ok=True)
        with open(self.folder / "ssh.log", "ab") as log:
            self._master = start_bound(
                self._ssh() + ["-o", "ControlMaster=yes", "-N", "-T", "root@127.0.0.1"],
                stdout=log,
                stderr=log,
            )
        wait_until(
            lambda: path.exists() or self._master.poll() is not None,
            60,
            f"{self.name}: ssh connection",
            interval=0.02,
        )
        if self._master.poll() is not None:
            raise RigError(f"{self.name}: ssh: {(self.folder / 'ssh.log').read_text()}")

    def run(self, command, check=True, timeout=120, stdin=None):
        """Run a command (a text for the shell, or a list of words) and return
        its Result. With check, an exit status but 0 raises CommandFailed."""
        text = command if isinstance(command, str) else shlex.join(map(str, command))
        argv = self._ssh() + ["-T", "root@127.0.0.1", text]
        process = start_bound(
            argv,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        data = stdin.encode() if isinstance(stdin, str) else stdin
        try:
            stdout, stderr = process.communicate(data, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            raise RigTimeout(
                f"{self.name}: not done within {timeout} s: {text}\n"
                f"{stdout.decode(errors='replace')}{stderr.decode(errors='replace')}"
            ) from None
        result = Result(
            self.name,
            text,
            process.returncode,
            stdout.decode(errors="replace"),
            stderr.decode(errors="replace"),
        )
        master = self._master
        if result.status == 255 and (master is None or master.poll() is not None):
            raise RigError(f"{self.name}: the ssh connection is gone\n{self.console_tail()}")
        if check and not result.ok:
            raise CommandFailed(result)
        return result

    def spawn(self, command):
        """Start a command and return a Spawned at once."""
        self._spawned += 1
        return Spawned(self, command, self._spawned)

    def put(self, local, remote, mode="644"):
        """Copy a file in."""
        with open(local, "rb") as file:
            self.put_data(file.read(), remote, mode)

    def put_data(self, data, remote, mode="644"):
        """Write a text or bytes to a file in the machine."""
        quoted = shlex.quote(str(remote))
        self.run(
            f'mkdir -p "$(dirname {quoted})" && cat >{quoted} && chmod {mode} {quoted}',
            stdin=data,
        )

    def get(self, remote):
        """The text of a file in the machine."""
        return self.run(["cat", remote]).stdout

    def wait_for(self, command, seconds, what=None, interval=0.2):
        """Wait until a command's exit status is 0; returns its Result."""

        def succeeds():
            result = self.run(command, check=False)
            return result if result.ok else None

        return wait_until(succeeds, seconds, f"{self.name}: {what or command}", interval)

    def journal(self, unit=None, lines=60):
        """The end of the machine's journal, for diagnosis."""
        which = ["-u", unit] if unit else []
        return self.run(
            # Merged: the machine's id changed when it left its saved state.
            ["journalctl", "--merge", "--no-pager", "-q", "-n", str(lines), *which], check=False
        ).stdout


class Spawned:
    """A command that runs in a machine; its output goes to files outside."""

    def __init__(self, vm, command, number):
        self.vm = vm
        self.command = command if isinstance(command, str) else shlex.join(map(str, command))
        self.pid_file = f"/run/rig-{number}.pid"
        self._stdout = vm.folder / f"spawn-{number}.out"
        self._stderr = vm.folder / f"spawn-{number}.err"
        # pylint: disable=protected-access
        with open(self._stdout, "wb") as out, open(self._stderr, "wb") as err:
            self._process = start_bound(
                vm._ssh()
                + ["-T", "root@127.0.0.1", f"echo $$ >{self.pid_file}; {self.command}"],
                stdout=out,
                stderr=err,
            )

    @property
    def running(self):
        return self._process.poll() is None

    @property
    def stdout(self):
        return self._stdout.read_text(errors="replace")

    @property
    def stderr(self):
        return self._stderr.read_text(errors="replace")

    def wait(self, timeout=120, check=True):
        """Wait for its end; returns its Result."""
        start = time.monotonic()
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise RigTimeout(
                f"{self.vm.name}: not done within {time.monotonic() - start:.0f} s: "
                f"{self.command}\n{self.stdout}{self.stderr}"
            ) from None
        result = Result(self.vm.name, self.command, status, self.stdout, self.stderr)
        if check and not result.ok:
            raise CommandFailed(result)
        return result

    def signal(self, name="TERM"):
        """Send a signal to the command and all that it started."""
        self.vm.run(f"kill -{name} -- -$(cat {self.pid_file})", check=False)

    def stop(self, timeout=30):
        """SIGKILL, and wait for its end."""
        self.signal("KILL")
        return self.wait(timeout, check=False)
