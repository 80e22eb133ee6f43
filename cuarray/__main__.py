"""``python -m cuarray`` prints what a bug report needs; ``python -m cuarray cache`` looks after compiled kernels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cuarray import _config, _runtime
from cuarray._errors import CompileError
from cuarray._runtime import cache, native
from cuarray._warmup import DTYPES, OPS, warmup_for


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cuarray", description="Without arguments: version, backend, devices, cache and libraries."
    )
    commands = parser.add_subparsers(dest="command", metavar="{cache}")
    cache = commands.add_parser("cache", help="the kernels that are compiled and kept on disk")
    actions = cache.add_subparsers(dest="action", required=True, metavar="{info,clear,warm}")
    actions.add_parser("info", help="print the folder, what it holds, and the versions that compile")
    actions.add_parser("clear", help="delete all of it")
    warm = actions.add_parser(
        "warm",
        help="compile the kernels of functions, so that first calls find them",
        description="Compile kernels and keep them on disk. With --arch no GPU is needed: for container images.",
    )
    warm.add_argument("--ops", nargs="+", metavar="NAME", help=f"functions; by default {' '.join(OPS)}")
    warm.add_argument("--dtypes", nargs="+", metavar="DTYPE", help=f"by default {' '.join(DTYPES)}")
    warm.add_argument(
        "--arch", metavar="SM", help="the GPUs' architecture, like sm_90a; by default that of the GPU here"
    )
    warm.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _warm(options: argparse.Namespace) -> None:
    if not options.arch and _runtime.get().host_is_device:
        raise ValueError("kernels for the CPU are not kept on disk, and no GPU answers: name its architecture, --arch")
    arch = options.arch or _runtime.get().architecture
    native.library()
    count = warmup_for(arch, options.ops, options.dtypes, progress=False if options.quiet else None)
    print(f"{count} kernels for {arch} are in {cache.folder()}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 2 for arguments that mean nothing, 1 where a compiler or the folder failed."""
    options = _parser().parse_args(arguments)
    if options.command is None:
        _config.show_config()
        return 0
    try:
        if options.action == "info":
            print(f"folder: {cache.folder()}\nholds: {_config.describe_cache()}\ncompilers: {_config.compilers()}")
        elif options.action == "clear":
            print(f"{cache.folder()}: {_config.describe_cache(cache.clear())} deleted")
        else:
            _warm(options)
    except (TypeError, ValueError) as error:
        print(f"python -m cuarray cache {options.action}: {error}", file=sys.stderr)
        return 2
    except (CompileError, OSError) as error:
        print(f"python -m cuarray cache {options.action}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
