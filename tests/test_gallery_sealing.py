"""Vectors and pictures encrypted at rest."""

from __future__ import annotations

import base64
import logging
import os
import sqlite3
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gallery_faces import MEAN, check_whole, faces, probe
from gallery_traces import plain, says, stored, traces, windows
from typer.testing import CliRunner

from faceset import aggregation
from faceset.cli.app import app
from faceset.errors import GalleryError, InputError, MissingExtraError
from faceset.gallery import Gallery, rekeying, sealing

TESTS = Path(__file__).parent
KEY = "00112233445566778899aabbccddeeff0123456789abcdef0f1e2d3c4b5a6978"
OTHER = base64.b64encode(bytes(range(100, 132))).decode()
HIDDEN = {"template": ["vector"], "face": ["feature", "landmarks", "crop"]}


@pytest.fixture
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESET_KEY", KEY)


def fill(gallery: Gallery) -> Gallery:
    gallery.add("Grace", [faces(1, "a.mp4", crops=True), faces(1, "b.mp4")], aggregator=MEAN, keep_crops=True)
    gallery.add("Ada", [faces(2, "c.mp4", crops=True)], aggregator=MEAN, keep_crops=True)
    return gallery


def told(gallery: Gallery) -> list[object]:
    """All that a gallery gives out of everybody, to the bit."""
    out: list[object] = [[(c.name, c.score.hex()) for c in found] for found in gallery.search([probe(1), probe(2)], 9)]
    for person in gallery.people():
        template = gallery.template(person.name)
        out.append((person.name, template.vector.tobytes(), template.weights.tobytes(), template.to_dict()))
        for one in gallery.features(person.name):
            out += [
                (f.to_dict(), f.feature.tobytes(), f.landmarks.tobytes(), None if f.crop is None else f.crop.tobytes())
                for f in one.faces
            ]
        for medium, made in gallery.media_templates(person.name, aggregator=MEAN):
            out.append((medium.name, made.vector.tobytes()))
    return out


def column(path: Path, table: str, name: str) -> list[bytes]:
    with closing(sqlite3.connect(path)) as raw:
        return [v for (v,) in raw.execute(f"SELECT {name} FROM {table}") if v is not None]  # noqa: S608


# ------------------------------------------------------------------------------------------------- what is encrypted


@pytest.mark.usefixtures("_key")
def test_a_value_decrypts_by_the_format_that_is_documented(tmp_path: Path) -> None:
    """Written out here from docs/gallery.md with the primitives alone."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    def text(*parts: str) -> bytes:
        return b"".join(struct.pack("<I", len(p.encode())) + p.encode() for p in parts)

    with fill(Gallery(tmp_path / "people.db")) as gallery:
        expected = gallery.template("Ada").vector.tobytes()
        held = gallery.features("Ada")[0].faces
    with closing(sqlite3.connect(tmp_path / "people.db")) as raw:
        (check,) = raw.execute("SELECT key_check FROM meta").fetchone()
        vector, uid, aggregator = raw.execute(
            "SELECT vector, uid, aggregator FROM template JOIN person ON id = person_id WHERE name = 'Ada'"
        ).fetchone()
        rows = raw.execute(
            "SELECT feature, medium.uid, scheme, track, shot, frame, time, x0, y0, x1, y1, score FROM face "
            "JOIN medium ON medium.id = medium_id WHERE medium.name = 'c.mp4' ORDER BY frame"
        ).fetchall()
    key = HKDF(SHA256(), 32, check[:16], b"faceset gallery 1: values").derive(bytes.fromhex(KEY))
    assert AESGCM(key).decrypt(check[16:28], check[28:], b"faceset gallery 1: proof of the key") == b""
    place = text("template.vector", uid, aggregator)
    assert AESGCM(key).decrypt(vector[:12], vector[12:], place) == expected
    for (sealed, medium, scheme, *numbers), face in zip(rows, held, strict=True):
        place = text("face.feature", medium, scheme) + struct.pack("<3q6d", *numbers)
        assert AESGCM(key).decrypt(sealed[:12], sealed[12:], place) == face.feature.tobytes()


def test_the_same_answers_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fill(Gallery(tmp_path / "plain.db")) as gallery:
        expected = told(gallery)
        gallery.refresh(aggregation.get("medoid"))
        refreshed = told(gallery)
    monkeypatch.setenv("FACESET_KEY", KEY)
    with fill(Gallery(tmp_path / "sealed.db")) as gallery:
        assert told(gallery) == expected
        gallery.refresh(aggregation.get("medoid"))
        assert told(gallery) == refreshed
        (template, *_) = column(tmp_path / "sealed.db", "template", "vector")
        assert len(template) == 12 + 4 * 32 + 16
    with Gallery(tmp_path / "sealed.db") as gallery:
        assert told(gallery) == refreshed
    check_whole(tmp_path / "sealed.db")


def test_the_order_of_enrolment_changes_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces that differ in their features only: sorted as encrypted, with random nonces, they would come at random."""
    first = faces(1, "a.mp4", count=8)
    alike = [replace(first.faces[0], feature=f.feature, landmarks=first.faces[0].landmarks) for f in first.faces]

    def template(path: Path, order: list[int]) -> tuple[bytes, list[bytes]]:
        track = replace(first, faces=tuple(alike[i] for i in order))
        with Gallery(path) as gallery:
            gallery.add("Grace", [track], aggregator=MEAN)
            held = [f.feature.tobytes() for f in gallery.features("Grace")[0].faces]
            return gallery.template("Grace").vector.tobytes(), held

    expected = template(tmp_path / "plain.db", list(range(8)))
    monkeypatch.setenv("FACESET_KEY", KEY)
    assert template(tmp_path / "1.db", list(range(8))) == expected
    assert template(tmp_path / "2.db", [3, 1, 7, 0, 5, 2, 6, 4]) == expected


