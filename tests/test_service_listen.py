"""What the server process sets up before it takes requests."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

from faceset.service.config import ServiceConfig
from faceset.service.running import listen


def test_answers_are_sent_without_waiting_for_more_to_send(tmp_path: Path) -> None:
    # Without this, the second packet of an answer waits for the client to confirm the first: 40 ms.
    async def accepted() -> int:
        told = asyncio.get_running_loop().create_future()

        def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            told.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listen(ServiceConfig(data=tmp_path, port=0)) as listening:
            async with await asyncio.start_server(meet, sock=listening):
                _, writer = await asyncio.open_connection("127.0.0.1", listening.getsockname()[1])
                found: int = await told
                writer.close()
                await writer.wait_closed()
                return found

    assert asyncio.run(accepted())


def test_blas_threads_rest_after_a_search(tmp_path: Path) -> None:
    # OpenBLAS reads the variable when numpy is imported; a thread of it that spins between requests takes a whole core.
    program = (
        "import os, sys\n"
        "from faceset.cli import main\n"
        "from faceset.service import running\n"
        "def seen(config):\n"
        "    print(os.environ['OPENBLAS_THREAD_TIMEOUT'], 'numpy' in sys.modules)\n"
        "    sys.exit(0)\n"
        "running.make_server = seen\n"
        f"sys.argv = ['faceset', 'serve', '--data', {str(tmp_path)!r}]\n"
        "main()\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["4", "False"], done.stderr
