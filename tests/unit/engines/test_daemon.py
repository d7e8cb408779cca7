"""Pids, records and private files: what keeps one data folder from two servers."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from infra.engines import daemon, folders, kernel
from infra.engines.errors import EngineFailed, FolderRefused
from infra.engines.folders import private_folder, write_private
from infra.engines.steps import advance, goes_on, side_by_side


@pytest.fixture
def sleeper(tmp_path):
    """Give a command that does nothing for long."""
    return daemon.Command("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log")


def test_a_record_names_the_very_program(tmp_path, sleeper):
    child = daemon.popen(sleeper)
    try:
        daemon.remember(tmp_path / "record", child.pid)
        assert daemon.find_remembered(tmp_path / "record") == child.pid
    finally:
        child.kill()
        child.wait()
    assert daemon.find_remembered(tmp_path / "record") is None


@pytest.mark.parametrize("changed", [{"started": 1}, {"boot": "another"}, {"pid": 2**22}, {"started": None}])
def test_a_record_of_another_program_boot_or_time_names_nobody(tmp_path, changed):
    daemon.remember(tmp_path / "record", os.getpid())
    facts = json.loads((tmp_path / "record").read_bytes())
    (tmp_path / "record").write_text(json.dumps({**facts, **changed}))
    assert daemon.find_remembered(tmp_path / "record") is None


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"pid": "x"}', "\0"])
def test_a_broken_record_names_nobody(tmp_path, text):
    (tmp_path / "record").write_text(text)
    assert daemon.find_remembered(tmp_path / "record") is None


def test_an_orphan_is_ended_and_its_record_forgotten(tmp_path, sleeper):
    child = daemon.popen(sleeper)
    daemon.remember(tmp_path / "record", child.pid)
    steps = daemon.ending_of_orphan(tmp_path / "record", signal.SIGTERM)
    while goes_on(steps):
        child.poll()
        time.sleep(0.01)
    assert child.wait() == -signal.SIGTERM
    assert not (tmp_path / "record").exists()


def test_a_program_that_is_not_ours_is_left_alone(tmp_path, sleeper):
    child = daemon.popen(sleeper)
    try:
        daemon.remember(tmp_path / "record", child.pid)
        facts = json.loads((tmp_path / "record").read_bytes())
        (tmp_path / "record").write_text(json.dumps({**facts, "started": facts["started"] - 1}))
        advance(daemon.ending_of_orphan(tmp_path / "record", signal.SIGKILL), 1)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_a_child_dies_with_its_starter(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from infra.engines.daemon import Command, popen;"
        "c = popen(Command('s', [sys.executable, '-c', 'import time; time.sleep(600)'], Path(sys.argv[1])));"
        "print(c.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "log")], stdout=subprocess.PIPE
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert kernel.find_start_time(pid) is not None
        starter.kill()
    deadline = time.monotonic() + 10
    while kernel.find_start_time(pid) is not None:
        assert time.monotonic() < deadline, "the child outlived its starter"
        time.sleep(0.01)


def test_a_command_that_cannot_be_executed_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        daemon.popen(daemon.Command("none", [str(tmp_path / "missing")], tmp_path / "log"))


def test_what_ends_badly_says_so(tmp_path):
    command = daemon.Command("bad", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "log")
    with pytest.raises(EngineFailed, match="ended with code 3"):
        advance(daemon.running("bad", daemon.popen(command), command.log), 20)


def test_a_child_inherits_nothing_of_our_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("A_SECRET", "told-to-nobody")
    program = "import os; raise SystemExit('A_SECRET' in os.environ)"
    command = daemon.Command("clean", [sys.executable, "-c", program], tmp_path / "log")
    assert daemon.popen(command).wait() == 0


def test_private_files_are_private_whatever_the_mask(tmp_path):
    before = os.umask(0)
    try:
        folder = private_folder(tmp_path / "a" / "b")
        write_private(folder / "file", b"1")
        write_private(folder / "file", b"2")
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "file").stat().st_mode & 0o777 == 0o600
    assert (folder / "file").read_bytes() == b"2"
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_a_large_log_is_set_aside_at_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "_LARGEST_LOG", 3)
    for words in (b"first", b"second"):
        descriptor = folders.open_log(tmp_path / "log")
        os.write(descriptor, words)
        os.close(descriptor)
    assert (tmp_path / "log").read_bytes() == b"second"
    assert (tmp_path / "log.1").read_bytes() == b"first"


def test_a_folder_that_is_a_link_or_a_file_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(FolderRefused):
            private_folder(tmp_path / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 65534, 65534)
    with pytest.raises(FolderRefused, match="belongs to user 65534"):
        private_folder(tmp_path / "theirs")


def test_steps_go_on_side_by_side_until_the_last_is_through():
    order: list[str] = []

    def step(name: str, length: int):
        for number in range(length):
            order.append(f"{name}{number}")
            yield

    advance(side_by_side(step("a", 2), step("b", 3)), 5)
    assert order == ["a0", "b0", "a1", "b1", "b2"]


def test_a_step_that_never_ends_is_a_timeout():
    def forever():
        while True:
            yield

    with pytest.raises(TimeoutError):
        advance(forever(), 0.05)
