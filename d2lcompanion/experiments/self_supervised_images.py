"""Images without labels, then a few labels: is pretraining worth more than pixels?

Two encoders are pretrained on all training images without their labels, a convolutional
one by SimCLR and a small vision Transformer as a masked autoencoder. Then 5, 20, 100
labels a class are shown, the same to all: to a linear probe on the fixed features, on
those of the same encoders before training, and on pixels; and to the training of all
weights, from the first weights and from the pretrained ones.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from d2lcompanion.experiments.image_encoders import (
    Pictures,
    Preset,
    Way,
    load,
    pretrain,
)
from d2lcompanion.experiments.image_pretraining import Driver
from d2lcompanion.experiments.image_probes import (
    Labelled,
    features_of,
    few_labels,
    probe,
    train_on_labels,
)
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text

PRESETS = {
    "ci": Preset(),
    "laptop": Preset(
        labels=(5, 10, 20, 50, 100), epochs=12, paint_epochs=20, steps=150
    ),
    "gpu": Preset(
        data="full",
        labels=(5, 10, 20, 50, 100, 500, 5000),
        channels=128,
        epochs=200,
        batch=2048,
        width=256,
        layers=6,
        patch=4,
        share=0.75,
        paint_epochs=400,
        paint_batch=1024,
        paint_rate=1e-3,
        steps=2000,
    ),
}


TITLES = {  # with 20 labels a class
    "pixels": Text("pixels, 20 labels a class", "像素，每类 20 个标签"),
    "random_conv": Text("random conv", "随机卷积"),
    "simclr": Text("SimCLR, probe", "SimCLR，探针"),
    "scratch_conv": Text("conv from scratch", "卷积，从零训练"),
    "tuned_conv": Text("SimCLR, tuned", "SimCLR，微调"),
    "mae": Text("MAE, probe", "MAE，探针"),
    "scratch_transformer": Text("ViT from scratch", "ViT，从零训练"),
    "tuned_transformer": Text("MAE, tuned", "MAE，微调"),
}


def with_labels(
    ways: dict[str, Way], preset: Preset, pictures: Pictures, draw: torch.Generator
) -> dict[str, dict[str, float]]:
    """Test accuracy of every way and number of labels: {way: {number: accuracy}}."""
    test, device = pictures.test, pictures.test.labels.device
    encoders: dict[str, Callable[[Tensor], Tensor]] = {"pixels": lambda x: x}
    for name, way in ways.items():
        way.encoder.eval()
        encoders[name] = way.encode
    sets = {n: few_labels(pictures.train.labels, n, draw) for n in preset.labels}
    found: dict[str, dict[str, float]] = {}
    for name, encode in encoders.items():
        judged, found[name] = features_of(encode, test.images), {}
        for n, rows in sets.items():
            labels = pictures.train.labels[rows.to(device)].cpu().numpy()
            images = pictures.train.images[rows.to(device)]
            found[name][str(n)] = probe(
                features_of(encode, images), labels, judged, test.labels.cpu().numpy()
            )
    trained = {
        "scratch_conv": "random_conv", "tuned_conv": "simclr",
        "scratch_transformer": "random_transformer", "tuned_transformer": "mae",
    }  # fmt: skip
    for name, start in trained.items():
        found[name] = {}
        for n, rows in sets.items():
            way, chosen = ways[start].copy(), rows.to(device)
            found[name][str(n)] = train_on_labels(
                way.encoder,
                way.width,
                Labelled(*(part[chosen] for part in pictures.train)),
                test,
                draw,
                steps=preset.steps,
                rate=way.rate,
                encode=way.encode,
            )
    return found


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Pretrain both encoders, then show labels."""
    pictures, draw = load(preset.data, context.device), context.generator
    found = pretrain(preset, pictures, Driver(draw, context.track, context.autocast))
    accuracy = with_labels(found.ways, preset, pictures, draw)
    return {
        "images": len(pictures.train.images),
        **found.metrics,
        "accuracy": accuracy,
    }


EXPERIMENT = Experiment(
    name="self-supervised-images",
    title=Text(
        "Images without labels: SimCLR and a masked autoencoder, then a few labels",
        "没有标签的图像：SimCLR 与掩码自编码器，再加少量标签",
    ),
    chapter="text/self-supervised-learning",
    presets=PRESETS,
    notes={
        "ci": "7,200 images, a few epochs: about half a minute on one CPU thread",
        "laptop": "7,200 images, 12 and 20 epochs: some minutes on one CPU thread",
        "gpu": "54,000 images, to be downloaded; hundreds of epochs",
    },
    run=run,
    columns=tuple(
        Column(f"accuracy.{way}.20", title, ".3f") for way, title in TITLES.items()
    ),
)
