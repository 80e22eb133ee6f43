"""Runs the array API's public test suite against `cuarray.array_api`, and compares what fails with what is known to.

    python tests/conformance/run.py PATH_TO_SUITE [--max-examples N] [--module numpy]

PATH_TO_SUITE is a checkout of the suite (the repository `data-apis/array-api-tests`, with its submodule `array-api`);
the suite asks for pytest-json-report and ndindex. NumPy is run, too: it is what cuarray is measured by. The exit status
is 1 if a test fails that `expected_failures.txt` does not list, or if one passes that it does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

VERSION = "2025.12"
OWN = "cuarray.array_api"
EXPECTED = Path(__file__).parent / "expected_failures.txt"
ROOT = Path(__file__).resolve().parents[2]

# How the reason of a line begins that is checked (NumPy must fail as well), and of one that need not fail every time.
LIKE_NUMPY = "like NumPy"
SOMETIMES = "sometimes"


@dataclass
class Results:
    """What became of each test."""

    outcomes: dict[str, str] = field(default_factory=dict)  # by the test's id: passed, failed, skipped
    messages: dict[str, str] = field(default_factory=dict)  # of failures: a line

    @property
    def failures(self) -> set[str]:
        return {test for test, outcome in self.outcomes.items() if outcome == "failed"}


@dataclass
class Comparison:
    """The failures of a module against the list."""

    unexpected: list[str]
    expected: dict[str, str]  # with their reasons
    passes: dict[str, str]  # lines of the list that no failing test answers to, with their reasons
    not_numpy: dict[str, str]  # said to fail in NumPy, too, and do not

    @property
    def ok(self) -> bool:
        return not (self.unexpected or self.passes or self.not_numpy)


def read_expected(text: str) -> dict[str, str]:
    """Reasons by tests' ids. A line is `id  # reason`; an id without brackets stands for all its parameters."""
    expected: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        test, separator, reason = line.partition("  # ")
        if not separator or not reason.strip():
            raise ValueError(f"line {number}: a test's id needs a reason: {line!r}")
        if test.strip() in expected:
            raise ValueError(f"line {number}: {test.strip()!r} stands twice")
        expected[test.strip()] = reason.strip()
    return expected


def compare(results: Results, expected: dict[str, str], numpy: Results | None) -> Comparison:
    """Which failures the list does not know, and which of its lines are not true."""

    def line_of(test: str) -> str | None:
        return next((line for line in (test, test.partition("[")[0]) if line in expected), None)

    known = {test: line for test in results.failures if (line := line_of(test)) is not None}
    answered = set(known.values())
    # Of lines whose tests were not run (a part of the suite was chosen) nothing is known.
    run = {line_of(test) for test, outcome in results.outcomes.items() if outcome != "skipped"}
    passes = {
        line: reason
        for line, reason in expected.items()
        if line in run and line not in answered and not reason.startswith(SOMETIMES)
    }
    not_numpy: dict[str, str] = {}
    if numpy is not None:
        for test, line in known.items():
            if expected[line].startswith(LIKE_NUMPY) and test not in numpy.failures:
                not_numpy[test] = expected[line]
    return Comparison(
        sorted(results.failures - set(known)),
        {test: expected[line] for test, line in sorted(known.items())},
        passes,
        not_numpy,
    )


