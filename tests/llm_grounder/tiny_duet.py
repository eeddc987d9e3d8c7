"""A tiny language model of random weights behind the protocol of streams, and the same passes without a cache."""

import torch
from torch import nn
from transformers import Qwen3Config, Qwen3Model

from llm_grounder.window import window_mask, window_positions

WIDTH, VOCABULARY, STOP, PATCHES, FEATURES = 16, 24, 1, 2, 6


class TinyDuet:
    """Words are `w<id>`; a text is read by its characters' codes."""

    def __init__(self, seed=0, layers=2, wordy=0.0):
        """wordy: added to the logit of each token but the stop."""
        torch.manual_seed(seed)
        config = Qwen3Config(
            vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=layers, num_attention_heads=2, head_dim=8,
            num_key_value_heads=1, intermediate_size=2 * WIDTH, max_position_embeddings=4096,
        )  # fmt: skip
        self.lm = Qwen3Model(config).eval()
        self.project = nn.Linear(FEATURES, WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY)
        self.heads = nn.Linear(WIDTH, 2)
        self.device = torch.device("cpu")
        self.stops = frozenset({STOP})
        self.wordy = wordy
        self.calls = []

    def system(self):
        return self.words([2, 3, 4])

    def question(self, text, time=0.0):
        return self.words([5, *(ord(letter) % VOCABULARY for letter in text), 6])

    def frame(self, features, time):
        marker = self.words([7]) * (1 + time / 100)
        return torch.cat([self.project(features), marker])

    def opening(self):
        return self.words([8, 9])

    def closing(self):
        return self.words([STOP, 10])

    def words(self, ids):
        return self.lm.embed_tokens(torch.tensor(ids))

    def decode(self, ids):
        return " ".join(f"w{i}" for i in ids)

    def hidden(self, embeddings, positions, mask, cache):
        self.calls.append(len(embeddings))
        return self.lm(
            inputs_embeds=embeddings[None], position_ids=positions[None], attention_mask=mask[None, None],
            past_key_values=cache, use_cache=cache is not None,
        ).last_hidden_state[0]  # fmt: skip

    def logits(self, hidden):
        bonus = torch.full((VOCABULARY,), self.wordy)
        bonus[STOP] = 0
        return self.head(hidden) + bonus

    def scores(self, hidden):
        informative, relevance = self.heads(hidden).sigmoid().tolist()
        return {"informative": informative, "relevance": relevance}


@torch.no_grad()
def offline(model, window, pieces):
    """Hidden states of each piece (segment, embeddings), [S_i, E] each, in one pass without a cache."""
    segments = [segment for segment, _ in pieces]
    embeddings = torch.cat([e for _, e in pieces])
    hidden = model.hidden(embeddings, window_positions(segments), window_mask(window, segments), None)
    return hidden.split([segment.length for segment in segments])


def features(count, seed=0):
    return torch.randn(count, PATCHES, FEATURES, generator=torch.Generator().manual_seed(seed))
