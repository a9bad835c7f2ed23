"""The member's own API keys: list, create, generate, delete.

A deleted key is unknown from the next request on. See: openapi.yaml 3.34.0, operations *ApiKey*.
"""

from __future__ import annotations

import uuid
from typing import Literal

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from base.simulator.engine.refusal import Refused, not_found
from base.simulator.keys import ApiKey, PublicKey
from base.simulator.rest.call import MAX_SUBACCOUNT, Answer, Call, ok
from base.simulator.venue import Venue

EVERYTHING = ("read", "write")
SCOPES = frozenset(
    {
        *EVERYTHING,
        "read::block_trade_accept",
        "read::portfolio_balance",
        "write::trade",
        "write::transfer",
        "write::fcm_risk",
        "write::block_trade_accept",
    }
)
RSA_BITS = 2048


class GenerateKey(msgspec.Struct):
    """GenerateApiKeyRequest."""

    name: str
    key_type: Literal["rsa", "ed25519"] = "rsa"
    scopes: list[str] | None = None
    subaccount: int | None = None


class CreateKey(msgspec.Struct):
    """CreateApiKeyRequest."""

    name: str
    public_key: str
    scopes: list[str] | None = None
    subaccount: int | None = None


def list_keys(venue: Venue, call: Call) -> Answer:
    """GET /api_keys."""
    listed = [
        {
            "api_key_id": key.key_id,
            "name": key.name,
            "scopes": list(key.scopes),
            "subaccount": key.subaccount,
        }
        for key in venue.keys.values()
        if key.account_id == call.account_id
    ]
    return ok({"api_keys": listed, "api_key_region_expiration_ts": venue.region_expiration_s})


def create(venue: Venue, call: Call) -> Answer:
    """POST /api_keys: register a public key of the member's own."""
    body = call.decode(CreateKey)
    try:
        public_key = serialization.load_pem_public_key(body.public_key.encode())
    except ValueError:
        raise _invalid("public_key") from None
    if not isinstance(public_key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise _invalid("public_key")
    return Answer(201, {"api_key_id": _register(venue, call, body, public_key)})


def generate(venue: Venue, call: Call) -> Answer:
    """POST /api_keys/generate: make a pair; the private half is shown this once."""
    body = call.decode(GenerateKey)
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if body.key_type == "rsa":
        private = rsa.generate_private_key(65537, RSA_BITS)
        form = serialization.PrivateFormat.TraditionalOpenSSL
    else:
        private = ed25519.Ed25519PrivateKey.generate()
        form = serialization.PrivateFormat.PKCS8
    pem = private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    key_id = _register(venue, call, body, private.public_key())
    return Answer(201, {"api_key_id": key_id, "key_type": body.key_type, "private_key": pem.decode()})


def _register(venue: Venue, call: Call, body: CreateKey | GenerateKey, public_key: PublicKey) -> str:
    scopes = tuple(EVERYTHING if body.scopes is None else dict.fromkeys(body.scopes))
    # The broad write scope has to come with read.
    if not scopes or not SCOPES.issuperset(scopes) or ("write" in scopes and "read" not in scopes):
        raise _invalid("scopes")
    if body.subaccount is not None and not 0 <= body.subaccount <= MAX_SUBACCOUNT:
        raise _invalid("subaccount")
    key = ApiKey(
        key_id=str(uuid.uuid4()),
        public_key=public_key,
        account_id=call.account_id,
        name=body.name,
        scopes=scopes,
        subaccount=body.subaccount,
    )
    venue.keys[key.key_id] = key
    return key.key_id


def delete(venue: Venue, call: Call) -> Answer:
    """DELETE /api_keys/{api_key}."""
    key = venue.keys.get(call.params["api_key"])
    if key is None or key.account_id != call.account_id:
        raise not_found("api key not found")
    venue.keys.pop(key.key_id)
    return Answer(204)


def _invalid(field: str) -> Refused:
    return Refused(400, "invalid_parameters", "invalid parameters", field)
