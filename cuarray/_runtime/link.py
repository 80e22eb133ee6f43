"""Linking: device code of other compilers joined with NVRTC's, and optimised as one program. Needs no GPU."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Sequence

from cuarray._errors import CompileError
from cuarray._runtime import cache


class LinkedCode:
    """A function that another compiler makes for kernels to call: its symbol, and its LTO-IR by architecture.

    compile_for_host: makes sure that the CPU's functions can call it, too.
    """

    def __init__(self, symbol: str, compile: Callable[[str], bytes], compile_for_host: Callable[[], None]) -> None:
        self.symbol = symbol
        self.compile_for_host = compile_for_host
        self._compile = compile
        self._compiled: dict[str, bytes] = {}

    def ltoir(self, arch: str) -> bytes:
        """NVVM's intermediate code for an architecture like "sm_90a"."""
        if arch not in self._compiled:
            self._compiled[arch] = self._compile(arch)
        return self._compiled[arch]


# The options of NVRTC that are about code which, with link-time optimisation, is made by the linker.
_CODE_OPTIONS = {"ftz": "ftz", "prec-div": "prec-div", "prec-sqrt": "prec-sqrt", "fmad": "fma"}


def link(name: str, codes: Sequence[bytes], arch: str, options: Sequence[str], target: str) -> bytes:
    """One cubin or PTX of several pieces of LTO-IR, from the disk if they were linked before.

    options: NVRTC's, as the first piece was compiled with.
    """
    settings = [f"-arch={arch}", "-lto", *(["-ptx"] if target == "ptx" else []), *_linker_options(options)]
    parts = (_version(), settings, [hashlib.sha256(code).digest() for code in codes])
    key = hashlib.sha256(repr(parts).encode()).digest()
    stored = cache.get(key)
    if stored is not None:
        return stored[0]
    linked = _link(name, codes, settings, target)
    cache.put(key, linked, {})
    return linked


def _link(name: str, codes: Sequence[bytes], settings: Sequence[str], target: str) -> bytes:
    # nvJitLink itself: cuda.core 1.2's Linker spells -fma and its like in a way that nvJitLink refuses.
    from cuda.bindings import nvjitlink

    linker = nvjitlink.create(len(settings), list(settings))
    try:
        for code in codes:
            nvjitlink.add_data(linker, nvjitlink.InputType.LTOIR, code, len(code), name)
        nvjitlink.complete(linker)
        size, get = (
            (nvjitlink.get_linked_ptx_size, nvjitlink.get_linked_ptx)
            if target == "ptx"
            else (nvjitlink.get_linked_cubin_size, nvjitlink.get_linked_cubin)
        )
        linked = bytearray(size(linker))
        get(linker, linked)
        return bytes(linked)
    except nvjitlink.nvJitLinkError as error:
        log = bytearray(nvjitlink.get_error_log_size(linker))
        nvjitlink.get_error_log(linker, log)
        said = log.decode(errors="replace").strip("\0\n ") or str(error)
        raise CompileError(f"{name} does not link for the GPU:\n{said}") from None
    finally:
        nvjitlink.destroy(linker)


@functools.cache
def _version() -> tuple[int, int]:
    try:
        from cuda.bindings import nvjitlink

        major, minor = nvjitlink.version()
    except Exception as error:
        raise CompileError(
            "nvJitLink, which links kernels for the GPU with functions of other compilers, is not installed: "
            f"pip install 'cuarray[cuda13]' (or cuda12, to match the driver). {error}"
        ) from None
    return int(major), int(minor)


def _linker_options(options: Sequence[str]) -> list[str]:
    found: dict[str, str] = {}  # the linker takes no option twice
    for option in options:
        word, _, value = option.lstrip("-").partition("=")
        if word in _CODE_OPTIONS:
            found[_CODE_OPTIONS[word]] = f"={int(value == 'true')}"
        elif word == "use_fast_math":
            found.update({"ftz": "=1", "prec-div": "=0", "prec-sqrt": "=0", "fma": "=1"})
        elif word in ("maxrregcount", "maxregcount"):
            found["maxrregcount"] = f"={value}"
        elif word in ("lineinfo", "generate-line-info"):
            found["lineinfo"] = ""
    return [f"-{name}{value}" for name, value in found.items()]


def compute_capability(arch: str) -> tuple[int, int, str]:
    """The parts of an architecture's name: "sm_90a" is (9, 0, "a")."""
    match = re.fullmatch(r"(?:sm|compute)_(\d+)(\d)([a-z]?)", arch)
    if match is None:
        raise ValueError(f"arch must be like 'sm_90', not {arch!r}")
    return int(match[1]), int(match[2]), match[3]
