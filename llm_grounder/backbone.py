"""The language model: any causal LM of transformers by id or folder, with LoRA or frozen, or a tiny one made here.

Tokens that the grounder adds have rows of their own beside the model's tables, for reading and for writing, so that a
frozen table stays frozen and a checkpoint holds little. Knows tokenizers, causal LMs and peft. Does not know frames or
samples. Axis letters: B sequences, L tokens, H width, V tokens of the tokenizer and of the model's table together.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from core.errors import CheckpointError, InputError
from core.hub import first_line, hub_folder
from core.open_clip_folder import files_sha256
from llm_grounder.times import TIME_TOKENS, digit_rows

OPEN: Final = "<|im_start|>"
CLOSE: Final = "<|im_end|>"
FRAME: Final = "<frame>"
VISUAL: Final = "<visual>"
OBJECT: Final = "<object>"
REGION: Final = "<region>"
PRESENCE: Final = "<presence>"
HUB_FILES: Final = (
    "config.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "model*.safetensors*",
)


def span_token(k: int) -> str:
    """The token of span query k."""
    return f"<span_{k}>"


def track_token(n: int) -> str:
    """The token that names track n."""
    return f"<track_{n}>"


@dataclass(frozen=True)
class TinyShape:
    """A tiny causal LM of Qwen3's kind, trained from nothing. vocabulary: most tokens of its own words."""

    width: int = 256
    layers: int = 6
    heads: int = 4
    mlp: int = 768
    vocabulary: int = 1024

    def __post_init__(self) -> None:
        """Refuse widths that the heads do not divide into even parts."""
        if min(self.width, self.layers, self.heads, self.mlp) < 1 or self.width % (2 * self.heads):
            raise InputError(f"tiny LM: expected an even width for each head, got {self}")
        if self.vocabulary < 256:
            raise InputError(f"tiny LM: expected a vocabulary of the 256 bytes or more, got {self.vocabulary}")


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank updates of a frozen LM's Linear layers. targets: peft's names, "all-linear" for all but the head."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    targets: str | tuple[str, ...] = "all-linear"


class Backbone(nn.Module):
    """A causal LM with the grounder's tokens.

    facts: what makes it again, JSON-able.   speakable: [V] bool, tokens that a reply may hold.
    """

    speakable: Tensor
    row_of: Tensor
    own_ids: Tensor

    def __init__(self, lm: nn.Module, tokenizer: Any, spans: int, tracks: int, facts: dict[str, Any]) -> None:
        super().__init__()
        self.lm: Any = lm
        self.tokenizer = tokenizer
        self.facts = facts
        self.spoken = (CLOSE, *TIME_TOKENS, *map(track_token, range(tracks)))
        wanted = (OPEN, FRAME, VISUAL, OBJECT, REGION, PRESENCE, *map(span_token, range(spans)), *self.spoken)
        words = len(tokenizer)
        own = [token for token in wanted if token not in tokenizer.get_vocab()]
        tokenizer.add_tokens(own, special_tokens=True)
        table, head = lm.get_input_embeddings().weight, lm.get_output_embeddings().weight  # type: ignore[operator]
        if words > len(table):
            raise CheckpointError(f"language model: expected rows for {words} tokens, got {len(table)}")
        self.width = int(table.shape[1])
        self.ids = {token: int(tokenizer.convert_tokens_to_ids(token)) for token in wanted}
        total = max(len(table), len(tokenizer))
        own_ids = torch.tensor([self.ids[token] for token in own], dtype=torch.long)
        row_of = torch.full((total,), -1, dtype=torch.long)
        row_of[own_ids] = torch.arange(len(own))
        speakable = torch.zeros(total, dtype=torch.bool)
        speakable[:words] = True
        speakable[torch.tensor(tokenizer.all_special_ids, dtype=torch.long)] = False
        speakable[own_ids] = False
        speakable[[self.ids[token] for token in self.spoken]] = True
        self.register_buffer("row_of", row_of, persistent=False)
        self.register_buffer("own_ids", own_ids, persistent=False)
        self.register_buffer("speakable", speakable, persistent=False)
        self.rows = nn.Parameter(_first_rows(table, tokenizer, own))
        self.head_rows = nn.Parameter(_first_rows(head, tokenizer, own))

    def embed(self, ids: Tensor) -> Tensor:
        """Embeddings [.., H] of token ids [..]."""
        row = self.row_of[ids]
        words = self.lm.get_input_embeddings()(ids.masked_fill(row >= 0, 0))
        # Not by indexing, whose gradient adds the many rows of one token one after another.
        own = nn.functional.embedding(row.clamp(min=0), self.rows.to(words.dtype))
        return torch.where((row >= 0)[..., None], own, words)

    def rows_of(self, tokens: Iterable[str]) -> Tensor:
        """Embeddings [n, H] of tokens of the grounder."""
        ids = torch.tensor([self.ids[token] for token in tokens])
        return self.embed(ids.to(self.row_of.device, non_blocking=True))

    def forward(
        self, embeds: Tensor, mask: Tensor | None = None, positions: Tensor | None = None, past: Any = None,
        use_cache: bool = False,
    ) -> tuple[Tensor, Any]:  # fmt: skip
        """Last states [B, L, H] of embeddings [B, L, H], and the keys and values so far (None without `use_cache`).

        mask: [B, all keys] bool, real tokens; or [B, 1, L, all keys] bool, what each may look at.   positions: [B, L].
        past: what a former call gave, its keys before these.
        """
        out = self.lm.base_model(
            inputs_embeds=embeds, attention_mask=mask, position_ids=positions, past_key_values=past, use_cache=use_cache
        )
        return out.last_hidden_state, out.past_key_values if use_cache else None

    def logits(self, states: Tensor) -> Tensor:
        """Logits [.., V] of the next token from states [.., H]."""
        words = self.lm.get_output_embeddings()(states)
        missing = len(self.row_of) - words.shape[-1]
        own = states @ self.head_rows.to(states.dtype).T
        return nn.functional.pad(words, (0, missing)).index_copy(-1, self.own_ids, own.to(words.dtype))


