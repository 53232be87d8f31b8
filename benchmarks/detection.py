"""Target assignment, suppression and overlap against d2l 1.0.3 and torchvision.

Sides run in turn, in one process; the median of the ratios of neighbouring runs is
reported with its range: other work on the machine then slows both.

    python benchmarks/detection.py [--rounds 9] [--threads 2] [--counts 250 500 1000 2000 4000]

`targets`: 32 images, with the 720 anchors of the course's detector and 4 objects an image, and
with the 5,444 of d2l's small SSD at 256×256 pixels and 1 object, as in its banana pictures, or 8.
`nms`: 2,000 boxes of 30 to 90 pixels in squares of three sizes, such that about 5, 30 and 55 per
cent are suppressed at an IoU of 0.5; indices must be equal. `iou`: all pairs of 2,000 and 1,000
boxes, float32.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision import ops

from d2lcompanion.experiments.suppression_cost import boxes_in
from d2lcompanion.vision.anchors import anchor_boxes, assign_targets
from d2lcompanion.vision.boxes import box_iou
from d2lcompanion.vision.nms import nms

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from d2l import torch as d2l

SQUARES = {5: 2850, 30: 930, 55: 490}  # pixels: the smaller, the more is suppressed
THRESHOLD = 0.5
OWN_MAPS = ((12, 0.2, 0.27), (6, 0.34, 0.42))
D2L_MAPS = (
    (32, 0.2, 0.272),
    (16, 0.37, 0.447),
    (8, 0.54, 0.619),
    (4, 0.71, 0.79),
    (1, 0.88, 0.961),
)


def boxes(square: float, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """`boxes_in` by a seed."""
    return boxes_in(square, count, torch.Generator().manual_seed(seed))


def target_problem(maps: tuple[tuple[float, ...], ...], objects: int) -> tuple[Tensor, Tensor]:
    """Anchors [A, 4] of maps (cells a side, sizes …), and labels [32, objects, 5]."""
    anchors = [
        anchor_boxes((int(side), int(side)), (256, 256), sizes, (1.0, 2.0, 0.5))
        for side, *sizes in maps
    ]
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(32, objects, 2, generator=generator) * 0.7
    size = torch.rand(32, objects, 2, generator=generator) * 0.25 + 0.05
    classes = torch.randint(5, (32, objects, 1), generator=generator)
    return torch.cat(anchors), torch.cat([classes, corner, corner + size], -1)


def measure(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Wall times, round by round; the order within a round alternates."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(-1, rounds):  # the first warms up
        for name in list(sides) if number % 2 else list(sides)[::-1]:
            start = time.perf_counter()
            sides[name]()
            if number >= 0:
                times[name].append(time.perf_counter() - start)
    return times


def repeated(work: Callable[[], Any], count: int) -> Callable[[], None]:
    """The same work several times, where once is too short to be timed."""

    def run() -> None:
        for _ in range(count):
            work()

    return run


def ratios(times: dict[str, list[float]], above: str, below: str) -> str:
    found = [a / b for a, b in zip(times[above], times[below], strict=True)]
    return f"{statistics.median(found):8.2f} ({min(found):.2f} … {max(found):.2f})"


def show_targets(rounds: int) -> None:
    for maps, objects in ((OWN_MAPS, 4), (D2L_MAPS, 1), (D2L_MAPS, 8)):
        anchors, labels = target_problem(maps, objects)
        offsets, mask, classes = assign_targets(anchors, labels)
        theirs = d2l.multibox_target(anchors[None], labels)
        assert torch.equal(classes, theirs[2])
        assert torch.equal(mask.repeat_interleave(4, 1).float(), theirs[1])
        torch.testing.assert_close(offsets.flatten(1), theirs[0], rtol=1e-4, atol=1e-3)
        times = measure(
            {
                "ours": repeated(lambda a=anchors, x=labels: assign_targets(a, x), 10),
                "d2l": repeated(lambda a=anchors, x=labels: d2l.multibox_target(a[None], x), 10),
            },
            rounds,
        )
        print(f"targets: {len(anchors)} anchors, {objects} objects an image, batch of 32")
        print(f"  d2l / ours          {ratios(times, 'd2l', 'ours')}")


def show_nms(rounds: int) -> None:
    for share, square in SQUARES.items():
        crowd, scores = boxes(square, 2000)
        kept = nms(crowd, scores, THRESHOLD)
        same = kept.tolist() == ops.nms(crowd, scores, THRESHOLD).tolist()
        assert same
        assert kept.tolist() == d2l.nms(crowd, scores, THRESHOLD).tolist()
        times = measure(
            {
                "ours": repeated(lambda b=crowd, s=scores: nms(b, s, THRESHOLD), 3),
                "torchvision": repeated(lambda b=crowd, s=scores: ops.nms(b, s, THRESHOLD), 3),
                "d2l": repeated(lambda b=crowd, s=scores: d2l.nms(b, s, THRESHOLD), 3),
            },
            rounds,
        )
        gone = 1 - len(kept) / len(crowd)
        milliseconds = statistics.median(times["ours"]) / 3 * 1000
        print(f"nms: {gone:.1%} of 2,000 suppressed (about {share}), {milliseconds:.1f} ms")
        print(f"  d2l / ours          {ratios(times, 'd2l', 'ours')}")
        print(f"  ours / torchvision  {ratios(times, 'ours', 'torchvision')}")


def show_iou(rounds: int) -> None:
    a, b = boxes(500, 2000)[0], boxes(500, 1000, seed=1)[0]
    times = measure(
        {
            "ours": repeated(lambda: box_iou(a, b), 5),
            "torchvision": repeated(lambda: ops.box_iou(a, b), 5),
        },
        rounds,
    )
    print("iou: 2,000 × 1,000 pairs")
    print(f"  ours / torchvision  {ratios(times, 'ours', 'torchvision')}")


def show_counts(counts: list[int], rounds: int) -> None:
    """How NMS grows with the number of boxes, at a fixed density (about 30 % suppressed)."""
    for count in counts:
        crowd, scores = boxes(SQUARES[30] * (count / 2000) ** 0.5, count)
        times = measure(
            {
                "ours": lambda b=crowd, s=scores: nms(b, s, THRESHOLD),
                "torchvision": lambda b=crowd, s=scores: ops.nms(b, s, THRESHOLD),
            },
            rounds,
        )
        cells = [f"{statistics.median(t) * 1000:8.2f}" for t in times.values()]
        print(f"nms of {count:5} boxes: ours {cells[0]} ms, torchvision {cells[1]} ms")


PARTS = ("targets", "nms", "iou", "counts")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--counts", type=int, nargs="*", default=[250, 500, 1000, 2000, 4000])
    parser.add_argument("--parts", choices=PARTS, nargs="*", default=PARTS)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(f"torch {torch.__version__}, {chosen.threads} threads, {chosen.rounds} rounds")
    print("ratios of wall times: median (lowest … highest)")
    shown = {
        "targets": lambda: show_targets(chosen.rounds),
        "nms": lambda: show_nms(chosen.rounds),
        "iou": lambda: show_iou(chosen.rounds),
        "counts": lambda: show_counts(chosen.counts, chosen.rounds),
    }
    for part in chosen.parts:
        shown[part]()


if __name__ == "__main__":
    main()
