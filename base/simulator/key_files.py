"""Fresh key pairs in files that only their owner can read."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from base.simulator.keys import PublicKey

PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key on disk. ``private_key_path`` has mode 0600."""

    key_id: str
    private_key_path: str
    public_key: PublicKey


@cache
def _fresh_rsa() -> rsa.RSAPrivateKey:
    # Generating takes a tenth of a second. A process has one: tests start hundreds of servers.
    return rsa.generate_private_key(65537, RSA_BITS)


def create_rsa(folder: Path) -> KeyPair:
    """Write ``key.pem`` and ``key_id`` into the folder; reuse them if they are there."""
    return _load_or_create(folder, "key.pem", "key_id", _fresh_rsa)


def create_ed25519(folder: Path) -> KeyPair:
    """Write ``ed25519.pem`` and ``ed25519_id`` into the folder; reuse them if they are there."""
    return _load_or_create(folder, "ed25519.pem", "ed25519_id", ed25519.Ed25519PrivateKey.generate)


def _load_or_create(folder: Path, key_name: str, id_name: str, generate: Callable[[], PrivateKey]) -> KeyPair:
    key_path, id_path = folder / key_name, folder / id_name
    if not (key_path.exists() and id_path.exists()):
        pem = generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        _write_private(key_path, pem)
        _write_private(id_path, str(uuid.uuid4()).encode())
    private = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
    if not isinstance(private, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise ValueError(f"{key_path} holds neither an RSA nor an Ed25519 key")
    return KeyPair(id_path.read_text().strip(), str(key_path), private.public_key())


def _write_private(path: Path, data: bytes) -> None:
    # The mode is set at creation: a file that is readable for a moment has been read.
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
