import numpy as np
import pytest
from synthetic_sets import synthetic

from faceset.errors import InputError
from faceset.feature_table import FeatureRow, table_of
from faceset.training.config import SetConfig, TrainConfig
from faceset.training.data import TrainData, split_subjects
from faceset.training.sampler import SetSampler
from faceset.training.validation import Validation

CONFIG = SetConfig(subjects=20, sets=3, min_faces=2, max_faces=9, max_media=2)


@pytest.fixture(scope="module")
def data():
    return synthetic(people=30, media=4)[0]


def of_rows(data, labels, batch):
    names = np.array(labels.names)
    return [set(names[labels.codes[rows[mask]]]) for rows, mask in zip(batch.rows, batch.mask, strict=True)]


def test_sets_are_of_one_subject_and_few_media(data):
    batch = SetSampler(data, CONFIG).batch(0)
    assert batch.rows.shape == batch.mask.shape == batch.media.shape
    assert (batch.mask.sum(axis=1) >= 2).all()
    assert (batch.mask.sum(axis=1) <= 9).all()
    for who, media, subject in zip(
        of_rows(data, data.subject, batch), of_rows(data, data.medium, batch), batch.subjects, strict=True
    ):
        assert who == {data.subjects[subject]}
        assert 1 <= len(media) <= 2


def test_sets_of_one_subject_share_no_medium(data):
    batch = SetSampler(data, CONFIG).batch(3)
    media = of_rows(data, data.medium, batch)
    assert np.bincount(batch.subjects).max() == 3
    for s in set(batch.subjects.tolist()):
        mine = [m for m, t in zip(media, batch.subjects, strict=True) if t == s]
        assert sum(map(len, mine)) == len(set.union(*mine))


def test_media_numbers_tell_media_apart(data):
    batch = SetSampler(data, CONFIG).batch(1)
    pairs = set(zip(batch.media[batch.mask].tolist(), data.medium.codes[batch.rows[batch.mask]].tolist(), strict=True))
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)


@pytest.mark.parametrize(("clean", "degraded"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
def test_mix_of_clean_and_degraded(data, clean, degraded):
    config = SetConfig(subjects=20, sets=2, min_faces=12, max_faces=12, clean=clean, degraded=degraded)
    sampler = SetSampler(data, config)
    share = np.concatenate([data.degraded[sampler.batch(i).rows].mean(axis=1) for i in range(20)])
    if clean:
        assert (share == 0).all()
    elif degraded:
        assert (share == 1).all()
    else:
        assert share.min() < 0.25
        assert share.max() > 0.75
        assert 0.45 < share.mean() < 0.55


def test_a_medium_without_the_wanted_kind_gives_the_other():
    x = np.eye(6, dtype=np.float32)
    data = TrainData.of(x, list("aabbcc"), [1, 2, 3, 4, 5, 6], [0, 1, 0, 0, 1, 1])
    config = SetConfig(subjects=3, clean=1.0, degraded=0.0)
    batch = SetSampler(data, config).batch(0)
    assert set(batch.rows[batch.mask].tolist()) == set(range(6))


def test_every_face_is_drawn_alike():
    data = synthetic(people=4, media=2, faces=4)[0]
    config = SetConfig(subjects=4, min_faces=8, max_faces=8, clean=0.0, degraded=0.0, max_media=1)
    sampler = SetSampler(data, config)
    counts = sum(np.bincount((b := sampler.batch(i)).rows[b.mask], minlength=len(data.rows)) for i in range(300))
    assert counts.min() > 0.8 * counts.mean()
    assert counts.max() < 1.2 * counts.mean()


def test_batches_depend_on_seed_step_and_rank_alone(data):
    sampler = SetSampler(data, CONFIG, seed=1)
    first = sampler.batch(5)
    sampler.batch(6)
    for a, b in zip(first, SetSampler(data, CONFIG, seed=1).batch(5), strict=True):
        np.testing.assert_array_equal(a, b)
    for other in (sampler.batch(6), sampler.batch(5, rank=1), SetSampler(data, CONFIG, seed=2).batch(5)):
        assert other.rows.shape != first.rows.shape or (other.rows != first.rows).any()


def test_people_with_one_medium_give_one_set():
    x = np.ones((6, 3), np.float32)
    data = TrainData.of(x, list("aabcde"), range(6))
    batch = SetSampler(data, SetConfig(subjects=6, several=0.2)).batch(0)
    assert np.bincount(batch.subjects).tolist() == [2, 1, 1, 1, 1]


def test_only_the_rows_that_take_part_are_drawn(data):
    part = data.only(subjects=data.subjects[:5], kinds=["clean"])
    batch = SetSampler(part, CONFIG).batch(0)
    assert set(batch.rows[batch.mask].tolist()) <= set(part.rows.tolist())
    assert part.features is data.features
    assert part.subjects == data.subjects[:5]


def test_too_few_subjects():
    data = TrainData.of(np.ones((3, 2), np.float32), list("abc"), range(3))
    with pytest.raises(InputError, match="3 subjects are there, 0 with two media or more"):
        SetSampler(data, CONFIG)


def test_split_is_disjoint_fixed_and_about_a_quarter():
    names = [f"person {i}" for i in range(2000)]
    split = split_subjects(names, leave_out=names[:100])
    parts = [set(p) for p in split]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 2000
    assert parts[2] == set(names[:100])
    assert 0.22 < len(split.validation) / 1900 < 0.28
    few = split_subjects(names[500:600])
    assert set(few.validation) == parts[1] & set(names[500:600])


def test_split_never_moves():
    # sha256("Ann") begins with 0x3c..., "Bob" with 0xcd...: below and above a quarter of 2^64 (0x40...).
    assert split_subjects(["Ann", "Bob"]).validation == ("Ann",)


def test_data_from_a_table_and_from_arrays_agree():
    rows = [
        FeatureRow(s, m, np.eye(3)[i % 3], (0, 0, 1, 1), 0.5, kind=k, strength=0.7 * (k != "clean"))
        for i, (s, m, k) in enumerate([("b", "2", "blur"), ("a", "1", "clean"), ("b", "2", "clean")])
    ]
    table = TrainData.from_table(table_of(rows, "emb"))
    arrays = TrainData.of(
        [r.vector for r in rows],
        [r.subject for r in rows],
        [r.medium for r in rows],
        kinds=[r.kind for r in rows],
        strength=[r.strength for r in rows],
        score=[r.score for r in rows],
        embedder="emb",
    )
    for name in TrainData.__slots__:
        a, b = getattr(table, name), getattr(arrays, name)
        for x, y in zip(a, b, strict=True) if isinstance(a, tuple) else [(a, b)]:
            np.testing.assert_array_equal(x, y)
    assert table.degraded.tolist() == [True, False, False]


def test_unrecognisable_faces_are_the_strongest_of_each_kind():
    kinds = ["clean", "blur", "blur", "dark", "dark"]
    data = TrainData.of(np.eye(5), list("aabbb"), range(5), kinds=kinds, strength=[0, 0.1, 0.9, 0.2, 0.3])
    both = data.unrecognisable(by_kind=True)
    assert [x.argmax(axis=1).tolist() for x in both] == [[2], [4]]
    assert data.unrecognisable()[0].argmax(axis=1).tolist() == [2, 4]
    with pytest.raises(InputError, match="no degraded face"):
        data.only(kinds=["clean"]).unrecognisable()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features": np.ones(3)}, r"features must be \(M, D\)"),
        ({"subjects": ["a"]}, r"subjects must have shape \(2,\)"),
        ({"features": [[np.nan], [1.0]]}, "NaN or infinity"),
        ({"media": ["m", "m"]}, "medium 'm' belongs to two subjects"),
    ],
)
def test_bad_data_is_refused(changes, words):
    given = {"features": np.ones((2, 1)), "subjects": ["a", "b"], "media": ["1", "2"]} | changes
    with pytest.raises(InputError, match=words):
        TrainData.of(**given)


