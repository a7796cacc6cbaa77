"""A tab of a browser on the page of a running service: what a visitor does and sees."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from page_audit import AUDIT
from service_app import Running

WIDTHS = (1280, 390)
LONGEST_MS = 20_000


def artefacts() -> Path | None:
    """Where screenshots go; None: none are taken, for they take longer than all the rest."""
    chosen = os.environ.get("FACESET_ARTEFACTS") or (os.environ.get("CI") and "build/screenshots")
    if not chosen:
        return None
    folder = Path(__file__).parent.parent / chosen
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Visitor:
    """A page of a new tab, and what was wrong with it."""

    def __init__(self, site: Running, page: Any) -> None:
        self.site, self.page = site, page
        self.errors: list[str] = []
        self.foreign: list[str] = []
        page.on("console", lambda said: self.errors.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda asked: self.foreign.append(asked.url) if self._is_foreign(asked.url) else None)
        page.set_default_timeout(LONGEST_MS)

    def _is_foreign(self, url: str) -> bool:
        return not url.startswith((self.site.url, "data:", f"blob:{self.site.url}"))

    def go(self, view: str = "look") -> None:
        self.page.goto(f"{self.site.url}#{view}")
        self.page.locator(f"#view-{view}").wait_for()

    def shoot(self, name: str) -> None:
        """Look at the page in both widths, light and dark, where nothing may be wrong; and take screenshots of it."""
        folder = artefacts()
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 900})
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                if folder is not None:
                    whole = not self.page.locator("dialog").count()
                    self.page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=whole)
                assert self.page.evaluate(AUDIT) == [], f"{name}, {width} pixels, {scheme}"
        self.page.set_viewport_size({"width": WIDTHS[0], "height": 900})

    def drop(self, path: Path, zone: str) -> None:
        """Drop a file as a mouse would."""
        data = base64.b64encode(path.read_bytes()).decode()
        given = self.page.evaluate_handle(
            """([data, name]) => {
                 const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
                 const transfer = new DataTransfer();
                 transfer.items.add(new File([bytes], name, { type: "video/mp4" }));
                 return transfer;
               }""",
            [data, path.name],
        )
        self.page.dispatch_event(zone, "dragenter", {"dataTransfer": given})
        assert "over" in self.page.locator(zone).get_attribute("class")
        self.page.dispatch_event(zone, "drop", {"dataTransfer": given})

    def newest(self) -> dict[str, Any]:
        """The result of the newest job, as the API gives it."""
        job = self.site.client.get("/v1/jobs").json()["jobs"][0]["id"]
        found: dict[str, Any] = self.site.client.get(f"/v1/jobs/{job}").json()["result"]
        return found

    def weights(self, inside: str) -> list[tuple[float, str]]:
        """Full weight and shown weight of every face."""
        read = "faces => faces.map(f => [Number(f.dataset.weight), f.querySelector('.weight').lastChild.data])"
        return [(full, shown) for full, shown in self.page.locator(f"{inside} .face").evaluate_all(read)]
