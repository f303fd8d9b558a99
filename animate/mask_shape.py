"""Masks made larger and plainer, so that a new character of another build fits into them."""

import torch
import torch.nn.functional as F
from torch import Tensor

OFF, COUNT, PIXELS = "off", "by count", "by pixels"
BLOCKS = (OFF, COUNT, PIXELS)


def grow_mask(mask: Tensor, pixels: int) -> Tensor:
    """Masks [T, H, W] with everything within `pixels` of them, as a square reaches."""
    if not pixels:
        return mask
    side = 2 * pixels + 1
    wide = F.max_pool2d(mask[:, None], (1, side), 1, (0, pixels))
    return F.max_pool2d(wide, (side, 1), 1, (pixels, 0))[:, 0]


def make_blocky(mask: Tensor, how: str, across: int, along: int) -> Tensor:
    """Masks [T, H, W] of 0 and 1 with every cell full that has anything in it; an empty one stays empty.

    The cells divide the box around a mask into `across` x `along`, or are that many pixels large. The box ends before
    its last row and column, as in get_aug_mask of Wan's official preprocessing.
    """
    if how == OFF:
        return mask
    return torch.stack([_in_blocks(one, how, across, along) for one in mask])


def _in_blocks(mask: Tensor, how: str, across: int, along: int) -> Tensor:
    rows, columns = torch.nonzero(mask, as_tuple=True)
    if not len(rows):
        return mask
    (top, bottom), (left, right) = ((int(n.min()), int(n.max())) for n in (rows, columns))
    height, width = bottom - top, right - left
    if how == COUNT:
        across, along = max(width // across, 1), max(height // along, 1)
    made = mask.clone()
    if height and width:
        box = F.pad(mask[top:bottom, left:right], (0, -width % across, 0, -height % along))
        cells = F.max_pool2d(box[None], (along, across), (along, across))[0]
        full = cells.repeat_interleave(along, 0).repeat_interleave(across, 1)
        made[top:bottom, left:right] = full[:height, :width]
    return made


def black_out(images: Tensor, mask: Tensor) -> Tensor:
    """Images [T, H, W, 3] that are black where the masks [T, H, W] are 1."""
    return images * (1 - mask[..., None])
