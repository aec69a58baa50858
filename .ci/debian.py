"""Brings the Debian programs that the tests talk to, where this is Debian and the user is root.

Chromium, swaks and curl are installed as packages. Postfix and Exim can't be: they exclude each
other and would take the machine's mail over. Their packages are unpacked under .venv/debian/, with
a wrapper for each program in .venv/debian/bin/ that finds its libraries. Of Prometheus only the program
that checks rules is taken out. No service is started.
What can't be had is left out without an error: the tests that need it say so (tests/programs.py).
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UNPACKED = os.path.join(ROOT, ".venv", "debian")

INSTALLED = [
    "chromium",
    "fonts-dejavu-core",  # letters for Chromium's pages
    "swaks",
    "libnet-ssleay-perl",  # STARTTLS for swaks
    "curl",
    "iproute2",  # network namespaces as hosts
]
FOREIGN = ["postfix", "exim4-daemon-light"]
# Of these one program is wanted, and nothing that they depend on.
SINGLE = {"prometheus": "promtool"}
POLICY = "/usr/sbin/policy-rc.d"


class NotHere(Exception):
    """This step can't be done on this machine."""


def install_test_tools(say):
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        say("not root on Debian: tests that need programs which are not installed will be skipped")
        return
    stamp = os.path.join(UNPACKED, ".stamp")
    with open(__file__, "rb") as file:
        value = hashlib.sha256(file.read()).hexdigest()
    missing = [package for package in INSTALLED if not is_installed(package)]
    is_unpacked = has_text(stamp, value)
    if not missing and is_unpacked:
        return
    try:
        apt(["update"])
    except NotHere as error:
        say(f"{error}; going on with the package lists that are there")
    try:
        if missing:
            say("installing Debian packages: " + " ".join(missing))
            with no_services():
                apt(["install", "-y", "--no-install-recommends", *missing])
        if not is_unpacked:
            unpack_all(say)
            with open(stamp, "w", encoding="ascii") as file:
                file.write(value)
    except NotHere as error:
        say(f"{error}; tests that need what is missing will be skipped")


def has_text(path, text):
    try:
        with open(path, encoding="ascii") as file:
            return file.read() == text
    except OSError:
        return False


def is_installed(package):
    known = os.path.exists(f"/var/lib/dpkg/info/{package}.list")
    return known or any(
        os.path.exists(f"/var/lib/dpkg/info/{package}:{name}.list") for name in ("amd64", "arm64")
    )


def apt(arguments, **options):
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8")
    done = subprocess.run(
        ["apt-get", "-q", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=1200,
        **options,
    )
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        tail = "\n    ".join(text.strip().splitlines()[-6:])
        raise NotHere(f"apt-get {' '.join(arguments)} failed:\n    {tail}\n")
    return text


@contextlib.contextmanager
def no_services():
    """While packages are installed, none may start a service (Debian's own way: policy-rc.d says 101)."""
    if os.path.exists(POLICY):  # the machine's administrator has a rule: theirs holds
        yield
        return
    with open(POLICY, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\nexit 101\n")
    os.chmod(POLICY, 0o755)
    try:
        yield
    finally:
        os.unlink(POLICY)


def unpack_all(say):
    say("unpacking " + ", ".join([*FOREIGN, *SINGLE]) + " under .venv/debian")
    shutil.rmtree(UNPACKED, ignore_errors=True)
    os.makedirs(os.path.join(UNPACKED, "bin"))
    for package in FOREIGN:
        root = os.path.join(UNPACKED, package)
        unpack(package, root)
        wrap_programs(root)
    for package, program in SINGLE.items():
        take_out(package, program)


def take_out(package, program):
    target = os.path.join(UNPACKED, "bin", program)
    with tempfile.TemporaryDirectory(prefix="mailweir-apt-") as folder:
        os.chmod(folder, 0o755)  # so that apt's own user may look
        apt(["download", package], cwd=folder)
        for file in os.listdir(folder):
            subprocess.run(["dpkg", "-x", os.path.join(folder, file), folder], check=True)
            shutil.move(os.path.join(folder, "usr", "bin", program), target)


def unpack(package, root):
    """The package and those of its dependencies that this machine lacks, into a folder of their own."""
    plan = apt(["--simulate", "install", "--no-install-recommends", package])
    lacking = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    with tempfile.TemporaryDirectory(prefix="mailweir-apt-") as folder:
        os.chmod(folder, 0o755)  # so that apt's own user may look
        apt(["download", *(lacking or [package])], cwd=folder)
        os.makedirs(root)
        for file in sorted(os.listdir(folder)):
            subprocess.run(["dpkg", "-x", os.path.join(folder, file), root], check=True)


def wrap_programs(root):
    libraries = [os.path.join(root, "usr", "lib", "postfix")]
    for base in ("usr/lib", "lib"):
        folder = os.path.join(root, base)
        if os.path.isdir(folder):
            libraries += [os.path.join(folder, name) for name in os.listdir(folder) if "linux-gnu" in name]
    found = ":".join(name for name in libraries if os.path.isdir(name))
    for folder in (os.path.join(root, "usr", "sbin"), os.path.join(root, "usr", "bin")):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            program = os.path.join(folder, name)
            if os.path.isfile(program) and os.access(program, os.X_OK):
                wrap(name, program, found)


def wrap(name, program, libraries):
    path = os.path.join(UNPACKED, "bin", name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{program}" "$@"\n')
    os.chmod(path, 0o755)