def run_suite(suite: Path, module: str, max_examples: int, select: str | None, jobs: int, random: bool) -> Results:
    """The suite's results for a module."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pytest", "array_api_tests", "-q", "--no-header", "--tb=short"]
        command += ["-p", "no:cacheprovider", "-p", "no:warnings", "--continue-on-collection-errors"]
        command += ["--disable-deadline", f"--max-examples={max_examples}"] + ([] if random else ["--derandomize"])
        command += ["--json-report", f"--json-report-file={report}"]
        command += ["--json-report-omit", "keywords", "streams", "log", "warnings"]
        command += ["-k", select] if select else []
        command += ["-n", str(jobs)] if jobs > 1 else []
        environment = {
            **os.environ,
            "ARRAY_API_TESTS_MODULE": module,
            "ARRAY_API_TESTS_VERSION": VERSION,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        done = subprocess.run(command, cwd=suite, env=environment, capture_output=True, text=True)
        if not report.exists():
            raise SystemExit(f"pytest ended with {done.returncode} and no report:\n{done.stdout[-4000:]}{done.stderr}")
        return read_report(json.loads(report.read_text()))


def read_report(report: dict) -> Results:
    """The results in a report of pytest-json-report."""
    results = Results()
    for collector in report.get("collectors", ()):
        if collector["outcome"] == "failed":  # a file that could not be imported
            results.outcomes[collector["nodeid"]] = "failed"
            results.messages[collector["nodeid"]] = _last_error(str(collector.get("longrepr", "")))
    for test in report["tests"]:
        outcome = {"error": "failed", "xfailed": "failed", "xpassed": "passed"}.get(test["outcome"], test["outcome"])
        results.outcomes[test["nodeid"]] = outcome
        if outcome == "failed":
            stage = next((test[stage] for stage in ("setup", "call", "teardown") if "crash" in test.get(stage, {})), {})
            text = stage.get("longrepr", "")
            results.messages[test["nodeid"]] = _last_error(text) or stage.get("crash", {}).get("message", "")
    return results


def _last_error(text: str) -> str:
    # hypothesis says more behind the exception: its own lines are no error.
    errors = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    named = [line for line in errors if line.partition(":")[0].endswith(("Error", "Exception", "Failure"))]
    return (named or errors or [""])[0][:200]


def print_table(module: str, results: Results, numpy: Results | None) -> None:
    """How many tests of each file passed, beside NumPy's."""
    by_file: dict[str, Counter[str]] = {}
    for test, outcome in results.outcomes.items():
        by_file.setdefault(_file(test), Counter())[outcome] += 1
    numpys = Counter(_file(test) for test in numpy.failures) if numpy else Counter()
    print(f"{module}, array API {VERSION}\n")
    head = f"{'':36}{'passed':>8}{'failed':>8}{'skipped':>9}" + (f"{'NumPy failed':>14}" if numpy else "")
    print(head + "\n" + "-" * len(head))
    total: Counter[str] = Counter()
    for file, counts in sorted(by_file.items()):
        total += counts
        line = f"{file:36}{counts['passed']:8}{counts['failed']:8}{counts['skipped']:9}"
        print(line + (f"{numpys[file]:14}" if numpy else ""))
    line = f"{'all':36}{total['passed']:8}{total['failed']:8}{total['skipped']:9}"
    print(line + (f"{sum(numpys.values()):14}" if numpy else ""))


def _file(test: str) -> str:
    return Path(test.partition("::")[0]).stem


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path, help="a checkout of the suite")
    parser.add_argument("--module", default=OWN, help=f"what to test; only {OWN} is compared with the list")
    parser.add_argument("--max-examples", type=int, default=20, help="hypothesis's examples a test")
    parser.add_argument("--random", action="store_true", help="other examples each time")
    parser.add_argument("--without-numpy", action="store_true", help="do not run NumPy beside it")
    parser.add_argument("-k", dest="select", help="only tests that match, as pytest's -k")
    parser.add_argument("-n", dest="jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    if not (options.suite / "array_api_tests").is_dir():
        parser.error(f"{options.suite} is no checkout of the suite: it has no array_api_tests")

    def run(module: str) -> Results:
        return run_suite(options.suite, module, options.max_examples, options.select, options.jobs, options.random)

    if options.module != OWN:
        results = run(options.module)
        print_table(options.module, results, None)
        for test in sorted(results.failures):
            print(f"{test}\n    {results.messages[test]}")
        return 0
    results = run(OWN)
    numpy = None if options.without_numpy else run("numpy")
    comparison = compare(results, read_expected(EXPECTED.read_text()), numpy)
    print_table(OWN, results, numpy)
    for title, tests in (
        ("Expected failures", comparison.expected),
        ("Expected to fail, but passed", comparison.passes),
        ("Said to fail in NumPy, too, but NumPy passed", comparison.not_numpy),
        ("Unexpected failures", {test: results.messages[test] for test in comparison.unexpected}),
    ):
        print(f"\n{title}: {len(tests)}")
        by_reason: dict[str, list[str]] = {}
        for test, reason in tests.items():
            by_reason.setdefault(reason, []).append(test)
        for reason, same in sorted(by_reason.items(), key=lambda item: -len(item[1])):
            print(f"  {reason}")
            for test in same:
                fails_there = numpy is not None and test in numpy.failures
                print(f"      {test}{' (NumPy fails, too)' if fails_there else ''}")
    return 0 if comparison.ok else 1


if __name__ == "__main__":
    sys.exit(main())
