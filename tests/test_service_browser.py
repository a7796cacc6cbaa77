"""The page in a real browser, before the real service and models: the main job from the first clip to forgetting."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_visitor import Visitor
from portraits import both, collins, write
from service_app import Running, running

from faceset.demo.clips import render
from faceset.demo.portraits import portraits
from faceset.service.job_context import JobContext
from faceset.service.keys import KeyStore

if os.environ.get("CI"):
    import playwright.sync_api as playwright
else:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NAME = "Eileen Collins"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = "chromium is not installed: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []  # as root chromium has no sandbox to offer
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=alone)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    collins, hopper = portraits()
    shown = {"collins-1": (collins, 1), "collins-2": (collins, 2), "hopper-1": (hopper, 101)}
    for name, (portrait, seed) in shown.items():
        render(portrait, folder / f"{name}.mp4", seed, seconds=1.8, spoilt=0.3)
    return {name: folder / f"{name}.mp4" for name in shown}


@pytest.fixture(scope="module")
def site(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    del browser  # without one the service need not start
    with running(tmp_path_factory.mktemp("data")) as found:
        yield found


@pytest.fixture
def visitor(browser: Any, site: Running) -> Iterator[Visitor]:
    context = browser.new_context(locale="en-GB", reduced_motion="reduce")
    found = Visitor(site, context.new_page())
    yield found
    context.close()
    for person in site.client.get("/v1/people").json().get("people", []):
        site.client.delete(f"/v1/people/{person['id']}")
    assert found.foreign == [], "the page asked somebody else"


def same_weights(shown: list[tuple[float, str]], faces: list[dict[str, Any]]) -> None:
    expected = [face["weight"] for face in faces]
    assert expected
    assert expected == sorted(expected, reverse=True)
    assert [full for full, _ in shown] == pytest.approx(expected, abs=1e-6)
    assert [text for _, text in shown] == [f"{weight:.3f}" for weight in expected]


def test_from_the_first_clip_to_forgetting(visitor: Visitor, clips: dict[str, Path]) -> None:
    page = visitor.page
    visitor.go()
    visitor.shoot("1-start")

    visitor.drop(clips["collins-1"], "#view-look .drop")
    page.locator("#view-look .enrol").first.wait_for()
    (match,) = visitor.newest()["matches"]
    assert match["name"] is None
    assert len(match["faces"]) == match["face_count"] > 4
    same_weights(visitor.weights(".card"), match["faces"])
    bar = page.locator(".bar")
    times = [float(bar.get_attribute(f"data-{end}")) for end in ("start", "end")]
    assert times == pytest.approx([match["start"], match["end"]])
    page.evaluate("document.activeElement.blur()")
    visitor.shoot("2-unknown")

    page.locator(".enrol input").fill(NAME)
    page.locator(".enrol button").click()
    page.locator(".note", has_text=f"Enrolled as {NAME}.").wait_for()
    (person,) = visitor.site.client.get("/v1/people").json()["people"]
    assert (person["name"], person["media_count"]) == (NAME, 1)

    visitor.drop(clips["collins-2"], "#view-look .drop")
    page.locator("#view-look .badge.yes").wait_for()
    page.locator("#view-look .enrol").wait_for()
    (match,) = visitor.newest()["matches"]
    assert match["name"] == page.locator(".card h3").inner_text() == NAME
    scale = page.locator(".card .score .scale")
    assert float(scale.get_attribute("data-score")) == match["score"] >= match["threshold"]
    assert match["threshold_source"] in page.locator(".card .score").inner_text()
    same_weights(visitor.weights(".card"), match["faces"])
    page.locator(".bar").focus()
    assert page.locator(".told").inner_text().startswith(NAME)
    visitor.shoot("3-recognised")

    page.reload()  # the answer is still there
    page.locator("#view-look .badge.yes").wait_for()

    page.get_by_role("link", name="People").click()
    page.get_by_label("Name", exact=True).fill("Grace Hopper")
    page.locator("#view-people .drop input").set_input_files(clips["hopper-1"])
    page.locator(".note", has_text="as Grace Hopper").wait_for()
    page.locator(".person").nth(1).wait_for()
    page.locator("summary").first.click()
    page.locator(".media li").first.wait_for()
    visitor.shoot("4-people")

    compare(visitor, clips["collins-1"], clips["collins-2"])
    assert page.locator(".decision h2").inner_text() == "The same person"
    compare(visitor, clips["collins-2"], clips["hopper-1"])
    assert page.locator(".decision h2").inner_text() == "Two different people"
    visitor.shoot("5-compared")

    page.get_by_role("link", name="Look").click()
    page.locator("#view-look .card").wait_for()
    page.get_by_role("link", name="People").click()
    page.locator(".person").nth(1).wait_for()
    for left in (1, 0):
        name = page.locator(".person h2").first.inner_text()
        page.get_by_role("button", name=f"Forget {name}").click()
        asked = page.get_by_role("dialog", name=f"Forget {name}?")
        asked.wait_for()
        if left:
            assert page.evaluate("document.activeElement.textContent") == "Cancel"  # Enter alone forgets nobody
            visitor.shoot("6-forget")
            asked.get_by_role("button", name="Cancel").click()
            assert page.locator(".person").count() == 2
            page.get_by_role("button", name=f"Forget {name}").click()
        held = visitor.site.client.get("/v1/people", params={"name": name}).json()["people"][0]["id"]
        media = visitor.site.client.get(f"/v1/people/{held}").json()["media"]
        assert all(medium["name"] in asked.inner_text() for medium in media)
        asked.get_by_role("button", name="Forget").click()
        playwright.expect(page.locator(".person")).to_have_count(left)
    page.get_by_text("Nobody enrolled.").wait_for()
    assert visitor.site.client.get("/v1/people").json()["people"] == []
    page.get_by_role("link", name="Look").click()
    assert page.locator("#view-look .card").count() == 0  # what was shown of them is gone too
    assert page.locator(".alert").count() == 0
    assert visitor.errors == []


def compare(visitor: Visitor, first: Path, second: Path) -> None:
    """Compare two clips on the page; what it shows is what the API says."""
    page = visitor.page
    visitor.go("compare")
    page.reload()
    for number, path in enumerate((first, second)):
        page.locator("#view-compare .drop input").nth(number).set_input_files(path)
    page.get_by_role("button", name="Compare").click()
    page.locator(".decision").wait_for()
    answer = visitor.newest()
    assert float(page.locator(".decision").get_attribute("data-score")) == answer["score"]
    assert (page.locator(".decision").get_attribute("data-same") == "true") == answer["same"]
    for side, label in (("a", "First set"), ("b", "Second set")):
        same_weights(visitor.weights(f'#view-compare section[aria-label="{label}"]'), answer[side]["faces"])


def test_the_main_job_with_the_keyboard_alone(visitor: Visitor, clips: dict[str, Path]) -> None:
    page = visitor.page
    page.on("filechooser", lambda chooser: chooser.set_files(clips["collins-1"]))
    visitor.go()
    press = page.keyboard.press

    def tab_to(selector: str, most: int = 60) -> None:
        for _ in range(most):
            press("Tab")
            if page.evaluate("s => document.activeElement.matches(s)", selector):
                return
        raise AssertionError(f"{selector} cannot be reached by the Tab key")

    press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    tab_to("#view-look .drop input")
    assert page.locator("#view-look .drop").evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    press("Enter")
    page.locator(".enrol").wait_for()
    tab_to(".bar")
    press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "H3"
    tab_to(".enrol input")
    page.keyboard.type(NAME)
    press("Enter")
    page.locator(".note", has_text=f"Enrolled as {NAME}.").wait_for()
    assert page.evaluate("document.activeElement.className") == "note good"
    tab_to(".note a")
    press("Enter")
    page.locator(".person").wait_for()
    assert page.evaluate("document.activeElement.id") == "people-title"
    tab_to(".person .danger")
    press("Enter")
    page.get_by_role("dialog").wait_for()
    press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert page.evaluate("document.activeElement.matches('.person .danger')")
    press("Enter")
    page.get_by_role("dialog").wait_for()
    tab_to("dialog .danger")
    press("Enter")
    page.get_by_text("Nobody enrolled.").wait_for()
    assert visitor.errors == []


def test_pictures_have_no_time_line(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    pictures = [write(both(), tmp_path / "both.png"), write(collins(), tmp_path / "alone.png")]
    visitor.go()
    page.locator("#view-look .drop input").set_input_files([*pictures, Path(__file__)])
    page.locator("#view-look .enrol").nth(2).wait_for()
    answer = visitor.newest()
    assert [match["face_count"] for match in answer["matches"]] == [1, 1, 1]
    assert page.locator("#view-look h2").inner_text() == "2 pictures"
    assert page.locator(".bar, video").count() == 0
    assert [text in answer["refused"] for text in page.locator(".note").all_inner_texts()] == [True]
    for card, match in zip(page.locator(".card").all(), answer["matches"], strict=True):
        assert match["media"] in card.locator("header").inner_text()
    assert visitor.weights(".card") == [(1.0, "1.000")] * 3
    visitor.shoot("10-pictures")
    assert visitor.errors == []


def test_a_job_is_cancelled(visitor: Visitor, clips: dict[str, Path]) -> None:
    go_on = threading.Event()

    def slow(context: JobContext) -> dict[str, Any]:
        go_on.wait(60)
        return {}

    visitor.site.service.jobs.submit("verify", "", None, slow)  # the next one waits for it
    try:
        visitor.go()
        visitor.page.locator("#view-look .drop input").set_input_files(clips["hopper-1"])
        visitor.page.get_by_text("Waiting for its turn").first.wait_for()
        visitor.shoot("7-waiting")
        visitor.page.get_by_role("button", name="Cancel").click()
        visitor.page.locator(".work").wait_for(state="detached")
    finally:
        go_on.set()
    newest = visitor.site.client.get("/v1/jobs").json()["jobs"][0]
    assert (newest["kind"], newest["state"]) == ("identify", "cancelled")
    assert visitor.page.locator(".alert").count() == 0
    assert visitor.errors == []


def test_what_goes_wrong_is_shown_in_the_words_of_the_service(visitor: Visitor) -> None:
    page = visitor.page
    visitor.go()
    wrong = {"name": "<b>notes<b>.mp4", "mimeType": "video/mp4", "buffer": b"no video"}
    page.locator("#view-look .drop input").set_input_files(wrong)
    alert = page.get_by_role("alert")
    alert.wait_for()
    job = visitor.site.client.get("/v1/jobs").json()["jobs"][0]["id"]
    said = visitor.site.client.get(f"/v1/jobs/{job}").json()["error"]["detail"]
    assert "notes" in said
    assert alert.inner_text() == said
    assert page.locator("b").count() == 0  # a file's name is text, not HTML
    visitor.shoot("8-problem")
    page.get_by_role("button", name="Dismiss").click()
    assert alert.count() == 0
    page.locator("#view-look .drop input").set_input_files(wrong)  # it is ready for the next
    alert.wait_for()


def test_galleries_can_be_chosen_and_a_key_is_asked_for(visitor: Visitor, tmp_path: Path) -> None:
    with running(tmp_path) as site:  # its own, for a service that has had a key asks for one ever after
        visitor.site = site
        _choose_a_gallery_and_give_a_key(visitor)


def _choose_a_gallery_and_give_a_key(visitor: Visitor) -> None:
    page, site = visitor.page, visitor.site
    visitor.go()
    assert not page.locator("#gallery").is_visible()  # there is but one
    site.person("Margaret Hamilton", site.gallery("visitors"))
    key = KeyStore(site.service.config.data / "keys.json").create("test")
    page.reload()
    asked = page.get_by_role("dialog", name="Key needed")
    asked.get_by_label("API key").fill("wrong")
    visitor.shoot("9-key")
    page.keyboard.press("Enter")
    page.get_by_text("does not know this key").wait_for()
    page.get_by_role("dialog").get_by_label("API key").fill(key)
    page.keyboard.press("Enter")
    page.get_by_label("Gallery", exact=True).select_option("visitors")
    page.get_by_role("link", name="People").click()
    page.get_by_role("heading", name="Margaret Hamilton").wait_for()
    page.get_by_role("button", name="Rename Margaret Hamilton").click()
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill("Margaret H.")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Margaret H.").wait_for()
    kept = page.evaluate("[localStorage.length, document.cookie, sessionStorage.getItem('faceset-key')]")
    assert kept == [0, "", key]
    page.reload()
    page.get_by_role("heading", name="Margaret H.").wait_for()


def test_words_and_lanes(visitor: Visitor) -> None:
    visitor.go()
    said = visitor.page.evaluate(
        """async () => {
             const { alike, clock, count, digits, meaning, span } = await import("/page/words.mjs");
             const { tick, timeLine } = await import("/page/timeline.mjs");
             const track = (name, start, end, n) => ({ name, start, end, track: n, face_count: 2, faces: [] });
             const known = [track("A", 0, 2, 0), track("A", 3, 4, 1), track("A", 1, 5, 2)];
             const seen = [...known, track(null, 0, 1, 3), track(null, 6, 8, 4)];
             const { element } = timeLine("clip", seen, { onPick() {}, length: 10 });
             const place = element.querySelector('[data-track="1"]').style;
             return {
               clocks: [0, 4.25, 59.9, 60, 64.23, 3661.25, 7325].map(clock),
               spans: [span(1, 1), span(1, 61)],
               counts: [count(1, "face"), count(2, "face"), count(0, "person", "people"), count(12345, "face")],
               digits: [digits(0.12345), digits(null)],
               alike: alike({ name: "B", score: 0.5 }),
               meanings: [
                 meaning({ far: 0.001, fpir: null, threshold_source: "S" }),
                 meaning({ far: null, fpir: 0.0123, threshold_source: "S" }),
                 meaning({ threshold_source: "S" }),
               ],
               ticks: [2, 10, 90, 3600, 90000].map((length) => tick(length)),
               lanes: [...element.querySelectorAll("ol .lane")].map((lane) => lane.querySelectorAll(".bar").length),
               place: ["from", "to"].map((name) => place.getPropertyValue(`--${name}`)),
             };
           }"""
    )
    assert said == {
        "clocks": ["0.0 s", "4.3 s", "59.9 s", "1:00.0", "1:04.2", "1:01:01.3", "2:02:05.0"],
        "spans": ["1.0 s", "1.0 s to 1:01.0"],
        "counts": ["1 face", "2 faces", "0 people", "12,345 faces"],
        "digits": ["0.123", "–"],
        "alike": "Looks like B too (score 0.500): is it the same person?",
        "meanings": [
            "two people are taken for one 0.1 % of the time (FAR). Source: S",
            "a stranger is taken for somebody enrolled 1.2 % of the time (FPIR). Source: S",
            "its false accept rate (FAR) is not known here. Source: S",
        ],
        "ticks": [0.5, 2, 15, 600, 14400],
        "lanes": [2, 1, 1, 1],  # one who is seen twice at once takes two lanes; two unknown ones are never one
        "place": ["0.3", "0.4"],
    }
