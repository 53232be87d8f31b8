"""Augmenting a batch at once against torchvision v2 image by image, as a data loader does.

Two pipelines, on 256 pictures of 32×32 and on 32 of 224×224 (pieces of a photo from
scikit-image): `standard` is a mirror with probability ½, a crop after padding by an eighth,
and jitter of brightness, contrast, saturation (0.4) and hue (0.1); `RandAugment` is two
operations of magnitude 9, interpolated. Both sides end with one float batch [N, 3, H, W].
torchvision starts once from floats and once from bytes, the faster way for some of its
kernels, and then converts. Sides run in turn, and the median of the ratios of neighbouring
runs is reported: other work on the machine then slows both.

    python benchmarks/augmentation.py [--rounds 9] [--threads 2]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import skimage.data
import torch
from torch import Tensor
from torchvision.transforms import v2

from d2lcompanion.vision.augmentation import Transform, compose
from d2lcompanion.vision.colour import random_color_jitter
from d2lcompanion.vision.geometric import random_crop, random_flip
from d2lcompanion.vision.rand_augment import random_augment

CASES = ((256, 32), (32, 224))


def pieces(count: int, side: int) -> Tensor:
    """[count, 3, side, side] uint8: squares of the astronaut, 512×512, at fixed places."""
    photo = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)
    generator = torch.Generator().manual_seed(0)
    corners = torch.randint(512 - side + 1, (count, 2), generator=generator).tolist()
    return torch.stack([photo[:, i : i + side, j : j + side] for i, j in corners])


def ours(side: int) -> dict[str, Transform]:
    crop = partial(random_crop, padding=side // 8)
    return {
        "standard": compose(random_flip, crop, random_color_jitter),
        "RandAugment": random_augment,
    }


def theirs(side: int) -> dict[str, Callable[[Tensor], Tensor]]:
    return {
        "standard": v2.Compose(
            [
                v2.RandomHorizontalFlip(),
                v2.RandomCrop(side, padding=side // 8),
                v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
            ]
        ),
        "RandAugment": v2.RandAugment(interpolation=v2.InterpolationMode.BILINEAR),
    }


def one_by_one(transform: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """A float batch; bytes are converted when the batch stands."""
    batch = torch.stack([transform(image) for image in images])
    return batch if batch.is_floating_point() else batch.float() / 255


def seconds(work: Callable[[], Tensor]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(count: int, side: int, name: str, rounds: int) -> dict[str, list[float]]:
    """Wall times of the three, round by round; the order within a round alternates."""
    bytes_ = pieces(count, side)
    floats = bytes_.float() / 255
    generator = torch.Generator().manual_seed(0)
    batched, single = ours(side)[name], theirs(side)[name]
    torch.manual_seed(0)  # torchvision draws from the global generator
    sides: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: batched(floats, generator),
        "floats": lambda: one_by_one(single, floats),
        "bytes": lambda: one_by_one(single, bytes_),
    }
    times: dict[str, list[float]] = {key: [] for key in sides}
    for number in range(-1, rounds):  # the first warms up
        for key in list(sides) if number % 2 else list(sides)[::-1]:
            took = seconds(sides[key])
            if number >= 0:
                times[key].append(took)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(f"torch {torch.__version__}, {chosen.threads} threads, {chosen.rounds} rounds")
    print("times as fast as torchvision v2 one by one: median (lowest … highest)")
    print(f"{'pixels':8}{'pipeline':14}{'images/s':>10}   {'from floats':22}{'from bytes':22}")
    for count, side in CASES:
        for name in ours(side):
            times = measure(count, side, name, chosen.rounds)
            speed = count / statistics.median(times["ours"])
            cells = []
            for peer in ("floats", "bytes"):
                found = [b / a for a, b in zip(times["ours"], times[peer], strict=True)]
                cells.append(
                    f"{statistics.median(found):6.2f} ({min(found):.2f} … {max(found):.2f})"
                )
            print(f"{side:<8}{name:14}{speed:10.0f}   {cells[0]:22}{cells[1]:22}")


if __name__ == "__main__":
    main()
