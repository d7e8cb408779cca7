"""Pools of connections, and transactions that are bound to one tenant.

A transaction costs two round trips more than its statements: BEGIN travels together with the tenant,
COMMIT travels alone. Connections are in autocommit, so that the driver adds none of its own.
"""

import contextlib
import select
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias
from uuid import UUID

import psycopg
import psycopg_pool
from psycopg import AsyncConnection, AsyncPipeline
from psycopg.abc import QueryNoTemplate as Query
from psycopg.adapt import AdaptersMap
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import namedtuple_row

from libs.db.arrays import register_arrays
from libs.db.errors import DatabaseUnavailable, RoleTooPowerful, TransactionAborted
from libs.kernel.ids import TenantId
from libs.kernel.secrets import Secret

Row: TypeAlias = Any  # a named tuple whose fields are the columns of its statement
Parameters: TypeAlias = Sequence[object] | Mapping[str, object]

_SESSION = "-c timezone=UTC -c idle_in_transaction_session_timeout=60000"
# A statement that carries a batch of keys is planned once, perhaps on a new and empty table. Without these
# that plan scans and hashes whole tables ever after: measured, half of all the time of a group commit.
_BY_KEY = (
    " -c plan_cache_mode=force_generic_plan"
    " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
)
WAIT_SECONDS = 5.0  # for a free connection; afterwards the caller says 503
_RECONNECT_SECONDS = 3.0  # then the pool tries again at the next request instead of backing off for minutes
_GONE = (
    psycopg.errors.AdminShutdown,
    psycopg.errors.CrashShutdown,
    psycopg.errors.CannotConnectNow,
    psycopg.errors.IdleInTransactionSessionTimeout,
)


class Transaction:
    """One transaction on one connection; its rows are named tuples, fetched in binary form."""

    __slots__ = ("connection",)

    def __init__(self, connection: AsyncConnection[Row]) -> None:
        """Wrap `connection`, on which a transaction has begun."""
        self.connection = connection

    async def fetch_all(self, statement: Query, parameters: Parameters | None = None) -> list[Row]:
        """Run `statement` and return all its rows."""
        cursor = await self.connection.execute(statement, parameters, binary=True)
        return await cursor.fetchall()

    async def fetch_one(self, statement: Query, parameters: Parameters | None = None) -> Row | None:
        """Run `statement` and return its first row, or None when it has none."""
        cursor = await self.connection.execute(statement, parameters, binary=True)
        return await cursor.fetchone()

    async def execute(self, statement: Query, parameters: Parameters | None = None) -> int:
        """Run `statement` and return the number of rows that it touched (-1 inside a pipeline)."""
        cursor = await self.connection.execute(statement, parameters)
        return cursor.rowcount

    def pipeline(self) -> contextlib.AbstractAsyncContextManager[AsyncPipeline]:
        """Send statements without waiting for the answers of the ones before.

        Results are there after a fetch or at the end of the block; an error of any statement is raised
        there too, and aborts the rest.
        """
        return self.connection.pipeline()


