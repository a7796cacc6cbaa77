"""Import, pull and find models; downloads run against a server on this machine."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from oracles.small_models import channel_means

from faceset.errors import DownloadError, InputError, LicenceError, ModelError, ModelFileError
from faceset.packs import registry as registry_module
from faceset.packs import store
from faceset.packs.manifest import Manifest, manifest_from_dict
from faceset.packs.registry import registry

OPTIONS = {"crop": "arcface112", "colour": "RGB", "mean": 127.5, "std": 128}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACESET_CACHE", str(tmp_path / "cache"))
    for name in ("FACESET_OFFLINE", "FACESET_COMMERCIAL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "models"


@pytest.fixture
def means(tmp_path: Path) -> Path:
    """A real, if small, model: the means of the three channels of a 112x112 crop."""
    return channel_means(tmp_path / "means.onnx", (112, 112))


class Server:
    """Serves ``/file`` with the bytes in ``data``, and misbehaves in named ways."""

    def __init__(self) -> None:
        self.data = b""
        self.asked: list[str] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_GET(self) -> None:
                owner.asked.append(self.path)
                if self.path.startswith("/redirect"):
                    self.send_response(302)
                    self.send_header("Location", {"/redirect": "/file"}.get(self.path, "ftp://127.0.0.1/file"))
                    self.end_headers()
                elif self.path == "/missing":
                    self.send_error(404)
                else:
                    self.send_response(200)
                    if self.path != "/nolength":
                        self.send_header("Content-Length", str(len(owner.data) + (9 if self.path == "/short" else 0)))
                    self.end_headers()
                    self.wfile.write(owner.data)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_address[1]}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    thread.join()


@pytest.fixture
def entry(server: Server, means: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Adds an entry ``remote`` to the registry, which the server serves."""
    server.data = means.read_bytes()
    base = registry()

    def add(**changes: Any) -> Manifest:
        values = {
            "id": "remote",
            "role": "embedder",
            "licence": "MIT",
            "commercial": "yes",
            "file": "means.onnx",
            "url": f"{server.base}/file",
            "sha256": hashlib.sha256(server.data).hexdigest(),
            "bytes": len(server.data),
            "crop": "arcface112",
            "colour": "RGB",
            "width": 3,
        }
        made = manifest_from_dict({**values, **changes}, "test")
        monkeypatch.setattr(registry_module, "_load", lambda: {**base, "remote": made})
        return made

    return add


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


def test_pull_brings_a_model_that_resolves(server: Server, entry: Any, cache: Path) -> None:
    made = entry()
    with pytest.raises(ModelError, match=r"'remote' is known but not downloaded.*`faceset models pull remote`"):
        store.resolve("remote")
    steps: list[tuple[int, int | None]] = []
    pulled = store.pull("remote", progress=lambda done, total: steps.append((done, total)))
    assert (pulled.state, pulled.manifest, pulled.folder) == ("available", made, cache / "remote")
    assert steps[-1] == (made.bytes, made.bytes)
    manifest, path = store.resolve("remote")
    assert manifest == made
    assert path.read_bytes() == server.data
    assert left_in(cache) == ["remote"]
    assert left_in(cache / "remote") == ["manifest.toml", "means.onnx"]


