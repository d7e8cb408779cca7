"""Which engine a deployment searches by: the embedded one, or an OpenSearch that an operator names."""

import stat
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from services.runner.errors import RunnerError

TANTIVY: Final = "tantivy"
OPENSEARCH: Final = "opensearch"
_NEAR: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Cluster(msgspec.Struct, frozen=True):
    """Where an OpenSearch answers, who we are there, and by whose certificates (a file) it is trusted."""

    url: str
    user: str = ""
    password: str = ""
    ca: str = ""

    def __repr__(self) -> str:
        """Return the address alone."""
        return f"Cluster({self.url})"


class Searching(msgspec.Struct, frozen=True):
    """The engine, and the cluster that is told of: the one that is searched, or was before."""

    engine: str = TANTIVY
    cluster: Cluster | None = None


class SearchWish(msgspec.Struct, frozen=True):
    """What the person asked for on the command line; without an engine, that of before stays.

    `gone` says that the engine of before is no more, nor any word that it kept.
    """

    engine: str | None = None
    user: str = ""
    password_file: Path | None = None
    ca: Path | None = None
    gone: bool = False

    @property
    def options(self) -> list[str]:
        """Return the options that say the same."""
        given = {
            "--search": self.engine,
            "--search-user": self.user,
            "--search-password-file": self.password_file,
            "--search-ca": self.ca,
        }
        said = [part for option, value in given.items() if value for part in (option, str(value))]
        return [*said, "--search-gone"] if self.gone else said


AS_BEFORE: Final = SearchWish()


def searching_of(wish: SearchWish, before: Searching) -> Searching:
    """Return what is searched by from now on. Raises RunnerError for what cannot be meant."""
    if wish.engine is None:
        if wish.user or wish.password_file or wish.ca:
            raise RunnerError("Say --search opensearch=URL together with the options of that cluster.")
        after = before
    else:
        after = _named(wish, before)
    unused = after.engine == TANTIVY
    return Searching(after.engine, None) if wish.gone and unused else after


def _named(wish: SearchWish, before: Searching) -> Searching:
    engine, _, url = (wish.engine or "").partition("=")
    if engine == TANTIVY and not url:
        if wish.user or wish.password_file or wish.ca:
            raise RunnerError("tantivy is embedded: it has no user, no password and no certificates.")
        return Searching(TANTIVY, before.cluster)
    if engine != OPENSEARCH or not url:
        raise RunnerError(f"--search is {TANTIVY} or {OPENSEARCH}=URL.")
    _check(url)
    password = "" if wish.password_file is None else _read(wish.password_file)
    if bool(wish.user) != bool(password):
        raise RunnerError("--search-user and --search-password-file are said together.")
    if wish.ca is not None and not wish.ca.is_file():
        raise RunnerError(f"There is no file of certificates at {wish.ca}.")
    ca = "" if wish.ca is None else str(wish.ca.absolute())
    return Searching(OPENSEARCH, Cluster(url, wish.user, password, ca))


def _check(url: str) -> None:
    """Refuse an address that shows a password in lists of processes, or sends words in clear elsewhere."""
    try:
        parts = urlsplit(url)
        port_is_one = parts.port != 0
    except ValueError:
        raise RunnerError("The address of OpenSearch cannot be read; it is like https://host:9200.") from None
    if parts.username is not None or parts.password is not None:
        raise RunnerError("Name a user by --search-user and --search-password-file, not in the address.")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_one:
        raise RunnerError("The address of OpenSearch cannot be read; it is like https://host:9200.")
    if parts.scheme == "http" and parts.hostname not in _NEAR:
        raise RunnerError("OpenSearch on another machine is spoken to by https: words are clear text.")


def _read(path: Path) -> str:
    try:
        if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
            raise RunnerError(f"{path} is open to others: chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RunnerError(f"{path} cannot be read: {type(error).__name__}") from error
