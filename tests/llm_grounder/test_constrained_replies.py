"""Replies under a grammar: whatever the logits, they end in time and the task's parser reads them."""

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from core.errors import InputError
from llm_grounder.backbone import CLOSE, TinyShape, make_tokenizer, tiny_backbone
from llm_grounder.constrained import ConstrainedReply, make_vocabulary, vocabulary_of
from llm_grounder.grammar import either, listing, sequence
from llm_grounder.grammar_parts import Literal, Number, Text
from llm_grounder.tasks.catalog import FORMATS
from llm_grounder.tasks.failures import Failure
from llm_grounder.tasks.moments import window_parts
from llm_grounder.tasks.spec import Terms
from llm_grounder.times import TIME_TOKENS
from llm_grounder.types import Task

ENDS = (0.1, 0.95, 12.3, 150.0, 9999.9, 20000.0)
MOST = 60


@pytest.fixture(scope="module")
def tiny():
    """A tiny random LM and the vocabulary of its tokenizer."""
    torch.manual_seed(0)
    words = ["a red star spins", "none of 3 seconds - 4 s", "Frame 1: [0,0,1000,1000]", "12.0 - 20.0 seconds, "]
    made = tiny_backbone(make_tokenizer(words, 400), TinyShape(32, 1, 2, 64), spans=2, tracks=2)
    return made, vocabulary_of(made.tokenizer, [made.ids[CLOSE]], made.speakable)


def _random_reply(tiny, rules, generator):
    """Greedy from random logits that hate to close."""
    backbone, vocabulary = tiny
    said = []
    for _ in range(rules.most):
        scores = torch.randn(1, vocabulary.size, generator=generator)
        scores[0, list(vocabulary.closing)] -= 4
        token = int(rules(torch.tensor([said], dtype=torch.long), scores)[0].argmax())
        if token in vocabulary.closing:
            return backbone.tokenizer.decode(said)
        said.append(token)
    pytest.fail(f"the reply does not end: {backbone.tokenizer.decode(said)!r}")


@pytest.mark.parametrize("style", ["tokens", "text"])
@pytest.mark.parametrize("task", Task)
def test_random_logits_give_replies_that_the_parser_reads(tiny, task, style):
    generator, read = torch.Generator().manual_seed(3), FORMATS[task]
    for turn in range(12):
        options = ("red star", "red ring", "two") if turn % 2 else ()
        terms = Terms(ENDS[turn % len(ENDS)], style, options, frames=2)
        rules = ConstrainedReply(read.grammar(terms), tiny[1], MOST)
        reply = _random_reply(tiny, rules, generator)
        found = read.parse(reply, terms)
        assert not isinstance(found, Failure), (reply, found)


def test_a_random_language_model_under_the_grammar_says_moments(tiny):
    _, vocabulary = tiny
    torch.manual_seed(1)
    shape = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    closing = vocabulary.closing[0]
    config = Qwen3Config(
        vocab_size=vocabulary.size, num_key_value_heads=2, head_dim=16, bos_token_id=None, eos_token_id=closing,
        pad_token_id=closing, **shape,
    )  # fmt: skip
    model, terms = Qwen3ForCausalLM(config).eval(), Terms(60.0, "tokens")
    prompt = torch.randint(0, 300, (3, 5))
    rules = ConstrainedReply(FORMATS[Task.MOMENTS].grammar(terms), vocabulary, 40, prompt=5)
    out = model.generate(prompt, logits_processor=[rules], max_new_tokens=40, do_sample=True)
    for row in out[:, 5:].tolist():
        reply = tiny[0].tokenizer.decode([token for token in row if token != closing])
        found = FORMATS[Task.MOMENTS].parse(reply, terms)
        assert not isinstance(found, Failure), reply


@pytest.mark.parametrize("most", range(22, 40, 3))
def test_a_reply_ends_within_its_room(tiny, most):
    terms = Terms(150.0, "text")
    generator = torch.Generator().manual_seed(most)
    rules = ConstrainedReply(listing((*window_parts(terms), Literal(" seconds")), ", ", "."), tiny[1], most)
    reply = _random_reply(tiny, rules, generator)
    assert reply.endswith(" seconds.")


def test_a_room_too_small_is_refused(tiny):
    with pytest.raises(InputError, match="expected room for"):
        ConstrainedReply(FORMATS[Task.CAPTIONS].grammar(Terms(9.0)), tiny[1], 1)


def test_tokens_outside_the_grammar_are_refused_and_nothing_follows_the_closing_one(tiny):
    backbone, vocabulary = tiny
    rules = ConstrainedReply(sequence(Literal("none")), vocabulary, 9)
    with pytest.raises(InputError, match="expected tokens of the grammar"):
        rules.allowed(backbone.tokenizer.encode("x"))
    said = backbone.tokenizer.encode("none")
    assert rules.allowed(said).nonzero().flatten().tolist() == list(vocabulary.closing)
    assert rules.allowed([*said, vocabulary.closing[0]]).nonzero().flatten().tolist() == list(vocabulary.closing)