@pytest.mark.usefixtures("_key")
def test_plain_bytes_never_reach_the_disk(tmp_path: Path) -> None:
    with Gallery(tmp_path / "people.db") as gallery:

        def nothing() -> None:
            known = [v for n in ("Grace", "Ada") if n in gallery for v in plain(gallery, n)]
            assert len(known) > 10
            assert traces(tmp_path, windows([*seen, *known])) == set()
            seen.extend(known)

        seen: list[bytes] = []
        fill(gallery)
        assert (tmp_path / "people.db-wal").stat().st_size > 0
        nothing()
        gallery.search([probe(1)])
        gallery.refresh(aggregation.get("medoid"))
        nothing()
        gallery.remove_media("Grace", "a.mp4", aggregator=MEAN)
        nothing()
        gallery.rename("Grace", "Hopper")
        gallery.forget("Hopper")
        nothing()
        assert says(tmp_path, "Ada")  # names are not hidden, and the docs say so
    assert traces(tmp_path, windows(seen)) == set()


@pytest.mark.usefixtures("_key")
def test_equal_values_are_not_equal_in_the_file(tmp_path: Path) -> None:
    with Gallery(tmp_path / "people.db") as gallery:
        one = faces(1, "", known=False)
        gallery.add("Grace", [one], aggregator=MEAN)
        gallery.add("Ada", [one], aggregator=MEAN)
    sealed = [v for table, names in HIDDEN.items() for n in names for v in column(tmp_path / "people.db", table, n)]
    assert len({v[:12] for v in sealed}) == len({v[12:44] for v in sealed}) == len(sealed) == 2 * (1 + 2 * 4)


@pytest.mark.usefixtures("_key")
def test_a_box_of_negative_zero(tmp_path: Path) -> None:
    """SQLite gives back 0.0, which has other bits."""
    track = faces(1, "a.mp4", count=1)
    moved = replace(track, faces=(replace(track.faces[0], box=(-0.0, -0.0, 50, 60), time=-0.0),))
    with Gallery(tmp_path / "people.db") as gallery:
        gallery.add("Grace", [moved], aggregator=MEAN)
        np.testing.assert_array_equal(gallery.features("Grace")[0].features, moved.features)


