"""Create or update the virtual environment that `make demo` and `make test` run in.

It installs cuarray in editable mode with everything the demo, the tests and the linters need, and returns at once
when nothing has changed. Run it with any Python 3: where that one cannot be used, it looks for one that can.
"""

import hashlib
import os
import queue
import shutil
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
VENV_PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "setup-stamp.txt")
LOG = os.path.join(VENV, "setup.log")

SUPPORTED = [(3, 11), (3, 12), (3, 13)]
EXTRAS = ["demo", "test", "dev"]
CLING_ARGS = "-O2 -march=native"  # as cuarray itself sets them: they are part of the precompiled headers
START = time.time()
HEARTBEAT = 10  # seconds without news after which we say that we are still working

PROBE = """
import importlib.util, os, sys, sysconfig
print(*sys.version_info[:2])
print(int(importlib.util.find_spec("venv") is not None and importlib.util.find_spec("ensurepip") is not None))
print(int(os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))))
"""


def main():
    state = current_state()
    if read(STAMP) == state and os.path.exists(VENV_PYTHON):
        return
    python, version = choose_python()
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", **compiler_variables())
    say(f"Setting up .venv with Python {version}. The first time this takes minutes: cppyy is compiled from source.")

    if os.path.exists(STAMP):
        os.remove(STAMP)
    if venv_version() != version:
        say("Creating the virtual environment")
        run([python, "-m", "venv", "--clear", VENV], environment)
    install(f".[{','.join(EXTRAS + gpu_extras())}]", environment)

    say("Building the C++ interpreter's precompiled headers")
    # Built here even when the cppyy package brought some: pip may have cached those for another compiler or CPU.
    environment.update(EXTRA_CLING_ARGS=CLING_ARGS, CLING_REBUILD_PCH="1")
    run([VENV_PYTHON, "-c", "import cppyy"], environment)

    with open(STAMP, "w") as file:
        file.write(state)
    say("The environment is ready")


def current_state():
    """What the environment was made from: it is made again when this changes."""
    digest = hashlib.sha256()
    for path in (os.path.join(ROOT, "pyproject.toml"), os.path.abspath(__file__)):
        with open(path, "rb") as file:
            digest.update(file.read())
    python = "{}.{}".format(*sys.version_info)
    nvidia = "an NVIDIA driver" if shutil.which("nvidia-smi") else "no NVIDIA driver"
    return f"Python {python}, {nvidia}, {ROOT}, {digest.hexdigest()}\n"


def choose_python():
    """The interpreter to make the environment with: this one if it will do, else the first that does."""
    problems = []
    for python in [sys.executable, "python3.12", "python3.13", "python3.11"]:
        answer = probe(python)
        if answer is None:
            continue
        version, has_venv, has_headers = answer
        name = "{}.{}".format(*version)
        if version not in SUPPORTED:
            problems.append(f"{python} is Python {name}")
        elif not has_venv:
            problems.append(f"{python} has no venv module (on Debian or Ubuntu: apt install python{name}-venv)")
        elif not has_headers:
            problems.append(f"{python} has no C headers (on Debian or Ubuntu: apt install python{name}-dev)")
        else:
            if problems:
                say(f"Using {python}: " + "; ".join(problems))
            return python, name
    fail("cuarray needs Python 3.11, 3.12 or 3.13 with its venv module and C headers.\n  " + "\n  ".join(problems))


def probe(python):
    """((major, minor), has venv, has Python.h) of an interpreter, None if it does not run."""
    try:
        lines = subprocess.check_output([python, "-c", PROBE], stderr=subprocess.DEVNULL).decode().splitlines()
    except (OSError, subprocess.CalledProcessError):
        return None
    return tuple(int(part) for part in lines[0].split()), lines[1] == "1", lines[2] == "1"


def venv_version():
    """Major and minor version of the Python in .venv, None if there is no usable one."""
    answer = probe(VENV_PYTHON)
    return answer and "{}.{}".format(*answer[0])


def compiler_variables():
    """Environment variables that lead the build to a C++ compiler; usually none are needed."""
    if os.environ.get("CXX") or shutil.which("g++"):
        return {}
    if shutil.which("clang++"):
        return {"CC": "clang", "CXX": "clang++"}
    fail("cuarray needs a C++ compiler, and neither g++ nor clang++ was found (on Debian or Ubuntu: apt install g++).")


def gpu_extras():
    """The extra that fits the NVIDIA driver and GPU. Without a GPU the compiler that the tests bring is enough."""
    try:
        command = ["nvidia-smi", "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"]
        output = subprocess.check_output(command, stderr=subprocess.DEVNULL, timeout=60).decode()
        gpus = [line.split(", ") for line in output.splitlines()]
        driver = gpus[0][0]
        driver_major = int(driver.split(".")[0])
        capability = min(float(gpu[1]) for gpu in gpus)
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        say("No NVIDIA GPU here: cuarray will run on the CPU")
        return []
    if driver_major < 525:
        say(f"The NVIDIA driver {driver} is too old (525 is the oldest supported): cuarray will run on the CPU")
        return []
    # CUDA 13 needs driver 580 and no longer compiles for GPUs before Turing (7.5).
    extra = "cuda13" if driver_major >= 580 and capability >= 7.5 else "cuda12"
    say(f"NVIDIA driver {driver}, compute capability {capability}: installing the {extra} extra")
    return [extra]


def install(requirement, environment):
    """Install a requirement, saying what pip does while it does it."""
    command = [VENV_PYTHON, "-m", "pip", "install", "--progress-bar", "off", "--editable", requirement]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )
    lines = queue.Queue()

    def read_output():
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read_output, daemon=True).start()
    step = ""
    with open(LOG, "w") as log:
        while True:
            try:
                line = lines.get(timeout=HEARTBEAT)
            except queue.Empty:
                say(f"  still working: {step}")
                continue
            if line is None:
                break
            log.write(line)
            log.flush()
            if step_of(line):
                step = step_of(line)
                say(f"  {step}")
    if process.wait() != 0:
        end = "  ".join(read(LOG).splitlines(keepends=True)[-40:])
        fail(f"pip could not install cuarray's dependencies. Its output ends:\n  {end}\nAll of it is in {LOG}")


def step_of(line):
    """The step that a line of pip's output announces, in short; None for the lines between."""
    words = line.split()
    if words[:1] in (["Collecting"], ["Processing"]):
        return "package " + os.path.basename(words[1])
    if words[:3] == ["Building", "wheel", "for"] and words[-1] == "started":
        return "compiling " + words[3]
    if words[:3] == ["Building", "editable", "for"] and words[-1] == "started":
        return "building " + words[3]
    if words[:3] == ["Installing", "build", "dependencies:"] and words[-1] == "started":
        return "preparing its build"
    if words[:3] == ["Installing", "collected", "packages:"]:
        return f"unpacking {len(words) - 3} packages"
    return None


def run(command, environment):
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )
    output, _ = process.communicate()
    if process.returncode != 0:
        fail(f"This failed: {' '.join(command)}\n{output}")


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def say(message):
    print(f"[{time.time() - START:4.0f} s] {message}", flush=True)


def fail(message):
    sys.exit(f"\n{message}")


if __name__ == "__main__":
    main()
