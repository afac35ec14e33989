"""Puts the program into a wheel for one kind of machine, as the command `aecl`.

`AECL_WHEEL_PROGRAM` names it and `AECL_WHEEL_PLATFORM` the machines, by the words of Python's platform tags;
`cargo xtask dist` sets both. Without them the wheel has the library alone, and is for all machines.
"""

from __future__ import annotations

import os
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Program(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        program, platform = os.environ.get("AECL_WHEEL_PROGRAM"), os.environ.get("AECL_WHEEL_PLATFORM")
        if self.target_name != "wheel" or not program:
            return
        if not platform:
            raise ValueError("AECL_WHEEL_PROGRAM is set, and AECL_WHEEL_PLATFORM does not say for what")
        build_data["shared_scripts"][program] = "aecl"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
