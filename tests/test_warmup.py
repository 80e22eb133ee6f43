"""Kernels compiled ahead: families of dtypes, `warmup`, the command line; and the native library."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cuarray as ca
from cuarray import _families, _runtime, _warmup
from cuarray.__main__ import main
from cuarray._functions import _reduction
from cuarray._functions.elementwise import FUNCTIONS
from cuarray._layout import Layout, layout
from cuarray._runtime import cache, cling, native
from cuarray._tuning import Target

H100 = Target(processors=132, block_threads=256, max_block_threads=1024, blocks_per_processor=8)
NAMES = ("add", "divide", "exp", "less", "bitwise_and", "negative", "power", "arctan2")
VIEWS = (
    lambda x: x,
    lambda x: x.T,
    lambda x: x[::2],
    lambda x: x[:, ::-1],
    lambda x: x[1],
    lambda x: np.broadcast_to(x[0], x.shape),
)


def layout_of(array: np.ndarray) -> Layout:
    return layout(array.dtype, array.shape, array.strides)


# ---- families


@given(
    name=st.sampled_from(NAMES),
    own=st.sampled_from(_families.COMMON),
    views=st.lists(st.sampled_from(VIEWS), min_size=2, max_size=2),
    scalar=st.sampled_from([None, int, float]),
)
def test_siblings_are_what_the_operation_plans(name: str, own: np.dtype, views: Sequence[Any], scalar: Any) -> None:
    operation = FUNCTIONS[name]

    def plan_for(dtype: np.dtype) -> str | None:
        base = np.zeros((4, 6), dtype)
        kinds: list[Any] = [layout_of(view(base)) for view in views[: operation.nin]]
        if scalar is not None and operation.nin == 2:
            kinds[1] = scalar
        try:
            planned = operation.plan(_runtime.get().target, kinds).plan
        except (TypeError, ValueError):  # no such loop, or shapes that do not broadcast
            return None
        return planned.instance.name if planned else None

    base = np.zeros((4, 6), own)
    kinds: list[Any] = [layout_of(view(base)) for view in views[: operation.nin]]
    if scalar is not None and operation.nin == 2:
        kinds[1] = scalar
    expected = {plan_for(dtype) for dtype in _families.COMMON if dtype != own} - {None}
    assert {plan.instance.name for plan in operation.siblings(kinds, "K")} == expected


def test_only_operands_of_one_common_dtype_have_a_family() -> None:
    mixed = [layout(np.dtype("float32"), (3,)), layout(np.dtype("int64"), (3,))]
    packed = [layout(np.dtype("float64"), (3,), (12,))]  # fields of a struct: no multiple of the items
    assert [*_families.other_dtypes(mixed)] == [*_families.other_dtypes([int, float])] == []
    assert [*_families.other_dtypes([layout(np.dtype("complex64"), (3,))])] == [*_families.other_dtypes(packed)] == []
    there = [kinds[0].dtype for kinds in _families.other_dtypes([layout(np.dtype("int64"), (3,)), int])]
    assert there == [dtype for dtype in _families.COMMON if dtype != np.int64]


@pytest.mark.parametrize("name", ["sum", "mean", "argmax", "std", "all"])
def test_plans_of_a_reduction_are_what_a_call_loads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    own = _reduction.Prepared

    def recorded(plan: Any, family: Any = None) -> Any:
        loaded.append(plan.instance.name)
        return own(plan, family)

    monkeypatch.setattr(_reduction, "Prepared", recorded)
    x = ca.ones((7, 1013), "float32")  # a shape that no other test has
    getattr(ca, name)(x, axis=1)
    planned = {plan.instance.name for plan in _reduction.plans(_runtime.get().target, name, x._layout, (1,))}
    assert set(loaded) == planned


# ---- warmup


def test_after_warmup_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    ca.warmup(["hypot", "sum", "copy"], ["float32", np.int64])
    if ca.cuda.is_available():
        from cuarray._runtime import nvrtc

        monkeypatch.setattr(nvrtc, "_compile", _refuse)
    else:
        monkeypatch.setattr(cling, "define", _refuse)
    for dtype in (np.float32, np.int64):
        x = np.arange(1, 13, dtype=dtype).reshape(3, 4)
        y = ca.asarray(x)
        cases = [(x, x), (x.T, x.T), (x, x[0]), (x[0], x), (x, 2), (2, x), (x.ravel()[::2], x.ravel()[::2])]
        ours = [(y, y), (y.T, y.T), (y, y[0]), (y[0], y), (y, 2), (2, y), (y.ravel()[::2], y.ravel()[::2])]
        for theirs, (a, b) in zip(cases, ours, strict=True):
            np.testing.assert_allclose(np.asarray(ca.hypot(a, b)), np.hypot(*theirs), rtol=1e-6)
        np.testing.assert_array_equal(np.asarray(y.sum()), x.sum())


def _refuse(*arguments: Any) -> None:
    raise AssertionError(f"compiled: {arguments}")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((["nonsense"],), ValueError, "ops: 'nonsense' is not the name"),
        ((["add", 5],), ValueError, "ops: 5 is not the name"),
        ((["add"], ["nonsense"]), TypeError, "dtypes: 'nonsense' is not a dtype"),
        ((["add"], ["M8[s]"]), TypeError, "dtypes: cuarray has no dtype"),
    ],
)
def test_arguments_that_mean_nothing(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ca.warmup(*arguments)


def test_progress(capsys: pytest.CaptureFixture) -> None:
    for progress, shown in ((None, False), (False, False), (True, True)):
        ca.warmup("negative", "float64", progress=progress)
        assert ("1/1" in capsys.readouterr().err) == shown


def test_every_default_is_planned_for_every_default_dtype() -> None:
    groups = _warmup.instances(None, None, H100)
    assert {name for name, _, _ in groups} == set(_warmup.OPS)
    add = " ".join(itertools.chain(*(names for name, _, names in groups if name == "add")))
    for part in ("float", "double", "long", "elementwise_rows", "elementwise_packs", "ca::Scalar"):
        assert part in add


# ---- the command line


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CUARRAY_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("arch", ["sm_75", "sm_80", "sm_90a", "sm_100"])
def test_warm_without_a_gpu(folder: Path, arch: str, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("cuda.bindings.nvrtc", reason="NVRTC's bindings are not installed")
    assert (
        main(["cache", "warm", "--ops", "add", "sum", "--dtypes", "float32", "int64", "--arch", arch, "--quiet"]) == 0
    )
    out = capsys.readouterr().out
    assert f"kernels for {arch} are in {folder}" in out
    assert int(out.split()[0]) <= cache.contents().programs
    assert main(["cache", "info"]) == 0
    out = capsys.readouterr().out
    assert f"folder: {folder}" in out and f"{cache.contents().programs} programs" in out and "nvrtc" in out
    assert main(["cache", "clear"]) == 0
    assert "deleted" in capsys.readouterr().out and cache.contents() == (0, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ops", "nonsense", "--arch", "sm_90"], "ops: 'nonsense'"),
        (["--dtypes", "nonsense", "--arch", "sm_90"], "dtypes: 'nonsense'"),
        (["--arch", "H100"], "arch must be like"),
    ],
)
def test_warm_says_what_is_wrong(
    folder: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["cache", "warm", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_warm_on_a_machine_without_a_gpu_wants_an_architecture(folder: Path, capsys: pytest.CaptureFixture) -> None:
    if not _runtime.get().host_is_device:
        pytest.skip("there is a GPU")
    assert main(["cache", "warm"]) == 2
    assert "--arch" in capsys.readouterr().err


def test_usage(capsys: pytest.CaptureFixture) -> None:
    for arguments, words in (
        (["--help"], ["cache"]),
        (["cache", "--help"], ["info", "clear", "warm"]),
        (["cache", "warm", "--help"], ["--ops", "--dtypes", "--arch", "--quiet"]),
    ):
        with pytest.raises(SystemExit) as exit:
            main(arguments)
        out = capsys.readouterr().out
        assert exit.value.code == 0 and all(word in out for word in words)
    with pytest.raises(SystemExit) as exit:
        main(["cache"])
    assert exit.value.code == 2


# ---- the native library


def test_the_library_has_the_functions() -> None:
    library = native.library()
    if not library.table:
        pytest.skip(library.failure)
    assert {"launch_builtin", "launch_user", "pool_allocate", "host::launch_on_stream"} <= set(native._exports())
    assert all(native.address(name) for name in native._exports())


def test_native_functions_refuse_wrong_arguments() -> None:
    allocate = native.function("pool_allocate")
    with pytest.raises(TypeError, match="another number of ints"):
        allocate(1)
    with pytest.raises(TypeError, match="int"):
        allocate(1, "many")


_CODE = """
import cuarray as ca
mod = ca.cudadef("__global__ void f(double* x) { __shared__ double t[64]; t[threadIdx.x] = x[threadIdx.x]; \
__syncthreads(); x[threadIdx.x] = t[63 - threadIdx.x]; }")
x = ca.arange(64.0) + 1
mod.f[1, 64](x)
print(float(x[0]), float((x + x).sum()))
from cuarray._runtime import native
print(bool(native.library().table))
"""


def _run(code: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )


def test_without_a_compiler_cling_compiles_the_same() -> None:
    result = _run(_CODE, CXX="/nonexistent/c++")
    assert result.stdout.split() == ["64.0", "4160.0", "False"], result.stderr


def test_a_damaged_library_is_compiled_again(folder: Path) -> None:
    library = native.library()
    if not library.table:
        pytest.skip(library.failure)
    damaged = folder / "native" / Path(library.path).name
    damaged.parent.mkdir()
    damaged.write_bytes(b"no library")
    result = _run(_CODE)
    assert result.stdout.split() == ["64.0", "4160.0", "True"], result.stderr
    assert damaged.stat().st_size > 10_000 and [*damaged.parent.iterdir()] == [damaged]
