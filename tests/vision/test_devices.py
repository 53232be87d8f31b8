"""Every function of `vision` on a fake GPU: a tensor made on the wrong device raises.

Where a size depends on values, as the number of boxes kept, it is a symbol.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

import d2lcompanion.vision
from d2lcompanion.vision import (
    anchor_matching,
    anchors,
    augmentation,
    boxes,
    checks,
    colour,
    contrastive,
    detection_loss,
    detection_metrics,
    draws,
    efficientnet,
    fine_tuning,
    geometric,
    linear_transfer,
    lora,
    masked_autoencoder,
    mixing,
    nms,
    patches,
    rand_augment,
    resized_crop,
    resnet,
    ssd,
    tone,
    views,
    warping,
)
from d2lcompanion.vision.masked_autoencoder import MaskedAutoencoder, MaskedConfig
from tests.fake_gpu import WRONG_DEVICE, fake_gpu, gpu, public_functions, tensors


def classes(*shape: int) -> Tensor:
    return gpu(*shape, dtype=torch.long)


def padded(*shape: int) -> Tensor:
    return gpu(*shape, dtype=torch.bool)


def images() -> Tensor:
    return gpu(6, 3, 8, 9)


def mixture() -> mixing.Mixture:
    return mixing.mixup(images(), classes(6), gpu(6))


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


def tuned(step: Callable[[nn.Module], object]) -> list[Tensor]:
    """A network on the GPU, changed; its outputs and all of its tensors."""
    with torch.device("cuda"):
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(168, 5))
    changed = step(net)
    net = changed if isinstance(changed, nn.Module) else net
    return [net(images()), *net.state_dict().values()]


def adapted(net: nn.Module) -> None:
    lora.add_adapters(net, ["0", "3"], 2, generator=drawn())


def merged(net: nn.Module) -> None:
    adapted(net)
    lora.merge_adapters(net)


def removed(net: nn.Module) -> None:
    adapted(net)
    lora.remove_adapters(net)


def factors() -> linear_transfer.TwoLinear:
    return linear_transfer.TwoLinear(gpu(3, 8), gpu(3))


def detector() -> ssd.SSD:
    with torch.device("cuda"):
        return ssd.SSD(ssd.SSDConfig(3, 2, (4, 6, 8), ((0.2, 0.3), (0.4,))), None)


def targets() -> anchors.Targets:
    return anchors.Targets(gpu(2, 5, 4), padded(2, 5), classes(2, 5))


CASES: dict[str, Callable[[], Any]] = {
    "checks.require_shape": lambda: checks.require_shape("x", gpu(3), [3]),
    "checks.require_finite": lambda: checks.require_finite("x", gpu(3)),
    "checks.require_images": lambda: checks.require_images("x", images()),
    "checks.require_pixels": lambda: checks.require_pixels("x", images(), (1, 3)),
    "checks.require_range": lambda: checks.require_range("x", images(), 0, 1),
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
    "boxes.iou_table": lambda: boxes.iou_table(gpu(3, 4), gpu(2, 4)),
    "boxes.generalized_box_iou": lambda: boxes.generalized_box_iou(gpu(3, 4), gpu(2, 4)),
    "boxes.encode_offsets": lambda: boxes.encode_offsets(gpu(3, 4), gpu(2, 3, 4)),
    "boxes.decode_offsets": lambda: boxes.decode_offsets(gpu(3, 4), gpu(2, 3, 4)),
    "nms.nms": lambda: nms.nms(gpu(9, 4), gpu(9), 0.5),
    "nms.batched_nms": lambda: nms.batched_nms(gpu(9, 4), gpu(9), classes(9), 0.5),
    "nms.soft_nms": lambda: [
        *nms.soft_nms(gpu(9, 4), gpu(9)),
        *nms.soft_nms(gpu(9, 4), gpu(9), method="linear"),
    ],
    "anchor_matching.best_matches": lambda: anchor_matching.best_matches(
        gpu(5, 4), gpu(2, 3, 4), padded(2, 3), 0.5
    ),
    "anchors.anchor_boxes": lambda: anchors.anchor_boxes(
        (2, 3), (64, 96), [0.2, 0.3], [1.0, 2.0], device="cuda"
    ),
    "anchors.match_anchors": lambda: [
        anchors.match_anchors(gpu(5, 4), gpu(3, 4)),
        anchors.match_anchors(gpu(5, 4), gpu(2, 3, 4), valid=padded(2, 3)),
    ],
    "anchors.assign_targets": lambda: anchors.assign_targets(gpu(5, 4), gpu(2, 3, 5)),
    "detection_loss.detection_loss": lambda: [
        detection_loss.detection_loss(gpu(2, 5, 3), gpu(2, 5, 4), targets(), negatives=negatives)
        for negatives in detection_loss.NEGATIVES
    ],
    "detection_loss.hard_negatives": lambda: detection_loss.hard_negatives(gpu(2, 5), padded(2, 5)),
    "detection_loss.focal_loss": lambda: detection_loss.focal_loss(gpu(2, 5, 3), classes(2, 5)),
    "ssd.suppress": lambda: ssd.suppress(
        detection_metrics.Detections(gpu(9, 4), gpu(9), classes(9))
    ),
    "draws.uniform": lambda: draws.uniform(images(), drawn(), 1, 2),
    "draws.coins": lambda: draws.coins(images(), drawn(), 0.5),
    "draws.integers": lambda: draws.integers(images(), drawn(), 5),
    "draws.partners": lambda: draws.partners(images(), drawn()),
    "draws.beta_weights": lambda: draws.beta_weights(images(), drawn(), 0.2),
    "geometric.flip": lambda: geometric.flip(images(), padded(6)),
    "geometric.flip_boxes": lambda: geometric.flip_boxes(gpu(6, 2, 4), padded(6), 9),
    "geometric.random_flip": lambda: geometric.random_flip(images(), drawn()),
    "geometric.crop": lambda: geometric.crop(images(), classes(6), classes(6), (4, 5)),
    "geometric.crop_boxes": lambda: geometric.crop_boxes(
        gpu(6, 2, 4), classes(6), classes(6), (4, 5)
    ),
    "geometric.random_crop": lambda: geometric.random_crop(images(), drawn(), padding=2),
    "resized_crop.resized_crop": lambda: [
        resized_crop.resized_crop(images(), gpu(6, 4), (5, 7), antialias=antialias)
        for antialias in (True, False)
    ],
    "resized_crop.resize_boxes": lambda: resized_crop.resize_boxes(gpu(6, 2, 4), gpu(6, 4), (5, 7)),
    "resized_crop.draw_windows": lambda: resized_crop.draw_windows(images(), drawn()),
    "resized_crop.random_resized_crop": lambda: resized_crop.random_resized_crop(
        images(), drawn(), size=(5, 7)
    ),
    "warping.affine_matrices": lambda: warping.affine_matrices(
        (8, 9), angle=gpu(6), shift=gpu(6, 2), scale=gpu(6), shear=gpu(6, 2)
    ),
    "warping.invert_matrices": lambda: warping.invert_matrices(gpu(6, 2, 3)),
    "warping.warp": lambda: warping.warp(images(), gpu(6, 2, 3)),
    "warping.warp_boxes": lambda: warping.warp_boxes(gpu(6, 2, 4), gpu(6, 2, 3), (8, 9)),
    "warping.draw_affine": lambda: warping.draw_affine(images(), drawn(), degrees=9),
    "warping.random_affine": lambda: warping.random_affine(images(), drawn(), scale=2),
    "colour.adjust_brightness": lambda: colour.adjust_brightness(images(), gpu(6)),
    "colour.adjust_contrast": lambda: colour.adjust_contrast(images(), gpu(6)),
    "colour.adjust_saturation": lambda: colour.adjust_saturation(images(), gpu(6)),
    "colour.adjust_hue": lambda: colour.adjust_hue(images(), gpu(6)),
    "colour.grayscale": lambda: colour.grayscale(images()),
    "colour.color_jitter": lambda: colour.color_jitter(
        images(), brightness=gpu(6), contrast=gpu(6), saturation=gpu(6), hue=gpu(6)
    ),
    "colour.random_color_jitter": lambda: colour.random_color_jitter(images(), drawn()),
    "colour.random_grayscale": lambda: colour.random_grayscale(images(), drawn()),
    "tone.posterize": lambda: tone.posterize(images(), classes(6)),
    "tone.solarize": lambda: tone.solarize(images(), gpu(6)),
    "tone.autocontrast": lambda: tone.autocontrast(images()),
    "tone.equalize": lambda: tone.equalize(images()),
    "tone.adjust_sharpness": lambda: tone.adjust_sharpness(images(), gpu(6)),
    "mixing.mixup": lambda: mixture(),
    "mixing.cutmix": lambda: mixing.cutmix(images(), classes(6), gpu(6, 4)),
    "mixing.erase": lambda: mixing.erase(images(), gpu(6, 4), 0.5),
    "mixing.pixels_inside": lambda: mixing.pixels_inside(gpu(6, 4), images()),
    "mixing.soft_labels": lambda: mixing.soft_labels(classes(6), mixture(), 10),
    "mixing.random_mixup": lambda: mixing.random_mixup(images(), drawn()),
    "mixing.random_cutmix": lambda: mixing.random_cutmix(images(), drawn()),
    "mixing.random_erase": lambda: mixing.random_erase(images(), drawn()),
    "augmentation.compose": lambda: augmentation.compose(geometric.random_flip)(images(), drawn()),
    "augmentation.sometimes": lambda: augmentation.sometimes(geometric.random_flip, 0.5)(
        images(), drawn()
    ),
    "augmentation.choose_one": lambda: augmentation.choose_one(
        geometric.random_flip, colour.random_grayscale
    )(images(), drawn()),
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
    "fine_tuning.freeze": lambda: tuned(lambda net: fine_tuning.freeze(net, ["0", "1"])),
    "fine_tuning.train_except": lambda: tuned(lambda net: fine_tuning.train_except(net, ["1"])),
    "fine_tuning.parameter_groups": lambda: tuned(
        lambda net: fine_tuning.parameter_groups(net, {"3": 0.1}, 0.01)
    ),
    "lora.add_adapters": lambda: tuned(adapted),
    "lora.merge_adapters": lambda: tuned(merged),
    "lora.remove_adapters": lambda: tuned(removed),
    "efficientnet.as_input": lambda: efficientnet.as_input(gpu(2, 3, 8, 8, dtype=torch.uint8)),
    "linear_transfer.predict": lambda: linear_transfer.predict(factors(), gpu(5, 8)),
    "linear_transfer.slopes": lambda: linear_transfer.slopes(factors(), gpu(5, 8), gpu(5)),
    "linear_transfer.probe": lambda: [
        linear_transfer.probe(factors(), gpu(5, 8), gpu(5), penalty) for penalty in (0.0, 0.1)
    ],
    "linear_transfer.fine_tune": lambda: linear_transfer.fine_tune(
        factors(), gpu(5, 8), gpu(5), lr=0.1, steps=2
    ),
}
# It ranks on the CPU what it is given: a fake tensor has no values to move.
ON_THE_CPU = {"detection_metrics.average_precision"}
# Which images drew an operation is a matter of values: the test below says it for them.
GROUPED: dict[str, Callable[[], Any]] = {
    "rand_augment.apply_operations": lambda: rand_augment.apply_operations(
        images(), classes(6), gpu(6), 9
    ),
    "rand_augment.random_augment": lambda: rand_augment.random_augment(images(), drawn()),
}
# They copy the network first, and fake tensors cannot be copied deeply.
COPIES: dict[str, Callable[[], Any]] = {
    "fine_tuning.replace_head": lambda: tuned(
        lambda net: fine_tuning.replace_head(net, "3", 2, drawn())
    ),
    "fine_tuning.feature_extractor": lambda: tuned(
        lambda net: fine_tuning.feature_extractor(net, "3")
    ),
}
# How many candidates a picture has is a matter of values; what becomes of them is `suppress`'s.
CANDIDATES = {"ssd.detect"}
PLAIN_NUMBERS = {
    "checks.require_positive",
    "checks.require_unit_interval",
    "checks.require_at_least",
    "linear_transfer.risk_of_least_squares",
    "contrastive.least_nt_xent",
    "patches.visible_patches",
}
# Where modules stand and what they are called, and weights before they move to the GPU.
WEIGHTS = {
    "masked_autoencoder.initialize",
    "efficientnet.published_network",
    "fine_tuning.layer_rates",
    "fine_tuning.count_parameters",
    "fine_tuning.contains",
    "fine_tuning.find_part",
    "fine_tuning.set_part",
}


@pytest.mark.parametrize("call", CASES.values(), ids=list(CASES))
def test_results_stay_on_the_gpu(call):
    with fake_gpu(sizes_from_data=True):
        results = tensors(call())
    assert all(isinstance(result, FakeTensor) for result in results)
    assert {result.device.type for result in results} <= {"cuda"}
    assert {result.dtype for result in results} <= {torch.float32, torch.long, torch.bool}


@pytest.mark.parametrize("call", GROUPED.values(), ids=list(GROUPED))
def test_every_operation_stays_on_the_gpu(call, monkeypatch):
    monkeypatch.setattr(rand_augment, "_rows", lambda chosen, names: classes(2))
    with fake_gpu():
        (result,) = tensors(call())
    assert result.device.type == "cuda"
    assert result.dtype == torch.float32


@pytest.mark.parametrize("call", COPIES.values(), ids=list(COPIES))
def test_changed_copies_stay_on_the_gpu(call, monkeypatch):
    monkeypatch.setattr(fine_tuning.copy, "deepcopy", lambda net: net)
    with fake_gpu():
        assert {result.device.type for result in tensors(call())} == {"cuda"}


def test_a_picture_is_detected_on_the_gpu(monkeypatch):
    monkeypatch.setattr(ssd, "suppress", lambda candidates, *_, **__: candidates)
    with fake_gpu(sizes_from_data=True):
        results = tensors([detector()(gpu(2, 3, 8, 9)), ssd.detect(detector(), gpu(2, 3, 8, 9))])
    assert {result.device.type for result in results} == {"cuda"}
    assert {result.dtype for result in results} == {torch.float32, torch.long}


def test_the_first_of_several_blocks_stays_on_the_gpu(monkeypatch):
    """It thins out the rest there; then the loop asks how many are left, which no fake tensor knows."""
    monkeypatch.setattr(nms, "BLOCK", 4)
    with fake_gpu(sizes_from_data=True), pytest.raises(GuardOnDataDependentSymNode):
        nms.nms(gpu(9, 4), gpu(9), 0.5)


@pytest.mark.parametrize("stem", ["photo", "small"])
def test_resnet_18_stays_on_the_gpu(stem):
    with fake_gpu(), torch.device("cuda"):
        net = resnet.ResNet18(5, width=2, stem=stem)
        (result,) = tensors(net(gpu(2, 3, 32, 32)))
    assert result.device.type == "cuda"
    assert result.shape == (2, 5)


def test_every_public_function_has_a_case():
    assert public_functions(d2lcompanion.vision) == {
        *CASES, *GROUPED, *COPIES, *CANDIDATES, *ON_THE_CPU, *PLAIN_NUMBERS, *WEIGHTS
    }  # fmt: skip


def test_boxes_and_anchors_on_different_devices_raise():
    with fake_gpu():
        for function in (boxes.box_iou, boxes.encode_offsets, anchors.match_anchors):
            with pytest.raises(RuntimeError, match=WRONG_DEVICE):
                function(gpu(3, 4), torch.empty(3, 4))
