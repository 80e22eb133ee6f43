"""The compiler options that `cudadef` takes: NVRTC's, and what the CPU's compiler makes of them."""

from __future__ import annotations

import re
from collections.abc import Sequence


def host_macros(options: Sequence[str]) -> dict[str, str]:
    """The macros that options define (-DNAME=VALUE): all that the CPU's compiler is told.

    The other options are about the GPU's code; NVRTC says what it does not know when it first compiles.
    """
    macros = {}
    for option in options:
        match = re.fullmatch(r"(?:-D\s*|--define-macro=)(\w+)(?:=(.*))?", option, re.DOTALL)
        if match:
            macros[match[1]] = "1" if match[2] is None else match[2]
    return macros
