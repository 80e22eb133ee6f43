"""How the tests run: hypothesis's profiles, and which tests need a GPU."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

# SciPy asks for this when it is imported, and numba imports it: tests/clients need it.
os.environ["SCIPY_ARRAY_API"] = "1"
# Tests look at what processes write to stderr, and on a busy machine much takes longer than a second.
os.environ["CUARRAY_QUIET"] = "1"

# Every first use of an operation on a dtype compiles a kernel, so times vary from example to example: no deadline.
_COMMON = {
    "deadline": None,
    "print_blob": True,
    # Arrays are large by hypothesis's measure, and compiling is slow.
    "suppress_health_check": [HealthCheck.data_too_large, HealthCheck.too_slow],
}
# The same examples in every run, whose result then says something of the change; the other profiles draw new ones.
settings.register_profile("ci", max_examples=30, derandomize=True, **_COMMON)
settings.register_profile("quick", max_examples=3, **_COMMON)  # under a memory checker, which takes 20 times as long
settings.register_profile("thorough", max_examples=1000, **_COMMON)  # HYPOTHESIS_PROFILE=thorough, for a long night
# Where time is short: making a failing example smaller compiles kernel after kernel.
_UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
settings.register_profile("unshrunk", max_examples=30, phases=_UNSHRUNK, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_report_header() -> str:
    from cuarray import _runtime

    runtime = _runtime.get()
    return f"cuarray: {runtime.name} backend on {runtime.device_name()}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    from cuarray._runtime.cuda import device_count

    if device_count():
        return
    skip = pytest.mark.skip(reason="needs an NVIDIA GPU")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)
