"""The measurements run on the real platform; what they come to is not judged here."""

import psycopg
import pytest

from services.runner.bench import messaging
from services.runner.bench.baseline import DATABASE
from services.runner.bench.messaging import send_figures
from services.runner.bench.processes import proportional_bytes

pytestmark = pytest.mark.xdist_group("platform")


async def test_sends_are_measured_against_plain_commits_of_the_same_run(platform, monkeypatch) -> None:
    monkeypatch.setattr(messaging, "ROUNDS", 2)
    monkeypatch.setattr(messaging, "ROUND_SECONDS", 0.3)
    monkeypatch.setattr(messaging, "WARM_UP_SECONDS", 0.2)
    said: list[str] = []
    figures = {figure.name: figure for figure in await send_figures(platform.facts, said.append)}
    sends = figures["acked sends of 20 sockets at one gateway, 1:1, 200 bytes"]
    assert sends.value > 0
    assert sends.baseline is not None
    assert sends.baseline > 0
    assert sends.ratio == pytest.approx(sends.value / sends.baseline, rel=0.01)
    assert sends.goal == "at least 0.2 of the baseline"
    assert figures["acked sends of 20 sockets over 2 gateways, 1:1, 200 bytes"].value > 0
    assert figures["processor time a message: gateway"].value > 0
    shares = [figure.value for name, figure in figures.items() if name.startswith("share of")]
    assert sum(shares) == pytest.approx(1.0, abs=0.01)
    assert said
    with psycopg.connect(platform.facts["count_database"]) as connection:
        left = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchall()
    assert left == [], "the plain clients leave nothing behind"


def test_the_memory_of_every_process_can_be_read(platform) -> None:
    assert proportional_bytes(platform.facts["processes"].values()) > 50 * 1024**2
