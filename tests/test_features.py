import contextlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faceset import features
from faceset.errors import EmbedderMismatchError, FeatureTableError, InputError, MissingExtraError
from faceset.features import FeatureRow, Labels, TableWriter, table_of

D = 6


def row(subject="Ann", medium="Ann/1.jpg", seed=0, **more):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 9, (5, 2)).astype(np.float32)
    given = {"vector": rng.normal(size=D).astype(np.float32), "box": (1, 2, 30, 40), "score": 0.9, "landmarks": points}
    return FeatureRow(subject=subject, medium=medium, **(given | more))


def rows_of_people(people=3, media=2, faces=4):
    return [
        row(
            f"p{p}",
            f"p{p}/m{m}.jpg",
            seed=100 * p + 10 * m + k,
            frame=k,
            time=k / 25,
            kind="clean" if k == 0 else "blur",
            strength=k / 10,
            landmarks=None if k == 3 else np.full((5, 2), k, np.float32),
        )
        for p in range(people)
        for m in range(media)
        for k in range(faces)
    ]


def assert_same(a, b):
    for name in a.__slots__:
        x, y = getattr(a, name), getattr(b, name)
        if isinstance(x, Labels):
            assert x.names == y.names, name
            np.testing.assert_array_equal(x.codes, y.codes, name)
        elif isinstance(x, np.ndarray):
            assert x.dtype == y.dtype, name
            np.testing.assert_array_equal(x, y, name)
        else:
            assert x == y, name


def test_round_trip_keeps_every_column(tmp_path):
    table = table_of(rows_of_people(), "emb-1", settings={"size": 150})
    features.write(tmp_path / "t.parquet", table)
    back = features.read(tmp_path / "t.parquet")
    assert_same(table, back)
    assert back.vectors[5].tolist() == rows_of_people()[5].vector.tolist()
    assert np.isnan(back.landmarks[3]).all()
    assert back.landmarks[2, 4].tolist() == [2, 2]
    np.testing.assert_allclose(back.norm, np.linalg.norm(back.vectors, axis=1), rtol=1e-6)
    assert back.degraded.tolist() == [False, True, True, True] * 6


def test_other_programs_can_read_it(tmp_path):
    features.write(tmp_path / "t.parquet", table_of([row(kind="blur", strength=0.5)], "emb-1"))
    plain = pq.read_table(tmp_path / "t.parquet")
    assert plain.schema.field("vector").type == pa.list_(pa.float32(), D)
    assert plain.to_pylist()[0]["subject"] == "Ann"
    assert plain.schema.metadata[b"faceset.embedder"] == b"emb-1"


def fill(folder, rows, media):
    writer = TableWriter(folder, "emb-1", width=D, settings={"x": (1, 2)})
    for medium in media:
        if not writer.has(medium):
            writer.add(medium, [r for r in rows if r.medium == medium])


def test_parts_resume_to_the_same_table(tmp_path):
    rows = rows_of_people()
    media = sorted({r.medium for r in rows})
    fill(tmp_path / "whole", rows, media)
    fill(tmp_path / "cut", rows, media[::-1][:2])
    (tmp_path / "cut" / ".part.parquet.1.tmp").write_bytes(b"half a part")
    fill(tmp_path / "cut", rows, media)
    assert_same(features.read(tmp_path / "whole"), features.read(tmp_path / "cut"))
    for part in (tmp_path / "whole").iterdir():
        assert part.read_bytes() == (tmp_path / "cut" / part.name).read_bytes()
    assert len(list((tmp_path / "cut").iterdir())) == len(media)


def test_finished_parts_are_not_written_again(tmp_path):
    writer = TableWriter(tmp_path, "emb-1", width=D)
    assert not writer.has("m")
    writer.add("m", [])
    assert TableWriter(tmp_path, "emb-1", width=D).has("m")


def test_medium_without_faces_leaves_an_empty_part(tmp_path):
    writer = TableWriter(tmp_path, "emb-1", width=D)
    writer.add("none.jpg", [])
    assert len(features.read(tmp_path)) == 0
    assert features.read(tmp_path).vectors.shape == (0, D)
    writer.add("Ann/1.jpg", [row()])
    table = features.read(tmp_path)
    assert table.medium.names == ("Ann/1.jpg",)
    assert table.sets("medium").offsets.tolist() == [0, 1]


