"""The compiler options that `cudadef` takes: NVRTC's, and what the CPU's compiler makes of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MACRO = re.compile(r"(?:-D\s*|--define-macro=)(\w+)(?:=(.*))?", re.DOTALL)


def macros(options: Sequence[str]) -> dict[str, str]:
    """The macros that options define (-DNAME=VALUE), as directives: they are lines before a source's text.

    So neither compiler sees them in other text; and it is all that the CPU's is told.
    """
    found = {}
    for option in options:
        match = _MACRO.fullmatch(option)
        if match:
            found[match[1]] = f"#define {match[1]} {1 if match[2] is None else match[2]}"
    return found


def device_options(options: Sequence[str]) -> list[str]:
    """The options that are about the GPU's code; NVRTC says what it does not know when it first compiles."""
    return [option for option in options if not _MACRO.fullmatch(option)]
