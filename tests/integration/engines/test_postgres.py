"""PostgreSQL as the launcher starts it."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.engines import daemon, kernel
from infra.engines.errors import EngineFailed
from infra.engines.postgres import PostgresServer
from libs.kernel.secrets import Secret
from tests.support.engines import ROOT
from tests.support.platform import is_gone, wait_until

AS_ROOT = os.geteuid() == 0


def rows(server: PostgresServer, statement: str) -> list[Any]:
    with psycopg.connect(server.admin_dsn().reveal(), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_it_is_version_18_durable_and_reached_by_its_socket_alone(fresh_postgres):
    shown = dict(
        rows(
            fresh_postgres,
            "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', "
            "'full_page_writes', 'listen_addresses', 'data_checksums', 'server_version_num')",
        )
    )
    assert shown.pop("server_version_num").startswith("18")
    assert shown.pop("listen_addresses") == ""
    assert set(shown.values()) == {"on"}


def test_a_wrong_password_is_refused(fresh_postgres):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(fresh_postgres.dsn("postgres", Secret("guessed"), "postgres").reveal())


def test_what_was_committed_is_there_after_a_killed_postmaster(fresh_postgres):
    rows(fresh_postgres, "CREATE TABLE kept AS SELECT 41 AS n")
    killed = fresh_postgres.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: fresh_postgres.pid is None, "the postmaster was not reaped")
    daemon.start(fresh_postgres)
    assert rows(fresh_postgres, "SELECT n FROM kept") == [(41,)]
    assert fresh_postgres.pid != killed


def test_a_pid_file_that_names_another_program_stops_no_start(fresh_postgres, tmp_path):
    fresh_postgres.stop()
    pid_file = tmp_path / "postgres" / "cluster" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{pid_file.parent}\n")
    daemon.start(fresh_postgres)
    assert rows(fresh_postgres, "SELECT 1") == [(1,)]


def test_an_interrupted_initdb_is_done_again(tmp_path):
    unfinished = tmp_path / "postgres" / "unfinished-1"
    (unfinished / "base").mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    (tmp_path / "postgres").chmod(0o700)
    with tempfile.TemporaryDirectory(prefix="mt-", dir="/tmp") as sockets:
        server = PostgresServer(tmp_path / "postgres", Path(sockets) / "s", tmp_path / "record")
        daemon.start(server)
        try:
            assert rows(server, "SELECT 1") == [(1,)]
            assert not unfinished.exists()
        finally:
            server.stop()


def test_a_server_that_cannot_start_says_where_its_words_are(tmp_path):
    sockets = tmp_path / ("far-too-long-for-a-socket-" * 5)
    server = PostgresServer(tmp_path / "postgres", sockets, tmp_path / "record")
    with pytest.raises(EngineFailed, match=r"its log is .*/postgres/log"):
        daemon.start(server)
    assert server.pid is None


def test_the_log_keeps_neither_a_statement_nor_a_row(fresh_postgres):
    rows(fresh_postgres, "CREATE TABLE taken (word text PRIMARY KEY)")
    rows(fresh_postgres, "INSERT INTO taken VALUES ('a-secret-word')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        rows(fresh_postgres, "INSERT INTO taken VALUES ('a-secret-word')")
    with pytest.raises(psycopg.errors.UndefinedObject):
        rows(fresh_postgres, "ALTER ROLE nobody_knows PASSWORD 'a-secret-word'")
    log = fresh_postgres.log.read_text()
    assert "duplicate key value" in log
    assert "a-secret-word" not in log


@pytest.mark.skipif(not AS_ROOT, reason="only root can become another account")
def test_where_user_namespaces_are_forbidden_root_runs_it_as_nobody():
    with tempfile.TemporaryDirectory(prefix="mt-", dir="/tmp") as folder:
        place = Path(folder)
        server = PostgresServer(place / "postgres", place / "s", place / "record", as_account=True)
        before = os.umask(0o077)  # as the runner's
        try:
            daemon.start(server)
        finally:
            os.umask(before)
        try:
            pid = server.pid
            assert pid is not None
            assert Path(f"/proc/{pid}").stat().st_uid != 0
            assert rows(server, "SELECT 1") == [(1,)]
        finally:
            server.stop()


def test_it_dies_with_its_starter_and_the_next_start_recovers(tmp_path):
    """A starter that is killed cannot stop anything; the kernel does it."""
    with tempfile.TemporaryDirectory(prefix="mt-", dir="/tmp") as folder:
        record = tmp_path / "record"
        place = (tmp_path / "postgres", Path(folder) / "s", record)
        program = (
            "import sys, time; from pathlib import Path; from infra.engines import daemon;"
            "from infra.engines.postgres import PostgresServer;"
            "daemon.start(PostgresServer(*map(Path, sys.argv[1:]))); print('up', flush=True); time.sleep(600)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program, *map(str, place)], cwd=ROOT, stdout=subprocess.PIPE
        ) as starter:
            assert starter.stdout is not None
            assert starter.stdout.readline() == b"up\n"
            pid = daemon.find_remembered(record)
            assert pid is not None
            starter.kill()
        server = PostgresServer(*place)
        daemon.start(server)
        try:
            assert is_gone(pid)
            assert rows(server, "SELECT 1") == [(1,)]
        finally:
            server.stop()


def test_the_probe_for_user_namespaces_leaves_this_process_as_it_was():
    before = (os.geteuid(), os.getegid())
    kernel.can_leave_root()
    assert (os.geteuid(), os.getegid()) == before
