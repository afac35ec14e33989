"""Verifies a log of AECL that somebody has exported, from its files alone and without AECL.

`python -m aecl.verify DIR --key KEY`, or `verify` below. It shares no code with AECL and needs nothing but
Python. What it checks stands in docs/reference/log.md.
"""

from .audit import verify
from .finding import Finding
from .note import Key, NoteError

__all__ = ["Finding", "Key", "NoteError", "verify"]
