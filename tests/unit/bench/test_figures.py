"""Figures, their goals, and what /proc says of processes."""

import os
import subprocess
import sys
import time

import pytest

from services.runner.bench.command import run_bench
from services.runner.bench.figures import figure_of, in_words
from services.runner.bench.messaging import shares_of
from services.runner.bench.processes import kind_of, processor_seconds, proportional_bytes
from services.runner.errors import RunnerError

BUSY = """
import time
while time.process_time() < 0.1:  # the kernel counts in ticks of 0.01 s
    sum(range(10_000))
print("done", flush=True)
time.sleep(60)
"""


@pytest.fixture
def busy_child():
    child = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def test_a_figure_against_its_baseline_has_a_ratio_that_holds_or_not() -> None:
    good = figure_of("acked sends", 2500, "1/s", baseline=10_000, least_ratio=0.2)
    assert (good.ratio, good.holds) == (0.25, True)
    bad = figure_of("acked sends", 1000, "1/s", baseline=10_000, least_ratio=0.2)
    assert (bad.ratio, bad.holds) == (0.1, False)
    assert bad.goal == "at least 0.2 of the baseline"


def test_a_figure_with_a_ceiling_holds_below_it() -> None:
    assert figure_of("start", 9.9, "s", most=10).holds is True
    assert figure_of("start", 10.1, "s", most=10).holds is False


def test_a_figure_without_a_promise_neither_holds_nor_fails() -> None:
    figure = figure_of("p50", 1.23456, "ms")
    assert (figure.value, figure.goal, figure.holds, figure.ratio) == (1.235, None, None, None)


def test_a_missing_baseline_does_not_hold() -> None:
    assert figure_of("acked sends", 2500, "1/s", baseline=0, least_ratio=0.2).holds is False


def test_shares_come_to_one_and_the_largest_comes_first() -> None:
    figures = shares_of({"gateway": 3.0, "postgres": 1.0, "caddy": 0.0}, 1000)
    shares = [figure.value for figure in figures if figure.name.startswith("share of processor time")]
    assert shares == [0.75, 0.25, 0.0]
    assert figures[0].value == 4000.0


def test_all_gateways_are_one_kind() -> None:
    assert kind_of("gw-1") == kind_of("gw-2") == "gateway"
    assert kind_of("keys-postgres") == "keys-postgres"


def test_processor_time_is_counted_where_it_is_spent(busy_child: "subprocess.Popen[bytes]") -> None:
    spent = processor_seconds({"gw-1": busy_child.pid, "gw-2": os.getpid()})
    assert spent["gateway"] > 0.02
    assert processor_seconds({"runner": os.getpid(), "keys": busy_child.pid})["keys"] > 0.02


def test_a_named_child_does_not_count_twice(busy_child: "subprocess.Popen[bytes]") -> None:
    apart = processor_seconds({"runner": os.getpid(), "keys": busy_child.pid})
    together = processor_seconds({"runner": os.getpid()})["runner"]
    assert together >= apart["runner"] + apart["keys"]
    assert apart["keys"] > 0.02


def test_memory_counts_children_once(busy_child: "subprocess.Popen[bytes]") -> None:
    alone = proportional_bytes([busy_child.pid])
    assert 1_000_000 < alone < 100_000_000
    both = proportional_bytes([os.getpid(), busy_child.pid])
    assert both > alone
    assert both == pytest.approx(proportional_bytes([os.getpid()]), rel=0.2)


def test_a_process_that_is_gone_counts_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    time.sleep(0)
    assert processor_seconds({"gone": child.pid}) == {"gone": 0.0}
    assert proportional_bytes([child.pid]) == 0


def test_an_area_that_there_is_not_is_refused_in_one_sentence() -> None:
    with pytest.raises(RunnerError, match="there is: messaging"):
        run_bench("weather", as_json=True)


def test_a_figure_is_told_in_one_line() -> None:
    told = in_words(figure_of("acked sends", 1000, "1/s", baseline=10_000, least_ratio=0.2))
    assert "baseline 10000, ratio 0.1" in told
    assert "DOES NOT HOLD" in told
    assert in_words(figure_of("p50", 1.0, "ms")).endswith("ms")