def test_validation_sets_are_fixed_and_disjoint_in_media(data):
    one, two = Validation(data, sizes=(4,)), Validation(data, sizes=(4,))
    assert set(one.conditions) == {"clean/4", "mixed/4", "degraded/4"}
    for name, (sets, trials) in one.conditions.items():
        np.testing.assert_array_equal(sets.rows, two.conditions[name].sets.rows)
        assert sets.mask.all()
        assert np.bincount(sets.subjects).tolist() == [2] * 30
        assert trials.same.sum() == 30
    assert set(Validation(data.only(kinds=["clean"]), sizes=(4,)).conditions) == {"clean/4"}


def test_validation_prefers_people_with_several_media():
    data = TrainData.of(np.ones((7, 2)), list("aabccde"), range(7))
    validation = Validation(data, sizes=(2,), most=3)
    assert {"a", "c"} < set(validation.data.subjects)
    assert len(validation.data.subjects) == 3


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"learning_rat": 1}, "TrainConfig has no setting learning_rat; it has aggregator, options"),
        ({"sets": {"size": 1}}, "SetConfig has no setting size"),
        ({"optimiser": "sgd"}, "optimiser must be one of adamw, rmsprop, but got 'sgd'"),
        ({"schedule": "step"}, "schedule must be one of constant, cosine"),
        ({"steps": 0}, "steps must be at least 1, but got 0"),
        ({"far": 2}, r"far must be in 0\.\.1"),
        ({"learning_rate": 0}, "must be > 0"),
        ({"sets": {"clean": 0.7, "degraded": 0.7}}, "add up to 1.4"),
        ({"sets": {"min_faces": 5, "max_faces": 4}}, "max_faces must be at least min_faces = 5"),
    ],
)
def test_bad_settings_are_refused(values, words):
    with pytest.raises(InputError, match=words):
        TrainConfig.from_dict(values)


def test_settings_round_trip():
    config = TrainConfig(aggregator="pma", options={"heads": 2}, sets=SetConfig(subjects=7), steps=9)
    assert TrainConfig.from_dict(config.to_dict()) == config


def test_learning_rate_rises_and_falls():
    config = TrainConfig(learning_rate=1.0, warmup=3, steps=100)
    assert [config.rate(i) for i in range(3)] == sorted(config.rate(i) for i in range(3))
    assert config.rate(0) == 0.25
    assert config.rate(99) < 0.001
    assert TrainConfig(learning_rate=1.0, warmup=0, schedule="constant").rate(500) == 1.0
