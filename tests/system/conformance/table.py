# SPDX-License-Identifier: Apache-2.0
"""docs/conformance.md, and the reasons for what is different through prmig."""

import re
from pathlib import Path

from .commands import COMMANDS

DIFFERENCES = Path(__file__).with_name("differences")
TITLES = {
    "engine": "engine",
    "lio": "LIO",
    "lio+prmig": "LIO through prmig",
    "tgtd": "tgtd",
    "tgtd+prmig": "tgtd through prmig",
}

HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Made by tests/system/test_conformance.py, which fails when what it finds differs: see there. -->
# Conformance: persistent reservations, case by case

Five LUNs are asked the same: **engine**, a regular file whose reservations prmig decides itself;
**LIO** (Linux 6.1, a fileio backstore) and **tgtd** (1.0.85), bare; and these two **through prmig**.
Each has four nexuses, A to D, by iSCSI, and one more that looks; nothing is registered, reserved or
pending when a case begins. Through prmig is with its defaults, and so is the engine, but for REGISTER AND MOVE:
with `migrate-pr=on` that is refused as on any LUN, and the engine is asked with `migrate-pr=off`.

How to read it. `A REGISTER 0 a`: nexus A sends REGISTER with RESERVATION KEY 0 and SERVICE ACTION
RESERVATION KEY a; keys are called as the nexus that mostly has them; k, x, y, z are nobody's. `RESERVE a 5`: key and
type. An answer is the status (CF: RESERVATION CONFLICT, CC: CHECK CONDITION with sense key/ASC/ASCQ), what
the data says, and everything that is different afterwards: `+1` PRGENERATION, `keys a b` all keys that are
registered, `R(5,a)` type and key of the reservation, `A UA5` who was told what (UA3 RESERVATIONS PREEMPTED, UA4
RESERVATIONS RELEASED, UA5 REGISTRATIONS PREEMPTED). What is not named is as it was. `~>`: what is pending is
left so; `*` any text. In a cell, `=`: all steps as expected. Else what was answered to a step, in bold where that is not what
the standard has; `[x y]` the values of `$` that it holds for.

"""


class Differences:
    """The file "differences": LUN CASE...: reason.

    CASE: of the cases, or "commands: name, name". What of them differs through prmig has this reason.
    """

    def __init__(self):
        self.lines = []
        for line in DIFFERENCES.read_text(encoding="ascii").splitlines():
            if line and not line.startswith("#"):
                lun, cases, reason = re.fullmatch(r"(\S+) ([^:]+): (.+)", line).groups()
                for one in cases.split(", " if cases.startswith("command ") else " "):
                    self.lines.append((lun, one.removeprefix("command "), reason))

    def check(self, found):
        """found: {(lun, case or command)} that differ. What is wrong, a line each."""
        listed = {(lun, case) for lun, case, _ in self.lines}
        return [f"not explained: {lun} {case}" for lun, case in sorted(found - listed)] + [
            f"explained, and the same: {lun} {case}" for lun, case in sorted(listed - found)
        ]


def _row(*cells):
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _steps(case):
    lines = []
    number = 0
    for step in case.steps:
        text = step.text
        if step.expected is not None:
            number += 1
            arrow = "~>" if step.quiet else "->"
            wild = "`" if "*" in step.expected else ""
            text = f"`{text}` {arrow} {wild}{step.expected}{wild}"
            if len(case.judged) > 1:
                text = f"{number}: {text}"
        else:
            text = f"`{text}`"
        lines.append(text)
    # What only prepares is one line.
    if case.each_text:
        lines.insert(0, f"{case.each_text}")
    return "<br>".join(lines)


def _through(cell, bare):
    return "as bare" if cell == bare and cell not in ("=", "not asked") else cell


def render(cases, outcomes, commands):
    """outcomes: {lun: {number: Outcome}}; commands: {lun: {command: cell}}."""
    luns = [lun for lun in TITLES if lun in outcomes]
    text = HEAD + "## The cases\n\n"
    text += _row("case", "steps, and what is expected", *(TITLES[lun] for lun in luns))
    text += _row(*["---"] * (2 + len(luns)))
    for case in cases:
        cells = []
        for lun in luns:
            cell = outcomes[lun][case.number].cell()
            if lun.endswith("+prmig"):
                cell = _through(cell, outcomes[lun.removesuffix("+prmig")][case.number].cell())
            cells.append(cell)
        text += _row(f"{case.number} {case.title}", _steps(case), *cells)
    text += "\n## Open in the standard\n\n"
    for case in cases:
        if case.why:
            text += f"- {case.number} ({case.title}): {case.why}\n"
    text += "\n## Not asked\n\n"
    for case in cases:
        reasons = {}
        for lun in luns:
            if outcomes[lun][case.number].not_asked:
                reasons.setdefault(outcomes[lun][case.number].not_asked, []).append(TITLES[lun])
        for reason, titles in reasons.items():
            text += f"- {case.number} ({case.title}), {', '.join(titles)}: {reason}\n"
    text += "\n## Different through prmig, and why\n\n"
    by_reason = {}
    for lun, case, reason in Differences().lines:
        by_reason.setdefault((lun, reason), []).append(case)
    for (lun, reason), found in by_reason.items():
        text += f"- {TITLES[lun]}, {', '.join(found)}: {reason}\n"
    return text + _commands(commands, luns)


def _commands(commands, luns):
    text = """
## Commands under a reservation

Each command under each of the six types, from the holder, from another registered nexus and from an
unregistered one. The classes: U passes every reservation; R passes those of the write exclusive types (1, 5, 7),
and others for whom the type is meant; W does not pass any but for those. A cell says as which class the LUN treats
the command, in bold where that is another than the standard's; or `CF` and where it conflicts: type, and h
holder, r registered, u unregistered. `-`: the LUN does not know the command, and says so.

"""
    text += _row("command", "class", *(TITLES[lun] for lun in luns))
    text += _row(*["---"] * (2 + len(luns)))
    for name, (kind, *_) in COMMANDS.items():
        text += _row(name, kind, *(commands[lun][name] for lun in luns))
    return text
