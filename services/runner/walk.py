"""`muniment audit verify`: walks the logs of a running deployment, row by row, and may copy them out.

It reads the database as the role audit_app and asks the audit service nothing: what is to be judged is not
asked about itself. Which logs there are is asked of their own rows (as audit_sequencer, who sees those of all
tenants) and of identity: neither can hide a log from the other.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from infra.engines.folders import private_folder, write_private
from libs.contracts.events import PLATFORM_TENANT
from libs.evidence.errors import EvidenceRefused
from libs.evidence.folder import CHECKPOINT, CHECKPOINTS, write_details, write_log
from libs.evidence.log import trusted_checkpoint
from libs.evidence.trust import Trust, log_of, parse_trust
from libs.evidence.verify import TRUST
from libs.kernel.ids import TenantId
from libs.kernel.secrets import Secret
from services.audit.store.books import tenants_with_logs
from services.audit.store.log_source import DatabaseLog, open_log
from services.audit.usecases.verify import Verified, verify_stored
from services.runner.deployment import read_facts
from services.runner.errors import RunnerError, printable
from services.runner.peers import Operator, trusted_keys
from services.runner.serve import settings_of

PLATFORM: Final = "_platform"
"""What the platform's own log is called; no tenant's short name begins like this."""

_AWAY: Final = ("08", "28", "3D", "53", "57")
"""Classes of SQLSTATE: no connection, no right to one, no database, no resources, a server that stops."""

Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """Which logs (none named: all there are), by which keys, against which checkpoints, copied to where."""

    tenants: tuple[str, ...] = ()
    platform: bool = False
    trust: Path | None = None
    kept: Path | None = None
    export: Path | None = None


def verify_logs(data: Path, wish: Wish, *, as_json: bool = False) -> int:
    """Verify logs of the deployment that runs on `data`; return 0 when all of them hold, or else 1.

    Raises RunnerError when they cannot be read.
    """
    walk = _Walk(read_facts(data), wish)
    seen = []
    for name, tenant in walk.logs().items():
        with _progress(name, shown=not as_json) as told:
            found = walk.verdict_on(name, tenant, told)
        seen.append(found)
        if not as_json:
            _say(found)
    ok = all(found["ok"] for found in seen)
    if as_json:
        print(json.dumps({"ok": ok, "logs": seen}))
    return 0 if ok else 1


class _Walk:
    """A walk along the logs of one deployment."""

    def __init__(self, facts: Mapping[str, Any], wish: Wish) -> None:
        self._facts = facts
        self._wish = wish
        settings = settings_of("audit", Path(facts["settings"]), {})[1]
        self._dsn: Secret = settings.database
        self._sequencer_dsn: Secret = settings.database_sequencer
        self._kept = {} if wish.kept is None else kept_checkpoints(wish.kept, self._trust())
        if wish.export is not None:
            _begin_export(wish.export, self._trusted_bytes())

    def logs(self) -> dict[str, TenantId]:
        """Return the logs to be walked, by name."""
        wish = self._wish
        if wish.tenants or wish.platform:
            named = dict(map(self._named, wish.tenants))
            return {**named, PLATFORM: TenantId(PLATFORM_TENANT)} if wish.platform else named
        tenants = Operator(self._facts).call("GET", "/internal/tenants")["tenants"]
        logs = {each["slug"]: TenantId(UUID(each["tenant"])) for each in tenants}
        logs[PLATFORM] = TenantId(PLATFORM_TENANT)
        # Of whom identity knows nothing (any more): their rows are there, or what was kept elsewhere.
        others = (self._kept.keys() | self._with_logs()) - set(logs.values())
        return {**logs, **{str(tenant): tenant for tenant in sorted(others)}}

    def verdict_on(self, name: str, tenant: TenantId, told: Told) -> dict[str, Any]:
        """Return what was found about a log, for a program; copy it out when it holds."""
        facts: dict[str, Any] = {"log": name, "tenant": str(tenant)}
        try:
            with open_log(self._dsn, tenant) as log:
                trust = self._trust()  # read after the log was: it knows every key that signed there
                found = verify_stored(log, trust, kept=self._kept.get(tenant, ()), on_progress=told)
                if self._wish.export is not None and found.size:
                    export_log(self._wish.export / name, log, found.size)
        except EvidenceRefused as refused:
            index = getattr(refused, "index", None)
            return {**facts, "ok": False, "index": index, "reason": refused.reason, "where": refused.where}
        except psycopg.Error as error:
            if _is_away(error):
                raise RunnerError(f"The log {name} cannot be read: {error}") from error
            reason = f"it cannot be read: {str(error).partition(chr(10))[0]}"
            return {**facts, "ok": False, "index": None, "reason": reason, "where": "database"}
        except OSError as error:
            raise RunnerError(f"{error.filename} cannot be written: {error.strerror}") from error
        if name == str(tenant) and not (found.size or found.waiting):  # mistyped, or all of it was deleted
            return {**facts, "ok": False, "index": None, "reason": "there is no such log", "where": "log"}
        return {**facts, "ok": True, **_facts_of(found)}

    def _with_logs(self) -> set[TenantId]:
        try:
            return tenants_with_logs(self._sequencer_dsn)
        except psycopg.Error as error:
            raise RunnerError(f"It cannot be read which logs there are: {error}") from error

    def _named(self, name: str) -> tuple[str, TenantId]:
        """Return a tenant that is named by its id or its short name, and what its log is called."""
        try:
            tenant = TenantId(UUID(name))
        except ValueError:
            found = Operator(self._facts).call("GET", f"/internal/tenants/by-slug/{name}")
            return name, TenantId(UUID(found["tenant"]))
        return str(tenant), tenant

    def _trust(self) -> Trust:
        try:
            return parse_trust(self._trusted_bytes())
        except EvidenceRefused as refused:
            raise RunnerError(f"The trusted keys cannot be used: {refused.reason}") from None

    def _trusted_bytes(self) -> bytes:
        if self._wish.trust is None:
            return trusted_keys(self._facts)
        try:
            return self._wish.trust.read_bytes()
        except OSError as error:
            raise RunnerError(f"{self._wish.trust} cannot be read: {error.strerror}") from None


def _is_away(error: psycopg.Error) -> bool:
    """Tell whether no log can be read, as opposed to one whose rows the database itself finds broken."""
    return error.sqlstate is None or error.sqlstate[:2] in _AWAY


def kept_checkpoints(path: Path, trust: Trust) -> dict[TenantId, list[bytes]]:
    """Return the checkpoints in a file, or in a folder to which logs were copied, by their log.

    Raises RunnerError for one that no trusted key signed, and when there is none.
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    kept: dict[TenantId, list[bytes]] = {}
    for file in files:
        if path.is_dir() and not _is_checkpoint(file):
            continue
        try:
            note = file.read_bytes()
            origin = trusted_checkpoint(note, trust, file.name).origin
        except OSError as error:
            raise RunnerError(f"{file} cannot be read: {error.strerror}") from None
        except EvidenceRefused as refused:
            raise RunnerError(f"{file} is no checkpoint to compare with: {refused.reason}") from None
        kept.setdefault(TenantId(log_of(trust.instance, origin)), []).append(note)
    if not kept:
        raise RunnerError(f"There is no checkpoint in {path}.")
    return kept


