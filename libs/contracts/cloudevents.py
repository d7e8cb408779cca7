"""The envelope of every event, and what an event is."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

import msgspec

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
PLATFORM_TENANT = UUID(int=0)
"""The tenant of facts that belong to no tenant but to the platform."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""An aware instant; a reader refuses one without a time zone."""


class MalformedEvent(ValueError):
    """An envelope or its data cannot be read as what it says it is; the text names the place, no value."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that a service publishes; `name` is `source.subject.action.vN`."""

    name: ClassVar[str]


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The envelope of every event.

    Source: CloudEvents 1.0.2, JSON format; `tenant` and `traceparent` are extension attributes.
    """

    specversion: str
    id: UUID
    source: str
    type: str
    time: Instant
    tenant: UUID
    subject: str | None = None
    datacontenttype: str = CONTENT_TYPE
    traceparent: str | None = None
    data: msgspec.Raw


def source_of(name: str) -> str:
    """Return the service that publishes an event of this name."""
    return name.partition(".")[0]
