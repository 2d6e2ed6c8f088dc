"""`tailrace wamrc -o OUT.aot IN.wasm`: compile a WebAssembly module ahead of time; also installed as `flb-wamrc`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tailrace.config.errors import ConfigError
from tailrace.wasm import aot
from tailrace.wasm.compiler import CPUS, TARGETS, Job, compile_ahead, library_version


def main() -> None:
    """Entry point of the console script `flb-wamrc`."""
    sys.exit(run(sys.argv[1:], "flb-wamrc"))


def make_parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Compile a WebAssembly module ahead of time: it starts at once and needs no compiler. "
        "The file is for one machine and one version of the engine; give it as wasm_path.",
    )
    parser.add_argument("source", nargs="?", metavar="IN.wasm", help="the module")
    parser.add_argument("-o", dest="output", metavar="OUT.aot", help="the file to write")
    parser.add_argument(
        "--target",
        default="",
        help=f"machine: {', '.join(TARGETS)}; default: this one; `help` lists",
    )
    parser.add_argument("--target-abi", default="", help="gnu (default), musl or lp64d")
    parser.add_argument("--cpu", default="", help="CPU of the target; `help` lists some")
    parser.add_argument("--cpu-features", default="", help="as: +avx2,-fma")
    parser.add_argument(
        "--opt-level", type=int, choices=range(4), default=3, help="0: none; default: 3"
    )
    parser.add_argument(
        "--size-level",
        type=int,
        choices=range(4),
        help="1 to 3: prefer small code; default: fast code",
    )
    return parser


def run(argv: list[str], program: str = "tailrace wamrc") -> int:
    parser = make_parser(program)
    options = parser.parse_args(argv)
    if "help" in (options.target, options.cpu):
        print_choices()
        return 0
    if not options.source or not options.output:
        parser.error("give the module and -o OUT.aot")
    job = Job(
        options.target,
        options.target_abi,
        options.cpu,
        options.cpu_features,
        options.opt_level,
        options.size_level,
    )
    try:
        image = work(Path(options.source), job)
        Path(options.output).write_bytes(image)
    except ConfigError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        print(
            f"{program}: the Python module '{error.name}' is not installed. Install it: pip install 'tailrace[wasm]'.",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        print(f"{program}: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"Compile success, file {options.output} was generated.")
    return 0


def work(source: Path, job: Job) -> bytes:
    """Compile, and say for what."""
    print(f"target:         {job.machine}" + (f" ({job.triple})" if not job.is_native else ""))
    print(f"cpu:            {job.cpu or ('this one' if job.is_native else 'any')}")
    print(f"cpu features:   {job.features or 'those of the cpu'}")
    print(f"opt level:      {job.opt_level}")
    print(f"size level:     {job.size_level if job.size_level is not None else '0'}")
    image = compile_ahead(source, job)
    version = aot.version_of(image)
    print(f"engine version: {version or 'unknown'}")
    here = library_version().split(".")[0]
    if version and version != here:
        print(
            f"warning: only agents with version {version} of wasmtime take this file; the one installed here is {here}. "
            f"Install the same there: pip install 'wasmtime=={version}.*'.",
            file=sys.stderr,
        )
    return image


def print_choices() -> None:
    for machine, cpus in CPUS.items():
        own = "names of LLVM, as haswell or znver3" if machine == "x86_64" else ""
        print(f"{machine}: {', '.join(cpus) or own or 'no CPU to choose'}")
