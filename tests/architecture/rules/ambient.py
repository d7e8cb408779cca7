"""Time, randomness, ids and the environment are ports: outside their homes nobody asks the machine."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch

from tests.architecture.rules.sources import Source, parsed

AMBIENT = (
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "os.environ",
    "os.environb",
    "os.getenv",
    "os.urandom",
    "random",
    "secrets",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.time",
    "time.time_ns",
    "uuid.getnode",
    "uuid.uuid1",
    "uuid.uuid4",
    "uuid.uuid6",
    "uuid.uuid7",
)


def ambient_reads(sources: Iterable[Source], homes: Mapping[str, str]) -> list[str]:
    """Return each ambient read in a module that no pattern of `homes` (pattern → reason) covers."""
    return [
        f"{source.path}:{line}: {name} comes through a port of libs.kernel"
        for source in sources
        if not any(fnmatch(source.path, home) for home in homes)
        for line, name in _uses_in(parsed(source))
    ]


def unused_homes(sources: Iterable[Source], homes: Mapping[str, str]) -> list[str]:
    """Return the patterns of `homes` under which nothing ambient is read any more: take them out."""
    used = [source.path for source in sources if any(True for _ in _uses_in(parsed(source)))]
    return [home for home in homes if not any(fnmatch(path, home) for path in used)]


def _uses_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of each ambient name that the module imports or reads."""
    names = _imported_names(tree)
    seen: set[tuple[int, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            full = _full_name(node, names)
            for ambient in AMBIENT:
                if full is not None and (full == ambient or full.startswith(ambient + ".")):
                    seen.add((node.lineno, ambient))
    yield from sorted(seen)


def _imported_names(tree: ast.Module) -> dict[str, str]:
    """Return local name → full name of everything that the module imports, at any depth."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    local = alias.asname or alias.name.partition(".")[0]
                    names[local] = alias.name if alias.asname else local
            case ast.ImportFrom(module=str(module), names=aliases, level=0):
                for alias in aliases:
                    names[alias.asname or alias.name] = f"{module}.{alias.name}"
    return names


def _full_name(node: ast.expr, names: Mapping[str, str]) -> str | None:
    """Return the dotted name that an expression stands for, as the imports of its module tell."""
    match node:
        case ast.Name(id=name):
            return names.get(name)
        case ast.Attribute(value=value, attr=attribute):
            before = _full_name(value, names)
            return None if before is None else f"{before}.{attribute}"
        case _:
            return None
