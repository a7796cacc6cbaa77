"""Images a second of each backbone, in training and inference, beside what the hardware multiplies at best.

    python -m benchmarks.backbones [--quick] [--device cpu] [--rounds 7] [--only googlenet-112,vgg16-224]

Measured on the CPU and on the GPU where there is one. Training is one full step: forward, backward, AdamW. The share is
the network's multiplications and additions a second over those of a large matrix product in the same arithmetic,
measured in the same round; a median over the rounds, in which all ways take turns.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import finish
from faceset.errors import InputError
from faceset.packs.session import open_session
from faceset.training import backbones
from faceset.training.device import autocast, channels_last, compiled, precision, tf32
from faceset.training.onnx_files import FEATURE, IMAGE, write_backbone

CASES = {
    "googlenet-224": (8, 256),
    "googlenet-112": (32, 1024),
    "vgg16-224": (4, 128),
    "iresnet18-112": (16, 512),
    "iresnet34-112": (16, 512),
    "iresnet50-112": (8, 512),
    "iresnet100-112": (8, 256),
    "dlib-resnet-150": (32, 1024),
    "mobilefacenet-112": (32, 1024),
}
"""Network and side of its picture -> batch on the CPU and on a GPU."""
WAYS = ("train fp32", "train bf16", "train bf16 compiled", "torch fp32", "torch bf16", "onnx fp32")


@dataclass
class Way:
    """One way to run a network: what is timed, on how many pictures, and the arithmetic its peak is measured in."""

    call: Callable[[], Any]
    pictures: int
    flops: float
    peak: str
    rates: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)


def flops(name: str, side: int) -> tuple[float, float]:
    """Multiplications and additions a picture, of inference and of one training step."""
    network, x = backbones.build(name, size=side), torch.zeros(2, 3, side, side)
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        network.eval()(x)
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: backward_flops}) as step:
        network.train()(x).sum().backward()
    return forward.get_total_flops() / 2, step.get_total_flops() / 2


def backward_flops(gradient: Sequence[int], _: Sequence[int], kernel: Sequence[int], *rest: Any, **__: Any) -> int:
    """Of a convolution's gradients, as many as its own for each of input and kernel; torch's count ignores groups."""
    wanted = sum(rest[-1][:2])
    return int(2 * gradient[0] * math.prod(gradient[2:]) * math.prod(kernel) * wanted)


def seconds(call: Callable[[], Any], device: torch.device, least: float) -> float:
    """Seconds of one call: the mean over as many as take ``least`` seconds together."""
    done, start = 0, time.perf_counter()
    while True:
        call()
        done += 1
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        spent = time.perf_counter() - start
        if spent >= least:
            return spent / done


def peaks(device: torch.device, side: int) -> dict[str, Callable[[], Tensor]]:
    """A square matrix product in each arithmetic."""
    a, b = (torch.randn(side, side, device=device) for _ in range(2))
    c, d = a.bfloat16(), b.bfloat16()

    def rounded() -> Tensor:
        with tf32(device):
            return a @ b

    return {"fp32": lambda: a @ b, "bf16": lambda: c @ d, **({"tf32": rounded} if device.type == "cuda" else {})}


def ways(name: str, side: int, batch: int, device: torch.device, folder: Path, notes: list[str]) -> dict[str, Way]:
    """All ways to run one network."""
    inference, training = flops(name, side)
    network = channels_last(backbones.build(name, size=side).to(device))
    x = channels_last(torch.randn(batch, 3, side, side, device=device))
    optimiser = torch.optim.AdamW(network.parameters())
    fast = "tf32" if device.type == "cuda" else "fp32"

    def step(module: torch.nn.Module, wanted: str) -> None:
        network.train()
        around: AbstractContextManager[None] = tf32(device) if wanted == "fp32" else nullcontext()
        with around:
            with autocast(device, wanted):
                loss = module(x).float().square().mean()
            loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    def run(wanted: str) -> None:
        network.eval()
        with torch.inference_mode(), autocast(device, wanted):
            network(x)

    found = {
        "train fp32": Way(partial(step, network, "fp32"), batch, training, fast),
        "train bf16": Way(partial(step, network, "bf16"), batch, training, "bf16"),
        "torch fp32": Way(partial(run, "fp32"), batch, inference, "fp32"),
        "torch bf16": Way(partial(run, "bf16"), batch, inference, "bf16"),
    }
    if (quick := compiled(network)) is not network:
        found["train bf16 compiled"] = Way(partial(step, quick, "bf16"), batch, training, "bf16")
    path, other = folder / f"{name}-{side}.onnx", backbones.build(name, size=side)
    write_backbone(other, path, mean=other.mean, std=other.std)
    try:
        session = open_session(path, what=name, device=str(device))
    except InputError as error:
        notes.append(str(error))
    else:
        feed = {IMAGE: x.cpu().numpy().astype(np.float32, order="C")}
        found["onnx fp32"] = Way(lambda: session.run([FEATURE], feed), batch, inference, "fp32")
    return found


def measure(device: torch.device, cases: list[str], rounds: int, quick: bool) -> dict[str, Any]:
    """Figures of all cases on one device."""
    gpu = device.type == "cuda"
    least, side = (0.0 if quick else 0.5), (8192 if gpu else 1024 if quick else 3072)
    products, rows = peaks(device, side), {}
    notes: list[str] = []
    seen: dict[str, list[float]] = {kind: [] for kind in products}
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            name, _, pixels = case.rpartition("-")
            batch = CASES[case][gpu]
            found = ways(name, int(pixels), max(2, batch // 8) if quick else batch, device, Path(folder), notes)
            for way in found.values():  # kernels are chosen, memory is taken
                seconds(way.call, device, least / 2)
            for number in range(rounds):
                best = {kind: 2 * side**3 / seconds(call, device, least) for kind, call in products.items()}
                for kind, value in best.items():
                    seen[kind].append(value)
                order = list(found.values())
                for way in order if number % 2 else reversed(order):
                    rate = way.pictures / seconds(way.call, device, least)
                    way.rates.append(rate)
                    way.shares.append(rate * way.flops / best[way.peak])
            rows[case] = {
                "inference_gflop": found["torch fp32"].flops / 1e9,
                "training_gflop": found["train fp32"].flops / 1e9,
                "batch": found["train fp32"].pictures,
                "images_per_second": {way: statistics.median(w.rates) for way, w in found.items()},
                "share_of_peak": {way: statistics.median(w.shares) for way, w in found.items()},
                "bf16_speed_up": statistics.median(
                    b / a for a, b in zip(found["train fp32"].rates, found["train bf16"].rates, strict=True)
                ),
            }
            print(line(case, rows[case]), flush=True)
            del found
            if gpu:
                torch.cuda.empty_cache()
    return {
        "device": torch.cuda.get_device_name(device) if gpu else processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "auto": precision(device),
        "rounds": rounds,
        "quick": quick,
        "peak_tflops": {kind: statistics.median(values) / 1e12 for kind, values in seen.items()},
        "networks": rows,
        "notes": sorted(set(notes)),
    }


def processor() -> str:
    """Name of the CPU, and what of its instructions matters here."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "CPU"
    model = next((ln.partition(":")[2].strip() for ln in text.splitlines() if ln.startswith("model name")), "CPU")
    return " ".join([model, *(flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in text.split())])


