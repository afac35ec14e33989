"""One contestant, in a process of its own: takes orders on its input, a line each, and answers how long they took.

`worker.py NAME FOLDER RULES [PROGRAM]`; `run.py` starts it. Orders are `{"do": MEASURE, "times": N, "parts": M}`.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import mcp
import ours
import peers


def part(work, order):
    """Seconds for one piece of work, which a measure may do more often than it is told."""
    times = order["times"] // order["parts"]
    begun = time.perf_counter()
    times = work(times) or times
    return (time.perf_counter() - begun) / times


def main():
    name, folder, rules = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    made = {**peers.CONTESTANTS, **ours.CONTESTANTS, **mcp.CONTESTANTS}[name]
    out, sys.stdout = sys.stdout, sys.stderr

    def say(**words):
        out.write(json.dumps(words) + "\n")
        out.flush()

    contestant = made(folder, rules, *sys.argv[4:])
    say(about=contestant.about, loaded=contestant.loaded)
    try:
        for line in sys.stdin:
            order = json.loads(line)
            if order["do"] == "answers":
                say(answers=contestant.answers())
                continue
            work = getattr(contestant, order["do"])
            contestant.before()
            at_work, begun = time.process_time(), time.perf_counter()
            seconds = statistics.median(part(work, order) for _ in range(order["parts"]))
            at_work, took = time.process_time() - at_work, time.perf_counter() - begun
            say(seconds=seconds, busy=at_work / took)
    finally:
        contestant.close()


if __name__ == "__main__":
    main()