class _Pool:
    """A pool that survives a restart of the server without showing a broken connection to anyone."""

    def __init__(
        self, dsn: Secret, name: str, max_size: int, wait_seconds: float, *, by_key: bool = False
    ) -> None:
        self._name = name
        self._wait_seconds = wait_seconds
        self._max_size = max_size
        self._pool: psycopg_pool.AsyncConnectionPool[AsyncConnection[Row]] = psycopg_pool.AsyncConnectionPool(
            dsn.reveal(),
            kwargs={
                "autocommit": True,
                "row_factory": namedtuple_row,
                "application_name": name,
                "options": _SESSION + _BY_KEY * by_key,
                "connect_timeout": 5,
                "context": _adapters(),
            },
            min_size=1,
            max_size=max_size,
            open=False,
            name=name,
            timeout=wait_seconds,
            reconnect_timeout=_RECONNECT_SECONDS,
            # With a reset a worker of the pool takes connections back, and giving one back never waits.
            # Without, whoever is cancelled while he waits for the pool's lock takes it with him for ever.
            reset=_refuse_out_of_step,
        )

    async def open(self) -> None:
        """Connect; raises DatabaseUnavailable when the server does not answer within seconds."""
        try:
            await self._pool.open(wait=True, timeout=self._wait_seconds)
        except (psycopg.OperationalError, psycopg_pool.PoolTimeout) as error:
            await self._pool.close()
            raise DatabaseUnavailable(self._name) from error

    async def close(self) -> None:
        """Close every connection; transactions under way finish first."""
        await self._pool.close()

    @contextlib.asynccontextmanager
    async def lease(self) -> AsyncIterator[AsyncConnection[Row]]:
        """Lend a connection without a transaction: it commits each statement by itself.

        For paths that pipeline BEGIN to COMMIT themselves, and for session-level advisory locks.
        An unfinished transaction is rolled back at the end. Raises DatabaseUnavailable.
        """
        connection = await self._take_alive()
        try:
            yield connection
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is undone and raised again
            await self._undo(connection)
            self._translate(connection, error)
        finally:
            await self._pool.putconn(connection)

    @contextlib.asynccontextmanager
    async def begin(self, opening: str) -> AsyncIterator[Transaction]:
        """Run `opening`, which begins a transaction, then the block, then COMMIT."""
        connection = await self._take_begun(opening)
        try:
            yield Transaction(connection)
            await self._commit(connection)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is undone and raised again
            await self._undo(connection)
            self._translate(connection, error)
        finally:
            await self._pool.putconn(connection)

    async def _take(self) -> AsyncConnection[Row]:
        try:
            return await self._pool.getconn()
        except (psycopg.OperationalError, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed) as error:
            raise DatabaseUnavailable(self._name) from error

    async def _take_alive(self) -> AsyncConnection[Row]:
        """Return a connection that the server has not ended; nobody's first statement is to find that out."""
        for _ in range(self._max_size + 1):
            connection = await self._take()
            if not _has_ended(connection):
                return connection
            await connection.close()
            await self._pool.putconn(connection)
        raise DatabaseUnavailable(self._name)

    async def _take_begun(self, opening: str) -> AsyncConnection[Row]:
        """Return a connection on which `opening` went well.

        After a restart of the server the pool is full of dead connections: BEGIN finds that out, and
        has no effect that could happen twice, so it is simply tried on the next one.
        """
        for _ in range(self._max_size + 1):
            connection = await self._take()
            try:
                await connection.execute(opening, prepare=False)
            except psycopg.OperationalError:
                await self._pool.putconn(connection)
            except BaseException:
                await self._pool.putconn(connection)  # which ends what is unfinished
                raise
            else:
                return connection
        raise DatabaseUnavailable(self._name)

    async def _commit(self, connection: AsyncConnection[Row]) -> None:
        """Commit, and believe it only when the server says COMMIT.

        An aborted transaction answers COMMIT with ROLLBACK and no error: a use case that swallowed the
        error of a statement would take it for a success.
        """
        if connection.info.transaction_status == TransactionStatus.INERROR:
            raise TransactionAborted(self._name)
        try:
            cursor = await connection.execute("COMMIT", prepare=False)
        except psycopg.OperationalError as error:
            if _lost(connection, error):
                raise DatabaseUnavailable(self._name, outcome_unknown=True) from error
            raise
        if cursor.statusmessage != "COMMIT":
            raise TransactionAborted(self._name)

    async def _undo(self, connection: AsyncConnection[Row]) -> None:
        """Roll back whatever is open; a connection that cannot do that is closed, and so undone."""
        if connection.closed or connection.info.transaction_status == TransactionStatus.IDLE:
            return
        try:
            await connection.execute("ROLLBACK", prepare=False)
        except psycopg.Error:
            await connection.close()

    def _translate(self, connection: AsyncConnection[Row], error: BaseException) -> NoReturn:
        """Raise DatabaseUnavailable for a lost connection, and anything else as it is."""
        if isinstance(error, psycopg.Error) and _lost(connection, error):
            raise DatabaseUnavailable(self._name) from error
        raise error