def test_merge_makes_one_file(tmp_path):
    rows = rows_of_people()
    fill(tmp_path / "parts", rows, sorted({r.medium for r in rows}))
    merged = features.merge(tmp_path / "parts", tmp_path / "one.parquet")
    assert_same(merged, features.read(tmp_path / "one.parquet"))


def test_more_rows_than_one_group(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "_ROWS", 5)
    table = table_of(rows_of_people(), "emb-1")
    features.write(tmp_path / "t.parquet", table)
    assert pq.read_metadata(tmp_path / "t.parquet").num_row_groups == 5
    assert_same(table, features.read(tmp_path / "t.parquet"))


@pytest.mark.parametrize(("by", "count"), [("subject", 3), ("medium", 6), ("track", 12)])
def test_sets_hold_the_faces_of_one_group_each(by, count):
    rows = rows_of_people()
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    shuffled = [FeatureRow(**{s: getattr(r, s) for s in r.__slots__} | {"track": r.frame % 2}) for r in shuffled]
    table = table_of(shuffled, "emb-1")
    sets = table.sets(by)
    assert len(sets.names) == count
    for b, (start, stop) in enumerate(zip(sets.offsets[:-1], sets.offsets[1:], strict=True)):
        members = [shuffled[i] for i in sets.rows[start:stop]]
        keys = {
            "subject": {r.subject for r in members},
            "medium": {r.medium for r in members},
            "track": {f"{r.medium}#{r.track}" for r in members},
        }
        assert keys[by] == {sets.names[b]}
        assert {r.subject for r in members} == {sets.subjects[b]}
        np.testing.assert_array_equal(sets.features[start:stop], np.stack([r.vector for r in members]))
    assert sets.offsets[-1] == len(rows)


def test_sets_by_an_unknown_word():
    with pytest.raises(InputError, match="by 'subject', 'medium' or 'track', but got 'shot'"):
        table_of([row()], "e").sets("shot")


def test_take_keeps_the_chosen_rows():
    table = table_of(rows_of_people(), "emb-1")
    part = table.take(table.subject.is_in(["p2"]))
    assert part.subject.names == ("p2",)
    np.testing.assert_array_equal(part.vectors, table.vectors[-8:])
    assert part.embedder == "emb-1"


def test_two_embedders_never_mix(tmp_path):
    TableWriter(tmp_path, "emb-1", width=D).add("a", [row(medium="a")])
    with pytest.raises(EmbedderMismatchError, match=r"'emb-1'.*'emb-2'; write to another folder"):
        TableWriter(tmp_path, "emb-2", width=D)
    features.write(tmp_path / "z.parquet", table_of([row()], "emb-2"))
    with pytest.raises(EmbedderMismatchError, match="one table holds the features of one embedder"):
        features.read(tmp_path)


def test_other_settings_are_refused(tmp_path):
    TableWriter(tmp_path, "e", width=D, settings={"blur": 1}).add("a", [row(medium="a")])
    for other in ({"width": D, "settings": {"blur": 2}}, {"width": D + 1, "settings": {"blur": 1}}):
        with pytest.raises(FeatureTableError, match="begun with other settings"):
            TableWriter(tmp_path, "e", **other)


