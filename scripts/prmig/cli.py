# SPDX-License-Identifier: Apache-2.0
"""The commands of prmigctl."""

import argparse
import json
import signal
import sys

from . import registry, show
from .bus import Host
from .errors import Refused, Usage
from .journal import EXPORT, Journal, Lock
from .migrate import Migration
from .qmp import Qmp, parse_address
from .report import Report, emit, put
from .target import Target

DONE, FAILED, USAGE = 0, 1, 2


def _parser():
    parser = argparse.ArgumentParser(
        prog="prmigctl",
        description="SCSI persistent reservations of guests that migrate. NAME is a group of "
        "nexuses or, where there is no such group, a nexus (a prmig backstore).",
        epilog="Exit status: 0 done, 1 refused or failed, 2 usage. More in prmigctl(8).",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name, function, text, named="required", remote=True):
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        if named:
            command.add_argument("name", metavar="NAME", nargs=None if named == "required" else "?")
            kind = command.add_mutually_exclusive_group()
            for word in ("group", "nexus"):
                kind.add_argument(
                    f"--{word}",
                    dest="kind",
                    action="store_const",
                    const=word,
                    help=f"NAME is a {word}",
                )
        if remote:
            where = command.add_mutually_exclusive_group()
            where.add_argument("--host", help="ask prmig there, by ssh: [USER@]HOST[:PORT]")
            _add_transport(where)
        return command

    def add_json(command):
        command.add_argument("--json", action="store_true", help="print JSON")

    def add_force(command):
        command.add_argument(
            "--force", action="store_true", help="override refusals whose message offers it"
        )

    add_json(add("list", _list, "the nexuses of a host", named=None))
    command = add("show", _show, "a nexus, and what its LUN says", named="optional")
    add_json(command)
    command.add_argument(
        "--ask",
        metavar="HOST",
        action="append",
        default=[],
        help="ask prmig on HOST, too, who is who on the LUN (may be repeated)",
    )
    command = add("check", _check, "whether an Import would be refused; changes nothing")
    command.add_argument(
        "state", metavar="STATE", nargs="?", default="", help="what export printed"
    )
    add_json(add("export", _export, "begin a hand-over here: prints the state for import"))
    command = add("import", _import, "take a reservation over")
    command.add_argument("state", metavar="STATE", help="what export printed; -: standard input")
    add_force(command)
    for name, function, text in (
        ("abort", _abort, "give a hand-over up: the guest goes on at the source"),
        ("release", _release, "end a hand-over at the source: the guest has moved"),
    ):
        command = add(name, function, text)
        command.add_argument("--id", default="", help="this hand-over only (of one nexus)")
        add_force(command)
    add_force(add("forget", _forget, "unregister the nexus's key and forget it"))
    add("resync", _resync, "compare with the LUN now")
    add_json(add("watch", _watch, "print what changes, until it is interrupted", named="optional"))

    command = add(
        "migrate", _migrate, "migrate a guest live, its reservation with it", remote=False
    )
    command.add_argument("--qmp", required=True, help="QEMU's QMP socket: a path, or HOST:PORT")
    command.add_argument("--uri", required=True, help="where the destination's QEMU waits")
    _add_destination(command)
    add_json(command)
    command = add(
        "resume", _resume, "finish or undo a migration whose prmigctl was killed", remote=False
    )
    command.add_argument("--qmp", help="in place of the one that is remembered")
    _add_destination(command)
    command.add_argument(
        "--dead", action="store_true", help="the destination host is known to be dead"
    )
    add_json(command)
    return parser


def _add_transport(where):
    where.add_argument(
        "--transport",
        metavar="COMMAND",
        help="the same by a command whose standard input and output are the bus "
        "('ssh -p 2222 root@HOST systemd-stdio-bridge')",
    )


def _add_destination(command):
    command.add_argument("--to", metavar="HOST", help="the destination, by ssh: [USER@]HOST[:PORT]")
    _add_transport(command)
    command.add_argument("--as", dest="there", metavar="NAME", help="NAME at the destination")


# One host


def _host(options):
    return Host(options.host or "", options.transport)


def _target(options):
    return Target.find(_host(options), options.name, options.kind)


def _force(options):
    return {"force": True} if options.force else {}


def _list(options):
    show.print_list(_host(options).nexuses(), options.json)


def _show(options):
    host = _host(options)
    nexuses = (
        Target.find(host, options.name, options.kind).members() if options.name else host.nexuses()
    )
    if options.name and not nexuses:
        raise Refused(f"there is no nexus of group '{options.name}' on {host.name}")
    hosts = [(host.name, host.nexuses())]
    for name in options.ask:
        hosts.append((name, Host(name).nexuses()))
    told = []
    for nexus in nexuses:
        lun = {"error": f"it is a device of {host.name}"}
        if host.is_local:
            lun = _ask_lun(host, nexus)
            if "registrants" in lun:
                show.name_registrants(lun["registrants"] or [], nexus, hosts)
        told.append({**nexus, "OnLun": lun})
    if options.json:
        put(json.dumps(told, indent=1))
        return
    for number, nexus in enumerate(told):
        if number:
            put("")
        show.print_nexus(nexus, nexus["OnLun"], host.name)