@pytest.mark.usefixtures("_key")
def test_threads_share_a_key(tmp_path: Path) -> None:
    with Gallery(tmp_path / "people.db") as gallery, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: gallery.add(f"p{i}", [faces(i, f"{i}.mp4")], aggregator=MEAN), range(24)))
        found = list(pool.map(lambda i: gallery.search([probe(i)], 1)[0][0].name, range(24)))
    assert found == [f"p{i}" for i in range(24)]
    check_whole(tmp_path / "people.db")


# ----------------------------------------------------------------------------------------------- keys that do not fit


def test_a_key_that_does_not_fit_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sealed.db"
    with fill(Gallery(tmp_path / "plain.db")):
        pass
    monkeypatch.setenv("FACESET_KEY", KEY)
    with pytest.raises(
        GalleryError, match=r"plain.db: a key is set .* encrypt it with `faceset gallery seal plain.db`"
    ):
        Gallery(tmp_path / "plain.db")
    fill(Gallery(path)).close()
    before = path.read_bytes()
    monkeypatch.setenv("FACESET_KEY", OTHER)
    with pytest.raises(GalleryError, match="sealed.db: this gallery is encrypted with another key; set FACESET_KEY"):
        Gallery(path)
    monkeypatch.delenv("FACESET_KEY")
    with pytest.raises(
        GalleryError, match="sealed.db: this gallery is encrypted and no key was given; set FACESET_KEY"
    ):
        Gallery(path)
    assert path.read_bytes() == before
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE meta SET key_check = x'0123'")
        raw.commit()
    monkeypatch.setenv("FACESET_KEY", KEY)
    with pytest.raises(GalleryError, match="another key"):
        Gallery(path)


@pytest.mark.usefixtures("_key")
@pytest.mark.parametrize(
    ("change", "who"),
    [
        ("UPDATE template SET vector = (SELECT vector FROM template WHERE person_id = 2) WHERE person_id = 1", "Grace"),
        ("UPDATE template SET vector = zeroblob(length(vector))", "Grace"),
        ("UPDATE template SET vector = x''", "Grace"),
        ("UPDATE template SET vector = 'text'", "Grace"),
        ("UPDATE template SET aggregator = 'medoid'", "Grace"),
        ("UPDATE face SET feature = (SELECT feature FROM face WHERE id = 2) WHERE id = 1", "Grace"),
        ("UPDATE face SET landmarks = feature WHERE id = 1", "Grace"),
        ("UPDATE face SET crop = (SELECT crop FROM face WHERE id = 2) WHERE id = 1", "Grace"),
        ("UPDATE face SET x0 = x0 + 1 WHERE id = 1", "Grace"),
        ("UPDATE face SET score = 1 WHERE id = 1", "Grace"),
        ("UPDATE face SET medium_id = 3 WHERE id = 1", "Ada"),
        ("UPDATE face SET feature = substr(feature, 1, length(feature) - 1) WHERE id = 1", "Grace"),
    ],
)
def test_a_value_that_was_changed_or_moved_is_noticed(tmp_path: Path, change: str, who: str) -> None:
    path = tmp_path / "people.db"
    fill(Gallery(path)).close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(change)
        raw.commit()
    with Gallery(path) as gallery:
        damaged = r"people.db: the gallery is damaged \(an encrypted value was changed, or belongs to another row\)"
        with pytest.raises(GalleryError, match=damaged):
            gallery.template(who)
        if "template" in change:
            with pytest.raises(GalleryError, match=damaged):
                gallery.search([probe(1)])
        elif "crop" not in change:  # which no template is made of
            with pytest.raises(GalleryError, match=damaged):
                gallery.add(who, [faces(1, "new.mp4")], aggregator=MEAN)


@pytest.mark.usefixtures("_key")
def test_values_of_two_galleries_cannot_be_exchanged(tmp_path: Path) -> None:
    """A copy of a gallery's rows under the key of another: one user key, two keys."""
    fill(Gallery(tmp_path / "a.db")).close()
    Gallery(tmp_path / "b.db").close()
    with closing(sqlite3.connect(tmp_path / "b.db")) as raw:
        raw.execute("ATTACH ? AS a", (str(tmp_path / "a.db"),))
        for table in ("person", "template", "medium", "face"):
            raw.execute(f"INSERT INTO main.{table} SELECT * FROM a.{table}")  # noqa: S608
        raw.execute("UPDATE main.meta SET (model_id, width, generation) = (SELECT model_id, width, 9 FROM a.meta)")
        raw.commit()
    with Gallery(tmp_path / "b.db") as gallery, pytest.raises(GalleryError, match="an encrypted value was changed"):
        gallery.template("Ada")


