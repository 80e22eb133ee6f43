#!/usr/bin/env bash
# What docs/gpu-runs.md records: the suite on the GPU, compute-sanitizer over the kernel tests, and the demo.
# Usage: tools/gpu_check.sh [FOLDER for the full logs]      (PYTHON=python3 by default, JOBS=4)
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
logs=${1:-$(mktemp -d)}
export CUARRAY_BACKEND=cuda CUARRAY_CACHE_DIR=${CUARRAY_CACHE_DIR:-$(mktemp -d)}
failed=0

"$python" -m cuarray | tee "$logs/config.txt" || failed=1

echo "== the suite"
# Not the tests that compile for GPUs without one; HYPOTHESIS_PROFILE=unshrunk is for when time is short.
"$python" -m pytest -q -n "${JOBS:-4}" -p no:cacheprovider --ignore tests/test_compile_cuda.py tests >"$logs/pytest.txt" 2>&1 || failed=1
grep -E '^(FAILED|ERROR|SKIPPED)' "$logs/pytest.txt"
tail -n 1 "$logs/pytest.txt"

echo "== compute-sanitizer memcheck"
# Without the pool, so that an array's bounds are those of its memory. API errors are left out: cuda.bindings asks the
# driver for functions of newer drivers when it starts, which is no error of a kernel.
# No host backtraces: to collect Python's frames the checker takes the GIL inside driver calls, which deadlocks threads
# that call the driver with and without it, and keeps arrays alive.
export CUARRAY_MEMORY_POOL=0 HYPOTHESIS_PROFILE=quick
timeout "${MEMCHECK_SECONDS:-1800}" compute-sanitizer --tool memcheck --report-api-errors no --show-backtrace device \
    --error-exitcode 9 "$python" -m pytest -q -p no:cacheprovider tests/test_kernels.py tests/test_linear_algebra.py \
    tests/test_reductions.py tests/test_manipulation.py tests/test_indexing.py tests/test_classic_kernels.py \
    tests/test_definitions.py tests/test_kernel_arguments.py \
    tests/test_sorting.py tests/test_sets.py tests/test_order_statistics.py tests/test_index_functions.py \
    tests/test_scans.py tests/test_statistics.py tests/test_random.py tests/test_products.py \
    tests/test_composites.py tests/test_creation.py >"$logs/memcheck.txt" 2>&1 || failed=1
# A planted error must be seen, or a clean result would mean nothing.
planted='import cuarray as ca; x = ca.zeros(100, "float32")
ca.cudadef("__global__ void f(float* x) { x[100] = 1; }", name="planted").f[1, 1](x); ca.cuda.synchronize()'
if compute-sanitizer --report-api-errors no --error-exitcode 9 "$python" -c "$planted" >"$logs/planted.txt" 2>&1; then
    echo "the planted out-of-bounds write was NOT seen" && failed=1
else
    grep -m 1 'Invalid __global__ write' "$logs/planted.txt" | sed 's/=* */planted: /'
fi
unset CUARRAY_MEMORY_POOL HYPOTHESIS_PROFILE
grep -E '^FAILED|ERROR SUMMARY|passed|failed' "$logs/memcheck.txt" | tail -n 8

echo "== the demo"
"$python" examples/demo.py "$logs/kmeans.png" || failed=1
exit $failed
