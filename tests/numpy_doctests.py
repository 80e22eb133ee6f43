"""Runs the examples in NumPy's own docstrings twice, by NumPy and by cuarray, and compares what they print.

    python tests/numpy_doctests.py [NAME ...]

The examples are those of the installed NumPy, for the functions that both libraries have. NumPy's answer is what it
prints when run, not what stands in the docstring, which is older in places. The rules:

- Whitespace does not matter, and numbers are equal within 1e-6 of their size or 1e-12: rounding differs.
- A NumPy scalar counts as an array without dimensions, which is what cuarray returns: `np.int64(3)` as `array(3)`.
- Where NumPy raises, cuarray must raise an exception of the same class.
- Outside are random numbers, files, and what needs a dtype or a function that cuarray does not have. Such an example
  ends its docstring, as the following ones may build on it. Plots, and elements that were not set, are passed over.
- After an example that disagrees, NumPy's variables are taken over, so that a difference counts once.
"""

from __future__ import annotations

import builtins
import contextlib
import doctest
import io
import os
import re
import sys
import types
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import cuarray as ca

# What nothing else builds on, or shows what nobody set.
_PASSED_OVER = re.compile(r"\b(matplotlib|plt|ax|fig|uninitiali[sz]ed)\b")
# Not about arrays on a device: files, the system, random numbers.
_OUTSIDE = re.compile(
    r"\b(random|rng|datetime64|timedelta64|datetime|pickle|ctypes|tempfile|TemporaryFile|open|os|sys|"
    r"StringIO|BytesIO|memmap|tofile|fromfile|loadtxt|savetxt|genfromtxt|load|save|savez|savez_compressed|pathlib|"
    r"timeit|scipy|id|help|longdouble|clongdouble|float96|float128|complex256|__array_interface__|getsizeof)\b"
)
# What the examples may have of NumPy where cuarray has no such name: what is no array and makes none.
_NUMPYS = re.compile(
    r"(u?int(8|16|32|64|c|p|_)?|float(16|32|64)|complex(64|128)|bool_?|u?(byte|short|long|longlong)|half|single|double|"
    r"csingle|cdouble|dtype|generic|number|integer|inexact|floating|complexfloating|signedinteger|unsignedinteger|"
    r"character|\w+Error|exceptions|errstate|printoptions|[gs]et_printoptions|s_|index_exp|newaxis|pi|e|inf|nan|"
    r"euler_gamma|binary_repr|base_repr|isscalar|iterable)"
)
# The same in another type: a CuArray is what the examples call an ndarray.
_REPLACED = {"ndarray": ca.CuArray}
_UNSUPPORTED_KINDS = frozenset("OSUMmV")
_SCALAR = re.compile(r"\bnp\.(?:u?int|float|complex)\d+\(([^()]*|\([^()]*\))\)|\bnp\.(True|False)_")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?j?|[-+]?\b(?:inf|nan)j?\b")


class Outside(Exception):
    """The example needs something that is not compared."""


@dataclass(frozen=True)
class Outcome:
    """What one example printed, by both."""

    function: str
    source: str
    numpy: str
    cuarray: str

    @property
    def first_line(self) -> str:
        return self.source.strip().splitlines()[0]

    @property
    def agrees(self) -> bool:
        return same_text(self.numpy, self.cuarray)


@dataclass(frozen=True)
class Run:
    """The examples of one docstring: those that were compared, and why the rest was not."""

    outcomes: tuple[Outcome, ...]
    outside: int
    why_outside: str = ""


# ---- which functions


def functions() -> dict[str, str]:
    """Docstrings with examples, by the names ("sum", "linalg.svd") that NumPy and cuarray have in common."""
    found: dict[str, str] = {}
    for prefix in ("", "linalg.", "fft."):
        module = prefix.rstrip(".")
        theirs = getattr(np, module) if module else np
        ours = getattr(ca, module, None) if module else ca
        for name in sorted(dir(theirs)):
            value = getattr(theirs, name)
            if name.startswith("_") or not callable(value) or isinstance(value, type):
                continue
            # A second name of a function, concat of concatenate, has the same examples.
            second = name != getattr(value, "__name__", name) and hasattr(theirs, value.__name__)
            if callable(getattr(ours, name, None)) and ">>>" in (value.__doc__ or "") and not second:
                found[prefix + name] = value.__doc__
    return found


# ---- cuarray in NumPy's place


class _Facade(types.ModuleType):
    """A module that has cuarray's names, of NumPy's those that make no arrays, and no others."""

    def __init__(self, name: str, ours: Any, theirs: Any) -> None:
        super().__init__(name)
        self.__dict__["_ours"], self.__dict__["_theirs"] = ours, theirs

    def __getattr__(self, name: str) -> Any:
        if isinstance(getattr(self._theirs, name, None), types.ModuleType) and hasattr(self._ours, name):
            return _Facade(f"numpy.{name}", getattr(self._ours, name), getattr(self._theirs, name))
        if name in _REPLACED:
            return _REPLACED[name]
        if hasattr(self._ours, name):
            return getattr(self._ours, name)
        if _NUMPYS.fullmatch(name) and hasattr(self._theirs, name):
            return getattr(self._theirs, name)
        raise Outside(f"{self.__name__}.{name}")


def _importer(numpy: Any) -> Any:
    def importer(name: str, *rest: Any, **options: Any) -> Any:
        if name == "numpy" or name.startswith("numpy."):
            module = numpy
            for part in name.split(".")[1:]:
                module = getattr(module, part)
            return module
        return builtins.__import__(name, *rest, **options)

    return importer