def line(case: str, row: dict[str, Any]) -> str:
    """One row of the Markdown table."""
    rates, shares = row["images_per_second"], row["share_of_peak"]
    cells = [f"{rates[way]:.3g} ({shares[way]:.0%})" if way in rates else "-" for way in WAYS]
    work = f"{row['inference_gflop']:.2f} / {row['training_gflop']:.2f}"
    return "| " + " | ".join([case, str(row["batch"]), work, *cells]) + " |"


HEAD = (
    "| network and side | batch | GFLOP a picture, inference / training | "
    + " | ".join(WAYS)
    + " |\n"
    + "|---" * 9
    + "|"
)


def main() -> None:
    """Measure, print the tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small batches and few rounds: to see that it works")
    parser.add_argument("--device", help="cpu or cuda:0 (default: the CPU, and the GPU where there is one)")
    parser.add_argument("--rounds", type=int, help="default: 7, with --quick 3")
    parser.add_argument("--only", default=",".join(CASES), help="cases, with commas")
    arguments = parser.parse_args()
    places = [arguments.device] if arguments.device else ["cpu", *(["cuda:0"] if torch.cuda.is_available() else [])]
    figures, checks = {}, []
    for place in places:
        print(f"\n{place}\n\n{HEAD}")
        rounds = arguments.rounds or (3 if arguments.quick else 7)
        found = measure(torch.device(place), arguments.only.split(","), rounds, arguments.quick)
        figures[place] = found
        peak = ", ".join(f"{kind} {value:.3g}" for kind, value in found["peak_tflops"].items())
        print(f"\n{found['device']}, {found['threads']} threads, torch {found['torch']}; peak in TFLOP/s: {peak}")
        print("\n".join(found["notes"]))
        for case, row in found["networks"].items():
            ratio = row["bf16_speed_up"]
            met = (ratio >= 1.0) == (found["auto"] == "bf16")
            checks.append(
                (f"{place}: {found['auto']}, which auto trains {case} in, is faster", f"bf16 x{ratio:.2f}", met)
            )
    finish("backbones", figures, checks)


if __name__ == "__main__":
    main()
