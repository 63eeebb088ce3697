"""Gets what a peer needs from the registries, unpacked below the work directory: nothing is
installed into the system or the tree. A failure names the command."""

import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
NATS = "github.com/nats-io/nats-server/v2@v2.15.2"
# With all that a minimal Debian 12 lacks.
DEBS = {
    "redis": ["redis-tools", "redis-server", "liblzf1", "libhiredis0.14", "libjemalloc2",
              "liblua5.1-0", "lua-cjson", "lua-bitop", "libatomic1", "libsystemd0"],
    "rocksdb": ["librocksdb-dev", "librocksdb7.8", "libgflags2.2", "libsnappy1v5", "libzstd1",
                "liblz4-1", "libbz2-1.0", "zlib1g"],
    "lmdb": ["liblmdb-dev", "liblmdb0"],
    "postgres": ["postgresql-15", "postgresql-client-15", "libpq5", "libicu72", "libllvm14",
                 "libxml2", "libxslt1.1", "libldap-2.5-0", "libsasl2-2", "libedit2",
                 "libz3-4", "libbsd0", "libmd0"],
}


class Missing(Exception):
    """What could not be installed, and the command that says so."""


def _run(command, **more):
    try:
        done = subprocess.run(command, capture_output=True, text=True, **more)
    except OSError as error:
        raise Missing(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise Missing(f"`{' '.join(map(str, command))}`: {last}")
    return done.stdout


def debs(name, work):
    """Unpacks Debian packages into work/deb-NAME and gives that root."""
    root = pathlib.Path(work, "deb-" + name)
    if (root / "done").exists():
        return root
    cache = root / "packages"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        _run(["apt-get", "-q", "download", *DEBS[name]], cwd=cache)
    except Missing:
        if os.geteuid() != 0:
            raise
        _run(["apt-get", "-qq", "update"])
        _run(["apt-get", "-q", "download", *DEBS[name]], cwd=cache)
    for package in sorted(cache.glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(root)])
    shutil.rmtree(cache)
    versions = _run(["apt-cache", "policy", DEBS[name][0]])
    candidate = [line.split()[1] for line in versions.splitlines() if "Candidate" in line]
    (root / "done").write_text(candidate[0] if candidate else "unknown")
    return root


def deb_version(root):
    return pathlib.Path(root, "done").read_text()


def deb_libraries(root):
    """LD_LIBRARY_PATH for the root's programs."""
    found = sorted(root.glob("usr/lib/*-linux-gnu")) + sorted(root.glob("lib/*-linux-gnu"))
    return ":".join(map(str, found))


def python(work):
    """The interpreter of a venv with requirements.txt."""
    venv = pathlib.Path(work, "venv")
    program = venv / "bin/python"
    wanted = (HERE / "requirements.txt").read_text()
    mark = venv / "done"
    if not mark.exists() or mark.read_text() != wanted:
        _run([sys.executable, "-m", "venv", str(venv)])
        _run([str(program), "-m", "pip", "install", "-q", "-r", str(HERE / "requirements.txt")])
        mark.write_text(wanted)
    return program


def nats(work):
    """nats-server by Go's module proxy."""
    program = pathlib.Path(work, "go/bin/nats-server")
    if not program.exists():
        _run(["go", "install", "-p", "2", NATS],
             env={**os.environ, "GOBIN": str(program.parent), "GOPATH": str(work) + "/go",
                  "GOFLAGS": "-modcacherw"})
    return program


def kafka(work):
    """The folder of Kafka's jars by Maven Central; kafka/pom.xml has the version."""
    jars = pathlib.Path(work, "kafka/jars")
    if not (jars / "done").exists():
        jars.mkdir(parents=True, exist_ok=True)
        _run(["mvn", "-q", "-B", "-f", str(HERE / "kafka/pom.xml"),
              f"-Dmaven.repo.local={jars.parent}/repository", "dependency:copy-dependencies",
              f"-DoutputDirectory={jars}", "-DincludeScope=runtime"])
        (jars / "done").touch()
    _run(["java", "-version"])
    return jars


def postgres(work):
    """The directory of postgres, initdb and psql: the system's 15, else Debian's package."""
    system = pathlib.Path("/usr/lib/postgresql/15/bin")
    if (system / "postgres").exists():
        return system
    return debs("postgres", work) / "usr/lib/postgresql/15/bin"


def c_program(name, root, libraries, work):
    """Compiles ids/NAME.c against an unpacked root."""
    program = pathlib.Path(work, name)
    source = HERE / "ids" / (name + ".c")
    newest = max(path.stat().st_mtime for path in source.parent.iterdir())
    if program.exists() and program.stat().st_mtime > newest:
        return program
    folder = next(root.glob("usr/lib/*-linux-gnu"))
    _run(["cc", "-std=gnu17", "-O3", "-Wall", "-Wextra", "-I", str(root / "usr/include"),
          str(source), "-o", str(program), "-L", str(folder), f"-Wl,-rpath,{folder}",
          "-Wl,--disable-new-dtags", f"-Wl,-rpath-link,{folder}", *libraries])
    return program


def output(command, libraries=None):
    """What a command prints, for versions."""
    more = {"env": {**os.environ, "LD_LIBRARY_PATH": libraries}} if libraries else {}
    return _run(command, **more)
