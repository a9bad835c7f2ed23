"""The private key: loaded carefully, used for signing, never shown."""

from __future__ import annotations

import base64
import copy
import os
import pickle
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from freezegun import freeze_time

from base.clock import SystemClock
from base.errors import ConfigError
from base.kalshi.auth import account_hash, load_signer, signing_text

KEY_ID = "7e0d6a3c-1111-4222-8333-444455556666"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def pem_of(key, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption)


def write_key(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "key.pem"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(PrivateFormat.PKCS8, id="PKCS8"),
        pytest.param(PrivateFormat.TraditionalOpenSSL, id="PKCS1"),
    ],
)
def test_rsa_signature_is_pss_over_time_method_and_path(tmp_path: Path, form: PrivateFormat):
    """RSA-PSS, SHA-256, salt as long as the digest; the query is not signed."""
    signer = load_signer(KEY_ID, str(write_key(tmp_path, pem_of(RSA_KEY, form))))
    headers = signer.headers("get", "/trade-api/v2/portfolio/fills?ticker=A", 1790000000123)
    assert headers["KALSHI-ACCESS-KEY"] == KEY_ID
    assert headers["KALSHI-ACCESS-TIMESTAMP"] == "1790000000123"
    signature = base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"])
    text = b"1790000000123GET/trade-api/v2/portfolio/fills"
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
    RSA_KEY.public_key().verify(signature, text, scheme, hashes.SHA256())
    with pytest.raises(InvalidSignature):
        RSA_KEY.public_key().verify(signature, text + b"?ticker=A", scheme, hashes.SHA256())


def test_ed25519_signs_the_same_text(tmp_path: Path):
    """Keys made on the web site since October 2026 are Ed25519."""
    signer = load_signer(KEY_ID, str(write_key(tmp_path, pem_of(ED_KEY))))
    headers = signer.headers("DELETE", "/trade-api/v2/portfolio/events/orders/abc", 1790000000123)
    signature = base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"])
    ED_KEY.public_key().verify(signature, b"1790000000123DELETE/trade-api/v2/portfolio/events/orders/abc")


def test_stamp_is_the_wall_clock_in_milliseconds():
    """The exchange takes Unix milliseconds."""
    with freeze_time("2026-11-20T14:03:07Z"):
        stamp = SystemClock().utc_ms()
    assert signing_text(stamp, "GET", "/x") == b"1795183387000GET/x"


def test_key_may_come_as_text():
    """From the environment instead of a file."""
    signer = load_signer(KEY_ID, "", pem_of(ED_KEY).decode())
    assert signer.account_hash == account_hash(KEY_ID)
    assert len(signer.account_hash) == 12


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int):
    """Whoever can read the key can trade."""
    path = write_key(tmp_path, pem_of(ED_KEY), mode)
    with pytest.raises(ConfigError, match=rf"chmod 600 {path}") as caught:
        load_signer(KEY_ID, str(path))
    assert caught.value.where == "exchange.private_key_path"


def test_link_missing_and_folder_are_refused(tmp_path: Path):
    """A link could be turned elsewhere after the check."""
    path = write_key(tmp_path, pem_of(ED_KEY))
    link = tmp_path / "link.pem"
    link.symlink_to(path)
    for wrong, words in (
        (link, "symbolic link"),
        (tmp_path / "none.pem", "no such file"),
        (tmp_path, "not a file"),
    ):
        with pytest.raises(ConfigError, match=words):
            load_signer(KEY_ID, str(wrong))


def test_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its owner could replace it."""
    path = write_key(tmp_path, pem_of(ED_KEY))
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(path).st_uid + 1)
    with pytest.raises(ConfigError, match="another user"):
        load_signer(KEY_ID, str(path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "not a private key", id="empty"),
        pytest.param(
            b"-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----", "not a private", id="junk"
        ),
        pytest.param(pem_of(ec.generate_private_key(ec.SECP256R1())), "RSA or Ed25519", id="another kind"),
        pytest.param(pem_of(ED_KEY, password=b"x"), "password", id="with a password"),
    ],
)
def test_wrong_key_is_found_at_the_start(tmp_path: Path, content: bytes, words: str):
    """Not at the first exit. The error never quotes the file."""
    with pytest.raises(ConfigError, match=words) as caught:
        load_signer(KEY_ID, str(write_key(tmp_path, content)))
    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("key_id", ["", "a\nb", "ключ"])
def test_key_id_must_fit_a_header(key_id: str):
    """A line break would start another header."""
    with pytest.raises(ConfigError) as caught:
        load_signer(key_id, "", pem_of(ED_KEY).decode())
    assert caught.value.where == "exchange.key_id"


def test_nothing_secret_is_shown():
    """No key in repr, str, pickles or copies."""
    signer = load_signer(KEY_ID, "", pem_of(ED_KEY).decode())
    assert KEY_ID not in repr(signer)
    assert str(signer) == f"Signer(account={account_hash(KEY_ID)})"
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never pickled"):
            take(signer)
