"""Settings: mistakes are named with file and field, secrets never repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds.settings import ServerSettings, Settings, SettingsError, load_settings
from cds.web.server import CannotServe, check_certificate, check_exposure, is_loopback
from tests.web.tokens import ec_key, jwks

CLIENT = {"id": "north", "issuer": "https://ehr.example.org", "jwks": jwks(ec_key())}


def write(directory: Path, text: str) -> Path:
    path = directory / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_the_defaults_are_for_a_laptop(tmp_path: Path):
    settings = load_settings(env={"IMATINIB_TDM_DATA_DIR": str(tmp_path)})

    assert settings.clients == ()
    assert settings.database == f"sqlite:///{tmp_path}/tdm.sqlite3"
    assert (settings.deadline_s, settings.uses_sqlite) == (1.5, True)


def test_paths_are_relative_to_the_settings_file(tmp_path: Path):
    (tmp_path / "keys.json").write_text("{}")
    path = write(
        tmp_path,
        """
        data_dir: data
        rules: my-rules
        ledger: {key_file: ledger.key}
        server: {tls_certificate: cert.pem, tls_key: key.pem}
        clients: [{id: north, issuer: "https://x.example", jwks_file: keys.json}]
        """,
    )

    settings = load_settings(path, env={})

    assert settings.data_dir == tmp_path / "data"
    assert settings.rules == tmp_path / "my-rules"
    assert settings.ledger.key_file == tmp_path / "ledger.key"
    assert settings.server.tls_certificate == tmp_path / "cert.pem"
    assert settings.clients[0].jwks_file == tmp_path / "keys.json"


def test_the_environment_wins_and_a_secret_may_come_from_a_file(tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("00" * 32 + "\n")
    path = write(tmp_path, "database_url: sqlite:///a.db")

    settings = load_settings(
        None,
        env={
            "IMATINIB_TDM_SETTINGS": str(path),
            "IMATINIB_TDM_DATABASE_URL": "postgresql://db/tdm",
            "IMATINIB_TDM_LEDGER_KEY_FILE": str(secret),
        },
    )

    assert settings.database == "postgresql://db/tdm"
    assert settings.ledger.key.get_secret_value() == "00" * 32
    assert "00" * 32 not in repr(settings)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("time_zone: Mars/Olympus", "time_zone: unknown time zone"),
        ("jurisdiction: uk", "jurisdiction"),
        ("colour: blue", "colour"),
        ("deadline_s: 0", "deadline_s"),
        ("public_base_url: tdm.example.org", "public_base_url"),
        ("clients: [{id: north}]", "clients[0].issuer"),
        ("clients: [{id: 'No Good', issuer: x, jwks_url: 'https://x'}]", "clients[0].id"),
        ("clients: [{id: a, issuer: x, jwks_url: 'http://x'}]", "clients[0].jwks_url"),
        ("clients: [{id: a, issuer: x}]", "exactly one of jwks"),
        (
            "clients: [{id: a, issuer: x, jwks_url: 'https://x', fhir_base: 'http://ehr'}]",
            "clients[0].fhir_base: must be an https URL",
        ),
        (
            "clients: [{id: a, issuer: x, jwks_url: 'https://x'}, "
            "{id: b, issuer: x, jwks_url: 'https://x'}]",
            "two clients share the issuer",
        ),
        ("clients: 5", "clients: must be a list"),
        ("server: {tls_certificate: a.pem}", "server: give both of tls_certificate and tls_key"),
        ("metrics_token: ''", "metrics_token: must not be empty"),
        ("ledger: {key: ' '}", "ledger.key: must not be empty"),
        ("- a list", "must be a mapping"),
        ("a: [", "site.yaml:1: is not YAML"),
        ("site: a\nsite: b", "site.yaml:2: a name stands twice"),
        ("site: 2026-99-99", "put it in quotes"),
        ("deadline_s: " + "9" * 5000, "put it in quotes"),
        ("site: " + "[" * 2000 + "]" * 2000, "nested too deeply"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_field(tmp_path: Path, text: str, named: str):
    with pytest.raises(SettingsError) as raised:
        load_settings(write(tmp_path, text), env={})

    assert "site.yaml" in str(raised.value)
    assert named in str(raised.value)
    assert all(line.count("site.yaml") == 1 for line in str(raised.value).splitlines())


@pytest.mark.parametrize(
    "text",
    [
        "ledger: {key: {a: s3cret-value}}",
        "metrics_token: s3cret\nmetrics_token: s3cret-2",
        "metrics_token: s3cret\nclients: [",
    ],
)
def test_a_wrong_secret_is_not_repeated(tmp_path: Path, text: str):
    with pytest.raises(SettingsError) as raised:
        load_settings(write(tmp_path, text), env={})

    assert "s3cret" not in str(raised.value)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path):
    path = tmp_path / "site.yaml"
    path.write_text("site: st-example", encoding="utf-8-sig")

    assert load_settings(path, env={}).site == "st-example"


def test_the_environment_fills_a_section_of_which_only_the_name_stands(tmp_path: Path):
    env = {"IMATINIB_TDM_LEDGER_KEY": "00" * 32}

    found = load_settings(write(tmp_path, "ledger:\n#  key_file: ledger.key"), env)
    with pytest.raises(SettingsError, match="ledger: must be a mapping"):
        load_settings(write(tmp_path, "ledger: 5"), env)

    assert found.ledger.key is not None
    assert found.ledger.key.get_secret_value() == "00" * 32


def test_a_secret_file_that_is_no_text_is_named(tmp_path: Path):
    (tmp_path / "key").write_bytes(b"\xff\xfe\x80")

    with pytest.raises(SettingsError, match=r"LEDGER_KEY_FILE=.*is not UTF-8 text"):
        load_settings(env={"IMATINIB_TDM_LEDGER_KEY_FILE": str(tmp_path / "key")})


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        load_settings(tmp_path / "none.yaml", env={})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_loopback_needs_no_clients(host: str):
    assert is_loopback(host)
    check_exposure(Settings(), host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "tdm.example.org"])
def test_any_other_address_needs_clients_tls_and_an_https_address(host: str):
    with pytest.raises(CannotServe, match="clients"):
        check_exposure(Settings(), host)
    with pytest.raises(CannotServe, match="TLS"):
        check_exposure(Settings(clients=[CLIENT]), host)
    with pytest.raises(CannotServe, match="public_base_url"):
        check_exposure(Settings(clients=[CLIENT], server={"behind_tls_proxy": True}), host)
    check_exposure(
        Settings(
            clients=[CLIENT],
            server={"behind_tls_proxy": True},
            public_base_url="https://tdm.example.org",
        ),
        host,
    )


def test_an_empty_secret_file_is_no_secret(tmp_path: Path):
    empty = tmp_path / "token"
    empty.write_text("\n")
    with pytest.raises(SettingsError, match="metrics_token: must not be empty"):
        load_settings(env={"IMATINIB_TDM_METRICS_TOKEN_FILE": str(empty)})


@pytest.mark.parametrize(("key", "named"), [(None, "tls_key .* cannot be read"), ("x", "no cert")])
def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path, key: str | None, named: str):
    certificate, file = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_text("x")
    if key is not None:
        file.write_text(key)
    settings = Settings(server=ServerSettings(tls_certificate=certificate, tls_key=file))
    with pytest.raises(CannotServe, match=named):
        check_certificate(settings)
