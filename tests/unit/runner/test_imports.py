"""A corpus is cut alike whenever it is read, and what is no corpus is refused before anybody is asked."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from services.messaging.domain.imports import MOST_LINES, batch_digest
from services.runner.errors import RunnerError
from services.runner.imports import MOST_BYTES, batches_of, plan_of


def written(path: Path, *texts: str) -> Path:
    lines = [
        json.dumps({"date": "2006-06-01", "time": "11:22", "channel": "#c", "nick": "n", "text": text})
        for text in texts
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_plan_names_the_file_and_every_batch_by_its_hash(tmp_path: Path):
    corpus = written(tmp_path / "corpus", *(f"line {number}" for number in range(2500)))
    plan = plan_of(corpus)
    assert plan.source == hashlib.sha256(corpus.read_bytes()).digest()
    assert plan.sizes == [1000, 1000, 500]
    assert plan.digests == [batch_digest(batch).hex() for batch in batches_of(corpus)]
    assert plan.lines == 2500


def test_a_packed_file_is_another_source_with_the_same_batches(tmp_path: Path):
    corpus = written(tmp_path / "corpus", "one", "two")
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(corpus.read_bytes()))
    assert plan_of(packed).digests == plan_of(corpus).digests
    assert plan_of(packed).source != plan_of(corpus).source


def test_empty_lines_are_counted_and_not_brought(tmp_path: Path):
    corpus = written(tmp_path / "corpus", "one", "two")
    corpus.write_text(corpus.read_text().replace("\n", "\n\n", 1))
    assert [line.number for batch in batches_of(corpus) for line in batch] == [1, 3]


def test_a_batch_fits_into_a_request(tmp_path: Path):
    corpus = written(tmp_path / "corpus", *["x" * 30_000] * 70)
    sizes = [len(batch) for batch in batches_of(corpus)]
    assert sum(sizes) == 70
    assert all(size * 30_000 < MOST_BYTES for size in sizes)
    assert max(sizes) <= MOST_LINES


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"no json\n", b'{"date": "2006-06-01"}\n', b"\x1f\x8bnot packed", b"[1]\n", b"\xff\n"],
)
def test_what_is_no_corpus_is_refused_whole(tmp_path: Path, content: bytes):
    corpus = tmp_path / "corpus"
    corpus.write_bytes(content)
    with pytest.raises(RunnerError):
        plan_of(corpus)


def test_a_bad_line_at_the_end_refuses_everything_and_is_named(tmp_path: Path):
    corpus = written(tmp_path / "corpus", "one", "two")
    corpus.write_text(corpus.read_text() + "broken\n")
    with pytest.raises(RunnerError, match="line 3"):
        plan_of(corpus)


def test_a_line_that_fits_into_no_request_refuses_everything(tmp_path: Path):
    with pytest.raises(RunnerError, match="line 2"):
        plan_of(written(tmp_path / "corpus", "one", "x" * MOST_BYTES))


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path):
    with pytest.raises(RunnerError, match="No such file"):
        plan_of(tmp_path / "nothing")
