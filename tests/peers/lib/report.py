"""What a peer test says: one line per check, and a status at the end."""

import sys

_failed = 0


def ok(name):
    print(f"ok {name}")


def fail(name, why):
    global _failed
    _failed += 1
    print(f"FAIL {name}: {' '.join(str(why).split())[:400]}")


def skip(name, why):
    print(f"skip {name}: {why}")


def check(name, holds, why="it does not hold"):
    if holds:
        ok(name)
    else:
        fail(name, why)
    return bool(holds)


def end():
    sys.exit(1 if _failed else 0)
