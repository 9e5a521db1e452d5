"""The watermark's gates: is it found after what may happen to a picture, what does it cost, can it be seen.

    python -m benchmarks.watermark [--pictures 400] [--peers 60] [--side 256] [--gentle] [--seconds N]

False alarms are counted by ``python -m benchmarks.watermark_false``.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import watermark_peers
from benchmarks.watermark_attacks import GATED, OTHERS, Attack
from benchmarks.watermark_pictures import PAINTERS
from limner.safety.watermark import detect, embed
from limner.safety.watermark.embed import psnr
from limner.types.base import Pixels

PROMISED_PSNR = 40.0
PROMISED_SECONDS = 0.150
_SIDES = (512, 512, 512, 640, 768, 513, 777, 1024, 1024, 1003, 1365, 1536, 2048)
"""Most pictures are this large; the longest are fewer, since they take longest."""
_WORDS = ("a red fox in the snow", "a yellow banana on a beach", "two cats in a forest at night", "a house on a hill")


def pocket_pictures(count: int) -> list[Pixels]:
    """Pictures that the pocket model drew: 128 pixels a side."""
    from limner import Request, Session
    from limner.config import Settings

    with (
        tempfile.TemporaryDirectory() as home,
        Session(settings=Settings.load(Path(home), {}), keep=False, offline=True) as session,
    ):
        each = -(-count // len(_WORDS))
        requests = [Request.of(prompt=words, n=each, seed=1, batching="shared") for words in _WORDS]
        return [image.pixels for request in requests for image in session.generate(request).result()][:count]


def pictures(start: int, count: int, side: int) -> Iterator[tuple[int, str, Pixels]]:
    """``count`` pictures of all kinds and sizes, one in twelve by the pocket model, enlarged: number, kind, pixels."""
    drawn = pocket_pictures(24)
    kinds = (*PAINTERS, "pocket")
    for number in range(start, start + count):
        rng = np.random.default_rng([1, number])
        kind = kinds[number % len(kinds)]
        first, second = (side, side) if side else (int(one) for one in rng.choice(_SIDES, 2))
        if not side and first * second > 1500**2 and rng.random() < 0.5:
            second = 512
        if kind == "pocket":
            small_one = Image.fromarray(drawn[number // len(kinds) % len(drawn)])
            yield number, kind, np.asarray(small_one.resize((second, first), Image.Resampling.LANCZOS))
        else:
            yield number, kind, PAINTERS[kind](rng, first, second)


@dataclass
class Tally:
    """Of one attack: how many pictures, how many found, how many read right, and which kinds were missed."""

    total: int = 0
    found: int = 0
    right: int = 0
    wrong: int = 0
    missed: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, found: bool, payload: int | None, expected: int) -> None:
        self.total += 1
        self.found += found
        self.right += payload == expected
        self.wrong += payload is not None and payload != expected
        if not found:
            self.missed[kind] += 1

    @property
    def least(self) -> float:
        return lower_bound(self.found, self.total)


def lower_bound(found: int, total: int, confidence: float = 0.95) -> float:
    """The one-sided lower limit of a share (Clopper and Pearson 1934), by bisection of the binomial tail."""
    if found == 0:
        return 0.0
    low, high = 0.0, found / total
    for _ in range(60):
        share = (low + high) / 2
        tail = sum(
            math.exp(
                math.lgamma(total + 1)
                - math.lgamma(k + 1)
                - math.lgamma(total - k + 1)
                + k * math.log(share)
                + (total - k) * math.log1p(-share)
            )
            for k in range(found, total + 1)
        )
        low, high = (share, high) if tail < 1 - confidence else (low, share)
    return low


@dataclass
class Gates:
    """All that one run found out."""

    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    psnrs: list[tuple[float, str]] = field(default_factory=list)
    strengths: Counter[str] = field(default_factory=Counter)
    unsure: Counter[str] = field(default_factory=Counter)
    told: Tally = field(default_factory=Tally)
    peers: dict[str, dict[str, Tally]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(Tally)))
    peer_psnrs: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def run(start: int, count: int, peers: int, side: int, gentle: bool, seconds: float) -> Gates:
    gates = Gates()
    started = time.monotonic()
    methods = watermark_peers.METHODS if peers and watermark_peers.available() else ()
    for number, kind, pixels in pictures(start, count, side):
        payload = int(np.random.default_rng([2, number]).integers(0, 2**32))
        marked = embed(pixels, payload, gentle=gentle)
        gates.psnrs.append((marked.psnr, kind))
        gates.strengths[f"{marked.strength:g}"] += 1
        if not marked.sure:
            gates.unsure[kind] += 1
        attacks: dict[str, Attack] = {name: attack for name, (attack, _) in GATED.items()}
        if number % 5 == 0:
            attacks |= OTHERS
        for name, attack in attacks.items():
            found = detect(attack(marked.pixels, np.random.default_rng([3, number, len(name)])))
            gates.tallies[name].add(kind, found.present, found.payload, payload)
            if name == "none":
                gates.told.add(kind, found.present == marked.found, None, 0)
        if methods and number % max(1, count // peers) == 0:
            for method in methods:
                _peer(gates, method, kind, pixels, number)
        if time.monotonic() - started > seconds:
            break
    return gates


def _peer(gates: Gates, method: str, kind: str, pixels: Pixels, number: int) -> None:
    hide, find = watermark_peers.peer(method)
    marked = hide(pixels)
    gates.peer_psnrs[method].append(psnr(pixels, marked))
    for name, (attack, _) in GATED.items():
        attacked = attack(marked, np.random.default_rng([3, number, len(name)]))
        gates.peers[method][name].add(kind, find(attacked), None, 0)


def cost(runs: int, side: int) -> str:
    """Seconds of the processor, which other work beside it lengthens less than the clock's. Each payload is new, as
    each picture's is, so its tiles are made anew."""
    pixels = PAINTERS["landscape"](np.random.default_rng(5), side, side)
    marked = embed(pixels, 1).pixels
    ways: dict[str, Callable[[int], object]] = {
        "embed": lambda n: embed(pixels, n),
        "detect marked": lambda _: detect(marked),
        "detect unmarked": lambda _: detect(pixels),
    }
    told = []
    for name, way in ways.items():
        way(0)
        taken = []
        for n in range(runs):
            began = time.process_time()
            way(n)
            taken.append(time.process_time() - began)
        ordered = sorted(taken)
        p95 = ordered[math.ceil(0.95 * runs) - 1]
        told.append(f"{name} median {statistics.median(taken) * 1e3:.0f} ms, p95 {p95 * 1e3:.0f} ms")
    return f"{side}x{side} ({runs} runs): " + "; ".join(told)