def _is_checkpoint(file: Path) -> bool:
    """Tell whether a file of a copied log is a checkpoint; the log's folder may be called like one."""
    beside = file.parent.name == CHECKPOINTS and (file.parent.parent / CHECKPOINT).is_file()
    return file.is_file() and (file.name == CHECKPOINT or beside)


def export_log(folder: Path, log: DatabaseLog, size: int) -> None:
    """Write the first `size` entries of a log, with their tree, checkpoints and details, into `folder`."""
    private_folder(folder)
    write_log(folder, log)
    details = (log.entry(index).detail for index in range(size))
    rows = ((index, detail.detail, detail.salt) for index, detail in enumerate(details) if detail is not None)
    write_details(folder, rows)


def _begin_export(folder: Path, trust: bytes) -> None:
    """Make the folder for copies, with the keys to check them by."""
    if folder.exists() and any(folder.iterdir()):
        raise RunnerError(f"{folder} is not empty; logs are copied into a folder of their own.")
    write_private(private_folder(folder) / TRUST, trust)


def _facts_of(found: Verified) -> dict[str, Any]:
    tree = found.tree
    signed = {} if tree is None else {"root": tree.root.hex(), "checkpoints": tree.checkpoints}
    return {"size": found.size, "waiting": found.waiting, **signed}


def _say(found: Mapping[str, Any]) -> None:
    """Say what was found about a log: on standard error what does not hold."""
    if not found["ok"]:
        said = f"muniment: the log {found['log']} does not hold: {found['reason']} ({found['where']})"
        print(printable(said), file=sys.stderr)
        return
    signed = f"; signed checkpoints: {found['checkpoints']}" if found["size"] else ""
    waiting = f"; waiting for their tree: {found['waiting']}" if found["waiting"] else ""
    print(f"{found['log']}: all {found['size']} entries hold, each row of them{signed}{waiting}.")


@contextmanager
def _progress(name: str, *, shown: bool) -> Iterator[Told]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not (shown and console.is_terminal)
    ) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, size: bar.update(task, completed=done, total=size)
