"""What is set for one client (an EHR tenant), and what it means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from cds.clinical.setting import Jurisdiction
from cds.settings.checks import Secret, https, https_or_own, known_zone
from cds.settings.section import Section

Reading = Literal["strict", "lenient"]

_MEBIBYTE = 1024 * 1024


class Limits(Section):
    """What one client may send and how often."""

    body_bytes: Annotated[int, Field(gt=0, le=16 * _MEBIBYTE)] = 2 * _MEBIBYTE
    """Largest request body; larger ones are answered 413."""
    requests_per_second: Annotated[float, Field(gt=0)] = 50.0
    """Sustained rate of one client over all workers; above it 429."""
    burst: Annotated[int, Field(gt=0)] = 100
    """Requests a client may send at once before the rate counts."""


class SmartSettings(Section):
    """How the users of a client sign in from their EHR (SMART App Launch).

    With `client_secret` or `key_file` this service is a confidential client, without both a public
    one; PKCE is used always.
    """

    client_id: Annotated[str, Field(min_length=1)]
    """What this service is called at the EHR's authorization server."""
    client_secret: Secret | None = None
    """The secret it was given there; better kept in a file."""
    client_secret_file: Path | None = None
    """The file with that secret."""
    key_file: Path | None = None
    """The private key (PEM) of private_key_jwt; its public half is registered at the EHR."""
    key_id: str | None = None
    """The `kid` of that key at the EHR."""
    algorithm: Literal["ES384", "RS384"] = "ES384"
    """What that key signs with."""
    scopes: tuple[str, ...] = ("launch", "openid", "fhirUser")
    """What is asked for; no data are read with it."""
    issuer: str | None = None
    """Who signs the id_token, where that is not what the EHR's configuration names."""
    origins: tuple[str, ...] = ()
    """Where the EHR's authorization server is, when not on the origin of the FHIR base."""
    worklist_users: tuple[str, ...] = ()
    """Who sees the alerts and reports of all patients, such as Practitioner/7; `*` is everyone."""
    session_minutes: Annotated[int, Field(ge=5, le=720)] = 60
    """How long a sign-in lasts; then the report is opened from the EHR again."""

    @field_validator("issuer")
    @classmethod
    def _safe_issuer(cls, url: str | None) -> str | None:
        return None if url is None else https_or_own(url)

    @field_validator("origins")
    @classmethod
    def _plain_origins(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        if any(urlsplit(url).path.strip("/") for url in urls):
            raise ValueError("an origin is scheme, host and port, such as https://auth.example.org")
        return tuple(https_or_own(url) for url in urls)

    @model_validator(mode="after")
    def _one_way_to_prove_ourselves(self) -> Self:
        ways = (self.client_secret, self.client_secret_file, self.key_file)
        if sum(way is not None for way in ways) > 1:
            raise ValueError("give at most one of client_secret, client_secret_file and key_file")
        if self.key_file and not self.key_id:
            raise ValueError("key_file needs a key_id")
        if not {"openid", "fhirUser"} <= set(self.scopes):
            raise ValueError("scopes must name openid and fhirUser: it must be known who signs in")
        return self


class ClientSettings(Section):
    """One registered CDS client (an EHR tenant): who it is, where its data are, how it is read."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """Short name of ours for the client; it stands in logs, metrics and the ledger."""
    issuer: Annotated[str, Field(min_length=1)]
    """`iss` of its tokens, character for character."""
    jwks: dict[str, Any] | None = None
    """Its public keys, written here. Exactly one of `jwks`, `jwks_file` and `jwks_url`."""
    jwks_file: Path | None = None
    """File with its public keys."""
    jwks_url: str | None = None
    """https address of its public keys; fetched when an unknown key id appears."""
    allowed_jku: tuple[str, ...] = ()
    """Addresses its tokens may name as `jku`; any other is refused and never fetched."""
    tenants: tuple[str, ...] = ()
    """Accepted `tenant` claims; empty accepts tokens with any or none."""
    fhir_base: str | None = None
    """https base of its FHIR server, the only address data are read from and users come from.

    http on this machine serves for trying the sign-in out; no data are read from there.
    """
    audiences: tuple[str, ...] = ()
    """Further accepted `aud` values, beside the URL that is called."""
    reading: Reading = "strict"
    """`strict` answers departures from CDS Hooks with 400; `lenient` reads on and records them."""
    jurisdiction: Jurisdiction | None = None
    """Its label, if it is not the one of the site."""
    time_zone: str | None = None
    """Its time zone, if it is not the one of the site."""
    limits: Limits = Limits()
    """What it may send, and how often."""
    smart: SmartSettings | None = None
    """How its users sign in to look at reports; without it nobody signs in."""
    report_link_minutes: Annotated[int, Field(ge=1, le=1440)] | None = None
    """How long the link on a card opens its report for *whoever has it*; without it none does."""

    @property
    def report_link(self) -> Literal["smart", "absolute", "none"]:
        """What cards lead to the report by: a launch, a signed address, or nothing."""
        if self.smart is not None:
            return "smart"
        return "absolute" if self.report_link_minutes is not None else "none"

    @model_validator(mode="after")
    def _one_way_to_the_report(self) -> Self:
        if self.smart is not None and self.fhir_base is None:
            raise ValueError("smart needs the fhir_base: launches are accepted from there alone")
        if self.smart is not None and self.report_link_minutes is not None:
            raise ValueError(
                "give smart or report_link_minutes: a signed link opens without the sign-in"
            )
        return self

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        given = [name for name in ("jwks", "jwks_file", "jwks_url") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("give exactly one of jwks, jwks_file and jwks_url")
        return self

    @field_validator("jwks_url")
    @classmethod
    def _https_only(cls, url: str | None) -> str | None:
        return None if url is None else https(url)

    @field_validator("fhir_base")
    @classmethod
    def _safe_base(cls, url: str | None) -> str | None:
        return None if url is None else https_or_own(url)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        return None if zone is None else known_zone(zone)
