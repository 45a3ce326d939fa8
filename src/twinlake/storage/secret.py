"""The vault's secret: keys every hash of real data that may leave the vault, and every seed that nobody chose."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from twinlake.errors import LakeError
from twinlake.storage.layout import Layout, private

SIZE = 32


def vault_secret(layout: Layout) -> bytes:
    """The 32 bytes of this vault; made, for the owner's eyes only, where there are none.

    Raises LakeError where the file is damaged or others may read it.
    """
    private(layout.vault)
    file = layout.secret_file
    if not file.exists():
        _make(file)
    where = str(file.relative_to(layout.root))
    if file.stat().st_mode & 0o077:
        raise LakeError("the vault's secret can be read by others", where=where, fix=f"Run: chmod 600 {file}")
    secret = file.read_bytes()
    if len(secret) != SIZE:
        raise LakeError(
            f"the vault's secret has {len(secret)} bytes", where=where, allowed=f"it has {SIZE}",
            fix="Bring the file back from a backup, or delete data/vault and run the pipelines again",
        )  # fmt: skip
    return secret


def keyed(secret: bytes, text: str) -> str:
    """HMAC-SHA256 of a text; 64 hexadecimal digits. Who lacks the secret can't test a guess against it."""
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def seed_of(secret: bytes, *path: str | int) -> int:
    """A 128-bit seed that depends on the secret and on every name of the path."""
    text = "\x1f".join(f"{type(p).__name__}:{p}" for p in path)
    return int(keyed(secret, f"seed\x1f{text}")[:32], 16)


def _make(file: Path) -> None:
    beside = file.with_name(f"secret.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(_drawn())
            out.flush()
            os.fsync(out.fileno())
        os.link(beside, file)  # all or nothing, and never over a secret that another process made meanwhile
    except FileExistsError:
        return
    finally:
        beside.unlink()


def _drawn() -> bytes:
    return secrets.token_bytes(SIZE)
