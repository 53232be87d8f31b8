"""What each step of pretraining gets: its rows, its masks, its rate."""

from dataclasses import asdict, dataclass
from functools import lru_cache

import torch

from d2lcompanion.experiments.bert_text import Task
from d2lcompanion.text.bert_data import Batch, Pairs, assemble, draw_pairs
from d2lcompanion.text.bert_documents import Documents
from d2lcompanion.text.bert_loss import mask_batch
from d2lcompanion.text.masking import Masked
from d2lcompanion.training.experiment import RunContext

SPREAD = 2_654_435_761  # odd, about 2³²/golden ratio: multiples spread evenly
NO_DECAY = ("bias", "norm.weight")


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        length: T, tokens of a row.
        batch: rows of a step, over all processes.
        parts: each process takes its rows in so many parts.
        steps: of the optimizer.
        warmup: of these, while the rate rises; then it falls to 0.
        rate: the highest.
        decay: weight decay, of matrices only.
        beta2: of AdamW.
        clip: largest norm of the gradient.
        next_weight: λ of the next sentence.
        whole_words: hide whole words.
    """

    length: int = 64
    batch: int = 64
    parts: int = 1
    steps: int = 100
    warmup: int = 10
    rate: float = 1e-3
    decay: float = 0.01
    beta2: float = 0.98
    clip: float = 1.0
    next_weight: float = 1.0
    whole_words: bool = False


def rate_at(step: int, recipe: Recipe) -> float:
    """Linear warm-up to `rate` at step `warmup`, then linear to 0 after the last step."""
    # As optimization.schedules has it; a chapter on text needs no other topic.
    if step <= recipe.warmup:
        return recipe.rate * step / recipe.warmup
    left = recipe.steps + 1 - step
    return recipe.rate * left / (recipe.steps + 1 - recipe.warmup)


def make_optimizer(model: torch.nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW, all tensors in one call; biases and LayerNorm do not decay."""
    plain = [p for n, p in model.named_parameters() if n.endswith(NO_DECAY)]
    decayed = [p for n, p in model.named_parameters() if not n.endswith(NO_DECAY)]
    groups = [
        {"params": decayed, "weight_decay": recipe.decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=recipe.rate, betas=(0.9, recipe.beta2), eps=1e-6, fused=True
    )


class Feed:
    """The batch of each step as a function of seed and step alone: nothing to be saved.

    An epoch is `draw_pairs`; rows that fill no batch at its end are left out.

    Raises:
        ValueError: if the documents have fewer rows than a batch.
    """

    def __init__(
        self, documents: Documents, task: Task, recipe: Recipe, seed: int
    ) -> None:
        self.documents, self.task, self.recipe, self.seed = (
            documents,
            task,
            recipe,
            seed,
        )
        self._pairs = lru_cache(maxsize=1)(self._draw)
        self.per_epoch = len(self._pairs(0).label) // recipe.batch
        if self.per_epoch == 0:
            raise ValueError(
                f"batch must be at most {len(self._pairs(0).label)}, the rows of an "
                f"epoch, got {recipe.batch}"
            )

    def __call__(self, step: int) -> tuple[Batch, Masked]:
        """Rows and masks of step 0, 1, …"""
        epoch, place = divmod(step, self.per_epoch)
        size = self.recipe.batch
        pairs = self._pairs(epoch).rows(slice(place * size, (place + 1) * size))
        batch = assemble(self.documents, pairs, self.recipe.length, self.task.special)
        masked = mask_batch(
            batch,
            self.task.special,
            self.task.random_ids,
            torch.Generator().manual_seed(self.seed_of(step)),
            whole_words=self.recipe.whole_words,
        )
        return batch, masked

    def seed_of(self, step: int) -> int:
        """Below 2³², all that a generator on the CPU looks at; seeds lie far apart."""
        return (self.seed * SPREAD + step) % 2**32

    def _draw(self, epoch: int) -> Pairs:
        generator = torch.Generator().manual_seed(self.seed_of(2**31 + epoch))
        return draw_pairs(self.documents, self.recipe.length, generator)


def probe_of(task: Task, recipe: Recipe, context: RunContext) -> Feed:
    """The held-out rows, on the device of a run."""
    documents = task.held_out.to(context.device)
    return Feed(documents, task, probing(task, recipe), context.settings.seed)


def probing(task: Task, recipe: Recipe) -> Recipe:
    """Held-out rows by the same rules, in batches that they can fill."""
    document = task.held_out.document
    rows = int((document.diff() == 0).sum())
    return Recipe(**{**asdict(recipe), "batch": max(1, min(rows, 64))})
