"""Where class tokens stand: every token once, in rows of one shape, seeing its own class and the prefix."""

import pytest
import torch

from promptgrid.contract.clip import PromptTokens
from promptgrid.towers.clip.class_rows import ClassRows, common_prefix

PREFIX = 5


def prompts(lengths: list[int]) -> PromptTokens:
    """SOS, two learned tokens, two frozen ones, then ``length`` tokens a class with EOT as the last."""
    rng, longest = torch.Generator().manual_seed(0), PREFIX + max(lengths)
    embeddings = torch.randn(len(lengths), longest, 8, generator=rng)
    embeddings[:, :PREFIX] = embeddings[:1, :PREFIX].clone()
    slots = torch.full((len(lengths), longest), -1)
    slots[:, 1:3] = torch.arange(2)
    return PromptTokens(embeddings, slots, torch.tensor(lengths) + PREFIX - 1)


MIXES = {
    "one class": [4],
    "short": [1] * 30,
    "ragged": [3, 9, 2, 2, 14, 5, 3, 3, 4, 6, 1] * 5,
    "one long": [2] * 40 + [30],
    "a thousand": [2 + i % 9 for i in range(1000)],
}


@pytest.fixture(params=MIXES)
def lengths(request: pytest.FixtureRequest) -> list[int]:
    return MIXES[request.param]


def test_every_token_stands_somewhere_once_and_eot_comes_first(lengths: list[int]) -> None:
    rows = ClassRows.of(prompts(lengths), shared=True, width=64)
    groups, size = rows.shape
    assert rows.prefix == (PREFIX if len(lengths) > 1 else PREFIX + lengths[0] - 1)
    firsts = rows.classes[:, : rows.asking].flatten()[rows.order]
    assert firsts.tolist() == list(range(len(lengths)))
    assert rows.columns[:, : rows.asking].flatten()[rows.order].tolist() == [PREFIX + n - 1 for n in lengths]
    places = list(zip(rows.classes.flatten().tolist(), rows.columns.flatten().tolist(), strict=True))
    wanted = {(label, i) for label, n in enumerate(lengths) for i in range(rows.prefix, PREFIX + n)}
    assert wanted <= set(places)
    assert groups * size <= 1.3 * len(wanted) + groups + 30, "too much padding"


def test_a_token_sees_the_prefix_and_what_comes_before_it_in_its_own_class(lengths: list[int]) -> None:
    rows = ClassRows.of(prompts(lengths), shared=True, width=64)
    prefix = rows.prefix
    assert (rows.mask[:, :, :prefix] == 0).all()
    asks = rows.order.tolist()
    for label in {0, len(lengths) // 2, len(lengths) - 1}:
        row, slot = divmod(asks[label], rows.asking)
        seen = (rows.mask[row, slot, prefix:] == 0).nonzero().flatten()
        assert set(rows.classes[row, seen].tolist()) == {label}
        assert sorted(rows.columns[row, seen].tolist()) == list(range(prefix, PREFIX + lengths[label]))
        for token in seen.tolist():
            before = (rows.mask[row, token, prefix:] == 0).nonzero().flatten()
            assert sorted(rows.columns[row, before].tolist()) == list(range(prefix, int(rows.columns[row, token]) + 1))


def test_the_prefix_ends_where_prompts_part() -> None:
    given = prompts([3, 3])
    assert common_prefix(given, shared=True) == PREFIX
    assert common_prefix(given, shared=False) == 1, "own contexts differ from the first learned token on"
    given.embeddings[1, 3] += 1.0
    assert common_prefix(given, shared=True) == 3
    given.embeddings[1, 2] += 1.0
    assert common_prefix(given, shared=True) == 3, "what a learned token replaces does not count"
    given.slots[1, 2] = 0
    assert common_prefix(given, shared=True) == 2


def test_equal_prompts_keep_their_eot_to_themselves() -> None:
    given = prompts([3, 3])
    given.embeddings[1] = given.embeddings[0]
    assert common_prefix(given, shared=True) == PREFIX + 2
    assert ClassRows.of(given, shared=True, width=64).shape[1] >= 1
