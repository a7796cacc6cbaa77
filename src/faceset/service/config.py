"""What ``faceset serve`` may be told."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from faceset.errors import InputError
from faceset.packs.inventory import MANIFEST_NAME


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """Settings of the service.

    Attributes:
        data: folder of galleries, jobs, keys and the audit log; made when missing, readable by its owner alone.
        host, port: where to listen. Any address but this machine's own needs an API key.
        queue: requests that may wait for the recogniser; one more is answered 429.
        max_upload: largest request body, in bytes.
        max_files: most files in a request.
        upload_seconds: longest time a request body may take to arrive.
        stall_seconds: longest pause within it; also the longest time the head of a request may take.
        at_once_seconds: longest video that is answered in the request itself; longer ones are jobs.
        max_seconds: longest video that is taken at all.
        work_seconds: longest time one answer of the worker process may take, for anybody, and the longest time all
            answers about one medium of a request may take together. A job is bounded by ``max_seconds``, and can be
            cancelled.
        connections: most open connections.
        pack: a pack in place of ``embedder``, which is then not looked at.
        detector, embedder, aggregator, fps, threshold, far, fpir, calibration: see :class:`faceset.Recognizer`.
        keep_crops: store the faces' crops in galleries too.

    Raises:
        InputError: a value out of range.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8000
    queue: int = 16
    max_upload: int = 1 << 30
    max_files: int = 100
    upload_seconds: float = 600.0
    stall_seconds: float = 20.0
    at_once_seconds: float = 20.0
    max_seconds: float = 4 * 3600.0
    work_seconds: float = 120.0
    connections: int = 256
    detector: str = "mtcnn"
    embedder: str = "dlib-resnet"
    pack: str | None = None
    aggregator: str | None = None
    fps: float = 5.0
    threshold: float | None = None
    far: float = 1e-3
    fpir: float = 1e-2
    calibration: str | None = None
    keep_crops: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", Path(self.data).absolute())
        for name in ("queue", "max_upload", "max_files", "connections"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, but got {getattr(self, name)}")
        for name in ("upload_seconds", "stall_seconds", "at_once_seconds", "max_seconds", "work_seconds"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be more than 0 seconds, but got {getattr(self, name)}")
        if not 0 <= self.port <= 65535:
            raise InputError(f"port must be in 0..65535, but got {self.port}")

    @property
    def models(self) -> str:
        """The embedder that the worker process loads: a name, or the whole path of a manifest."""
        if self.pack is None:
            return self.embedder
        path = Path(self.pack).absolute()
        return str(path if path.suffix == ".toml" else path / MANIFEST_NAME)

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def temporary(self) -> Path:
        """Folder of uploads while they are worked on; emptied at every start."""
        return self.data / "tmp"
