import numpy as np
import pytest
import torch

from core.errors import InputError
from llm_grounder.times import TIME_TOKENS, ComposedTime, FrameTimes, between_rows, digit_rows, spell_out, write_time
from tests.llm_grounder.tiny_grounder import tiny_grounder


@pytest.mark.parametrize(
    ("seconds", "digits"), [(0, "0000.0"), (12.5, "0012.5"), (9.96, "0010.0"), (150, "0150.0"), (9999.9, "9999.9")]
)
def test_a_time_is_always_six_tokens_with_its_zeros(seconds, digits):
    written = write_time(seconds, "tokens")
    assert written.count("<TIME_") == 6
    assert spell_out(written) == digits
    assert write_time(seconds, "text") == f"{float(digits):.1f}"


@pytest.mark.parametrize("seconds", [-0.1, 9999.95, 12345.6, float("nan")])
def test_a_time_that_six_tokens_cannot_say_is_refused(seconds):
    with pytest.raises(InputError, match=r"expected 0\.\.9999\.9 seconds"):
        write_time(seconds, "tokens")


def test_words_around_time_tokens_stay():
    assert spell_out("at <TIME_ONE><TIME_DOT><TIME_TWO> seconds") == "at 1.2 seconds"


def test_time_tokens_start_as_their_digits_for_reading_and_for_writing():
    backbone = tiny_grounder().backbone
    words = backbone.lm.get_input_embeddings().weight
    for token, character in zip(TIME_TOKENS, "0123456789.", strict=True):
        (digit,) = backbone.tokenizer.encode(character)
        assert torch.equal(backbone.embed(torch.tensor(backbone.ids[token])), words[digit])
        row = backbone.head_rows[backbone.row_of[backbone.ids[token]]]
        assert torch.equal(row, backbone.lm.get_output_embeddings().weight[digit])


def test_a_digit_of_several_tokens_starts_as_their_mean():
    class Two:
        def encode(self, character, add_special_tokens):
            return [0, 1]

    assert digit_rows(torch.tensor([[1.0], [3.0]]), Two()).tolist() == [[2.0]] * 11


def test_frame_times_start_at_zero_and_are_none_without_rows():
    times = np.arange(4.0)
    made = FrameTimes(3, 5, 10)(times, torch.device("cpu"))
    assert made.shape == (4, 3)
    assert not made.any()
    assert FrameTimes(3, 0, 0)(times, torch.device("cpu")) is None


def test_places_are_spread_over_all_rows_and_weighted_by_nearness():
    table = torch.tensor([[0.0], [10.0], [20.0], [30.0]])
    times = FrameTimes(1, 4, 0)
    times.sequence.data.copy_(table)

    def read(frames):
        return times(np.arange(float(frames)), torch.device("cpu")).flatten().tolist()

    assert read(4) == [0, 10, 20, 30]
    assert read(7) == [0, 5, 10, 15, 20, 25, 30]
    assert read(1) == [0]
    # A quarter of the way from row 1 takes three quarters of row 1, not of row 2.
    assert between_rows(table, torch.tensor([1.25])).item() == 12.5


def test_seconds_past_the_last_trained_one_are_constant():
    times = FrameTimes(1, 0, 100)
    times.seconds.data.copy_(torch.arange(100.0)[:, None])
    times.train()
    times(np.array([0.0, 40.5]), torch.device("cpu"))
    times.eval()
    late = times(np.array([40.0, 40.5, 41.0, 99.0, 5000.0]), torch.device("cpu"))
    assert late.flatten().tolist() == [40.0, 40.5, 40.5, 40.5, 40.5]
    assert "last" in times.state_dict()


def test_seconds_past_the_table_are_its_last_row_in_training_too():
    times = FrameTimes(1, 0, 10).train()
    times.seconds.data.copy_(torch.arange(10.0)[:, None])
    assert times(np.array([8.5, 9.0, 30.0]), torch.device("cpu")).flatten().tolist() == [8.5, 9.0, 9.0]


def test_composed_times_differ_with_every_digit():
    torch.manual_seed(0)
    made = ComposedTime(8)(torch.randn(11, 8), [1.0, 10.0, 100.0, 0.1, 1.0])
    assert torch.equal(made[0], made[4])
    assert torch.pdist(made[:4]).min() > 1e-2