def make_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-level byte-pair tokenizer of these texts: any text becomes tokens and back; digits stand alone."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False)
    )
    return wrap_tokenizer(made.to_str())


def wrap_tokenizer(text: str) -> Any:
    """transformers' tokenizer of a tokenizers' JSON."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(text))


def tiny_backbone(tokenizer: Any, shape: TinyShape, *, spans: int, tracks: int) -> Backbone:
    """A tiny LM with random weights over a tokenizer of `make_tokenizer`, of which it takes a copy."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    words = tokenizer.backend_tokenizer.to_str()
    lm = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=shape.width, intermediate_size=shape.mlp,
            num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.heads,
            head_dim=shape.width // shape.heads, max_position_embeddings=1 << 20, tie_word_embeddings=True,
            bos_token_id=None, eos_token_id=None, pad_token_id=None, attn_implementation="sdpa",
        )
    )  # fmt: skip
    with torch.no_grad():  # transformers' spread of 0.02 suits wide models: narrow ones learnt nothing of words with it
        for name, weight in lm.named_parameters():
            if name.endswith("proj.weight"):
                weight.normal_(0.0, weight.shape[1] ** -0.5)
    _fuse_norms(lm)
    return Backbone(
        lm, wrap_tokenizer(words), spans, tracks, {"kind": "tiny", "shape": asdict(shape), "tokenizer": words}
    )


def _fuse_norms(lm: nn.Module) -> None:
    """Put torch's RMSNorm, one kernel, in the place of transformers' six; the same weights by the same names."""
    for parent in list(lm.modules()):
        for name, child in parent.named_children():
            if type(child).__name__ == "Qwen3RMSNorm":
                norm: Any = child
                setattr(parent, name, _Norm(len(norm.weight), eps=norm.variance_epsilon))


class _Norm(nn.RMSNorm):
    """In the weights' own precision, for which alone torch has one kernel."""

    def forward(self, x: Tensor) -> Tensor:
        """[.., H] -> the same."""
        return super().forward(x.to(self.weight.dtype))


def pretrained_backbone(
    spec: str, *, spans: int, tracks: int, lora: LoraSettings | None = None, dtype: torch.dtype = torch.bfloat16,
    attention: str = "sdpa",
) -> Backbone:  # fmt: skip
    """A causal LM by hub id or folder; with `lora` its updates are trained, else nothing of it; nothing remote runs.

    Raises:
        CheckpointError: where it cannot be fetched or read, or has no safetensors.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(spec) if Path(spec).is_dir() else hub_folder("language model", spec, HUB_FILES, "a causal LM")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        lm = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, attn_implementation=attention, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"language model {spec!r}: expected a causal LM with safetensors and tokenizer, got: {first_line(error)}"
        ) from error
    lm.requires_grad_(False)
    facts = {
        "kind": "pretrained", "spec": spec, "sha256": lm_sha256(folder), "lora": asdict(lora) if lora else None,
        "dtype": str(dtype).removeprefix("torch."),
    }  # fmt: skip
    return Backbone(_with_lora(lm, lora) if lora else lm, tokenizer, spans, tracks, facts)


def lm_sha256(folder: Path) -> str:
    """One hash of a language model's configuration, weights and tokenizer."""
    names = {path for pattern in HUB_FILES for path in folder.glob(pattern) if path.is_file()}
    return files_sha256(sorted(names))


def _with_lora(lm: nn.Module, lora: LoraSettings) -> nn.Module:
    from peft import LoraConfig, inject_adapter_in_model

    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets, task_type="CAUSAL_LM"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of tied tables, which are not among the targets
        with_updates: nn.Module = inject_adapter_in_model(config, lm)
    for name, parameter in with_updates.named_parameters():
        parameter.requires_grad_("lora_" in name)
    return with_updates


def _first_rows(table: Tensor, tokenizer: Any, own: list[str]) -> Tensor:
    """Rows [E, H] float32 of new tokens: time tokens as their digits, others random of the table's spread."""
    with torch.no_grad():
        known = table.detach().float()
        rows = torch.randn(len(own), known.shape[1]) * known.std().cpu()
        digits = digit_rows(known, tokenizer).cpu()
        for row, token in enumerate(own):
            if token in TIME_TOKENS:
                rows[row] = digits[TIME_TOKENS.index(token)]
        return rows.to(table.device)
