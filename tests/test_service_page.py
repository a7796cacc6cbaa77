"""The files of the page: how they are served, and that they need nothing from elsewhere."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from faceset.service import page
from faceset.service.gate import SECURITY_HEADERS
from faceset.service.problems import Problem

FOLDER = Path(page.__file__).parent
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".css", ".html", ".mjs", ".svg"))
SCRIPTS = [name for name in NAMES if name.endswith(".mjs")]


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


class Client:
    """Asks an application without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self("GET", path, **more)


@pytest.fixture(scope="module")
def client() -> Client:
    app = FastAPI()
    page.add(app)
    app.add_exception_handler(Problem, lambda _, problem: problem.response())  # type: ignore[attr-defined]
    return Client(app)


class Elements(HTMLParser):
    """Every element of a document with its attributes."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_data(self, data: str) -> None:
        if data.strip() and self.inside:
            assert self.inside[-1] not in ("script", "style")


# ------------------------------------------------------------------------------------------------ serving


def test_every_file_is_served_as_it_is(client: Client) -> None:
    assert len(NAMES) > 15
    for name in NAMES:
        answer = client.get(f"/page/{name}")
        assert answer.status_code == 200
        assert answer.content == (FOLDER / name).read_bytes()
        kinds = {"css": "text/css", "html": "text/html", "mjs": "text/javascript", "svg": "image/svg+xml"}
        assert answer.headers["content-type"].split(";")[0] == kinds[name.rsplit(".", 1)[1]]
        assert answer.headers["cache-control"] == "no-cache"
    assert client.get("/").content == (FOLDER / "index.html").read_bytes()


def test_a_file_is_sent_once_while_it_stays_the_same(client: Client) -> None:
    first = client.get("/page/main.mjs")
    for tag in (first.headers["etag"], f"W/{first.headers['etag']}", f'"other", {first.headers["etag"]}', "*"):
        again = client.get("/page/main.mjs", headers={"if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    assert client.get("/page/main.mjs", headers={"if-none-match": '"other"'}).status_code == 200
    tags = [client.get(f"/page/{name}").headers["etag"] for name in NAMES]
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize("path", ["/", "/page/base.css"])
def test_head_tells_what_get_would_send(client: Client, path: str) -> None:
    got, head = client.get(path), client("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize(
    "name",
    ["__init__.py", "none.mjs", "..%2f__init__.py", "..%2f..%2fapp.py", "%2e%2e", "%00", "main.mjs%00", "MAIN.MJS"],
)
def test_nothing_else_is_served(client: Client, name: str) -> None:
    assert client.get(f"/page/{name}").status_code == 404


def test_only_reading_is_possible(client: Client) -> None:
    assert client("POST", "/").status_code == 405
    assert client("PUT", "/page/main.mjs").status_code == 405


def test_the_page_is_no_part_of_the_api_document(client: Client) -> None:
    assert client.get("/openapi.json").json()["paths"] == {}


# ------------------------------------------------------------------------------------------------ content


def test_nothing_comes_from_elsewhere() -> None:
    for name in NAMES:
        for address in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"')]*", text(name)):
            assert address == "http://www.w3.org/2000/svg", f"{name}: {address}"
        assert "@import" not in text(name)
        assert "@font-face" not in text(name)


def test_what_is_asked_for_is_there() -> None:
    for name in NAMES:
        for asked in re.findall(r"/page/([\w.-]+)", text(name)):
            assert asked in NAMES, f"{name} asks for {asked}"
    for name in SCRIPTS:
        for asked in re.findall(r'^import [^;]* from "([^"]+)";$', text(name), re.MULTILINE):
            assert asked.removeprefix("./") in SCRIPTS, f"{name} imports {asked}"
    used = {asked for name in SCRIPTS for asked in re.findall(r'from "\./([^"]+)"', text(name))} | {"main.mjs"}
    assert used == set(SCRIPTS)


def test_the_content_policy_allows_all_that_the_page_does() -> None:
    policy = SECURITY_HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    for tag, attributes in Elements(text("index.html")).found:
        assert "style" not in attributes, tag
        assert not any(name.startswith("on") for name in attributes), tag
        if tag == "script":
            assert attributes["src"]
    for name in SCRIPTS:
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert word not in text(name), f"{name}: {word}"
        assert not re.search(r"[\s{,]style:", text(name)), name


def test_the_key_outlives_nothing_but_the_tab() -> None:
    for name in SCRIPTS:
        for word in ("localStorage", "indexedDB", "document.cookie"):
            assert word not in text(name)


def test_signs_and_imported_names_exist() -> None:
    drawn = set(re.findall(r'id="icon-(\w+)"', text("index.html")))
    asked = {name for script in SCRIPTS for name in re.findall(r'(?:icon|sign)\("(\w+)"|sign: "(\w+)"', text(script))}
    flat = {name for pair in asked for name in pair if name}
    assert flat <= drawn
    for script in SCRIPTS:
        for names, source in re.findall(r'import \{([^}]+)\} from "\./([^"]+)"', text(script)):
            for name in names.split(","):
                made = rf"export (?:async )?(?:function\*?|const|class) {name.strip()}\b"
                assert re.search(made, text(source)), f"{script} imports {name.strip()} of {source}"


def test_every_view_has_a_place_and_a_link() -> None:
    found = Elements(text("index.html")).found
    ids = {attributes.get("id") for _, attributes in found}
    links = {attributes.get("href") for tag, attributes in found if tag == "a"}
    for view in ("look", "people", "compare"):
        assert f"view-{view}" in ids
        assert f"#{view}" in links
    assert ("html", {"lang": "en"}) in found
    assert all("alt" in attributes for tag, attributes in found if tag == "img")
