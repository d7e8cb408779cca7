"""Which engine a deployment searches by: what an operator may say, and what stays said."""

from pathlib import Path

import pytest

from services.runner.errors import RunnerError
from services.runner.search import AS_BEFORE, Cluster, Searching, SearchWish, searching_of

FRESH = Searching()
ON_CLUSTER = Searching(
    "opensearch", Cluster("https://search.example:9200", "muniment", "pa55word", "/ca.pem")
)


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("pa55word\n")
    path.chmod(0o600)
    return path


def test_what_was_said_once_stays_until_something_else_is_said(password, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.touch()
    assert searching_of(AS_BEFORE, FRESH) == FRESH
    said = searching_of(SearchWish("opensearch=https://search.example:9200", "muniment", password, ca), FRESH)
    cluster = Cluster("https://search.example:9200", "muniment", "pa55word", str(ca))
    assert said == Searching("opensearch", cluster)
    assert searching_of(AS_BEFORE, said) == said
    assert searching_of(SearchWish(gone=True), said) == said, "what is searched is not gone"
    back = searching_of(SearchWish("tantivy"), said)
    assert back == Searching("tantivy", cluster), "words may lie there still"
    assert searching_of(AS_BEFORE, back) == back
    assert searching_of(SearchWish(gone=True), back) == FRESH
    assert "pa55word" not in repr(said)


@pytest.mark.parametrize(
    ("engine", "word"),
    [
        ("opensearch", "opensearch=URL"),
        ("opensearch=", "opensearch=URL"),
        ("elastic=https://search.example", "opensearch=URL"),
        ("tantivy=/folder", "opensearch=URL"),
        ("opensearch=search.example:9200", "cannot be read"),
        ("opensearch=https://", "cannot be read"),
        ("opensearch=https://search.example:port", "cannot be read"),
        ("opensearch=https://who:pa55word@search.example", "not in the address"),
        ("opensearch=http://search.example:9200", "by https"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence_without_secrets(engine, word):
    with pytest.raises(RunnerError, match=word) as refused:
        searching_of(SearchWish(engine), FRESH)
    assert "pa55word" not in str(refused.value)


def test_options_of_a_cluster_need_a_cluster(password):
    for wish in (SearchWish(user="muniment"), SearchWish("tantivy", "muniment", password)):
        with pytest.raises(RunnerError):
            searching_of(wish, ON_CLUSTER)
    with pytest.raises(RunnerError, match="said together"):
        searching_of(SearchWish("opensearch=https://search.example", "muniment"), FRESH)
    password.chmod(0o644)
    with pytest.raises(RunnerError, match="chmod 600"):
        searching_of(SearchWish("opensearch=https://search.example", "muniment", password), FRESH)


def test_a_temporary_deployment_is_told_the_same(password):
    wish = SearchWish("opensearch=http://127.0.0.1:9200", "muniment", password)
    assert wish.options == [
        *("--search", "opensearch=http://127.0.0.1:9200"),
        *("--search-user", "muniment"),
        *("--search-password-file", str(password)),
    ]
    assert AS_BEFORE.options == []
