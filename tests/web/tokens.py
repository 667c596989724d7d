"""Keys and tokens of a registered client, good and bad."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.web.fakes import NOW

ISSUER = "https://ehr.example.org/r4"
BASE = "https://tdm.example.org"
JWKS_URL = "https://ehr.example.org/jwks.json"


@dataclass(frozen=True)
class SigningKey:
    kid: str
    algorithm: str
    private: Any

    @property
    def public_jwk(self) -> dict[str, Any]:
        kind = jwt.algorithms.get_default_algorithms()[self.algorithm]
        jwk = json.loads(kind.to_jwk(self.private.public_key()))
        return {**jwk, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    @property
    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


@cache
def ec_key(kid: str = "ec-1") -> SigningKey:
    return SigningKey(kid, "ES384", ec.generate_private_key(ec.SECP384R1()))


@cache
def rsa_key(kid: str = "rsa-1", bits: int = 2048) -> SigningKey:
    return SigningKey(kid, "RS384", rsa.generate_private_key(65537, bits))


def jwks(*keys: SigningKey) -> dict[str, Any]:
    return {"keys": [key.public_jwk for key in keys]}


def claims(endpoint: str, now: datetime = NOW, **changes: Any) -> dict[str, Any]:
    at = int(now.timestamp())
    made = {
        "iss": ISSUER,
        "aud": f"{BASE}{endpoint}",
        "iat": at,
        "exp": at + 300,
        "jti": str(uuid.uuid4()),
    }
    made.update(changes)
    return {name: value for name, value in made.items() if value is not ...}


def header(key: SigningKey, **changes: Any) -> dict[str, Any]:
    made = {"typ": "JWT", "kid": key.kid, **changes}
    return {name: value for name, value in made.items() if value is not ...}


def sign(key: SigningKey, payload: dict[str, Any], **headers: Any) -> str:
    """Sign like a client library would, with the header exactly as asked for."""
    return sign_raw(key.algorithm, key.private, header(key, **headers), payload)


def sign_raw(algorithm: str, private: Any, head: dict[str, Any], payload: dict[str, Any]) -> str:
    head = {"alg": algorithm, **head}
    signed = f"{_part(head)}.{_part(payload)}"
    signer = jwt.algorithms.get_default_algorithms()[head["alg"] if private is None else algorithm]
    signature = b"" if private is None else signer.sign(signed.encode(), private)
    return f"{signed}.{_base64(signature)}"


def _part(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def registration(**changes: Any) -> dict[str, Any]:
    return {
        "id": "north",
        "issuer": ISSUER,
        "jwks": jwks(ec_key(), rsa_key()),
        "fhir_base": "https://ehr.example.org/r4",
        **changes,
    }
