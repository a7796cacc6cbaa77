"""The service under load: one client, eight at once, and one again, against a gallery of 10,000 people.

    python -m benchmarks.service_load [--seconds 60] [--people 10000] [--clients 8]

The service runs in processes of its own, as ``faceset serve`` starts them. The clients are threads of this process,
each with one connection that stays open; each sends a portrait to ``/v1/identify`` and the next one as soon as the
answer is there. The people are made up, but bound to the default embedder; the woman in the portrait is enrolled
through the service, and every answer has to name her. The CPU time of all three processes is printed, because they
share the machine.

Bars: the clients together get at least 0.9 times the answers a second that one gets; 95 % of their answers take at
most 10 times the median of one client's; at most 1 % are turned away (429); the memory of the server and of its worker
in the last third is at most 1.05 times that in the first; every answer is right.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.common import RESULTS, finish

FACES, QUEUE = 4, 16
_AT_ONCE = 500  # people in one transaction


# ------------------------------------------------------------------------------------------------------- the gallery


def made_up(number: int, model_id: str, width: int) -> Any:
    """The faces of a person who does not exist: unit vectors around one drawn at random."""
    from faceset.types import Face, FaceSet

    rng = np.random.default_rng(number)
    features = rng.standard_normal(width) + 0.6 * rng.standard_normal((FACES, width))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    name = f"{number}.mp4"
    faces = tuple(
        Face(box=(10, 10, 90, 110), score=0.99, frame=6 * i, time=i / 5, media=name, feature=feature)
        for i, feature in enumerate(features.astype(np.float32))
    )
    return FaceSet(faces, model_id, media=name, digest=f"{number:064x}", kind="video")


def make(path: Path, people: int) -> None:
    """A gallery of so many people, written as ``Gallery.add`` does, but some hundred people in a transaction."""
    from faceset import Gallery, Recognizer
    from faceset.gallery import changes
    from faceset.gallery.incoming import gather

    recognizer = Recognizer()
    width = recognizer.embedder.width
    with Gallery(path) as gallery:
        for start in range(0, people, _AT_ONCE):
            with gallery._database.write() as connection:
                for number in range(start, min(people, start + _AT_ONCE)):
                    faces = gather([made_up(number, recognizer.model_id, width)], keep_crops=False)
                    changes.add(connection, gallery.path, f"person {number}", faces, recognizer.aggregator)


def gallery_file(people: int) -> Path:
    """A gallery of so many people; made by an earlier run if it still fits the models."""
    from faceset import Gallery, Recognizer

    path = RESULTS / f"people_{people}.db"
    if path.exists():
        with Gallery(path, create=False) as gallery:
            recognizer = Recognizer()
            made_by = gallery.template("person 0").aggregator if len(gallery) == people else None
            if gallery.model_id == recognizer.model_id and made_by == recognizer.aggregator.name:
                return path
        path.unlink()
    RESULTS.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    make(part, people)
    part.rename(path)
    return path


def portrait() -> bytes:
    """A portrait as JPEG."""
    from PIL import Image

    from faceset.demo.portraits import portraits

    buffer = io.BytesIO()
    Image.fromarray(portraits()[0].image).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------------------- the service


@contextmanager
def service(data: Path) -> Iterator[tuple[str, int]]:
    """The service in a process of its own: where it is, and the id of the process."""
    words = [sys.executable, "-m", "faceset", "serve", "--data", str(data), "--port", "0", "--queue", str(QUEUE)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        lines = iter(process.stderr)
        try:
            said = next((line for line in lines if "listens on" in line), None)
            if said is None:
                sys.exit("the service did not start")
            url = next(word for word in said.split() if word.startswith("http"))
            rest = threading.Thread(target=lambda: [print(line, end="", file=sys.stderr) for line in lines])
            rest.start()
            yield url, process.pid
        finally:
            process.terminate()
            process.wait(60)
    rest.join()


def child_of(parent: int) -> int:
    """Id of the one child process of another."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError, IndexError):
            if entry.name.isdigit() and int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == parent:
                return int(entry.name)
    sys.exit("the service has no worker process")


def resident(pid: int) -> float:
    """Resident memory of a process, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu(pid: int) -> float:
    """Seconds of CPU time that a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ------------------------------------------------------------------------------------------------------- the clients