def test_a_vocabulary_needs_a_closing_token_and_can_spell():
    with pytest.raises(InputError, match="closing tokens"):
        make_vocabulary(["a", "b"], [])
    with pytest.raises(InputError, match="expected room for inf"):
        ConstrainedReply(sequence(Literal("none")), make_vocabulary(["no", "x", None], [2]), 100)


def test_blanks_before_words_count_where_a_decoder_strips_the_first_one():
    made = Tokenizer(models.BPE(unk_token=None))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    alphabet = [*"▁abcdefghijklmnopqrstuvwxyz0123456789.,-"]
    trainer = trainers.BpeTrainer(vocab_size=80, initial_alphabet=alphabet, special_tokens=["</s>"])
    made.train_from_iterator(["none seconds 12.0 - 20.0 seconds, 3.0 - 4.0 seconds."] * 3, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>")
    vocabulary = vocabulary_of(tokenizer, [tokenizer.eos_token_id])
    assert " seconds" in vocabulary.texts
    assert "</s>" not in vocabulary.texts
    rules, generator = ConstrainedReply(FORMATS[Task.MOMENTS].grammar(Terms(99.0)), vocabulary, 40), torch.Generator()
    said = []
    while True:
        scores = torch.rand(1, vocabulary.size, generator=generator)
        token = int(rules(torch.tensor([said], dtype=torch.long), scores)[0].argmax())
        if token in vocabulary.closing:
            break
        said.append(token)
    assert not isinstance(FORMATS[Task.MOMENTS].parse(tokenizer.decode(said), Terms(99.0)), Failure)


def _whole(grammar, text):
    return grammar.accepts(grammar.advance(grammar.begin(), text))


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("0.0 - 0.1", True), ("9.9 - 12.0", True), ("11.9 - 12.0", True), ("12.0 - 12.0", False), ("5.0 - 4.9", False),
        ("5.0 - 12.1", False), ("05.0 - 6.0", False), ("5 - 6.0", False), ("5.00 - 6.0", False), ("5.0 - 6.", False),
        ("5.0 - 10.0", True), ("12.0 - 13.0", False),
    ],
)  # fmt: skip
def test_windows_of_the_grammar_rise_within_the_clip(text, fits):
    assert _whole(sequence(*window_parts(Terms(12.0, "text"))), text) is fits


def test_numbers_keep_their_bounds_with_and_without_a_point():
    whole = sequence(Number(7, 120, tenths=False))
    good = [n for n in range(1000) if _whole(whole, str(n))]
    assert good == list(range(7, 121))
    tenths = sequence(Number(95, 105, width=4))
    assert [n for n in range(200) if _whole(tenths, f"{n / 10:06.1f}")] == list(range(95, 106))
    with pytest.raises(InputError, match="within its width"):
        Number(0, 100, tenths=False, width=2)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("A star.", True), ("add 3 onions.", True), ("cut 2 slices.", True), ("3 stars.", False), ("a star", False),
        ("in 3 seconds, b.", False), ("in 3 s, b.", False), ("in 3s.", False), ("at 1:30 b.", False), ("a\nb.", False),
        ("a <TIME_ONE>.", False), ("step 2.", False), ("a . b.", True), ("in 3 \u017fec, b.", False), ("a  b.", True),
    ],
)  # fmt: skip
def test_words_cannot_be_taken_for_times(text, fits):
    assert _whole(sequence(Text()), text) is fits


def test_the_shortest_way_out_of_every_state_is_whole():
    terms = Terms(33.3, "tokens", options=("red", "red star"), frames=2)
    generator = torch.Generator().manual_seed(0)
    for task in Task:
        grammar = FORMATS[task].grammar(terms)
        state = grammar.begin()
        for _ in range(200):
            for text in grammar.ways_out(state):
                assert grammar.accepts(grammar.advance(state, text)), (task, text)
            chars = [c for c in "0123456789.,-[] \n<>_:()ABEFIMNORSTTUVWXZadeghimnorst" if grammar.advance(state, c)]
            if not chars:
                break
            state = grammar.advance(state, chars[int(torch.randint(len(chars), (1,), generator=generator))])


def test_either_grammar_s_replies_fit_and_lists_clear_what_was_kept():
    grammar = either(listing((*window_parts(Terms(99.0)), Literal(" s")), ", "), sequence(Literal("none")))
    assert _whole(grammar, "none")
    assert _whole(grammar, "50.0 - 60.0 s, 1.0 - 2.0 s")
    assert not _whole(grammar, "50.0 - 60.0 s, none")


def test_time_tokens_are_in_the_vocabulary_and_special_ones_are_not(tiny):
    backbone, vocabulary = tiny
    assert set(TIME_TOKENS) <= set(vocabulary.texts)
    assert not {text for text in vocabulary.texts if text.startswith("<|")}
    assert {backbone.tokenizer.decode([i]) for i in vocabulary.ids} == set(vocabulary.texts)