def test_missing_damaged_foreign_and_newer_files(tmp_path):
    with pytest.raises(FeatureTableError, match=r"there is no feature table .*none\.parquet; extract"):
        features.read(tmp_path / "none.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FeatureTableError, match="holds no part"):
        features.read(tmp_path / "empty")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(FeatureTableError, match=r"text\.parquet is no Parquet file or is damaged"):
        features.read(tmp_path / "text.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "foreign.parquet")
    with pytest.raises(FeatureTableError, match=r"foreign\.parquet is not a feature table of faceset"):
        features.read(tmp_path / "foreign.parquet")
    newer = pa.table({"a": [1]}).replace_schema_metadata({"faceset.table": "2"})
    pq.write_table(newer, tmp_path / "newer.parquet")
    with pytest.raises(FeatureTableError, match=r"has version 2 of the format, newer than 1.*upgrade faceset"):
        features.read(tmp_path / "newer.parquet")
    pq.write_table(newer.replace_schema_metadata({"faceset.table": "1"}), tmp_path / "lacks.parquet")
    with pytest.raises(FeatureTableError, match=r"lacks\.parquet lacks box, frame"):
        features.read(tmp_path / "lacks.parquet")


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("settings", "{oops", "settings are no JSON object"),
        ("settings", "[1]", "settings are no JSON object"),
        ("scheme", "nobodys", "landmarks of scheme 'nobodys', but known are"),
    ],
)
def test_damaged_metadata_names_the_file(tmp_path, key, value, reason):
    path = tmp_path / "t.parquet"
    features.write(path, table_of(rows_of_people(), "emb-1"))
    whole = pq.read_table(path)
    changed = {**whole.schema.metadata, f"faceset.{key}".encode(): value.encode()}
    pq.write_table(whole.replace_schema_metadata(changed), path)
    with pytest.raises(FeatureTableError, match=rf"t\.parquet.*{reason}.*; extract it again"):
        features.read(path)


def test_vectors_of_varying_length_are_refused(tmp_path):
    path = tmp_path / "t.parquet"
    features.write(path, table_of(rows_of_people(), "emb-1"))
    whole = pq.read_table(path)
    at = whole.schema.get_field_index("vector")
    lists = pa.array(whole["vector"].to_pylist(), pa.list_(pa.float32()))
    pq.write_table(whole.set_column(at, "vector", lists), path)
    with pytest.raises(FeatureTableError, match=r"t\.parquet is damaged \(its vectors are list.*extract it again"):
        features.read(path)


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("vectors", np.nan, "a vector with NaN or infinity"),
        ("vectors", 0.0, "a norm that is not the length of its vector"),
        ("score", np.nan, "a detector score that is no number of 0 or more"),
        ("score", -1.0, "a detector score that is no number of 0 or more"),
        ("norm", np.nan, "a norm that is not the length of its vector"),
        ("norm", 0.0, "a norm that is not the length of its vector"),
    ],
)
def test_numbers_that_no_extraction_writes_name_file_and_row(tmp_path, column, value, what):
    table = table_of(rows_of_people(), "emb-1")
    getattr(table, column)[2] = value
    features.write(tmp_path / "t.parquet", table)
    with pytest.raises(FeatureTableError, match=rf"t\.parquet holds {what} in row 2; extract it again"):
        features.read(tmp_path / "t.parquet")


def test_damaged_bytes_are_noticed(tmp_path):
    path = tmp_path / "t.parquet"
    table = table_of(rows_of_people(), "emb-1")
    features.write(path, table)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(len(data), size=3):
            data[at] ^= int(rng.integers(1, 256))
        path.write_bytes(data if rng.random() < 0.7 else data[: int(rng.integers(len(data)))])
        with contextlib.suppress(FeatureTableError):
            np.testing.assert_array_equal(features.read(path).vectors, table.vectors)


def test_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(FeatureTableError, match="is a file, but parts are added to a folder"):
        TableWriter(tmp_path / "f", "e", width=D)


def test_rows_that_do_not_fit():
    with pytest.raises(InputError, match="vectors of one width"):
        table_of([row(), row(vector=np.ones(3, np.float32))], "e")
    with pytest.raises(InputError, match="hold NaN or infinity"):
        table_of([row(vector=np.full(D, np.nan, np.float32))], "e")
    with pytest.raises(InputError, match="vectors of one width"):
        table_of([], "e")


def test_part_of_another_medium(tmp_path):
    with pytest.raises(FeatureTableError, match="'b' can hold rows of that medium only"):
        TableWriter(tmp_path, "e", width=D).add("b", [row(medium="a")])


def test_missing_extra_names_itself(monkeypatch):
    monkeypatch.delitem(sys.modules, "faceset.features")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'faceset\[evaluate\]'"):
        import faceset.features  # noqa: F401
