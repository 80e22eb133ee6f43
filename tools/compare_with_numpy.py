"""Writes docs/numpy-comparison.md: which of NumPy's names cuarray has, and what is different.

    python tools/compare_with_numpy.py            # write the file
    python tools/compare_with_numpy.py --print    # to the terminal

The names come from the installed NumPy and cuarray; what is different on purpose stands in numpy_differences.toml.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
import tomllib
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import cuarray as ca

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "docs" / "numpy-comparison.md"
DATA = Path(__file__).with_name("numpy_differences.toml")

# Parameters that say nothing where there are no subclasses, or that every function lacks for the same reason.
_ABSENT = object()
# What is no function, dtype or constant.
_OBJECTS = (
    "__array_api_version__",
    "__array_namespace_info__",
    "c_",
    "index_exp",
    "mgrid",
    "ogrid",
    "r_",
    "s_",
    "True_",
    "False_",
    "ndarray",
)
_MODULES = tuple(name for name in sorted(np.__all__) if isinstance(getattr(np, name), types.ModuleType))
_GENERAL_PARAMETERS = frozenset({"subok", "like", "self", "args", "kwargs"})


@dataclass(frozen=True)
class Row:
    """A name of NumPy's."""

    name: str
    present: bool
    remark: str

    def __str__(self) -> str:
        return f"| `{self.name}` | {'yes' if self.present else '–'} | {self.remark} |"


@dataclass(frozen=True)
class Section:
    """A table."""

    title: str
    rows: tuple[Row, ...]


def sections() -> list[Section]:
    """All tables."""
    data = tomllib.loads(DATA.read_text())
    reasons = {name: reason for reason, names in data["absent"].items() for name in names}

    def row(name: str, theirs: Any, ours: Any, shown: str | None = None) -> Row:
        remark = data["remarks"].get(name, "")
        if ours is _ABSENT:
            return Row(shown or name, False, reasons.get(name, ""))
        lacking = missing_parameters(theirs, ours)
        without = "without " + ", ".join(f"`{parameter}`" for parameter in lacking) if lacking else ""
        return Row(shown or name, True, "; ".join(filter(None, (without, remark))))

    def module(prefix: str, theirs: Any, ours: Any, wanted: Any) -> tuple[Row, ...]:
        names = [name for name in public_names(theirs) if wanted(getattr(theirs, name))]
        return tuple(row(prefix + name, getattr(theirs, name), getattr(ours, name, _ABSENT)) for name in names)

    def is_ufunc(value: Any) -> bool:
        return isinstance(value, np.ufunc)

    def is_function(value: Any) -> bool:
        return callable(value) and not isinstance(value, np.ufunc) and not _is_type(value)

    def is_assertion(value: Any) -> bool:
        return getattr(value, "__name__", "").startswith("assert")

    def is_dtype(value: Any) -> bool:
        return isinstance(value, type) and issubclass(value, np.generic)

    def is_constant(value: Any) -> bool:
        return value is None or isinstance(value, float)

    methods = [name for name in public_names(np.ndarray)]
    return [
        Section("Functions", module("", np, ca, is_function)),
        Section("Ufuncs", module("", np, ca, is_ufunc)),
        Section(
            "Methods of ufuncs",
            tuple(
                row(f"ufunc.{name}", getattr(np.ufunc, name), getattr(type(ca.add), name, _ABSENT))
                for name in ("accumulate", "at", "outer", "reduce", "reduceat", "resolve_dtypes")
            ),
        ),
        Section(
            "Methods and attributes of arrays",
            tuple(
                row(f"ndarray.{name}", getattr(np.ndarray, name), getattr(ca.CuArray, name, _ABSENT))
                for name in methods
            ),
        ),
        *(
            Section(f"`{name}`", module(f"{name}.", getattr(np, name), getattr(ca, name, None), callable))
            for name in ("linalg", "fft", "random")
        ),
        Section(
            "Methods of random generators",
            tuple(
                row(
                    f"random.Generator.{name}",
                    getattr(np.random.Generator, name),
                    getattr(getattr(getattr(ca, "random", None), "Generator", None), name, _ABSENT),
                )
                for name in public_names(np.random.Generator)
            ),
        ),
        Section("Assertions", module("testing.", np.testing, ca.testing, is_assertion)),
        Section("Dtypes and constants", module("", np, ca, is_dtype) + module("", np, ca, is_constant)),
        Section(
            "Objects and modules",
            tuple(row(name, getattr(np, name), getattr(ca, name, _ABSENT)) for name in (*_OBJECTS, *_MODULES)),
        ),
    ]


