"""A ten-minute 1080p clip, looked at five times a second: speed against real time, and memory, which has to stay flat.

    /usr/bin/time -v python -m benchmarks.long_video [--minutes 10]

The clip is people_walking.mp4 repeated without encoding it anew. Memory is read after every batch of frames; flat means
that the last third needs no more than 5 % above the middle one.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from pathlib import Path

import av

from benchmarks.common import data_dir, finish, timed
from faceset import Recognizer
from faceset.types import Progress


def repeat(source: Path, target: Path, seconds: float) -> float:
    """Copy the packets of ``source`` again and again until ``seconds`` are reached; the length in seconds."""
    with av.open(str(target), "w") as out:
        offset = 0
        written = 0.0
        stream = None
        while written < seconds:
            with av.open(str(source)) as container:
                video = container.streams.video[0]
                if stream is None:
                    stream = out.add_stream_from_template(video)
                length = round(video.frames / float(video.average_rate) / float(video.time_base))
                for packet in container.demux(video):
                    if packet.dts is None:
                        continue
                    packet.pts += offset
                    packet.dts += offset
                    packet.stream = stream
                    out.mux(packet)
                offset += length
                written = offset * float(video.time_base)
    return written


def resident() -> float:
    """Resident memory now, in MB."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 2**20


def main() -> None:
    """Make the clip, read it, print speed and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--detector", default="mtcnn")
    args = parser.parse_args()
    if not sys.platform.startswith("linux"):
        sys.exit("reads memory from /proc, which only Linux has")
    samples: list[tuple[float, float]] = []

    def watch(progress: Progress) -> None:
        samples.append((progress.done, resident()))

    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "long.mp4"
        seconds = repeat(data_dir() / "clips" / "people_walking.mp4", clip, args.minutes * 60)
        recognizer = Recognizer(detector=args.detector)
        wall, counts = timed(lambda: [len(one) for one in recognizer.face_sets(clip, progress=watch)])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    third = len(samples) // 3
    middle = max(mb for _, mb in samples[third : 2 * third])
    last = max(mb for _, mb in samples[2 * third :])
    print(f"{seconds:.0f} s of 1080p video, {len(counts)} tracks, {sum(counts)} faces, {wall:.0f} s of wall time")
    for share in range(0, 101, 10):
        at, mb = samples[min(len(samples) - 1, share * len(samples) // 100)]
        print(f"  at {at:6.1f} s: {mb:5.0f} MB")
    finish(
        "long_video",
        {
            "seconds": seconds,
            "wall": wall,
            "peak_mb": peak,
            "faces": sum(counts),
            "samples": samples[:: max(1, third // 30)],
        },
        [
            ("peak memory (< 1024 MB)", f"{peak:.0f} MB", peak < 1024),
            ("last third against the middle one (<= 1.05)", f"{last / middle:.3f}", last <= 1.05 * middle),
            ("speed, times real time", f"{seconds / wall:.2f}x", True),
        ],
    )


if __name__ == "__main__":
    main()
