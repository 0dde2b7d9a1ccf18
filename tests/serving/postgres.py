"""A PostgreSQL of our own for the tests: real, empty, on a free port, gone when the tests are over."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.serving.processes import free_port


def find_binaries() -> Path | None:
    """The folder with initdb and pg_ctl: on the path, or where Debian puts it."""
    on_path = shutil.which("pg_ctl")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").is_file()), None)


@contextmanager
def running_cluster() -> Iterator[str]:
    """The URL of a fresh server without a database name; skips the test where PostgreSQL is not installed."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL binaries (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="prelabel-postgres-"))
    owner = "postgres" if os.geteuid() == 0 else None  # initdb refuses to run as root
    if owner is not None:
        shutil.chown(folder, owner, owner)

    def run(program: str, *arguments: str) -> None:
        command = [str(binaries / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, user=owner, group=owner, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    port = free_port()
    try:
        run("initdb", "-A", "trust", "-U", "prelabel", "-E", "UTF8", "--locale=C", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off -c timezone=Asia/Tokyo"
        run("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", options)
        try:
            yield f"postgresql://prelabel@127.0.0.1:{port}"
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate")
    finally:
        shutil.rmtree(folder)


def new_schema(cluster: str, name: str) -> str:
    """The URL under which the server shows a new, empty schema; much quicker to make than a database."""
    with psycopg.connect(f"{cluster}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{name}"'.encode())
    return f"{cluster}/postgres?options=-csearch_path%3D{name}"
