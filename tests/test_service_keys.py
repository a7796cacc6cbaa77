"""API keys: made, listed, revoked, and asked for."""

from __future__ import annotations

import ast
import inspect
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_app import Running, kind, running
from typer.testing import CliRunner

from faceset.cli.app import app as cli
from faceset.errors import InputError
from faceset.service import keys as keys_module
from faceset.service.app import create_app
from faceset.service.config import ServiceConfig
from faceset.service.keys import KeyStore


def test_a_key_is_made_once_and_stored_as_a_hash(tmp_path: Path) -> None:
    path = tmp_path / "data" / "keys.json"
    store = KeyStore(path)
    key = store.create("laptop")
    _, number, secret = key.split("_", 2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert secret not in path.read_text()
    assert [p.name for p in path.parent.iterdir()] == ["keys.json"]
    (held,) = KeyStore(path).valid()
    assert (held.id, held.name) == (number, "laptop")
    assert store.check(key) == held
    with pytest.raises(InputError, match="already"):
        store.create("laptop")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101])
def test_names_that_no_key_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="1 to 100 printable"):
        KeyStore(tmp_path / "keys.json").create(name)


def test_what_is_not_the_key_is_refused(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.json")
    key, other = store.create("a"), store.create("b")
    prefix, number, secret = key.split("_", 2)
    wrong = ["", "x", secret, key[:-1], key + "x", key.upper(), f"{prefix}_{other.split('_')[1]}_{secret}", "é_é_é"]
    wrong += [f"{prefix}_{number}_", f"{prefix}_{number}", f"x_{number}_{secret}", f" {key}"]
    assert [store.check(text) for text in wrong] == [None] * len(wrong)
    assert store.check(key) is not None


def test_another_process_may_revoke(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.json")
    key = store.create("a")
    assert store.check(key) is not None
    gone = KeyStore(tmp_path / "keys.json").revoke("a")
    assert store.check(key) is None
    assert store.valid() == ()
    with pytest.raises(InputError, match="there is no key"):
        store.revoke(gone.id)


def test_secrets_are_compared_in_constant_time() -> None:
    tree = ast.parse(inspect.getsource(keys_module.KeyStore.check).strip())
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert "hmac.compare_digest" in called
    compared = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    assert all("digest" not in text and "key." not in text for text in compared), compared


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "faceset keys", "version": 2, "keys": []}'])
def test_a_damaged_file_lets_nobody_in(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(InputError, match="no key file of this version"):
        KeyStore(tmp_path / "keys.json")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])  # noqa: S104 - refused
def test_strangers_are_kept_out_without_a_key(tmp_path: Path, host: str) -> None:
    config = ServiceConfig(data=tmp_path, host=host)
    with pytest.raises(InputError, match="refusing to listen on .* without an API key"):
        create_app(config)
    KeyStore(tmp_path / "keys.json").create("a")
    create_app(config)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_none(tmp_path: Path, host: str) -> None:
    create_app(ServiceConfig(data=tmp_path, host=host))


def test_the_command_line_refuses_too(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["serve", "--host", "0.0.0.0", "--data", str(tmp_path)])  # noqa: S104 - refused
    assert isinstance(done.exception, InputError)
    made = CliRunner().invoke(cli, ["keys", "create", "laptop", "--data", str(tmp_path), "--json"])
    key = json.loads(made.stdout)["key"]
    listed = CliRunner().invoke(cli, ["keys", "list", "--data", str(tmp_path), "--json"]).stdout
    assert key.split("_", 2)[2] not in listed
    assert [one["name"] for one in json.loads(listed)] == ["laptop"]
    gone = CliRunner().invoke(cli, ["keys", "revoke", "laptop", "--data", str(tmp_path)])
    assert gone.stdout.startswith("revoked laptop")
    assert KeyStore(tmp_path / "keys.json").check(key) is None


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    key = KeyStore(folder / "keys.json").create("first")
    with running(folder, headers={"authorization": f"Bearer {key}"}) as found:
        yield found


def test_calls_need_a_key_and_the_page_does_not(app: Running) -> None:
    assert app.client.get("/v1/people").status_code == 200
    nobody = {"authorization": ""}
    for path in ("/v1/people", "/v1/openapi.json", "/metrics", "/v1/nothing", "/nothing"):
        answer = app.client.get(path, headers=nobody)
        assert (answer.status_code, kind(answer)) == (401, "key-needed"), path
        assert answer.headers["www-authenticate"] == 'Bearer realm="faceset"'
    assert app.client.get("/v1/health", headers=nobody).status_code == 200
    assert app.client.get("/", headers=nobody).status_code == 200
    for header in ("Bearer", "Bearer x", "Basic eDp4", f"Basic {_key(app)}", _key(app), f"Bearer {_key(app)}x"):
        answer = app.client.get("/v1/people", headers={"authorization": header})
        assert (answer.status_code, kind(answer)) == (401, "key-needed"), header
    assert app.client.get("/v1/people", headers={"authorization": f"bearer {_key(app)}"}).status_code == 200


def test_a_revoked_key_is_refused_at_once(app: Running) -> None:
    store = KeyStore(app.service.config.data / "keys.json")
    header = {"authorization": f"Bearer {store.create('second')}"}
    assert app.client.get("/v1/people", headers=header).status_code == 200
    store.revoke("second")
    assert app.client.get("/v1/people", headers=header).status_code == 401


def test_a_key_file_damaged_meanwhile_lets_nobody_in(app: Running) -> None:
    path = app.service.config.data / "keys.json"
    good = path.read_bytes()
    try:
        path.write_bytes(b"{")
        answer = app.client.get("/v1/people")
        assert (answer.status_code, kind(answer)) == (503, "keys-unreadable")
        assert str(path) not in answer.text
    finally:
        path.write_bytes(good)
    assert app.client.get("/v1/people").status_code == 200


def test_with_a_key_any_host_name_is_answered(app: Running) -> None:
    assert app.client.get("/v1/people", headers={"host": "faces.example.org"}).status_code == 200


def _key(app: Running) -> str:
    return str(app.client.headers["authorization"]).removeprefix("Bearer ")


def test_to_revoke_the_last_key_opens_nothing(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.json")
    with running(tmp_path) as app:
        assert app.client.get("/v1/people").status_code == 200  # there has never been a key
        store.create("only")
        assert app.client.get("/v1/people").status_code == 401
        store.revoke("only")
        assert app.client.get("/v1/people").status_code == 401
        store.path.unlink()
        assert app.client.get("/v1/people").status_code == 401
    store.create("only")
    store.revoke("only")
    with running(tmp_path) as app:
        answer = app.client.get("/v1/people")
        assert (answer.status_code, kind(answer)) == (401, "key-needed")


def test_a_key_file_that_cannot_be_looked_at_lets_nobody_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = KeyStore(tmp_path / "keys.json")
    monkeypatch.setattr(store, "path", tmp_path / "file" / "keys.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be looked at"):
        store.valid()