def _ask_lun(host, nexus):
    if nexus["Emulated"]:
        return registry.ask(nexus["Lun"])
    try:
        # Unit attentions that wait are prmig's to take: it keeps them for the guest.
        Target(host, nexus["Name"], "nexus").resync()
    except Refused:
        pass
    try:
        return show.ask_lun(nexus["Device"])
    except Refused as error:
        return {"error": str(error)}


def _check(options):
    _target(options).check(options.state)


def _export(options):
    line = _target(options).export()
    put(json.dumps({"state": line}) if options.json else line)


def _import(options):
    line = sys.stdin.readline().strip() if options.state == "-" else options.state
    if not line:
        raise Usage("STATE is empty")
    _target(options).import_(line, **_force(options))


def _abort(options):
    _target(options).abort(id=options.id, **_force(options))


def _release(options):
    _target(options).release(id=options.id, **_force(options))


def _forget(options):
    _target(options).forget(**_force(options))


def _resync(options):
    _target(options).resync()


def _watch(options):
    host = _host(options)
    target = Target.find(host, options.name, options.kind) if options.name else None
    show.Watch(host, target, options.json).run((signal.SIGINT, signal.SIGTERM))


# Migration


class _Interrupts:
    """SIGINT, SIGTERM and SIGHUP ask for an end; they end nothing by themselves."""

    def __init__(self):
        self.seen = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, *_):
        self.seen = True

    def __call__(self):
        return self.seen


def _there(options, journal=None):
    if options.to or options.transport:
        return Host(options.to or "", options.transport)
    if journal is None:
        raise Usage("where the destination is: --to HOST or --transport COMMAND")
    return Host(journal.host, journal.transport) if journal.transport else Host()


def _run(migration, report):
    try:
        return migration.run()
    finally:
        report.close()


def _migrate(options):
    address = parse_address(options.qmp)
    there_host = _there(options)
    interrupted = _Interrupts()
    here = Target.find(Host(), options.name, options.kind)
    lock = Lock(options.name)
    if Journal.load(options.name):
        raise Refused(
            f"a migration of '{options.name}' was begun and is not done with: "
            f"`prmigctl resume {options.name}` first"
        )
    there = Target.find(there_host, options.there or options.name)
    report = Report(options.json)
    qmp = Qmp(address)
    qmp.connect()
    journal = Journal(
        name=here.name,
        kind=here.kind,
        qmp=options.qmp,
        there_name=there.name,
        there_kind=there.kind,
        host=there_host.name,
        transport=there_host.transport,
    )
    migration = Migration(journal, here, there, qmp, report, interrupted)
    migration.begin(options.uri)
    moved = _run(migration, report)
    del lock
    if not moved:
        raise Refused(f"not migrated: {migration.why}; {migration.after}")
    report.step(f"done: the guest runs at {there_host.name}, its reservation with it", "done")


def _resume(options):
    interrupted = _Interrupts()
    lock = Lock(options.name)
    journal = Journal.load(options.name)
    report = Report(options.json)
    if journal is None and not options.qmp:
        Target.find(Host(), options.name, options.kind)  # of no name that is not there
        report.step(f"no migration of '{options.name}' was left unfinished", "nothing")
        return
    there_host = _there(options, journal)
    if journal is None:
        here = Target.find(Host(), options.name, options.kind)
        there = Target.find(there_host, options.there or options.name)
        journal = Journal(
            name=here.name,
            kind=here.kind,
            qmp=options.qmp,
            there_name=there.name,
            there_kind=there.kind,
            host=there_host.name,
            transport=there_host.transport,
            phase=EXPORT,
            guessed=True,
        )
    else:
        here = Target(Host(), journal.name, journal.kind)
        there = Target(there_host, options.there or journal.there_name, journal.there_kind)
    qmp = Qmp(parse_address(options.qmp or journal.qmp))
    migration = Migration(journal, here, there, qmp, report, interrupted, options.dead)
    moved = _run(migration, report)
    del lock
    if moved:
        report.step(f"finished: the guest runs at {there_host.name}", "done")
    else:
        report.step(f"undone ({migration.why}): {migration.after}", "undone")


def main(arguments=None):
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        options.function(options)
        return DONE
    except Usage as error:
        emit(sys.stderr, f"prmigctl {options.command}: {error}")
        return USAGE
    except Refused as error:
        emit(sys.stderr, f"prmigctl {options.command}: {error}")
    except KeyboardInterrupt:
        emit(
            sys.stderr,
            f"prmigctl {options.command}: interrupted; what was asked for may have been done: "
            "every call can be repeated",
        )
    return FAILED
