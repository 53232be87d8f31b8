"""Every function of `vision` on a fake GPU: a tensor made on the wrong device raises.

Where a size depends on values, as the number of boxes kept, it is a symbol.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

import d2lcompanion.vision
from d2lcompanion.vision import (
    anchors,
    boxes,
    checks,
    contrastive,
    masked_autoencoder,
    nms,
    patches,
    views,
)
from d2lcompanion.vision.masked_autoencoder import MaskedAutoencoder, MaskedConfig
from tests.fake_gpu import WRONG_DEVICE, fake_gpu, gpu, public_functions, tensors


def classes(*shape: int) -> Tensor:
    return gpu(*shape, dtype=torch.long)


def padded(*shape: int) -> Tensor:
    return gpu(*shape, dtype=torch.bool)


def drawn() -> torch.Generator:
    return torch.Generator("cpu")


def paint() -> list[Tensor]:
    """Three images of nine patches, four of them visible; the loss, and all nine at once."""
    config = MaskedConfig((1, 6, 6), patch=2, width=8, layers=1, heads=2, decoder_width=4)
    with torch.device("cuda"):
        model = MaskedAutoencoder(config, None)
    squares = patches.patchify(gpu(3, 1, 6, 6), 2)
    order = patches.random_masking(3, 9, 0.55, drawn(), "cuda")
    painted = model(squares, order, patches.visible_patches(9, 0.55))
    return [*painted, masked_autoencoder.hidden_loss(painted, squares),
            model.encoder.features(gpu(3, 1, 6, 6))]  # fmt: skip


CASES: dict[str, Callable[[], Any]] = {
    "checks.require_shape": lambda: checks.require_shape("x", gpu(3), [3]),
    "checks.require_finite": lambda: checks.require_finite("x", gpu(3)),
    "checks.require_images": lambda: checks.require_images("x", gpu(3, 1, 4, 4)),
    "checks.require_last_four": lambda: checks.require_last_four("x", gpu(3, 4), "a, b, c, d"),
    "checks.require_boxes": lambda: checks.require_boxes("x", gpu(3, 4), positive=True),
    "checks.require_sizes": lambda: checks.require_sizes("x", gpu(3, 4), "x, y, w, h"),
    "boxes.box_convert": lambda: [
        boxes.box_convert(gpu(3, 4), source, target)
        for source in boxes.FORMATS
        for target in boxes.FORMATS
    ],
    "boxes.clip_boxes": lambda: boxes.clip_boxes(gpu(3, 4), (20, 30)),
    "boxes.box_area": lambda: boxes.box_area(gpu(3, 4)),
    "boxes.box_iou": lambda: boxes.box_iou(gpu(3, 4), gpu(2, 4)),
    "boxes.generalized_box_iou": lambda: boxes.generalized_box_iou(gpu(3, 4), gpu(2, 4)),
    "boxes.encode_offsets": lambda: boxes.encode_offsets(gpu(3, 4), gpu(2, 3, 4)),
    "boxes.decode_offsets": lambda: boxes.decode_offsets(gpu(3, 4), gpu(2, 3, 4)),
    "nms.nms": lambda: nms.nms(gpu(9, 4), gpu(9), 0.5),
    "nms.batched_nms": lambda: nms.batched_nms(gpu(9, 4), gpu(9), classes(9), 0.5),
    "nms.soft_nms": lambda: [
        *nms.soft_nms(gpu(9, 4), gpu(9)),
        *nms.soft_nms(gpu(9, 4), gpu(9), method="linear"),
    ],
    "anchors.anchor_boxes": lambda: anchors.anchor_boxes(
        (2, 3), (64, 96), [0.2, 0.3], [1.0, 2.0], device="cuda"
    ),
    "anchors.match_anchors": lambda: [
        anchors.match_anchors(gpu(5, 4), gpu(3, 4)),
        anchors.match_anchors(gpu(5, 4), gpu(2, 3, 4), valid=padded(2, 3)),
    ],
    "anchors.assign_targets": lambda: anchors.assign_targets(gpu(5, 4), gpu(2, 3, 5)),
    "contrastive.nt_xent": lambda: contrastive.nt_xent(gpu(6, 4)),
    "contrastive.view_scores": lambda: contrastive.view_scores(gpu(6, 4)),
    "contrastive.partner_accuracy": lambda: contrastive.partner_accuracy(gpu(6, 4)),
    "contrastive.alignment": lambda: contrastive.alignment(gpu(6, 4)),
    "contrastive.uniformity": lambda: contrastive.uniformity(gpu(6, 4)),
    "contrastive.require_view_pairs": lambda: contrastive.require_view_pairs("z", gpu(6, 4)),
    "views.random_view": lambda: views.random_view(
        gpu(3, 1, 6, 6), views.ViewRecipe(erase=0.2), drawn()
    ),
    "views.random_resized_crop": lambda: views.random_resized_crop(
        gpu(3, 1, 6, 6), drawn(), smallest=0.3
    ),
    "views.random_flip": lambda: views.random_flip(gpu(3, 1, 6, 6), drawn()),
    "views.random_jitter": lambda: views.random_jitter(gpu(3, 1, 6, 6), drawn(), strength=0.4),
    "views.random_erase": lambda: views.random_erase(gpu(3, 1, 6, 6), drawn(), largest=0.4),
    "patches.patchify": lambda: patches.patchify(gpu(3, 1, 6, 6), 2),
    "patches.unpatchify": lambda: patches.unpatchify(gpu(3, 9, 4), 2, (1, 6, 6)),
    "patches.random_masking": lambda: patches.random_masking(3, 9, 0.5, drawn(), "cuda"),
    "patches.normalize_patches": lambda: patches.normalize_patches(gpu(3, 9, 4)),
    "patches.take": lambda: patches.take(gpu(3, 9, 4), classes(3, 2)),
    "masked_autoencoder.hidden_loss": paint,
}
# It ranks on the CPU what it is given: a fake tensor has no values to move.
ON_THE_CPU = {"detection_metrics.average_precision"}
PLAIN_NUMBERS = {
    "checks.require_positive",
    "checks.require_unit_interval",
    "checks.require_at_least",
    "contrastive.least_nt_xent",
    "patches.visible_patches",
}
WEIGHTS = {"masked_autoencoder.initialize"}  # in `paint`, before they move to the GPU


@pytest.mark.parametrize("call", CASES.values(), ids=list(CASES))
def test_results_stay_on_the_gpu(call):
    with fake_gpu(sizes_from_data=True):
        results = tensors(call())
    assert all(isinstance(result, FakeTensor) for result in results)
    assert {result.device.type for result in results} <= {"cuda"}
    assert {result.dtype for result in results} <= {torch.float32, torch.long, torch.bool}


def test_the_first_of_several_blocks_stays_on_the_gpu(monkeypatch):
    """It thins out the rest there; then the loop asks how many are left, which no fake tensor knows."""
    monkeypatch.setattr(nms, "BLOCK", 4)
    with fake_gpu(sizes_from_data=True), pytest.raises(GuardOnDataDependentSymNode):
        nms.nms(gpu(9, 4), gpu(9), 0.5)


def test_every_public_function_has_a_case():
    assert public_functions(d2lcompanion.vision) == {
        *CASES, *ON_THE_CPU, *PLAIN_NUMBERS, *WEIGHTS
    }  # fmt: skip


def test_boxes_and_anchors_on_different_devices_raise():
    with fake_gpu():
        for function in (boxes.box_iou, boxes.encode_offsets, anchors.match_anchors):
            with pytest.raises(RuntimeError, match=WRONG_DEVICE):
                function(gpu(3, 4), torch.empty(3, 4))
