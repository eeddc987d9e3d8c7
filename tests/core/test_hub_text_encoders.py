"""Encoders of transformers other than RoBERTa, tiny and of random weights, through the same protocol."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, T5Config, T5Model

from core.errors import CheckpointError
from core.text import load_text_encoder

WORDS = ("[PAD]", "[UNK]", "the", "red", "star", "moves")


def write(folder, model, **special):
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", **special).save_pretrained(folder)
    torch.manual_seed(0)
    model().save_pretrained(folder)
    return folder


def bert():
    return BertModel(
        BertConfig(vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    )


def t5():
    return T5Model(T5Config(vocab_size=6, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2))


@pytest.mark.parametrize("model", [bert, t5])
def test_any_encoder_gives_states_of_words_and_their_mean(model, tmp_path):
    encoder = load_text_encoder(str(write(tmp_path, model, pad_token="[PAD]")), "cpu")
    features = encoder.encode(["the red star moves", "star"])
    assert features.tokens.shape == (2, 4, encoder.width) == (2, 4, 8)
    assert features.mask.tolist() == [[True] * 4, [True, False, False, False]]
    torch.testing.assert_close(features.pooled[1], features.tokens[1, 0])
    torch.testing.assert_close(encoder.encode(["star"]).pooled[0], features.pooled[1], atol=1e-5, rtol=0)


def test_a_tokenizer_that_cannot_pad_is_refused_by_name(tmp_path):
    folder = write(tmp_path / "gpt", bert)
    with pytest.raises(CheckpointError, match="gpt: expected a tokenizer that can pad"):
        load_text_encoder(str(folder), "cpu")
