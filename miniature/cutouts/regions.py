"""Regions of a photograph that look like one thing: superpixels, merged at random into fewer and larger pieces.

Knows colours and neighbourhoods. Does not know objects or motion.

Superpixels as in SLIC (Achanta et al. 2012): k-means over colour and place, each pixel compared with the nine nearest
centres only. Colours are sRGB turned into lightness and two opponent channels, not Lab. Merging is greedy by Ward's
criterion, n_a n_b / (n_a + n_b) |mean_a - mean_b|^2, between neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CELL = 20  # pixels between the first centres
ROUNDS = 4
COMPACT = 16.0  # colour distance that weighs as much as one cell of place
_TRIES = 8
_DEPTH, _CORE = 3, 0.35
_RING = 13
_HALF = 0.5
_OPPONENT = np.array([[0.33, 0.34, 0.33], [0.5, -0.5, 0.0], [0.25, 0.25, -0.5]], dtype=np.float32)

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]


def superpixels(pixels: NDArray[np.uint8]) -> Labels:
    """Superpixel numbers int32 [H, W], from 0 without gaps, of an image uint8 [H, W, 3]; about H W / CELL^2 of them."""
    height, width = pixels.shape[:2]
    rows, columns = height // CELL, width // CELL
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    colour = ndimage.uniform_filter(pixels.astype(np.float32), (5, 5, 0)) @ _OPPONENT.T
    place = np.stack([ys, xs], axis=-1) * np.float32(COMPACT / CELL)
    points = np.concatenate([colour, place], axis=-1).reshape(-1, 5)  # [H W, 5]
    home_y = np.minimum(ys * rows / height, rows - 1).astype(np.int32).ravel()
    home_x = np.minimum(xs * columns / width, columns - 1).astype(np.int32).ravel()
    labels: Labels = home_y * columns + home_x
    near = [
        np.clip(home_y + dy, 0, rows - 1) * columns + np.clip(home_x + dx, 0, columns - 1)
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
    ]
    for _ in range(ROUNDS):
        centres = _means(labels, points, rows * columns)
        best = np.full(len(points), np.inf, dtype=np.float32)
        for candidate in near:
            away = points - centres[candidate]
            distance = np.einsum("ij,ij->i", away, away)
            closer = distance < best
            best[closer], labels[closer] = distance[closer], candidate[closer]
    _, numbered = np.unique(labels, return_inverse=True)
    return numbered.reshape(height, width).astype(np.int32)


def merged(rng: np.random.Generator, labels: Labels, pixels: NDArray[np.uint8], count: int) -> Labels:
    """Superpixels joined until `count` regions are left; colour weights and costs vary at random.

    labels: int32 [H, W] as `superpixels` gives them.   Returns int32 [H, W], numbers with gaps.
    """
    size = np.bincount(labels.ravel()).astype(np.float64)
    weights = rng.uniform(0.5, 1.5, 3)
    mean = _means(labels.ravel(), pixels.reshape(-1, 3).astype(np.float32), len(size)) @ _OPPONENT.T * weights
    touch = np.zeros((len(size), len(size)), dtype=bool)
    for here, there in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        touch[here, there] = touch[there, here] = True
    np.fill_diagonal(touch, False)
    luck = np.exp(rng.normal(0, 0.35, touch.shape))
    cost = np.full(touch.shape, np.inf)
    for number in range(len(size)):
        _price(cost, number, touch[number], mean, size, luck)
    into = np.arange(len(size))
    for _ in range(len(size) - count):
        a, b = divmod(int(cost.argmin()), len(size))
        into[into == b] = a
        mean[a] = (size[a] * mean[a] + size[b] * mean[b]) / (size[a] + size[b])
        size[a] += size[b]
        touch[a] |= touch[b]
        touch[:, a] |= touch[:, b]
        touch[a, a] = False
        touch[b] = touch[:, b] = False
        cost[b] = cost[:, b] = np.inf
        _price(cost, a, touch[a], mean, size, luck)
    return into[labels].astype(np.int32)


def pick_region(
    rng: np.random.Generator, labels: Labels, least: float, most: float, *, inside: bool = False, joined: float = 0.4
) -> Mask | None:
    """A random region, bool [H, W]: its largest connected piece, smoothed, its holes filled; None where none qualifies.

    least, most: share of the image that it covers.   inside: it must not touch the image's border.   joined: how often
    a neighbour is joined to it, since things of several colours are the rule.
    """
    shares = np.bincount(labels.ravel()) / labels.size
    for number in rng.permutation(np.flatnonzero((shares >= least / 2) & (shares <= most)))[:_TRIES]:
        chosen = labels == number
        if rng.random() < joined:
            around = np.unique(labels[ndimage.binary_dilation(chosen, iterations=2) & ~chosen])
            fitting = around[shares[around] <= most - shares[number]]
            if len(fitting):
                chosen |= labels == rng.choice(fitting)
        pieces, found = ndimage.label(ndimage.gaussian_filter(chosen.astype(np.float32), 1.5) > _HALF)
        if not found:
            continue
        largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
        mask: Mask = ndimage.binary_fill_holes(pieces == largest)
        edge = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
        if least <= mask.mean() <= most and not (inside and edge) and solid(mask):
            return mask
    return None


def solid(mask: Mask) -> bool:
    """Whether a mask is a body rather than filigree: drawing its outline in by a few pixels leaves enough of it."""
    core = ndimage.binary_erosion(mask, iterations=_DEPTH)
    return bool(core.sum() >= _CORE * mask.sum())


def contrast(pixels: NDArray[np.uint8], mask: Mask) -> float:
    """How far the colours along a mask's outline differ between inside and outside, 0..255: over the outline's pixels,
    the mean of the largest difference among channels, each side averaged over about six pixels."""
    inner = mask.astype(np.float32)
    values = pixels.astype(np.float32)
    outline = mask & ~ndimage.binary_erosion(mask)
    if not outline.any():
        return 0.0
    sides = []
    for weight in (inner, 1 - inner):
        near = np.maximum(ndimage.uniform_filter(weight, _RING)[outline], 1e-4)
        sides.append(ndimage.uniform_filter(values * weight[..., None], (_RING, _RING, 0))[outline] / near[:, None])
    return float(np.abs(sides[0] - sides[1]).max(axis=1).mean())


def _means(labels: NDArray[np.integer], values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Mean of `values` [P, C] over each of `count` labels [P]; 0 where a label has no pixel."""
    size = np.maximum(np.bincount(labels, minlength=count), 1)
    sums = [np.bincount(labels, weights=values[:, c], minlength=count) / size for c in range(values.shape[1])]
    return np.stack(sums, axis=1).astype(np.float32)


def _price(
    cost: NDArray[np.float64],
    a: int,
    near: Mask,
    mean: NDArray[np.floating],
    size: NDArray[np.float64],
    luck: NDArray[np.float64],
) -> None:
    """Write what joining region `a` with each neighbour costs into its row and column."""
    at = np.flatnonzero(near)
    away = ((mean[at] - mean[a]) ** 2).sum(axis=1)
    price = away * size[at] * size[a] / (size[at] + size[a]) * luck[np.minimum(a, at), np.maximum(a, at)]
    cost[a], cost[:, a] = np.inf, np.inf
    cost[a, at] = cost[at, a] = price
