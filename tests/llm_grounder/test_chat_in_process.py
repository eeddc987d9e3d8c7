"""A chat model of Qwen3-VL's class, tiny and random, asked through its own chat template."""

import numpy as np
import pytest
import torch

from core.errors import CheckpointError, InputError
from llm_grounder.chat.asking import Ask, ask_sha256, timed_frames
from llm_grounder.chat.in_process import InProcessChat, load_chat_model, messages
from llm_grounder.chat.moments import MomentQuestion, ask_moments
from tests.llm_grounder.tiny_chat import write_folder

FRAMES = np.random.default_rng(0).integers(0, 255, (3, 16, 24, 3)).astype(np.uint8)
TIMES = np.array([0.0, 0.5, 12.25])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("chat"))


@pytest.fixture(scope="module")
def chat(folder):
    return load_chat_model(str(folder), "cpu", dtype=torch.float32, at_once=2)


def test_each_picture_stands_after_its_time_in_the_prompt(chat):
    ask = Ask((*timed_frames(FRAMES, TIMES), "When?"), "Look.", 4)
    text = chat.processor.apply_chat_template(messages(ask), add_generation_prompt=True)
    seen = "<|vision_start|><|image_pad|><|vision_end|>"
    wanted = f"<0.0 seconds>{seen}<0.5 seconds>{seen}<12.2 seconds>{seen}When?<|im_end|>\n"
    assert text == f"<|im_start|>system\nLook.<|im_end|>\n<|im_start|>user\n{wanted}<|im_start|>assistant\n"


def test_replies_of_a_batch_are_those_of_each_question_alone(chat):
    asks = [
        Ask((*timed_frames(FRAMES, TIMES), "When does the star spin?"), most=6),
        Ask((*timed_frames(FRAMES[:1], TIMES[:1]), "When?"), most=4),
        Ask(("No picture.",), most=5),
    ]
    done = []
    together = chat.answer(asks, lambda at, of: done.append((at, of)))
    alone = InProcessChat(chat.model, chat.processor, "").answer(asks)
    assert together == alone
    assert done == [(2, 3), (3, 3)]
    assert all(reply.text and reply.cut for reply in together)


def test_pictures_reach_the_model(chat):
    """Other pictures change what the model holds likely."""
    ask = [Ask((*timed_frames(frames, TIMES), "When?"), most=1) for frames in (FRAMES, 255 - FRAMES)]
    inputs = [
        chat.processor(
            text=chat.processor.apply_chat_template([messages(each)], add_generation_prompt=True),
            images=list(each.pictures), return_tensors="pt",
        )
        for each in ask
    ]  # fmt: skip
    with torch.no_grad():
        one, other = (chat.model(**each).logits[0, -1] for each in inputs)
    assert (one - other).abs().max() > 1e-4


def test_a_random_model_s_moments_are_failures_that_are_counted(chat):
    questions = [MomentQuestion("v", str(i), "a star spins", FRAMES, TIMES, 20.0, "cache") for i in range(3)]
    short = InProcessChat(chat.model, chat.processor, chat.sha256)
    scores, counts = ask_moments(short, questions, most=8)
    assert (counts.replies, counts.failures) == (3, 3)
    assert all(score.spans == () and not score.relevance.any() for score in scores)
    assert {(score.scorer, score.cache, score.expression_id) for score in scores} == {
        (chat.sha256, "cache", str(i)) for i in range(3)
    }


def test_weights_of_half_precision_read_pictures_too(folder):
    half = load_chat_model(str(folder), "cpu")
    assert half.model.dtype == torch.bfloat16
    assert half.answer([Ask((*timed_frames(FRAMES, TIMES), "When?"), most=3)])[0].cut


def test_a_reply_ends_at_its_closing_token(chat):
    closing = chat.model.generation_config.eos_token_id
    tokens = chat.processor.tokenizer.encode(" none.")
    assert chat._reply([*tokens, closing, *tokens], 50).text == "none."
    assert not chat._reply([*tokens, closing], 50).cut
    assert chat._reply([*tokens, closing], len(tokens)).cut


def test_a_folder_without_weights_or_template_is_refused(folder, tmp_path):
    with pytest.raises(CheckpointError, match="expected one that reads pictures"):
        load_chat_model(str(tmp_path), "cpu")
    bare = tmp_path / "bare"
    write_folder(bare)
    for path in bare.glob("chat_template*"):
        path.unlink()
    with pytest.raises(CheckpointError, match="chat template"):
        load_chat_model(str(bare), "cpu", dtype=torch.float32)


def test_questions_are_checked_and_hashed_by_all_they_say_and_show():
    whole = Ask((*timed_frames(FRAMES, TIMES), "When?"), "Look.", 4)
    others = [
        Ask(whole.parts[:-1], "Look.", 4), Ask(whole.parts, "Look!", 4), Ask(whole.parts, "Look.", 5),
        Ask((*timed_frames(255 - FRAMES, TIMES), "When?"), "Look.", 4),
        Ask((*timed_frames(FRAMES, TIMES + 1), "When?"), "Look.", 4),
        Ask((*timed_frames(FRAMES.reshape(3, 24, 16, 3), TIMES), "When?"), "Look.", 4),
    ]  # fmt: skip
    assert len({ask_sha256(ask) for ask in [whole, *others]}) == 7
    assert ask_sha256(whole) == ask_sha256(Ask((*timed_frames(FRAMES.copy(), TIMES), "When?"), "Look.", 4))
    with pytest.raises(InputError, match="rising"):
        timed_frames(FRAMES, TIMES[::-1])
    with pytest.raises(InputError, match="expected uint8"):
        Ask((FRAMES[0].astype(np.uint16),))
    with pytest.raises(InputError, match="1 or more"):
        Ask(())
