"""API keys and the check of signed requests.

See: docs.kalshi.com/getting_started/quick_start_authenticated_requests, read 2026-11-20.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from base.simulator.engine.refusal import Refused
from base.simulator.semantics import Semantics

PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A member's key. ``subaccount`` locks it to one sub-account."""

    key_id: str
    public_key: PublicKey
    account_id: str
    name: str = "default"
    scopes: tuple[str, ...] = ("read", "write")
    subaccount: int | None = None

    def may(self, scope: str) -> bool:
        """Say whether the key has the scope or its parent; a child opens its own group only."""
        return scope in self.scopes or scope.partition("::")[0] in self.scopes


def verify(
    keys: Mapping[str, ApiKey],
    headers: Mapping[str, str],
    method: str,
    path: str,
    now_ms: int,
    semantics: Semantics,
) -> ApiKey:
    """Return the key that signed ``timestamp + METHOD + path``.

    ``path`` is as on the wire, without the query. Raises: Refused(401).
    """
    signature, stamp = headers.get("kalshi-access-signature"), headers.get("kalshi-access-timestamp")
    key_id = headers.get("kalshi-access-key")
    if not signature or not stamp or not key_id:
        raise Refused(401, "signature_is_missing_from_headers", "signature is missing from headers")
    skew_ms = semantics.skew_window_s * 1000
    if not stamp.isascii() or not stamp.isdigit() or abs(int(stamp) - now_ms) > skew_ms:
        raise Refused(401, "header_timestamp_expired", "header timestamp expired")
    key = keys.get(key_id)
    if key is None:
        raise Refused(401, "authentication_error", "authentication_error", "NOT_FOUND")
    if not _is_signed(key.public_key, f"{stamp}{method}{path}".encode(), signature, semantics):
        raise Refused(401, "authentication_error", "authentication_error", "INCORRECT_API_KEY_SIGNATURE")
    return key


def _is_signed(public_key: PublicKey, text: bytes, signature: str, semantics: Semantics) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(public_key, ed25519.Ed25519PublicKey):
            public_key.verify(raw, text)
        else:
            length = padding.PSS.AUTO if semantics.pss_salt == "any" else padding.PSS.DIGEST_LENGTH
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=length)
            public_key.verify(raw, text, pss, hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
