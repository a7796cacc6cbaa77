"""Where the data and the models for tests are, and a cache that all tests of a run share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from service_app import Running

ROOT = Path(__file__).resolve().parent.parent


def _folder(variable: str, default: str) -> Path:
    path = Path(os.environ.get(variable) or ROOT.parent / "shared" / default).resolve()
    if not path.is_dir():
        reason = f"{variable} names no folder ({path}); it holds pictures and models that cannot be shipped"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; in CI it must be there")
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with lfw/, ytf/, clips/ and people/."""
    return _folder("FACESET_DATA", "data")


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder with the ONNX files used as foreign models."""
    return _folder("FACESET_MODELS", "models")


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell starts what runs in its background with Ctrl-C ignored, and our child processes would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _shared_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Converted models go to one temporary cache, so that tests neither use nor fill the user's own."""
    if "FACESET_CACHE" not in os.environ:
        os.environ["FACESET_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def _no_calibrations_of_ones_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Thresholds come from what ships, not from what the developer has calibrated."""
    os.environ["FACESET_CALIBRATIONS"] = str(tmp_path_factory.mktemp("calibrations"))


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that the tests of its calls share; each test works in a gallery of its own (``query``)."""
    pytest.importorskip("fastapi", reason="the extra `service` is not installed")
    from service_app import running

    with running(tmp_path_factory.mktemp("service"), at_once_seconds=5.0, max_files=8) as found:
        yield found


@pytest.fixture
def query(app: Running, request: pytest.FixtureRequest) -> dict[str, str]:
    """A gallery of the test's own."""
    name = request.node.name.removeprefix("test_").partition("[")[0][:50]
    return app.gallery(name)


@pytest.fixture(scope="session")
def media_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures and clips of two people, and files with nobody in them."""
    from service_media import media

    return media(tmp_path_factory.mktemp("media"))
