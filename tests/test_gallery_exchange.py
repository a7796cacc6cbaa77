"""Export and import: everything comes back bit by bit, and nothing damaged, foreign or newer comes in."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gallery_faces import MEAN, MODEL, WIDTH, faces, probe

from faceset import aggregation
from faceset.errors import EmbedderMismatchError, GalleryError, InputError
from faceset.gallery import Gallery, sealing
from faceset.gallery.exporting import export_gallery
from faceset.gallery.importing import import_gallery


def filled(path: Path) -> Gallery:
    gallery = Gallery(path)
    gallery.add("Zoë \u202e", [faces(1, "a.mp4"), faces(1, "a.mp4", track=1), faces(1, "b.mp4")], aggregator=MEAN)
    gallery.create("Nobody yet")
    gallery.add("Ada", [faces(2, "c.mp4", crops=True)], aggregator=MEAN, keep_crops=True)
    gallery.add("Ada", [faces(2, "live", kind="stream", known=False)], aggregator=MEAN)
    gallery.add("Eve", [faces(3, "e.mp4", count=1)], aggregator=aggregation.get("trimmed"))
    return gallery


def told(gallery: Gallery) -> list[object]:
    """Every value that is held of everybody, in order of enrolment."""
    out: list[object] = []
    for one in sorted(gallery.people(), key=lambda p: p.created):
        out.append(one)
        for held in gallery.features(one.name):
            out += [held.to_dict(), held.digest, held.features.tobytes()]
            for f in held.faces:
                assert f.landmarks is not None
                out += [f.box, f.score, f.time, f.landmarks.tobytes(), None if f.crop is None else f.crop.tobytes()]
        if one.faces:
            made = gallery.template(one.name)
            out += [made.vector.tobytes(), made.weights.tobytes(), made.aggregator, made.consistency]
    return out


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("exchange")
    with filled(folder / "people.db") as gallery:
        export_gallery(gallery, folder / "export")
    return folder / "export"


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "export"))


def refused(folder: Path, tmp_path: Path, kind: type[Exception] = GalleryError, **options: Any) -> str:
    """The message of a refused import into a new gallery, in which nothing is left."""
    with Gallery(tmp_path / "refused.db") as gallery:
        with pytest.raises(kind) as caught:
            import_gallery(gallery, folder, **options)
        assert len(gallery) == 0
        assert gallery.model_id is None
    return str(caught.value)


def test_everything_comes_back_bit_by_bit(tmp_path: Path) -> None:
    with filled(tmp_path / "a.db") as old, Gallery(tmp_path / "b.db") as new:
        report = export_gallery(old, tmp_path / "export")
        assert report.to_dict() == {"folder": str(tmp_path / "export"), "people": 4, "media": 5, "faces": 21}
        done = import_gallery(new, tmp_path / "export")
        assert (done.people, done.media, done.faces) == (4, 5, 21)
        assert (done.already, done.left_out, done.renamed) == ([], [], {})
        assert told(new) == told(old)
        assert new.search([probe(1), probe(3)]) == old.search([probe(1), probe(3)])
        again = export_gallery(new, tmp_path / "again")
        assert again.faces == 21
    first, second = (pq.read_table(tmp_path / name / "faces.parquet") for name in ("export", "again"))
    assert first.equals(second)


def test_another_program_can_read_it(exported: Path) -> None:
    """Read with nothing of ours, as the page on formats says."""
    people = json.loads((exported / "people.json").read_text(encoding="utf-8"))
    assert (people["format"], people["version"], people["width"]) == ("faceset gallery", 1, WIDTH)
    assert people["model_id"] == MODEL
    assert [p["name"] for p in people["people"]] == ["Zoë \u202e", "Nobody yet", "Ada", "Eve"]
    medium = people["people"][0]["media"][1]["id"]
    table = pq.read_table(exported / "faces.parquet")
    rows = [row for row in table.to_pylist() if row["medium"] == medium]
    assert len(rows) == 4
    for row, one in zip(rows, faces(1, "b.mp4").faces, strict=True):
        assert one.feature is not None
        assert one.landmarks is not None
        np.testing.assert_array_equal(np.array(row["feature"], np.float32), one.feature)
        np.testing.assert_array_equal(np.array(row["landmarks"], np.float32), one.landmarks.ravel())
        assert (row["box"], row["score"], row["time"], row["scheme"]) == (
            list(one.box),
            one.score,
            one.time,
            "arcface5",
        )
        assert row["norm"] == pytest.approx(np.linalg.norm(one.feature))
        assert row["crop"] is None
    assert sum(crop is not None for crop in table["crop"].to_pylist()) == 4


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX knows them")
def test_only_the_owner_can_read_it(exported: Path) -> None:
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (exported, exported / "people.json", exported / "faces.parquet")]
    assert modes == [0o700, 0o600, 0o600]


def test_crops_may_be_left_out(tmp_path: Path) -> None:
    with filled(tmp_path / "a.db") as gallery:
        export_gallery(gallery, tmp_path / "export", crops=False)
    assert pq.read_table(tmp_path / "export" / "faces.parquet")["crop"].null_count == 21


def test_a_gallery_of_nobody(tmp_path: Path) -> None:
    with Gallery(tmp_path / "a.db") as gallery:
        gallery.create("Nobody yet")
        export_gallery(gallery, tmp_path / "export")
        assert [p.name for p in (tmp_path / "export").iterdir()] == ["people.json"]
        uid = gallery.person("Nobody yet").uid
    with Gallery(tmp_path / "b.db") as gallery:
        import_gallery(gallery, tmp_path / "export")
        assert gallery.person("Nobody yet").uid == uid
        assert gallery.model_id is None


def test_an_encrypted_gallery_is_exported_plain_and_imported_under_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled(tmp_path / "plain.db") as gallery:
        expected = [one for one in told(gallery) if isinstance(one, bytes)]
    monkeypatch.setenv("FACESET_KEY", sealing.new_key())
    with filled(tmp_path / "a.db") as gallery:
        export_gallery(gallery, tmp_path / "export")
    monkeypatch.setenv("FACESET_KEY", sealing.new_key())
    with Gallery(tmp_path / "b.db") as gallery:
        import_gallery(gallery, tmp_path / "export")
        assert [one for one in told(gallery) if isinstance(one, bytes)] == expected
    feature = faces(1, "a.mp4").features[0].tobytes()
    assert feature not in (tmp_path / "b.db").read_bytes()
    assert feature in (tmp_path / "plain.db").read_bytes()


def test_many_faces_in_several_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceset.gallery.exporting._ROWS", 5)
    monkeypatch.setattr("faceset.gallery.exchange_reading._ROWS", 7)
    with filled(tmp_path / "a.db") as old, Gallery(tmp_path / "b.db") as new:
        export_gallery(old, tmp_path / "export")
        assert pq.ParquetFile(tmp_path / "export" / "faces.parquet").num_row_groups == 5
        import_gallery(new, tmp_path / "export")
        assert told(new) == told(old)


# ---------------------------------------------------------------------------------------------- into one that is filled


def test_names_that_are_taken_are_named_and_nothing_changes(exported: Path, tmp_path: Path) -> None:
    with Gallery(tmp_path / "b.db") as gallery:
        gallery.add("Ada", [faces(9, "other.mp4")], aggregator=MEAN)
        before = told(gallery)
        with pytest.raises(GalleryError, match=r"people called 'Ada' already \(they may be other people\); no"):
            import_gallery(gallery, exported)
        assert told(gallery) == before
        done = import_gallery(gallery, exported, rename=True)
        assert done.renamed == {"Ada": "Ada (2)"}
        assert {p.name for p in gallery.people()} == {"Ada", "Ada (2)", "Eve", "Nobody yet", "Zoë \u202e"}
        assert [s.media for s in gallery.features("Ada")] == ["other.mp4"]


def test_the_second_time(exported: Path, tmp_path: Path) -> None:
    with Gallery(tmp_path / "b.db") as gallery:
        import_gallery(gallery, exported)
        with pytest.raises(GalleryError, match="they were imported before"):
            import_gallery(gallery, exported)
        done = import_gallery(gallery, exported, rename=True)
        assert done.left_out == ["Zoë \u202e", "Eve"]  # every file of theirs is held
        assert len(done.already) == 4
        assert "'c.mp4' of 'Ada' is held for 'Ada' already, as 'c.mp4'" in done.already
        assert [s.media for s in gallery.features("Ada (2)")] == ["live"]  # a stream has no digest and may come again
        ids = [p.uid for p in gallery.people()] + [m.uid for p in gallery.people() for m in p.media]
        assert len(set(ids)) == len(ids)


def test_another_embedder(exported: Path, tmp_path: Path) -> None:
    with Gallery(tmp_path / "b.db") as gallery:
        gallery.add("Bob", [faces(9, "b9.mp4", model_id="sha256:other")], aggregator=MEAN)
        with pytest.raises(EmbedderMismatchError, match="is bound to embedder sha256:other, but the people of"):
            import_gallery(gallery, exported)
    with Gallery(tmp_path / "c.db") as gallery:
        gallery.add("Bob", [faces(9, "b9.mp4", width=8)], aggregator=MEAN)
        with pytest.raises(EmbedderMismatchError, match="holds vectors of width 8"):
            import_gallery(gallery, exported)


def test_another_aggregator_and_one_that_cannot_be_had(copied: Path, tmp_path: Path) -> None:
    text = (copied / "people.json").read_text(encoding="utf-8")
    (copied / "people.json").write_text(text.replace('"trimmed"', '"/tmp/mine.onnx"'), encoding="utf-8")
    message = refused(copied, tmp_path)
    assert "made by aggregator '/tmp/mine.onnx', which its name alone does not give; give the file" in message
    assert "no aggregator is called 'nonsense'" in refused(copied, tmp_path, InputError, aggregator="nonsense")
    with Gallery(tmp_path / "b.db") as gallery:
        import_gallery(gallery, copied, aggregator="medoid")
        assert {gallery.template(p.name).aggregator for p in gallery.people() if p.faces} == {"medoid"}


# ---------------------------------------------------------------------------------------------------- where it may lie


def test_a_folder_that_holds_something(tmp_path: Path) -> None:
    with Gallery(tmp_path / "a.db") as gallery:
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "x").touch()
        with pytest.raises(GalleryError, match="full is not empty; give the name of a new folder"):
            export_gallery(gallery, tmp_path / "full")
        with pytest.raises(GalleryError, match=r"a.db is a file, but an export is a folder"):
            export_gallery(gallery, tmp_path / "a.db")
        with pytest.raises(GalleryError, match="there is no folder .*none; make it first"):
            export_gallery(gallery, tmp_path / "none" / "export")
        (tmp_path / "empty").mkdir()
        export_gallery(gallery, tmp_path / "empty")
        assert (tmp_path / "empty" / "people.json").is_file()


def test_an_export_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with filled(tmp_path / "a.db") as gallery:
        monkeypatch.setattr("faceset.gallery.exporting._Faces.flush", full)
        with pytest.raises(GalleryError, match=r"cannot be written \(No space left on device\); free some space"):
            export_gallery(gallery, tmp_path / "export")
    assert [p.name for p in tmp_path.iterdir()] == ["a.db"]


# --------------------------------------------------------------------------------------------- damaged, foreign, newer


def test_missing_and_foreign(exported: Path, copied: Path, tmp_path: Path) -> None:
    assert "people.json cannot be read" in refused(tmp_path / "none", tmp_path)
    (copied / "faces.parquet").unlink()
    assert "faces.parquet is missing; copy the export as a whole" in refused(copied, tmp_path)
    for text in ("[]", '{"format": "faceset template"}'):
        (copied / "people.json").write_text(text)
        assert "is not an exported gallery" in refused(copied, tmp_path)
    (copied / "people.json").write_bytes(b"\x80abc")
    assert "the export is damaged (it is no JSON" in refused(copied, tmp_path)


def test_a_newer_one(copied: Path, tmp_path: Path) -> None:
    changed(copied, lambda d: d.update(version=2))
    assert "written by a newer faceset (export version 2, this one knows 1); upgrade" in refused(copied, tmp_path)


def test_halves_of_two_exports(copied: Path, tmp_path: Path) -> None:
    with filled(tmp_path / "other.db") as gallery:
        export_gallery(gallery, tmp_path / "other")
    shutil.copy(tmp_path / "other" / "faces.parquet", copied)
    assert "faces.parquet does not belong to the people.json beside it" in refused(copied, tmp_path)


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "people.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")


PEOPLE: dict[str, Callable[[dict[str, Any]], object]] = {
    "'people' is missing": lambda d: d.pop("people"),
    "version 0 never existed": lambda d: d.update(version=0),
    "people must be a list": lambda d: d.update(people={}),
    "width must be a int": lambda d: d.update(width="32"),
    "width is 0": lambda d: d.update(width=0),
    "embedder and width come together": lambda d: d.update(width=None),
    "the same name is there twice": lambda d: d["people"][0].update(name="Ada"),
    "the same id is there twice": lambda d: d["people"][0].update(id=d["people"][1]["id"]),
    "the same digest is there twice": lambda d: d["people"][0]["media"][0].update(
        digest=d["people"][0]["media"][1]["digest"]
    ),
    "id is '../x'": lambda d: d["people"][0].update(id="../x"),
    "the name ' Ada' is not as names are stored": lambda d: d["people"][0].update(name=" Ada"),
    "the name of a person must not be empty": lambda d: d["people"][0].update(name=""),
    "no aggregator, or the other way round": lambda d: d["people"][0].update(aggregator=None),
    "kind must be one of": lambda d: d["people"][0]["media"][0].update(kind="hologram"),
    "digest is 'abc'": lambda d: d["people"][0]["media"][0].update(digest="abc"),
    "faces is True": lambda d: d["people"][0]["media"][0].update(faces=True),
    "Invalid isoformat string": lambda d: d["people"][0].update(created="yesterday"),
    "has no time zone": lambda d: d["people"][0].update(created="2024-01-01T00:00:00"),
    "should have 5 faces, but 8 are there": lambda d: d["people"][0]["media"][0].update(faces=5),
    "who are not there": lambda d: d["people"].pop(0),
}


@pytest.mark.parametrize("reason", PEOPLE)
def test_people_that_cannot_be_right(reason: str, copied: Path, tmp_path: Path) -> None:
    changed(copied, PEOPLE[reason])
    message = refused(copied, tmp_path)
    assert reason in message
    assert "the export is damaged (" in message
    assert message.endswith("; export the gallery again")


def with_column(folder: Path, name: str, row: int, value: object) -> None:
    """Write another value into one row."""
    path = folder / "faces.parquet"
    table = pq.read_table(path)
    values = table[name].to_pylist()
    values[row] = value
    place = table.schema.get_field_index(name)
    field = table.schema.field(name)
    pq.write_table(table.set_column(place, field, pa.array(values, field.type)), path)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("feature", [float("nan")] * WIDTH, "feature holds NaN or infinity"),
        ("feature", [0.0] * WIDTH, "a feature is zero"),
        ("box", [3.0, 3.0, 1.0, 1.0], "box must have x1 > x0"),
        ("score", float("inf"), "score must be finite"),
        ("time", float("nan"), "a time is not finite"),
        ("scheme", None, "landmarks and scheme come together"),
        ("scheme", "none", "landmark scheme must be one of"),
        ("landmarks", [1.0, 2.0, 3.0], "damaged"),
        ("landmarks", [1.0, 2.0], "landmarks must"),
        ("crop", b"GIF89a", "a crop is no PNG picture"),
        ("crop", b"\x89PNG\r\n\x1a\n" + bytes(8) + b"\xff" * 8, "too large"),
        ("crop", b"\x89PNG\r\n\x1a\n" + bytes(8) + b"\0\0\0\1" * 2, "not a PNG picture"),
        ("medium", "0" * 32, "who are not there"),
        ("person", "0" * 32, "who are not there"),
    ],
)
def test_faces_that_cannot_be_right(name: str, value: object, reason: str, copied: Path, tmp_path: Path) -> None:
    with_column(copied, name, 2, value)
    message = refused(copied, tmp_path)
    assert reason in message
    assert "faces.parquet: the export is damaged (" in message


def test_other_columns_and_broken_bytes(copied: Path, tmp_path: Path) -> None:
    path = copied / "faces.parquet"
    whole, table = path.read_bytes(), pq.read_table(path)
    pq.write_table(table.drop_columns(["norm"]), path)
    assert "its columns are not those of an export" in refused(copied, tmp_path)
    path.write_bytes(whole[: len(whole) // 2])
    assert "faces.parquet: the export is damaged (" in refused(copied, tmp_path)
    features = pq.ParquetFile(pa.BufferReader(whole)).metadata.row_group(0).column(11)
    assert features.path_in_schema.startswith("feature")
    place = features.data_page_offset + features.total_compressed_size // 2
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
    assert "faces.parquet: the export is damaged (" in refused(copied, tmp_path)


def test_without_pyarrow(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from faceset.errors import MissingExtraError\n"
        "import faceset.gallery.doctor\n"
        "for name in ('exporting', 'importing'):\n"
        "    try: __import__(f'faceset.gallery.{name}')\n"
        "    except MissingExtraError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.count("pip install 'faceset[train]'") == 2