class TenantDatabase:
    """A database seen through row-level security: every transaction belongs to one tenant."""

    def __init__(self, dsn: Secret, name: str, max_size: int = 8, wait_seconds: float = WAIT_SECONDS) -> None:
        """Keep at most `max_size` connections to `dsn`; `name` stands in logs and `pg_stat_activity`.

        A transaction waits up to `wait_seconds` for a connection.
        """
        self._name = name
        self._pool = _Pool(dsn, name, max_size, wait_seconds)

    async def open(self) -> None:
        """Connect; raises DatabaseUnavailable, or RoleTooPowerful for a role that no row policy binds."""
        await self._pool.open()
        try:
            await self._refuse_powerful_role()
        except BaseException:
            await self._pool.close()
            raise

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    def begin(self, tenant: TenantId) -> contextlib.AbstractAsyncContextManager[Transaction]:
        """Begin a transaction that sees the rows of `tenant` alone; it commits unless the block raises.

        Raises DatabaseUnavailable when the connection is lost, TransactionAborted when the block
        swallowed the error of a statement. The tenant ends with the transaction: the next user of the
        connection starts with none.
        """
        return self._pool.begin(_opening_of(tenant))

    async def _refuse_powerful_role(self) -> None:
        async with self._pool.begin("BEGIN READ ONLY") as tx:
            row = await tx.fetch_one(
                "SELECT rolname, rolsuper OR rolbypassrls AS powerful"
                "  FROM pg_roles WHERE rolname = current_user"
            )
        if row is None or row.powerful:
            raise RoleTooPowerful(self._name, "" if row is None else row.rolname)


class CrossingDatabase:
    """A database seen by one of the few roles that cross tenants, each bound to its columns.

    Source: `policies/database/cross_tenant_roles.toml`.
    """

    def __init__(
        self,
        dsn: Secret,
        name: str,
        max_size: int = 4,
        wait_seconds: float = WAIT_SECONDS,
        *,
        by_key: bool = False,
    ) -> None:
        """Keep at most `max_size` connections to `dsn`; `name` stands in logs and `pg_stat_activity`.

        A transaction waits up to `wait_seconds` for a connection. With `by_key` every row is reached by an
        index, whatever the planner thinks of the size of its table: for roles whose statements name keys.
        """
        self._pool = _Pool(dsn, name, max_size, wait_seconds, by_key=by_key)

    async def open(self) -> None:
        """Connect; raises DatabaseUnavailable."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    def begin(self) -> contextlib.AbstractAsyncContextManager[Transaction]:
        """Begin a transaction without a tenant; it commits unless the block raises.

        Raises as `TenantDatabase.begin` does.
        """
        return self._pool.begin("BEGIN")

    def lease(self) -> contextlib.AbstractAsyncContextManager[AsyncConnection[Row]]:
        """Lend a connection in autocommit, for a path that pipelines BEGIN to COMMIT by itself.

        An unfinished transaction is rolled back at the end. Raises DatabaseUnavailable.
        """
        return self._pool.lease()


async def _refuse_out_of_step(connection: AsyncConnection[Row]) -> None:
    """Close a connection that still waits for answers: its next borrower would take them for his own.

    The pool itself ends what is unfinished otherwise; a cancellation within a pipeline can leave this.
    """
    if connection.pgconn.pipeline_status != PipelineStatus.OFF:
        await connection.close()


def _opening_of(tenant: object) -> str:
    """Return what begins a transaction of `tenant`, in one message; raises TypeError for no UUID."""
    if not isinstance(tenant, UUID):  # it becomes part of a statement, and only a UUID is harmless there
        raise TypeError("a transaction's tenant is a UUID")
    return f"BEGIN; SELECT set_config('app.tenant', '{tenant}', true)"


def _adapters() -> AdaptersMap:
    """Return the driver's adapters, with the packed arrays of `libs.db.arrays`."""
    adapters = AdaptersMap(psycopg.adapters)
    register_arrays(adapters)
    return adapters


def _has_ended(connection: AsyncConnection[Row]) -> bool:
    """Say whether there is something to read on an idle connection: a server says nothing but goodbye.

    A microsecond, where asking the server would be a round trip.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _lost(connection: AsyncConnection[Row], error: BaseException) -> bool:
    """Say whether `error` means that the connection, not the statement, failed."""
    return connection.closed or connection.broken or isinstance(error, _GONE)
