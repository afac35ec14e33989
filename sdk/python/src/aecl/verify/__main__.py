"""`python -m aecl.verify`. Exit codes: 0 it verifies, 1 key or kept head cannot be read, 2 wrong usage, 5 it does not
verify."""

from __future__ import annotations

import argparse
import json
import os
import stat
import sys
from collections.abc import Sequence

from .audit import verify
from .entry import Object
from .files import HEAD_BYTES_MAX
from .finding import Finding
from .note import Key, NoteError

HINTS = {
    "proof": "keep the files as they are; compare with an export or a head that somebody else has kept",
    "story": "keep the files as they are; a newer AECL may have written kinds of entries that are not known here",
    "unreadable": "check the path, the disk and who may read it",
}


def _text(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("it is no plain file")
        data = file.read(HEAD_BYTES_MAX + 1)
    if len(data) > HEAD_BYTES_MAX:
        raise ValueError(f"it has more than {HEAD_BYTES_MAX} bytes")
    return data.decode()


def _inert(text: str) -> str:
    """A terminal does nothing but show it."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _counts(counts: Object) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _page(report: Object, key: str) -> list[str]:
    continues = report["continues"]
    lines = [
        f"Verifies: {report['entries']} entries of `{report['origin']}`, nothing changed, dropped or moved up to "
        "this head.",
        f"  root        {report['root']}",
        f"  key         {key}",
        f"  continues   the kept head of {continues} entries"
        if continues is not None
        else "  continues   not known; without `--head` nobody can know what came after this head",
        f"  from, to    {report['first_at']}, {report['last_at']}",
        f"  decisions   {_counts(report['decisions'])}",
        f"  actions     {_counts(report['actions'])}",
        f"  payloads    {report['payloads']} as committed, {report['payloads_missing']} not there, "
        f"{report['payloads_erased']} erased on record",
    ]
    lines += [f"  open        {o['action']} is {o['state']} (entry {o['position']})" for o in report["open"]]
    lines += [f"  warning: entry {w['position']}: {w['what']}" for w in report["warnings"]]
    if report["warnings_more"]:
        lines.append(f"  and {report['warnings_more']} more warnings")
    return lines


def main(args: Sequence[str] | None = None) -> int:
    """Runs it. Gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m aecl.verify",
        description="Check every entry of an exported log against its signed head; exit code 5 if it does not hold.",
    )
    parser.add_argument("dir", metavar="DIR", help="the export, as `aecl log export` wrote it")
    parser.add_argument(
        "--key", required=True, help="the pinned key, as `aecl log key` printed it once; never one that came with DIR"
    )
    parser.add_argument("--head", metavar="FILE", help="a signed head of the past: the ledger must continue it")
    parser.add_argument("--no-payloads", action="store_true", help="do not compare arguments and outputs")
    parser.add_argument("--json", action="store_true", help="print JSON, as `aecl log verify --json` does")
    given = parser.parse_args(args)
    try:
        key = Key.parse(given.key.strip())
    except NoteError as error:
        print(f"error: this is no key: {_inert(str(error))}", file=sys.stderr)
        return 1
    try:
        head = _text(given.head) if given.head else None
    except (OSError, ValueError) as error:
        print(f"error: cannot read `{_inert(given.head)}`: {_inert(str(error))}", file=sys.stderr)
        return 1
    try:
        report = verify(given.dir, key, head, payloads=not given.no_payloads)
    except Finding as finding:
        if given.json:
            print(json.dumps({"verifies": False, "key": key.text, "finding": finding.as_json()}, indent=2))
        else:
            print(f"Does not verify: {_inert(str(finding))}\n  key         {_inert(key.text)}")
            print(f"hint: {HINTS[finding.kind]}", file=sys.stderr)
        return 5
    if given.json:
        print(json.dumps({"verifies": True, "key": key.text, "report": report}, indent=2))
    else:
        print("\n".join(map(_inert, _page(report, key.text))))
    return 0


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has enough; what was found is in nobody's hands
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)
