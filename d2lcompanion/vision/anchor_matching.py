"""Which true box an anchor stands for: the rule, for arguments that have been checked.

Each true box first gets an anchor of its own, greedily; then every other anchor takes
the true box it overlaps most, if by enough.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from d2lcompanion.vision.boxes import iou_table

STRETCH = 64  # IoU side by side that are searched as one
PAIRS_AT_ONCE = 2**20  # of a true box and an anchor: 20 MB in float32


def best_matches(
    anchors: Tensor, boxes: Tensor, valid: Tensor | None, iou_threshold: float
) -> Tensor:
    """`match_anchors` without its checks, a few images at a time if they are large.

    Args:
        anchors: [A, 4] (x1, y1, x2, y2).
        boxes: [B, T, 4] in the same unit.
        valid: booleans [B, T]: which boxes are no padding; all if None.
        iou_threshold: in [0, 1].
    Returns:
        [B, A]: the row of the true box, −1 for background.
    """
    if 0 in (*boxes.shape[:2], len(anchors)):
        return boxes.new_full((len(boxes), len(anchors)), -1, dtype=torch.long)
    if valid is not None:
        boxes = boxes * valid[..., None]  # an empty box has an IoU of 0: never a match
    images = max(1, PAIRS_AT_ONCE // (boxes.shape[1] * len(anchors)))
    parts = [
        _match(anchors, part, iou_threshold) for part in torch.split(boxes, images)
    ]
    return torch.cat(parts)


def _match(anchors: Tensor, boxes: Tensor, iou_threshold: float) -> Tensor:
    """[B, A] from anchors [A, 4] and boxes [B, T, 4], none of these numbers 0."""
    count = len(anchors)
    grid = pad(anchors, (0, 0, 0, -count % STRETCH))  # more of them, empty
    iou = iou_table(boxes.flatten(0, 1), grid).view(*boxes.shape[:2], -1)
    match = torch.full((len(boxes), count), -1, device=iou.device)
    # Few anchors reach the threshold: only those are asked which true box it is.
    near, anchor = (iou.amax(1)[:, :count] >= iou_threshold).nonzero(as_tuple=True)
    largest, truth = iou[near, :, anchor].max(1)
    match[near, anchor] = torch.where(largest > 0, truth, -1)
    own = _own_anchors(iou)
    image, truth = (own >= 0).nonzero(as_tuple=True)
    match[image, own[image, truth]] = truth
    return match


def _own_anchors(iou: Tensor) -> Tensor:
    """[B, T]: the anchor that the greedy rule gives each true box, −1 for none.

    The rule takes the largest of all IoU left, one pair at a time. A pair that is the
    best left for its true box and for its anchor will be taken sooner or later, as
    nothing else can break it: so all such pairs are taken at once. At most T rounds;
    in practice one or two, as true boxes seldom want the same anchor.
    """
    best, anchor = _first_largest(iou)  # [B, T]
    own = torch.full_like(anchor, -1)
    rank = torch.arange(anchor.shape[1], device=iou.device)
    earlier = rank[:, None] < rank
    for _ in rank:
        rivals = iou.gather(2, anchor[:, None].expand(-1, len(rank), -1))
        rivals *= (best > 0)[..., None]  # who has an anchor is out
        mine = best[:, None]  # [b, u, t]: what u has with the anchor that t wants
        lost = ((rivals > mine) | ((rivals == mine) & earlier)).any(1)
        won = ~lost & (best > 0)
        own = torch.where(won, anchor, own)
        image, truth = won.nonzero(as_tuple=True)
        iou[image, :, anchor[image, truth]] = 0.0
        best = best * lost
        if not bool(best.any()):
            break
        image, truth = best.nonzero(as_tuple=True)
        best[image, truth], anchor[image, truth] = _first_largest(iou[image, truth])
    return own


def _first_largest(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of each row of [..., A], and the first of its places: `rows.max(-1)`.

    torch finds a largest number ten times as fast as its place: so first the best
    stretch, then the place in it.
    """
    stretches = rows.view(*rows.shape[:-1], -1, STRETCH)
    largest, first = stretches.amax(-1).max(-1)
    index = first[..., None, None].expand(*first.shape, 1, STRETCH)
    place = stretches.gather(-2, index)[..., 0, :].argmax(-1)
    return largest, first * STRETCH + place