def _namespace(numpy: Any) -> dict[str, Any]:
    return {"__name__": "__main__", "np": numpy, "__builtins__": {**vars(builtins), "__import__": _importer(numpy)}}


# ---- running


@contextlib.contextmanager
def _settings_kept() -> Iterator[None]:
    # Examples set print options and error states.
    with np.printoptions(), np.errstate(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def run(name: str, docstring: str) -> Run:
    """All examples of one docstring."""
    examples = doctest.DocTestParser().get_examples(docstring)
    theirs, ours = _namespace(np), _namespace(_Facade("numpy", ca, np))
    outcomes: list[Outcome] = []
    passed_over = 0
    with _settings_kept():
        for place, example in enumerate(examples):
            if example.options.get(doctest.SKIP) or _PASSED_OVER.search(example.source + example.want):
                passed_over += 1
                continue
            try:
                expected, actual = _run_both(example, theirs, ours)
            except Outside as reason:
                return Run(tuple(outcomes), passed_over + len(examples) - place, str(reason))
            if expected.strip() or actual.strip():  # what prints nothing says nothing
                outcomes.append(Outcome(name, example.source, expected, actual))
            if not same_text(expected, actual):
                _take_over(theirs, ours)
    return Run(tuple(outcomes), passed_over)


def _run_both(example: doctest.Example, theirs: dict[str, Any], ours: dict[str, Any]) -> tuple[str, str]:
    if found := _OUTSIDE.search(example.source):
        raise Outside(found[0])
    before = dict(theirs)
    expected, values = _execute(example.source, theirs)
    changed = [value for key, value in theirs.items() if before.get(key) is not value]
    for value in (*values, *changed):
        _check_supported(value)
    return expected, _execute(example.source, ours)[0]


def _execute(source: str, namespace: dict[str, Any]) -> tuple[str, list[Any]]:
    """What an example prints, an exception as its class; and the values that it showed."""
    shown: list[Any] = []

    def show(value: Any) -> None:
        if value is not None:
            shown.append(value)
            print(repr(_normal(value)))

    hook, sys.displayhook = sys.displayhook, show
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            exec(compile(source, "<example>", "single", dont_inherit=True), namespace)
    except Outside:
        raise
    except Exception as error:
        return f"{output.getvalue()}{_class_of(error)}", shown
    finally:
        sys.displayhook = hook
    return output.getvalue(), shown


def _class_of(error: Exception) -> str:
    # NumPy's private classes are told apart by nobody.
    return next(k.__name__ for k in type(error).__mro__ if not k.__name__.startswith("_") and "UFunc" not in k.__name__)


def _normal(value: Any) -> Any:
    """`value` as it is shown: NumPy's scalars as arrays without dimensions, in tuples, lists and dicts, too."""
    if isinstance(value, np.generic):
        return np.asarray(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_normal, value))
    if type(value) in (tuple, list):
        return type(value)(map(_normal, value))
    if type(value) is dict:
        return {_normal(key): _normal(part) for key, part in value.items()}
    return value


def _check_supported(value: Any) -> None:
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind in _UNSUPPORTED_KINDS or value.dtype.char in "gG":
            raise Outside(f"dtype {value.dtype}")
        if not value.dtype.isnative:
            raise Outside("byte order")
        if isinstance(value, np.ndarray) and type(value) is not np.ndarray:
            raise Outside(f"{type(value).__name__}")
    elif isinstance(value, np.dtype):
        if value.kind in _UNSUPPORTED_KINDS or value.char in "gG" or not value.isnative:
            raise Outside(f"dtype {value}")
    elif isinstance(value, tuple | list):
        for part in value:
            _check_supported(part)


def _take_over(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    made: dict[int, ca.CuArray] = {}  # two names of one array stay names of one array

    def converted(value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic):
            return made.setdefault(id(value), ca.array(value))
        if type(value) in (tuple, list):
            return type(value)(map(converted, value))
        return value

    for key, value in theirs.items():
        if key not in ("np", "__builtins__") and not isinstance(value, types.ModuleType | types.FunctionType):
            ours[key] = converted(value)


# ---- comparing


def same_text(expected: str, actual: str) -> bool:
    """Whether two outputs are the same but for whitespace and rounding."""
    expected = _SCALAR.sub(lambda match: f"array({match[1] or match[2]})", expected)  # in what was printed as text
    if "".join(expected.split()) == "".join(actual.split()):
        return True
    skeletons = ["".join(_NUMBER.sub("#", text).split()) for text in (expected, actual)]
    numbers = [[complex(part) for part in _NUMBER.findall(text)] for text in (expected, actual)]
    if skeletons[0] != skeletons[1] or len(numbers[0]) != len(numbers[1]):
        return False
    return bool(np.allclose(numbers[0], numbers[1], rtol=1e-6, atol=1e-12, equal_nan=True))


def main() -> None:
    docstrings = functions()
    chosen = sys.argv[1:] or list(docstrings)
    agreeing = total = outside = 0
    for name in chosen:
        result = run(name, docstrings[name])
        outside += result.outside
        for outcome in result.outcomes:
            total += 1
            agreeing += outcome.agrees
            if not outcome.agrees:
                print(f"---- {name}\n>>> {outcome.source.rstrip()}\nNumPy:   {outcome.numpy.rstrip()}")
                print(f"cuarray: {outcome.cuarray.rstrip()}")
        if result.why_outside and os.environ.get("VERBOSE"):
            print(f"     {name}: {result.outside} examples outside: {result.why_outside}")
    share = 100 * agreeing / total if total else 100
    print(f"{len(chosen)} functions: {agreeing} of {total} examples agree ({share:.1f} %), {outside} are outside")


if __name__ == "__main__":
    main()