def _is_type(value: Any) -> bool:
    return isinstance(value, type) and (issubclass(value, np.generic | BaseException) or value is np.ndarray)


def public_names(thing: Any) -> list[str]:
    """The public names of a module or class, without modules."""
    names = [name for name in dir(thing) if not name.startswith("_") and name != "test"]
    return sorted(name for name in names if not isinstance(getattr(thing, name), types.ModuleType))


def missing_parameters(theirs: Any, ours: Any) -> list[str]:
    """NumPy's parameters that cuarray's function has not."""
    try:
        wanted, present = inspect.signature(theirs).parameters, inspect.signature(ours).parameters
    except (TypeError, ValueError):  # compiled, without a signature
        return []
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in present.values()):
        return []
    variadic = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in present.values())
    return [
        name
        for name, parameter in wanted.items()
        if name not in present
        and name not in _GENERAL_PARAMETERS
        # Names of operands differ (a, x, x1): only what can be left out, or is given by its name, is compared.
        and (parameter.default is not inspect.Parameter.empty or parameter.kind is inspect.Parameter.KEYWORD_ONLY)
        and not (variadic and parameter.kind is inspect.Parameter.POSITIONAL_ONLY)
    ]


def only_here() -> list[str]:
    """Public names that NumPy does not have."""
    return sorted(name for name in ca.__all__ if not hasattr(np, name))


def lines() -> Iterator[str]:
    """The document."""
    data = tomllib.loads(DATA.read_text())
    yield "# cuarray and NumPy"
    yield ""
    yield (
        "What NumPy has and cuarray has, too, and what is different on purpose. Written by "
        "`python tools/compare_with_numpy.py`;"
    )
    yield f"the names are those of NumPy {np.__version__.rsplit('.', 1)[0]}."
    yield ""
    yield "## Differences that are meant"
    for number, item in enumerate(data["general"], 1):
        yield "\n" + _filled(f"**{number}. {item['title']}.** {item['text']}")
    yield ""
    yield "## Names"
    yield ""
    yield _filled(
        f"{data['backends']['text']} \"without\" names the parameters of NumPy's function that cuarray's does not have."
    )
    tables = sections()
    yield "\n| | in NumPy | in cuarray |\n|---|---|---|"
    for section in tables:
        yield f"| {section.title} | {len(section.rows)} | {sum(row.present for row in section.rows)} |"
    yield "\n### What is not there\n"
    for reason, names in _absent(tables).items():
        yield _filled(f"- {reason}: " + ", ".join(f"`{name}`" for name in names) + ".", "  ")
    for section in tables:
        yield f"\n### {section.title}\n\n| NumPy | cuarray | remarks |\n|---|---|---|"
        yield from map(str, section.rows)
    yield "\n### In cuarray only\n"
    yield _filled(", ".join(f"`{name}`" for name in only_here()) + ".")


def _absent(tables: list[Section]) -> dict[str, list[str]]:
    """The names that are not there by the reasons, those without a reason last."""
    found: dict[str, list[str]] = {}
    for row in (row for section in tables for row in section.rows if not row.present):
        found.setdefault(row.remark or "not there yet", []).append(row.name)
    return dict(sorted(found.items(), key=lambda item: (item[0] == "not there yet", item[0].lower())))


def _filled(text: str, indent: str = "") -> str:
    text = " ".join(text.split())
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def document() -> str:
    return "\n".join(lines()) + "\n"


def main() -> None:
    if "--print" in sys.argv[1:]:
        print(document(), end="")
    else:
        OUTPUT.write_text(document())
        print(f"written: {OUTPUT}")


if __name__ == "__main__":
    main()
