"""A browser whose user says yes to everything: follows a page until it is sent back to this machine."""

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import gateway


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)


def visit(page, hops=8):
    """Follows redirects by hand, so that each is seen. Gives what the last page says."""
    for _ in range(hops):
        try:
            with _opener.open(page, timeout=20) as answer:
                return answer.read().decode(errors="replace")
        except urllib.error.HTTPError as answer:
            if answer.code not in (301, 302, 303, 307, 308):
                raise gateway.Problem(f"`{page}` answers with {answer.code}: {answer.read()[:200]}") from None
            page = urllib.parse.urljoin(page, answer.headers["location"])
    raise gateway.Problem("the log-in goes round in circles")


def login(command):
    """Runs `aecl --json servers login …`, does what a person would, and gives both things it says."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    offer = {}
    try:
        line = child.stdout.readline()
        offer = json.loads(line) if line.strip() else {}
        if offer.get("page"):
            visit(offer["page"])
        said, talk = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    if child.returncode != 0:
        why = offer.get("error", {}).get("message") or f"{said} {talk}"
        raise gateway.Problem(f"the log-in did not come about: {why.strip()[-400:]}")
    return offer, json.loads(said)
