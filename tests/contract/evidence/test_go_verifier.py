"""The transparency log of the Go project reads our log and agrees, or refuses what was tampered with."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from libs.evidence.folder import write_log
from libs.evidence.trust import origin_of
from libs.merkle.hashing import leaf_hash
from libs.merkle.note import vkey_of
from libs.merkle.tile_proofs import consistency_from_tiles, inclusion_from_tiles
from libs.merkle.tree import root_of
from tests.unit.evidence.logs import INSTANCE, KEY, STRANGER, TENANT, MadeLog, leaf_at, leaves_of, note_of

SOURCE = Path(__file__).parent / "go_verifier"
SIZE = 700
LEAVES = leaves_of(SIZE)
ORIGIN = origin_of(INSTANCE, TENANT)
VKEY = vkey_of(ORIGIN, KEY.public_key().public_bytes_raw())

pytestmark = pytest.mark.engine("go")


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the program, built here; skipped with the reason where that cannot be."""
    if not os.environ.get("MUNIMENT_TEST_GO"):
        pytest.skip("the Go verifier needs a toolchain and a module: `make test-engines` runs it")
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go toolchain on PATH")
    fetched = subprocess.run([go, "mod", "download"], cwd=SOURCE, capture_output=True, text=True, check=False)
    if fetched.returncode:
        pytest.skip(f"the Go module cannot be had here: {fetched.stderr.strip()}")
    program = tmp_path_factory.mktemp("go") / "goverifier"
    subprocess.run([go, "build", "-mod=readonly", "-o", program, "."], cwd=SOURCE, check=True)
    return program


@pytest.fixture
def log(tmp_path: Path) -> Path:
    write_log(tmp_path / "log", MadeLog(list(LEAVES)))
    return tmp_path / "log"


def verdict(program: Path, folder: Path, *proofs: Path, vkey: str = VKEY) -> str | None:
    """Return None when the program agrees, otherwise what it says."""
    done = subprocess.run([program, folder, vkey, *proofs], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr


def proofs_of(folder: Path, change: int = 0) -> Path:
    """Write proofs from tiles into a file; `change` is put into a byte of the first of each."""
    source = MadeLog(list(LEAVES)).tile
    inclusion = {index: inclusion_from_tiles(source, index, SIZE) for index in (0, 255, 256, 513, 699)}
    consistency = {size: consistency_from_tiles(source, size, SIZE) for size in (1, 255, 256, 511, 700)}

    def hashes(proof: list[bytes]) -> list[str]:
        return [
            base64.b64encode(bytes([h[0] ^ change]) + h[1:] if not at else h).decode()
            for at, h in enumerate(proof)
        ]

    roots = {size: root_of([leaf_hash(leaf) for leaf in LEAVES[:size]]) for size in consistency}
    written = {
        "inclusion": [{"index": index, "proof": hashes(proof)} for index, proof in inclusion.items()],
        "consistency": [
            {"size": size, "root": base64.b64encode(roots[size]).decode(), "proof": hashes(proof)}
            for size, proof in consistency.items()
        ],
    }
    path = folder / "proofs.json"
    path.write_text(json.dumps(written))
    return path


def test_another_program_agrees_with_our_log_and_its_proofs(verifier: Path, log: Path, tmp_path: Path):
    assert verdict(verifier, log, proofs_of(tmp_path)) is None


def test_another_program_refuses_altered_proofs(verifier: Path, log: Path, tmp_path: Path):
    assert "inclusion" in (verdict(verifier, log, proofs_of(tmp_path, change=1)) or "")


@pytest.mark.parametrize(
    "path", ["checkpoint", "tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/001"]
)
def test_another_program_refuses_a_flipped_byte(verifier: Path, log: Path, path: str):
    data = bytearray((log / path).read_bytes())
    data[60] ^= 1
    (log / path).write_bytes(data)
    assert verdict(verifier, log) is not None


def test_another_program_refuses_a_key_that_it_does_not_know(verifier: Path, log: Path):
    stranger = vkey_of(ORIGIN, STRANGER.public_key().public_bytes_raw())
    assert "no verifiable signatures" in (verdict(verifier, log, vkey=stranger) or "")


def test_another_program_refuses_a_replaced_checkpoint(verifier: Path, log: Path):
    (log / "checkpoint").write_bytes(note_of([*LEAVES[:-1], leaf_at(SIZE - 1, root=bytes(32))]))
    assert verdict(verifier, log) is not None