def report(gates: Gates) -> str:
    lines = [
        "| attack | found | at least (95 %) | promised | payload right | wrong | missed |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, tally in gates.tallies.items():
        promised = (
            f"{GATED[name][1]:.0%} {'kept' if tally.least >= GATED[name][1] else 'NOT KEPT'}" if name in GATED else ""
        )
        missed = ", ".join(f"{kind} {n}" for kind, n in tally.missed.items())
        share = f"{tally.found}/{tally.total} | {tally.least:.1%} | {promised} | {tally.right}"
        lines.append(f"| {name} | {share} | {tally.wrong} | {missed} |")
    values = [value for value, _ in gates.psnrs]
    lowest, kind = min(gates.psnrs)
    kept = "kept" if lowest >= PROMISED_PSNR else "NOT KEPT"
    lines += [
        "",
        f"PSNR: lowest {lowest:.2f} dB ({kind}), median {statistics.median(values):.1f} dB, {PROMISED_PSNR} {kept}",
        f"strengths: {dict(sorted(gates.strengths.items()))}; not surely readable after JPEG 55: {dict(gates.unsure)}",
        f"embed foretold whether detect would find it: {gates.told.found}/{gates.told.total}",
    ]
    for method, tallies in gates.peers.items():
        told = ", ".join(f"{name} {tally.found}/{tally.total}" for name, tally in tallies.items())
        lines.append(f"{method} (median {statistics.median(gates.peer_psnrs[method]):.1f} dB): {told}")
    if not gates.peers:
        lines.append("invisible-watermark is not installed: no comparison")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--start", type=int, default=0, help="the first picture's number, to add to an earlier run")
    parser.add_argument("--peers", type=int, default=60, help="pictures that invisible-watermark is tried on")
    parser.add_argument("--side", type=int, default=0, help="all pictures square, with this side")
    parser.add_argument("--gentle", action="store_true")
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop after so long")
    parser.add_argument("--cost", type=int, default=50, help="runs for the time")
    given = parser.parse_args()
    for side in (256, 512, 1024) if given.cost else ():
        print(cost(given.cost, side), flush=True)
    if given.pictures:
        print(report(run(given.start, given.pictures, given.peers, given.side, given.gentle, given.seconds)))


if __name__ == "__main__":
    main()