def test_a_model_that_is_here_is_not_fetched_again(server: Server, entry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    entry(commercial="no", licence="research")
    store.pull("remote", accept_licence=True)
    monkeypatch.setenv("FACESET_OFFLINE", "1")
    assert store.pull("remote").state == "available"
    assert server.asked == ["/file"]


def test_a_damaged_model_is_refused_and_pulled_anew(server: Server, entry: Any, cache: Path) -> None:
    entry()
    store.pull("remote")
    file = cache / "remote" / "means.onnx"
    file.write_bytes(server.data[:-1] + b"?")
    with pytest.raises(ModelFileError, match=r"means\.onnx is damaged or was exchanged.*delete the folder"):
        store.resolve("remote")
    store.pull("remote")
    assert store.resolve("remote")[1].read_bytes() == server.data
    assert left_in(cache) == ["remote"]


def test_redirects_are_followed_to_http_only(server: Server, entry: Any, cache: Path) -> None:
    entry(url=f"{server.base}/redirect")
    assert store.pull("remote").state == "available"
    shutil.rmtree(cache / "remote")
    entry(url=f"{server.base}/redirect-ftp")
    with pytest.raises(DownloadError, match="redirects to ftp://.*neither http nor https"):
        store.pull("remote")


def test_a_reply_without_length_is_read_to_its_end(server: Server, entry: Any) -> None:
    made = entry(url=f"{server.base}/nolength", bytes=0)
    steps: list[tuple[int, int | None]] = []
    store.pull("remote", progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (len(server.data), None)
    assert made.bytes == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sha256": "0" * 64}, r"gave a file with sha256 [0-9a-f]{64}, not 0{64}; nothing was kept"),
        ({"bytes": 10**6}, r"gave \d+ bytes where 1000000 were promised"),
        ({"bytes": 10}, "sends more than the 10 bytes promised"),
        ({"path": "/missing"}, r"answered 404 Not Found.*`faceset models import FILE`"),
        ({"path": "/short", "bytes": 0}, r"could not be fetched|connection broke after \d+ of \d+ bytes"),
    ],
)
def test_a_failed_download_leaves_nothing(
    server: Server, entry: Any, cache: Path, changes: dict[str, Any], reason: str
) -> None:
    path = changes.get("path", "/file")
    entry(url=server.base + path, **{k: v for k, v in changes.items() if k != "path"})
    with pytest.raises(DownloadError, match=rf"model 'remote'.*({reason})"):
        store.pull("remote")
    assert left_in(cache) == []
    assert store.info("remote").state == "not downloaded"


def test_a_server_that_is_not_there(server: Server, entry: Any, cache: Path) -> None:
    entry(url="http://127.0.0.1:9/file")
    with pytest.raises(DownloadError, match=r"could not be fetched .*refused.*check the network"):
        store.pull("remote")
    assert left_in(cache) == []


def test_interrupting_a_download_leaves_nothing(entry: Any, cache: Path) -> None:
    entry()

    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.pull("remote", progress=interrupt)
    assert left_in(cache) == []


