"""Nobody asks the machine for the time, for randomness or for its environment except at the ports' homes."""

import pytest

from tests.architecture.rules.ambient import ambient_reads, unused_homes
from tests.architecture.rules.sources import Source, shipped_sources

# Where the machine may be asked, each place with its reason.
HOMES = {
    "libs/kernel/clock.py": "the clock itself",
    "libs/kernel/randomness.py": "the operating system's generator itself",
    "infra/engines/*": "waits for real servers by the machine's clock, and makes their passwords",
    "services/runner/cli.py": "the command line reads the environment once and hands it on",
    "services/runner/children.py": "waits for real processes by the machine's clock",
    "services/runner/temporary.py": "waits for a real deployment by the machine's clock",
    "services/runner/bench/*": "measures the machine itself",
    "services/runner/demo/*": "says how long a run took",
}


def planted(text: str) -> list[Source]:
    """Return a use case that says `text`."""
    return [Source("services/messaging/usecases/planted.py", text)]


def test_time_randomness_and_environment_come_through_ports():
    assert ambient_reads(shipped_sources(), HOMES) == []


def test_every_place_that_may_ask_the_machine_still_does():
    assert unused_homes(shipped_sources(), HOMES) == []


@pytest.mark.planted
@pytest.mark.parametrize(
    "text",
    [
        "from datetime import datetime\nnow = datetime.now()",
        "import datetime as dt\nnow = dt.datetime.now(dt.UTC)",
        "from datetime import datetime\nclock = datetime.utcnow",
        "from uuid import uuid4\nid = uuid4()",
        "import uuid\nid = uuid.uuid4()",
        "import os\nhome = os.environ['HOME']",
        "from os import environ as e\nhome = e['HOME']",
        "import os\nhome = os.getenv('HOME')",
        "import os\nkey = os.urandom(32)",
        "import random\nrandom.shuffle([])",
        "from random import Random\nr = Random()",
        "import secrets\nkey = secrets.token_bytes(32)",
        "import time\nt = time.time()",
        "from time import monotonic\nt = monotonic()",
        "def f():\n    import time\n    return time.perf_counter()",
    ],
)
def test_a_module_that_asks_the_machine_is_caught(text: str):
    assert ambient_reads(planted(text), {})
    assert ambient_reads(planted(text), {"libs/kernel/*": "another place"})
    assert ambient_reads(planted(text), {"services/messaging/usecases/planted.py": "this place"}) == []


@pytest.mark.planted
def test_a_place_that_asks_no_more_is_caught():
    assert unused_homes(planted("x = 1"), {"services/messaging/usecases/planted.py": "it did"})


def test_names_that_only_look_alike_are_let_through():
    text = "from datetime import datetime\n\ndef f(clock, at: datetime):\n    return clock.now(), at.time()"
    assert ambient_reads(planted(text), {}) == []