@dataclass
class Phase:
    """What so many clients met in some time.

    Attributes:
        clients: their number.
        wall: seconds from the first request to the last answer.
        seconds: how long each answer 200 took.
        turned_away: how long each answer 429 took.
        wrong: names in each answer that is not the one of her in the picture.
        cpu: cores that each process kept busy.
        memory: resident MB of server and worker, once a second.
    """

    clients: int
    wall: float = 0.0
    seconds: list[float] = field(default_factory=list)
    turned_away: list[float] = field(default_factory=list)
    wrong: list[list[str | None]] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    memory: dict[str, list[float]] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.wall

    @property
    def median(self) -> float:
        """Median time of an answer, in seconds."""
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        """Time in which 95 % of the answers were there, in seconds."""
        return float(np.quantile(self.seconds, 0.95))

    @property
    def refused(self) -> float:
        """Share of requests that were turned away."""
        return len(self.turned_away) / (len(self.turned_away) + len(self.seconds))

    def growth(self, name: str) -> float:
        """Most memory in the last third over the most in the first."""
        samples = self.memory[name]
        third = max(1, len(samples) // 3)
        return max(samples[-third:]) / max(samples[:third])

    def line(self) -> str:
        """One line of the table."""
        busy = ", ".join(f"{name} {share:.2f}" for name, share in self.cpu.items())
        held = ", ".join(f"{name} {values[0]:.0f} to {values[-1]:.0f} MB" for name, values in self.memory.items())
        return (
            f"{self.clients} at once: {len(self.seconds):5} answers in {self.wall:5.1f} s, {self.rate:6.2f}/s; "
            f"median {1000 * self.median:5.0f} ms, p95 {1000 * self.p95:5.0f} ms; 429: {100 * self.refused:.1f} %\n"
            f"           cores busy: {busy}; memory: {held}"
        )


def client(url: str, picture: bytes, name: str, until: float, start: threading.Barrier, phase: Phase) -> None:
    """Send the picture again and again; one that is turned away comes back when it was told to."""
    with httpx.Client(base_url=url, timeout=300) as connection:
        connection.get("/v1/health")  # connected before the clock starts
        start.wait()
        while (began := time.monotonic()) < until:
            answer = connection.post("/v1/identify", files={"files": ("portrait.jpg", picture, "image/jpeg")})
            took = time.monotonic() - began
            if answer.status_code == 429:
                phase.turned_away.append(took)
                time.sleep(float(answer.headers["retry-after"]))
                continue
            answer.raise_for_status()
            phase.seconds.append(took)
            named = [match["name"] for match in answer.json()["matches"]]
            if named != [name]:
                phase.wrong.append(named)


def run(url: str, server: int, clients: int, seconds: float, picture: bytes, name: str) -> Phase:
    """So many clients for so many seconds."""
    worker = child_of(server)
    processes = {"server": server, "worker": worker, "clients": os.getpid()}
    phase = Phase(clients, memory={"server": [], "worker": []})
    start = threading.Barrier(clients + 1)
    before = {who: cpu(pid) for who, pid in processes.items()}
    began = time.monotonic()
    until = began + seconds
    failures: list[BaseException] = []

    def one() -> None:
        try:
            client(url, picture, name, until, start, phase)
        except BaseException as error:
            failures.append(error)
            start.abort()

    threads = [threading.Thread(target=one) for _ in range(clients)]
    for thread in threads:
        thread.start()
    with suppress(threading.BrokenBarrierError):
        start.wait()
    began = time.monotonic()
    while any(thread.is_alive() for thread in threads):
        for who, samples in phase.memory.items():
            samples.append(resident(processes[who]))
        next(thread for thread in [*threads, threading.current_thread()] if thread.is_alive()).join(1.0)
    phase.wall = time.monotonic() - began
    if failures:
        raise failures[0]
    phase.cpu = {who: (cpu(pid) - before[who]) / phase.wall for who, pid in processes.items()}
    if child_of(server) != worker:
        sys.exit("the worker process was started anew in between")
    return phase


def main() -> None:
    """Make the gallery, start the service, let the clients at it, print what they met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--part", choices=("make",))
    args = parser.parse_args()
    if not sys.platform.startswith("linux"):
        sys.exit("reads memory and CPU time from /proc, which only Linux has")
    if args.part == "make":
        gallery_file(args.people)
        return
    # In a process of its own, so that this one, which holds the clients, stays small.
    make_it = [sys.executable, "-m", "benchmarks.service_load", "--part", "make", "--people", str(args.people)]
    subprocess.run(make_it, check=True)
    picture, name = portrait(), "Eileen Collins"
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        (data / "galleries").mkdir()
        shutil.copy(RESULTS / f"people_{args.people}.db", data / "galleries" / "default.db")
        with service(data) as (url, server):
            person = httpx.post(f"{url}v1/people", json={"name": name}, timeout=60).raise_for_status().json()["id"]
            held = {"files": ("enrolled.jpg", picture, "image/jpeg")}
            httpx.post(f"{url}v1/people/{person}/media", files=held, timeout=60).raise_for_status()
            run(url, server, args.clients, args.seconds / 6, picture, name)  # not counted: everything is warm then
            phases = []
            for clients in (1, args.clients, 1):
                phases.append(run(url, server, clients, args.seconds, picture, name))
                print(phases[-1].line(), flush=True)
    report(args.people, phases)


def report(people: int, phases: list[Phase]) -> None:
    """The checks; one client is both of its phases together."""
    first, many, second = phases
    alone = Phase(1, first.wall + second.wall, first.seconds + second.seconds)
    throughput, latency = many.rate / alone.rate, many.p95 / alone.median
    print(
        f"{people + 1} people, {first.clients} client: {alone.rate:.2f}/s, median {1000 * alone.median:.0f} ms, ",
        end="",
    )
    print(f"p95 {1000 * alone.p95:.0f} ms")
    checks = [
        (f"throughput of {many.clients} clients over that of one (>= 0.9)", f"{throughput:.2f}", throughput >= 0.9),
        (f"p95 of {many.clients} clients over the median of one (<= 10)", f"{latency:.1f}", latency <= 10),
        ("turned away with 429 (<= 1 %)", f"{100 * many.refused:.2f} %", many.refused <= 0.01),
        *(
            (
                f"memory of the {who}, last third over first (<= 1.05)",
                f"{many.growth(who):.3f}",
                many.growth(who) <= 1.05,
            )
            for who in many.memory
        ),
        ("answers that do not name her", str(sum(len(p.wrong) for p in phases)), not any(p.wrong for p in phases)),
    ]
    summary = [
        {
            **asdict(p),
            "seconds": None,
            "turned_away": len(p.turned_away),
            "answers": len(p.seconds),
            "rate": p.rate,
            "median": p.median,
            "p95": p.p95,
        }
        for p in phases
    ]
    finish("service_load", {"people": people, "phases": summary, "throughput": throughput, "latency": latency}, checks)


if __name__ == "__main__":
    main()
