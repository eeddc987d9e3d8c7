import pytest
import torch

from proposals.clicks import ON, decode
from proposals.folded_decoder import FoldedDecoder, FoldedTransformer


@pytest.fixture
def model(make_model):
    """Weights that are far from their beginnings, biases and norms too."""
    model = make_model()
    generator = torch.Generator().manual_seed(1)
    for weight in model.sam_mask_decoder.parameters():
        weight.data += torch.randn(weight.shape, generator=generator) * 0.1
    return model


def features(model, count=1):
    width, side = model.hidden_dim, model.image_size // 16
    shapes = ((width // 8, 4 * side), (width // 4, 2 * side), (width, side))
    return [torch.randn(count if channels == width else 1, channels, size, size) for channels, size in shapes]


@pytest.mark.parametrize(("maps", "tokens"), [(1, 3), (3, 1), (3, 3), (1, 1)])
def test_the_transformer_equals_the_packages(model, maps, tokens):
    torch.manual_seed(0)
    image, given = features(model, maps)[-1], torch.randn(tokens, 5, model.hidden_dim)
    places = model.sam_prompt_encoder.get_dense_pe()
    several = max(maps, tokens)
    with torch.inference_mode():
        want = model.sam_mask_decoder.transformer(
            image.expand(several, -1, -1, -1), places, given.expand(several, -1, -1)
        )
        got = FoldedTransformer(model.sam_mask_decoder.transformer, places)(image.flatten(2).transpose(1, 2), given)
    for mine, other in zip(got, want, strict=True):
        assert mine.shape == other.shape
        torch.testing.assert_close(mine, other, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("prompts", [1, 20])
def test_logits_and_scores_equal_the_packages_decoder(model, prompts):
    torch.manual_seed(0)
    *fine, coarse = features(model)
    points = torch.rand(prompts, 1, 2) * model.image_size
    labels = torch.full((prompts, 1), ON, dtype=torch.int32)
    with torch.inference_mode():
        logits, scores = decode(model, coarse, fine, points, labels, several=True)
        assert logits.std() > 0.05
        folded = FoldedDecoder(model)
        for limit in (0.0, float(scores.median()) + 1e-4, float(scores.max()) + 1e-4):
            got, best = folded(coarse, tuple(fine), points, labels, limit)
            wanted = scores > limit
            assert limit > 0 or wanted.all()
            torch.testing.assert_close(got, logits[wanted], atol=2e-5, rtol=1e-5)
            torch.testing.assert_close(best, scores[wanted], atol=1e-6, rtol=1e-5)
