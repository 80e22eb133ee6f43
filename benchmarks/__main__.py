"""``python -m benchmarks run`` measures, ``python -m benchmarks report`` makes tables and plots of the results."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from benchmarks.libraries import LIBRARIES


def names(text: str) -> list[str]:
    found = [name for name in text.split(",") if name]
    others = [name for name in LIBRARIES if name != "cuarray"]
    for name in found:
        if name not in others:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(others)}")
    return list(dict.fromkeys(found))


def positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="measure cuarray and other libraries")
    runner.add_argument("prefixes", nargs="*", metavar="CASE", help="beginnings of cases' names; all by default")
    runner.add_argument("--list", action="store_true", help="show the cases, measure nothing")
    runner.add_argument("--against", type=names, default=["numpy"], help="libraries, separated by commas; numpy")
    runner.add_argument("--json", type=Path, metavar="FILE", help="where the results go; else the report is printed")
    runner.add_argument("--quick", action="store_true", help="small arrays, few repeats: to see that it runs")
    runner.add_argument("--seconds", type=positive, default=0.2, help="of timing a case and library (0.2)")
    runner.add_argument(
        "--budget",
        type=positive,
        default=math.inf,
        metavar="SECONDS",
        help="that a family takes; then its rest is left",
    )
    reporter = commands.add_parser("report", help="print results as Markdown tables")
    reporter.add_argument("files", nargs="+", type=Path, metavar="FILE")
    reporter.add_argument("--plots", type=Path, metavar="FOLDER", help="draw PNG plots there, too (by matplotlib)")
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = make_parser()
    arguments = parser.parse_args(argv)
    from benchmarks.report import report

    if arguments.command == "report":
        for file in arguments.files:
            results = json.loads(file.read_text())
            print(report(results), end="\n\n")
            if arguments.plots is not None:
                from benchmarks.plots import plot

                for path in plot(results, arguments.plots, file.stem):
                    print(path, file=sys.stderr)
        return 0

    from benchmarks.cases import select

    try:
        cases = select(arguments.prefixes)
    except ValueError as error:
        parser.error(str(error))
    if arguments.list:
        for case in cases:
            if hasattr(case, "dtype"):
                print(f"{case.name:30} {case.dtype!s:10} GPU: {case.size or '-':<10} CPU: {case.cpu_size or '-'}")
            else:
                print(case.name)
        return 0
    from benchmarks.runner import Session

    session = Session(arguments.against, seconds=arguments.seconds, quick=arguments.quick, budget=arguments.budget)

    def write() -> None:
        if arguments.json is not None:  # after each case: who stops a long run keeps what was measured
            arguments.json.write_text(json.dumps(session.results(), indent=1) + "\n")

    write()  # that it cannot be written is known before anything is measured
    session.run(cases, after_each=write)
    write()
    results = session.results()
    if arguments.json is None:
        print(report(results))
    return 1 if results["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
