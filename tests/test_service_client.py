"""The example client does what it says, against the running service."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from portraits import collins, hopper, varied, write
from service_app import Running, running
from service_media import clip

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "service_client.py"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("service"), at_once_seconds=1.0) as found:
        yield found


@pytest.fixture(scope="module")
def client() -> ModuleType:
    spec = importlib.util.spec_from_file_location("service_client", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_enrols_and_finds(app: Running, tmp_path: Path) -> None:
    write(varied(collins(), 0), tmp_path / "people" / "Collins" / "a.png")
    clip(tmp_path / "people" / "Collins" / "b.mp4", frames=8)
    write(varied(hopper(), 0), tmp_path / "people" / "Hopper" / "a.png")
    video = clip(tmp_path / "party.mp4", frames=8, people=True)
    environment = {**os.environ, "NO_PROXY": "*"}
    words = [sys.executable, str(EXAMPLE), app.url, str(tmp_path / "people"), str(video)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    lines = done.stdout.splitlines()
    assert lines[:2] == ["Collins: 2 added, 0 known, []", "Hopper: 1 added, 0 known, []"]
    assert sorted(line.split()[2] for line in lines[2:]) == ["Collins", "Hopper"]
    again = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    assert again.stdout.splitlines()[0] == "Collins: 0 added, 2 known, []"


def test_its_other_calls(app: Running, client: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    app.gallery("other")
    one, two = write(varied(collins(), 1), tmp_path / "1.png"), write(varied(collins(), 2), tmp_path / "2.png")
    with client.Client(app.url, gallery="other") as talk:
        assert talk.verify([one], [two])["same"] is True
        found = talk.identify([one], k=1)
        person = talk.enrol_track(found["id"], found["matches"][0]["track"], "Eileen")["person"]["id"]
        assert [p["id"] for p in talk.people()] == [person]
        assert talk.identify([two])["matches"][0]["person_id"] == person
        talk.forget(person)
        assert list(talk.people()) == []
        with pytest.raises(client.ServiceError, match="nobody has the id") as refused:
            talk.forget(person)
        assert (refused.value.kind, refused.value.status) == ("unknown-person", 404)
        text = tmp_path / "x.png"
        text.write_text("no picture")
        with pytest.raises(client.ServiceError, match=r"x\.png") as failed:
            talk.identify([text])
        assert failed.value.kind == "media"