# --------------------------------------------------------------------------------------- sealing, unsealing, rekeying


def test_seal_rekey_and_unseal(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with fill(Gallery(path)) as gallery:
        expected = told(gallery)
        raw = [v for n in ("Grace", "Ada") for v in stored(path, n) if len(v) != 64]
    known = windows(raw)
    one, two = bytes.fromhex(KEY), base64.b64decode(OTHER)
    runner = CliRunner()

    def run(*words: str, key: str) -> str:
        done = runner.invoke(app, ["gallery", *words], env={"FACESET_KEY": key})
        if done.exception is not None:
            raise done.exception
        return done.output

    assert len(traces(tmp_path, known)) > 0.9 * len(known)
    assert run("seal", str(path), key=KEY) == f"encrypted {path}: 34 values\n"
    assert len(raw) == 34
    assert traces(tmp_path, known) == set()
    sealed = windows(column(path, "face", "feature") + column(path, "template", "vector"))
    (tmp_path / "new.key").write_text(OTHER + "\n")
    assert run("rekey", str(path), "--new-key-file", str(tmp_path / "new.key"), key=KEY).startswith("encrypted anew ")
    assert traces(tmp_path, known | sealed) == set()
    with pytest.raises(GalleryError, match="encrypted with another key"):
        rekeying.rekey(path, one, two)
    with pytest.raises(GalleryError, match="encrypted with this key already; nothing was changed"):
        rekeying.seal(path, two)
    with pytest.raises(GalleryError, match="encrypted with another key"):
        rekeying.seal(path, one)
    with pytest.raises(InputError, match="the new key is the old one"):
        rekeying.rekey(path, two, two)
    assert '"values": 34' in run("unseal", str(path), "--json", key=OTHER)
    with pytest.raises(GalleryError, match="is not encrypted"):
        rekeying.unseal(path, two)
    with pytest.raises(GalleryError, match="does not exist"):
        rekeying.seal(tmp_path / "missing.db", one)
    with Gallery(path) as gallery:
        assert told(gallery) == expected
    check_whole(path)


def test_who_has_the_gallery_open_is_refused_after_the_key_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer with the old key would leave plain vectors in a gallery that is encrypted."""
    with fill(Gallery(tmp_path / "people.db")) as gallery:
        gallery.search([probe(1)])
        rekeying.seal(tmp_path / "people.db", bytes.fromhex(KEY))
        for call in (
            lambda: gallery.add("Eve", [faces(3, "d.mp4")], aggregator=MEAN),
            lambda: gallery.search([probe(1)]),
            lambda: gallery.template("Grace"),
            lambda: gallery.forget("Grace"),
        ):
            with pytest.raises(GalleryError, match="given another key since it was opened; open it again"):
                call()
    monkeypatch.setenv("FACESET_KEY", KEY)
    check_whole(tmp_path / "people.db")


DIES = """
import os, sys
from faceset.gallery import rekeying
from faceset.gallery.database import Database
if sys.argv[3] == "writing":
    faces = rekeying._faces
    rekeying._faces = lambda *a: (faces(*a), os._exit(9))
else:
    Database.purge = lambda self: os._exit(9)
rekeying.seal(sys.argv[1], bytes.fromhex(sys.argv[2]))
"""


@pytest.mark.parametrize("when", ["writing", "overwriting"])
def test_a_process_that_dies_while_it_seals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    path = tmp_path / "people.db"
    with fill(Gallery(path)) as gallery:
        expected = told(gallery)
        known = windows([v for v in stored(path, "Grace") if len(v) != 64])
    done = subprocess.run([sys.executable, "-c", DIES, str(path), KEY, when], cwd=TESTS, timeout=60)
    assert done.returncode == 9
    if when == "overwriting":
        assert traces(tmp_path, known)
        monkeypatch.setenv("FACESET_KEY", KEY)
    with Gallery(path) as gallery:
        if when == "overwriting":
            assert traces(tmp_path, known) == set()  # the opening did it
        assert told(gallery) == expected


def test_a_reader_keeps_the_plain_bytes_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "people.db"
    fill(Gallery(path)).close()
    known = windows([v for v in stored(path, "Grace") if len(v) != 64])
    monkeypatch.setattr("faceset.gallery.database.BUSY_SECONDS", 0.05)
    logging.getLogger("faceset").setLevel(logging.ERROR)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM face").fetchone()
        with pytest.raises(GalleryError, match="another process keeps the old bytes in the file"):
            rekeying.seal(path, bytes.fromhex(KEY))
        assert traces(tmp_path, known)
    logging.getLogger("faceset").setLevel(logging.NOTSET)
    monkeypatch.setenv("FACESET_KEY", KEY)
    with Gallery(path):
        assert traces(tmp_path, known) == set()


# ------------------------------------------------------------------------------------------------------- keys as text


@pytest.mark.parametrize(
    "text",
    [KEY, KEY.upper(), f" {KEY}\n", OTHER, OTHER.rstrip("="), base64.urlsafe_b64encode(bytes.fromhex(KEY)).decode()],
)
def test_a_key_in_each_of_its_forms(text: str) -> None:
    assert sealing.parse_key(text, "x") in (bytes.fromhex(KEY), bytes(range(100, 132)))


def test_a_new_key_is_a_key() -> None:
    made = {CliRunner().invoke(app, ["gallery", "key"]).output.strip() for _ in range(3)}
    assert len({sealing.parse_key(text, "x") for text in made}) == 3


@pytest.mark.parametrize(
    "text",
    [
        "correct horse battery staple",
        "x" * 32,
        "0" * 64,
        KEY[:-1],
        KEY + "0",
        "g" * 64,
        "QUJD",
        "\u00e9" * 64,
        "=" * 44,
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACESET_KEY", text)
    with pytest.raises(InputError, match="FACESET_KEY is no key: it must be 32 random bytes.*faceset gallery key") as e:
        Gallery(tmp_path / "people.db")
    assert text not in str(e.value)
    assert not list(tmp_path.iterdir())


def test_a_key_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "faceset.key"
    monkeypatch.setenv("FACESET_KEY_FILE", str(file))
    with pytest.raises(InputError, match="FACESET_KEY_FILE names .*faceset.key, which cannot be read"):
        sealing.current_key()
    file.write_text(KEY + "\n")
    assert sealing.current_key() == bytes.fromhex(KEY)
    file.write_bytes(os.urandom(32))
    with pytest.raises(InputError, match="the content of .*faceset.key is no key"):
        sealing.current_key()
    monkeypatch.setenv("FACESET_KEY", KEY)
    with pytest.raises(InputError, match="FACESET_KEY and FACESET_KEY_FILE are both set"):
        sealing.current_key()


@pytest.mark.usefixtures("_key")
def test_without_cryptography_nothing_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'faceset\[service\]'"):
        Gallery(tmp_path / "people.db")
    assert not list(tmp_path.iterdir())


def test_postgresql_is_refused_with_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://grace:secret@localhost/people"
    sealing.refuse_for(url)
    monkeypatch.setenv("FACESET_KEY", KEY)
    with pytest.raises(GalleryError, match="the server must see the vectors to search them") as refused:
        sealing.refuse_for(url)
    assert "secret" not in str(refused.value)
    assert "grace" in str(refused.value)


def test_commands_without_a_key(tmp_path: Path) -> None:
    for words in (["seal", "x.db"], ["unseal", "x.db"], ["rekey", "x.db", "--new-key-file", str(tmp_path / "k")]):
        (tmp_path / "k").write_text(KEY)
        done = CliRunner().invoke(app, ["gallery", *words])
        assert isinstance(done.exception, InputError)
        assert "no key is set" in str(done.exception)