def test_offline_means_no_connection(server: Server, entry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    entry()
    monkeypatch.setenv("FACESET_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"'remote' is not fetched because FACESET_OFFLINE is set.*import FILE"):
        store.pull("remote")
    assert server.asked == []


@pytest.mark.parametrize(("commercial", "use"), [("no", "not allowed"), ("unknown", "not known to be allowed")])
def test_a_licence_must_be_accepted(server: Server, entry: Any, commercial: str, use: str) -> None:
    entry(commercial=commercial, licence="research only")
    with pytest.raises(LicenceError, match=rf"'research only': commercial use is {use}.*pull remote --accept-licence"):
        store.pull("remote")
    assert server.asked == []
    assert store.pull("remote", accept_licence=True).state == "available"


def test_commercial_only_refuses_at_pull_and_at_load(entry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    entry(commercial="no", licence="research only")
    store.pull("remote", accept_licence=True)
    monkeypatch.setenv("FACESET_COMMERCIAL", "1")
    with pytest.raises(LicenceError, match=r"'remote' is refused because FACESET_COMMERCIAL is set"):
        store.resolve("remote")
    with pytest.raises(LicenceError, match="'arcface-r50' is refused because FACESET_COMMERCIAL"):
        store.pull("arcface-r50", accept_licence=True)
    store.resolve("dlib-resnet")


def test_what_cannot_be_pulled() -> None:
    with pytest.raises(ModelError, match=r"no model 'nonsense' can be pulled; the registry has yunet, sface"):
        store.pull("nonsense")
    with pytest.raises(ModelError, match="'dlib-resnet' comes with the package face_recognition_models"):
        store.pull("dlib-resnet")


def test_import_fills_in_what_it_can(means: Path, cache: Path) -> None:
    made = store.import_model(means, **OPTIONS)
    assert made.manifest is not None
    assert (made.name, made.state, made.manifest.width) == ("means", "available", 3)
    assert (made.manifest.mean, made.manifest.std) == ((127.5,) * 3, (128.0,) * 3)
    assert (made.manifest.licence, made.manifest.commercial) == ("not stated", "unknown")
    assert store.resolve("means", role="embedder") == (made.manifest, cache / "means" / "means.onnx")
    assert store.import_model(means, **OPTIONS) == made  # the same again is no error
    assert left_in(cache) == ["means"]


def test_import_takes_a_manifest_and_options_over_it(means: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(
        'id = "mine"\nlicence = "MIT"\ncommercial = "yes"\ncrop = "arcface112"\ncolour = "BGR"\nmean = 0\nstd = 1\n'
    )
    made = store.import_model(means, manifest=path, colour="RGB", threshold=None)
    assert made.manifest is not None
    assert (made.name, made.manifest.colour, made.manifest.commercial) == ("mine", "RGB", "yes")
    path.write_text(path.read_text() + "width = 4\n")
    with pytest.raises(ModelFileError, match=r"gives 3 numbers a face, but its manifest says 4"):
        store.import_model(means, manifest=path, name="other")


def test_a_manifest_beside_its_weights_resolves_by_path(means: Path, tmp_path: Path) -> None:
    made = store.import_model(means, **OPTIONS).manifest
    assert made is not None
    path = tmp_path / "beside.toml"
    path.write_text(made.to_toml())
    for given in (path, str(path)):
        assert store.resolve(given) == (made, means)
    means.unlink()
    with pytest.raises(ModelFileError, match=r"means\.onnx is missing"):
        store.resolve(path)
    with pytest.raises(ModelError, match=r"x\.onnx is no manifest.*`faceset models import .*x\.onnx`"):
        store.resolve(tmp_path / "x.onnx")


def test_import_asks_for_the_preprocessing(means: Path) -> None:
    with pytest.raises(InputError, match=r"crop, colour, mean, std are missing \(crop: arcface112"):
        store.import_model(means)
    with pytest.raises(InputError, match=r"must be said: std is missing"):
        store.import_model(means, crop="arcface112", colour="RGB", mean=0)


def test_import_refuses_what_does_not_fit(means: Path, tmp_path: Path, cache: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"takes tensor\(float\) \['n', 3, 112, 112\].*3, 112, 96\]; choose the crop"
    ):
        store.import_model(means, **{**OPTIONS, "crop": "sphere112x96"})
    blind = channel_means(tmp_path / "blind.onnx", (112, 112), kind="constant")
    with pytest.raises(ModelFileError, match="gives the same vector for different pictures"):
        store.import_model(blind, **OPTIONS)
    infinite = channel_means(tmp_path / "infinite.onnx", (112, 112), extra=0)
    with pytest.raises(ModelFileError, match="gives NaN or infinity"):
        store.import_model(infinite, **OPTIONS)
    text = tmp_path / "text.onnx"
    text.write_text("no model")
    with pytest.raises(ModelFileError, match=r"embedder text .* is no ONNX model"):
        store.import_model(text, **OPTIONS)
    with pytest.raises(ModelFileError, match=r"none\.onnx does not exist"):
        store.import_model(tmp_path / "none.onnx", **OPTIONS)
    with pytest.raises(ModelError, match=r"unknown key colours"):
        store.import_model(means, **OPTIONS, colours="RGB")
    assert left_in(cache) == []


def test_names_are_kept_apart(means: Path, tmp_path: Path) -> None:
    store.import_model(means, **OPTIONS)
    with pytest.raises(ModelError, match=r"'means' is taken by another model or other settings.*--name"):
        store.import_model(means, **{**OPTIONS, "colour": "BGR"})
    with pytest.raises(ModelError, match=r"'sface' belongs to a registry entry of another sha256"):
        store.import_model(means, name="sface", **OPTIONS)
    with pytest.raises(ModelError, match=r"'\.\./x' cannot name a model"):
        store.import_model(means, name="../x", **OPTIONS)
    assert store.import_model(means, name="second", **{**OPTIONS, "colour": "BGR"}).state == "available"


def test_a_file_of_the_registry_is_recognised(means: Path, entry: Any, server: Server, tmp_path: Path) -> None:
    made = entry()
    copy = tmp_path / "renamed.onnx"
    copy.write_bytes(means.read_bytes())
    with pytest.raises(InputError, match="is 'remote' of the registry, which says otherwise on colour; "):
        store.import_model(copy, colour="BGR")
    found = store.import_model(copy, crop="arcface112")
    assert (found.name, found.manifest) == ("remote", made)
    assert store.resolve("remote")[0] == made
    assert server.asked == []


def test_listing_and_describing(means: Path, cache: Path) -> None:
    store.import_model(means, **OPTIONS)
    (cache / "broken").mkdir()
    (cache / "broken" / "manifest.toml").write_text("id = ")
    found = {m.name: m for m in store.list_models()}
    assert list(found) == [*registry(), "broken", "means"]
    states = {name: found[name].state for name in ("dlib-resnet", "mtcnn", "sface", "means", "broken")}
    assert states == {
        "dlib-resnet": "built in",
        "mtcnn": "built in",
        "sface": "not downloaded",
        "means": "available",
        "broken": "damaged",
    }
    assert "is no TOML file" in found["broken"].problem
    with pytest.raises(
        ModelFileError, match=r"model 'broken': .*delete the folder .*broken and import or pull it again"
    ):
        store.resolve("broken")
    document = store.info("dlib-resnet").to_dict()
    assert document["model_id"] == registry()["dlib-resnet"].model_id
    assert (document["commercial"], document["width"], document["state"]) == ("yes", 128, "built in")
    with pytest.raises(ModelError, match=r"no model is called 'nonsense'; known are dlib-resnet, mtcnn.*import FILE"):
        store.info("nonsense")
    with pytest.raises(ModelError, match="no model is called '..'"):
        store.info("..")


def test_the_built_in_embedder_resolves() -> None:
    manifest, path = store.resolve("dlib-resnet", role="embedder")
    assert manifest == registry()["dlib-resnet"]
    assert path.is_file()
    with pytest.raises(ModelError, match=r"'dlib-resnet' is of role embedder, but detector is needed.*mtcnn, yunet"):
        store.resolve("dlib-resnet", role="detector")
    with pytest.raises(ModelError, match="inside the package mtcnn"):
        store.resolve("mtcnn")


def test_a_store_that_cannot_be_written(means: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FACESET_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelFileError, match=r"'means' cannot be stored in .*set FACESET_CACHE"):
        store.import_model(means, **OPTIONS)


def test_threads_may_pull_the_same_model(entry: Any, cache: Path) -> None:
    entry()
    found: list[store.ModelInfo] = []
    threads = [threading.Thread(target=lambda: found.append(store.pull("remote"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [m.state for m in found] == ["available"] * 4
    assert left_in(cache) == ["remote"]


@pytest.mark.data
def test_the_foreign_models(models_dir: Path) -> None:
    arc = store.import_model(
        models_dir / "mobilefacenet_arcface_112.onnx",
        name="mobile-arc",
        crop="arcface112",
        colour="RGB",
        mean=0,
        std=1,
        licence="non-commercial research",
        commercial="no",
    )
    assert arc.manifest is not None
    assert arc.manifest.width == 128
    sphere = models_dir / "mobilefacenet_sphere_112x96.onnx"
    with pytest.raises(ModelFileError, match="choose the crop"):
        store.import_model(sphere, crop="arcface112", colour="RGB", mean=127.5, std=128)
    made = store.import_model(sphere, crop="sphere112x96", colour="RGB", mean=127.5, std=128)
    assert made.manifest is not None
    assert (made.name, made.manifest.width) == ("mobilefacenet_sphere_112x96", 128)
    yunet = store.import_model(models_dir / "yunet_n_dynamic.onnx", role="detector")
    assert yunet.manifest is not None
    assert yunet.manifest.role == "detector"
    with pytest.raises(ModelError, match="belongs to a registry entry"):
        store.import_model(models_dir / "yunet_n_dynamic.onnx", name="yunet", role="detector")
