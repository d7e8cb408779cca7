"""The published schemas describe what productions hold, and nothing else."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from libs.evidence.production.manifest import Format, Reason, Scope
from libs.evidence.schemas import SCHEMAS
from services.ediscovery.domain.productions.items import ExcludedRun, Failed
from tests.unit.evidence.logs import START
from tests.unit.productions.made import LOG, PEOPLE, TALKS, Made

SCOPES = [
    Scope(),
    Scope(custodians=(PEOPLE[0].id,), since=START),
    Scope(conversations=(TALKS[0][0].conversation.id,), until=START),
]


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[name])


def rows(folder: Path, name: str) -> list[Any]:
    return [json.loads(line) for path in sorted((folder / name).iterdir()) for line in path.open("rb")]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_production_is_as_its_schemas_say(tmp_path: Path, scope: Scope):
    items = list(LOG.items(scope, b"budget"))
    last = LOG.heads[-1].conversation.int
    run = ExcludedRun(UUID(int=last + 1), 1, 3, Reason.QUERY)
    Made(Format.EML, scope, query=b"budget").write(
        tmp_path, [*items, run, Failed(run.conversation, 4, "no-key")]
    )
    validator("production").validate(json.loads((tmp_path / "manifest.json").read_bytes()))
    lines = rows(tmp_path, "index")
    assert {line["kind"] for line in lines} == {"file", "commit", "entry", "run"}
    for line in lines:
        validator("production-line").validate(line)
        assert not validator("production-line").is_valid({**line, "more": 1})
    for line in rows(tmp_path, "map"):
        validator("production-conversation").validate(line)


def test_the_schemas_name_every_format_and_reason():
    manifest = SCHEMAS["production"]["properties"]
    assert manifest["format"]["enum"] == [str(form) for form in Format]
    assert list(manifest["counts"]["properties"]["excluded"]["properties"]) == [str(each) for each in Reason]
