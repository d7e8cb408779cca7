"""The query language: a tree for every text, the text of every tree, and the column of every error."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ediscovery.domain.documents import DELETED, EDITED
from services.ediscovery.domain.errors import NameUnknown, QueryRefused
from services.ediscovery.domain.query import (
    DEEPEST_QUERY,
    LONGEST_QUERY,
    MOST_CLAUSES,
    MOST_NESTED,
    And,
    Field,
    FieldName,
    Ids,
    Not,
    Or,
    Phrase,
    Prefix,
    Query,
    Scope,
    SentIn,
    SentOn,
    Term,
    any_of,
    bounds_of,
    every_of,
    ids_as_written,
    parse,
    printed,
    resolve,
    scoped,
)
from services.ediscovery.domain.tokens import tokens_of

ANNA = UUID(int=1)
A, B, C = Term("a"), Term("b"), Term("c")
NAMES: list[FieldName] = ["from", "in", "participant"]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
TOKENS = TEXTS.map(tokens_of).filter(bool).map(lambda tokens: tokens[0])
VALUES = TEXTS.map(lambda text: " ".join(text.replace('"', "").split())).filter(bool)
DAYS = st.dates()
LEAVES: st.SearchStrategy[Query] = st.one_of(
    TOKENS.map(Term),
    st.sampled_from([EDITED, DELETED]).map(Term),
    st.lists(TOKENS, min_size=2, max_size=4).map(lambda tokens: Phrase(tuple(tokens))),
    TOKENS.map(Prefix),
    st.builds(Field, st.sampled_from(NAMES), VALUES),
    DAYS.map(lambda day: SentOn(day, None)),
    DAYS.map(lambda day: SentOn(None, day)),
    st.tuples(DAYS, DAYS).map(lambda days: SentOn(min(days), max(days))),
)


def depth_of(query: Query) -> int:
    """Return how many operators stand within each other."""
    if isinstance(query, And | Or):
        return 1 + max(map(depth_of, query.queries))
    return 1 + depth_of(query.query) if isinstance(query, Not) else 0


QUERIES: st.SearchStrategy[Query] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(every_of),
        st.lists(inner, min_size=2, max_size=3).map(any_of),
    ),
    max_leaves=8,
).filter(lambda query: depth_of(query) <= DEEPEST_QUERY)


def parsed_or_refused(text: str) -> Query | QueryRefused:
    """Return the tree of a text, or why it has none."""
    try:
        return parse(text)
    except QueryRefused as refused:
        return refused


@settings(deadline=None)
@given(QUERIES)
def test_the_text_of_a_tree_is_that_tree(query: Query):
    assert parse(printed(query)) == query


@pytest.mark.planted
def test_a_printer_that_forgets_parentheses_is_noticed():
    query = And((Or((A, B)), C))
    assert parse(printed(query)) == query
    assert parse("a OR b AND c") != query


@settings(deadline=None)
@given(st.text(max_size=60) | st.text('ab*" ():ANDORNOTfrom.2026-', max_size=60))
def test_every_text_is_a_query_or_refused_at_a_column_of_it(text: str):
    query = parsed_or_refused(text)
    if isinstance(query, QueryRefused):
        assert 1 <= query.column <= len(text) + 1
        assert query.reason
    else:
        assert parse(printed(query)) == query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("a b", And((A, B))),
        ("a AND b OR c", Or((And((A, B)), C))),
        ("a AND (b OR c)", And((A, Or((B, C))))),
        ("NOT a b", And((Not(A), B))),
        ("NOT (a b)", Not(And((A, B)))),
        ("a and b", And((A, Term("and"), B))),
        ("ORACLE NOTE ANDY", And((Term("oracle"), Term("note"), Term("andy")))),
        ("(a)(b)", And((A, B))),
        ("Don't", Phrase(("don", "t"))),
        ('"One"', Term("one")),
        ('"AND"', Term("and")),
        ('"a (b) OR c"', Phrase(("a", "b", "or", "c"))),
        ("merg*", Prefix("merg")),
        ("anna@example.org", Phrase(("anna", "example", "org"))),
        ("http://a", Phrase(("http", "a"))),
        ('FROM:"Anna  Berg"', Field("from", "Anna Berg")),
        ("edited:yes", Term(EDITED)),
        ("Deleted:NO a", And((Not(Term(DELETED)), A))),
        ('edited:"no" OR deleted:yes', Or((Not(Term(EDITED)), Term(DELETED)))),
        ("in:board a", And((Field("in", "board"), A))),
        ("sent:2026-01-01..2026-03-31", SentOn(date(2026, 1, 1), date(2026, 3, 31))),
        ("sent:2026-02-03", SentOn(date(2026, 2, 3), date(2026, 2, 3))),
        ("sent:>=2026-02-03", SentOn(date(2026, 2, 3), None)),
        ("sent:>2026-02-03", SentOn(date(2026, 2, 4), None)),
        ("sent:<=2026-02-03", SentOn(None, date(2026, 2, 3))),
        ("sent:<2026-02-03", SentOn(None, date(2026, 2, 2))),
    ],
)
def test_a_text_is_this_tree(text: str, query: Query):
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "column", "word"),
    [
        ("", 1, "nothing"),
        ("   ", 4, "nothing"),
        ("a AND", 6, "missing at the end"),
        ("a AND OR b", 7, "operator"),
        ("OR b", 1, "operator"),
        ("(a OR b", 8, "missing at the end"),
        ("a )", 3, "parenthesis"),
        ("()", 2, "parenthesis"),
        ('a "b c', 3, "quotation"),
        ("a ?!", 3, "letter"),
        ("a *", 3, "one word"),
        ("a b*c", 4, "star"),
        ("a b-c*", 3, "one word"),
        ("a to:ben", 3, "to:"),
        ("a NEAR/3 b", 3, "nearness"),
        ("a from:", 8, "value"),
        ("a sent:soon", 8, "2026-01-31"),
        ("a edited:maybe", 10, "yes or no"),
        ("deleted:", 9, "value"),
        ("sent:2026-02-30", 6, "2026-01-31"),
        ("sent:<0001-01-01", 6, "2026-01-31"),
        ("sent:2026-03-01..2026-02-01", 6, "not after"),
        ("a" * (LONGEST_QUERY + 1), LONGEST_QUERY + 1, "characters"),
        ("(" * (MOST_NESTED + 1), MOST_NESTED + 1, "parentheses"),
        ("NOT " * (MOST_NESTED + 1) + "a", 4 * MOST_NESTED + 1, "parentheses"),
        ("NOT " * (DEEPEST_QUERY + 1) + "a", 1, "levels"),
        ("a " * (MOST_CLAUSES + 1), 1, "words"),
    ],
)
def test_an_error_names_the_column_and_the_reason(text: str, column: int, word: str):
    with pytest.raises(QueryRefused) as refused:
        parse(text)
    assert refused.value.column == column
    assert word in refused.value.reason


FOREIGN = [
    ("a word~2", 3, "similar"),
    ("a word~", 3, "similar"),
    ("word~0.8", 1, "similar"),
    ('"a b"~5', 6, "nearness"),
    ("a NEAR b", 3, "nearness"),
    ("a NEAR(b)", 3, "nearness"),
    ("a NEAR/x b", 3, "nearness"),
    ("a w/5 b", 3, "nearness"),
    ("a W/s b", 3, "nearness"),
    ("a pre/3 b", 3, "nearness"),
    ("wo?rd", 1, "question mark"),
    ("(a ?ord)", 4, "question mark"),
    ("wo?rd*", 1, "question mark"),
    ("/regex/", 1, "regular"),
    ("/wo.*d/", 1, "regular"),
    ("a +b", 3, "plus"),
    ('a +"b c"', 3, "plus"),
    ("a -b", 3, "NOT does"),
    ('a -"b c"', 3, "NOT does"),
    ("a -(b c)", 3, "NOT does"),
    ("a -2024", 3, "NOT does"),
    ("-from:anna", 1, "NOT does"),
    ("!a", 1, "NOT does"),
    ("a^2", 1, "weight"),
    ('"a b"^2', 6, "weight"),
    ("x [a TO b]", 3, "ranges"),
    ("{a TO *}", 1, "ranges"),
    ("a body:hello", 3, "field"),
    ('subject:"x y"', 1, "field"),
    ("subject:(x y)", 1, "field"),
    ("to: ben", 1, "to:"),
    ("a NOT/1 b", 3, "number"),
    ("a AND/2 b", 3, "number"),
    ("a && b", 3, "AND, OR"),
    ("a||b", 1, "AND, OR"),
]


@pytest.mark.parametrize(("text", "column", "word"), FOREIGN)
def test_what_other_languages_have_is_refused_instead_of_read_as_words(text: str, column: int, word: str):
    with pytest.raises(QueryRefused) as refused:
        parse(text)
    assert refused.value.column == column
    assert word in refused.value.reason


@pytest.mark.parametrize("text", [text for text, *_ in FOREIGN])
def test_in_quotes_it_is_text(text: str):
    assert parse(f'"{text.replace(chr(34), "")}"') is not None


@pytest.mark.parametrize(
    "text",
    [
        "don't",
        "O\u2019Brien",
        "well-known",
        "anna.berg+list@example.org",
        "https://example.org/~anna/?q=zebra&page=2#top",
        "mailto:anna@example.org",
        "localhost:8080",
        "example.org:8080",
        "/etc/hosts",
        "/var/log/",
        "~/.bashrc",
        "C:\\dir\\PROGRA~1",
        "3.5",
        "10:30",
        "+49",
        "C++",
        "a/b",
        "and/or",
        "AND/OR",
        "w/o",
        "R&D",
        "ls|grep",
        "what?",
        "Re:",
        "std::sort",
        "[urgent]",
        "--flag",
        "#tag",
        "$5",
        "100%",
        "x=y?",
        "well!",
        "near",
        "a~b",
    ],
)
def test_what_people_write_plainly_is_the_phrase_of_its_words(text: str):
    tokens = tokens_of(text)
    assert parse(text) == (Phrase(tokens) if len(tokens) > 1 else Term(tokens[0]))


def test_operators_in_small_letters_are_words():
    assert parse("a or not b") == And((A, Term("or"), Term("not"), B))


def test_the_deepest_query_can_be_parsed_and_printed():
    query = parse("NOT " * DEEPEST_QUERY + "a")
    assert parse(printed(query)) == query
    assert parse("(" * MOST_NESTED + "a" + ")" * MOST_NESTED) == A


def test_names_become_ids_wherever_they_stand():
    query = resolve(parse("a OR NOT (from:anna b)"), lambda written: [ANNA])
    assert query == Or((A, Not(And((Ids("from", frozenset({ANNA})), B)))))


def test_an_id_can_be_written_for_a_name():
    assert list(ids_as_written(Field("from", str(ANNA)))) == [ANNA]
    with pytest.raises(NameUnknown):
        ids_as_written(Field("from", "anna"))


def test_a_scope_stands_around_the_whole_query():
    since = datetime(2026, 1, 1, tzinfo=UTC)
    scope = Scope(conversations=frozenset({ANNA}), participants=frozenset(), since=since)
    limits = (Ids("in", frozenset({ANNA})), Ids("participant", frozenset()), SentIn(since, None))
    assert scoped(Or((A, B)), scope) == And((Or((A, B)), *limits))
    assert scoped(A, Scope()) == A


def test_the_last_day_that_there_is_has_an_end():
    assert bounds_of(SentOn(None, date.max)) == SentIn(None, None)


def test_ids_are_not_printed():
    with pytest.raises(TypeError):
        printed(Not(Ids("from", frozenset())))
