"""Who we are to the exchange: the private key, and the three headers that prove it.

Nothing secret is ever shown: the key has no ``repr``, cannot be pickled and is in no error.
See: docs.kalshi.com/getting_started/quick_start_authenticated_requests, read 2026-11-20.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from typing import NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from base.clock import Clock, boot_ms
from base.errors import ConfigError
from base.feed.clock_offset import ClockOffset

PATH_SETTING = "exchange.private_key_path"
KEY_ID_SETTING = "exchange.key_id"
_MOST_KEY_BYTES = 64 * 1024
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


def signing_text(utc_ms: int, method: str, path: str) -> bytes:
    """Return what is signed: timestamp, method and path without query, nothing between them."""
    return f"{utc_ms}{method.upper()}{path.partition('?')[0]}".encode()


def stamp_ms(clock: Clock, offset: ClockOffset) -> int:
    """Return the time to sign with, Unix milliseconds: ours, unless the exchange's answers say it is wrong.

    A wall clock that is an hour off would have every request refused, exits too.
    """
    utc_ms, measured = clock.utc_ms(), offset.exchange_ms(boot_ms(clock))
    if measured is None or abs(utc_ms - measured[0]) <= measured[1]:
        return utc_ms
    return measured[0]


def account_hash(key_id: str) -> str:
    """Return the twelve letters that name this key's data directory."""
    return hashlib.sha256(key_id.encode()).hexdigest()[:12]


class Signer:
    """Signs requests with one key. Its ``repr`` shows the hash of the key id and nothing else."""

    __slots__ = ("_key", "key_id")

    def __init__(self, key_id: str, private_key: RSAPrivateKey | Ed25519PrivateKey):
        self.key_id = key_id
        self._key = private_key

    @property
    def account_hash(self) -> str:
        """Twelve letters that name the key without saying it."""
        return account_hash(self.key_id)

    def headers(self, method: str, path: str, utc_ms: int) -> dict[str, str]:
        """Return the three headers that prove who asks.

        Args:
            method: HTTP method; ``GET`` for the WebSocket handshake.
            path: Path from the root, ``/trade-api/v2`` included, percent-encoded as it will be sent.
            utc_ms: Unix milliseconds now. The exchange refuses stamps some seconds off, so sign
                right before sending and never use a header twice.
        """
        text = signing_text(utc_ms, method, path)
        # Branch on the parsed key: both kinds come in the same PEM envelope.
        if isinstance(self._key, Ed25519PrivateKey):
            signature = self._key.sign(text)
        else:
            signature = self._key.sign(text, _PSS, hashes.SHA256())
        return {
            "KALSHI-ACCESS-KEY": self.key_id,
            "KALSHI-ACCESS-TIMESTAMP": str(utc_ms),
            "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode(),
        }

    def __repr__(self) -> str:
        return f"Signer(account={self.account_hash})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer holds a private key and is never pickled or copied")


def load_signer(key_id: str, private_key_path: str, pem_text: str | None = None) -> Signer:
    """Return a signer for the key in ``pem_text``, or else in the file.

    Raises:
        ConfigError: If the key or its id is missing, unreadable, of another kind, or if other
            users of this machine could read or replace the file.
    """
    if not key_id or not key_id.isascii() or not key_id.isprintable():
        raise ConfigError(KEY_ID_SETTING, "set it to the id that Kalshi shows beside your API key")
    pem = pem_text.encode() if pem_text else _read_private_file(private_key_path)
    return Signer(key_id, _parse_key(pem))


def _parse_key(pem: bytes) -> RSAPrivateKey | Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise ConfigError(PATH_SETTING, "the key has a password; store it without one, mode 0600") from None
    except (ValueError, UnsupportedAlgorithm):
        # The library's own words may quote the file: they are not passed on.
        raise ConfigError(PATH_SETTING, "this is not a private key in PEM format") from None
    if isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        return key
    raise ConfigError(PATH_SETTING, "the key must be RSA or Ed25519, as Kalshi issues them")


def _read_private_file(path: str) -> bytes:
    if not path:
        raise ConfigError(PATH_SETTING, "set it to the file with your private key (PEM)")
    try:
        # O_NOFOLLOW and fstat on the open file: nobody can swap it between the check and the read.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as e:
        raise ConfigError(PATH_SETTING, _why_not_opened(path, e)) from None
    try:
        _refuse_if_others_reach(path, os.fstat(descriptor))
        return os.read(descriptor, _MOST_KEY_BYTES)
    finally:
        os.close(descriptor)


def _why_not_opened(path: str, error: OSError) -> str:
    if os.path.islink(path):
        return f"{path} is a symbolic link; name the key file itself"
    return f"cannot read {path}: {(error.strerror or 'error').lower()}"


def _refuse_if_others_reach(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(PATH_SETTING, f"{path} is not a file")
    if found.st_uid != os.geteuid():
        raise ConfigError(PATH_SETTING, f"{path} belongs to another user; copy it and own the copy")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(PATH_SETTING, f"other users can reach {path}; type: chmod 600 {path}")
