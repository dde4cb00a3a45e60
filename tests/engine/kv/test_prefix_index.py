"""Many conversations that part behind one prompt: what the index looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico_engine.kv.hashing import BlockKeys, Salt, block_content
from portico_engine.kv.prefix_index import PrefixIndex

ROOT = b"r" * 32
SIZE = 16
CHILDREN = 2048
Tail = st.lists(st.integers(0, 2), min_size=1, max_size=SIZE - 2).map(lambda rest: (7, *rest))
Tails = st.lists(Tail, max_size=24, unique=True)


def index_of(tails: Sequence[Sequence[int]]) -> PrefixIndex:
    index = PrefixIndex(max(1, len(tails)), SIZE)
    for block, tokens in enumerate(tails):
        index.add_tail(block, block_content(ROOT, tokens))
    index.check_integrity()
    return index


def common(one: Sequence[int], other: Sequence[int]) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def test_a_prompt_is_compared_with_few_of_the_conversations_that_began_like_it(monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of([(7, number, 1, 2) for number in range(CHILDREN)])
    read: list[int] = []
    content = PrefixIndex._content

    def reading(self: PrefixIndex, block: int) -> bytes:
        read.append(block)
        return content(self, block)

    monkeypatch.setattr(PrefixIndex, "_content", reading)
    found = index.match(BlockKeys(ROOT, SIZE), (7, 300, 1, 5, 6), 5)
    assert (found.tail, found.tail_tokens) == (300, 3)
    index.remove(17)
    assert index.add_tail(17, block_content(ROOT, (7, 9999)))
    assert len(read) < 5 * ceil(log2(CHILDREN))


@given(Tails, st.lists(st.integers(0, 2), max_size=SIZE - 2))
def test_the_longest_common_beginning_is_found_among_all(tails: list[tuple[int, ...]], rest: list[int]) -> None:
    index, asked = index_of(tails), (7, *rest)
    kept = [tokens for block, tokens in enumerate(tails) if block in index]
    found = index.match(BlockKeys(ROOT, SIZE), asked, len(asked))
    assert found.tail_tokens == max((common(tokens, asked) for tokens in kept), default=0)
    if found.tail is not None:
        assert common(tails[found.tail], asked) == found.tail_tokens


@given(Tails, st.lists(st.integers(0, 2), max_size=SIZE - 2))
def test_the_longest_state_that_a_prompt_begins_with_is_found_among_all(tails: list[tuple[int, ...]], rest: list[int]) -> None:
    index, asked = PrefixIndex(max(1, len(tails)), SIZE), (7, *rest)
    for block, tokens in enumerate(tails):
        assert index.add_state(block, block_content(ROOT, tokens), None)
    begun = [tokens for tokens in tails if asked[: len(tokens)] == tokens]
    found, length = index.match_state(BlockKeys(ROOT, SIZE), asked, len(asked))
    assert length == max(map(len, begun), default=0)
    assert found is None or tails[found] == asked[:length]


@given(Tails)
def test_what_is_forgotten_leaves_the_others_in_order(tails: list[tuple[int, ...]]) -> None:
    index = index_of(tails)
    for block in range(0, len(tails), 2):
        if block in index:
            index.remove(block)
            index.check_integrity()


@given(
    st.lists(st.lists(st.integers(0, 1), max_size=40), min_size=1, max_size=6),
    st.sampled_from((None, Salt(b"a tenant", 0), Salt(b"a tenant", 2))),
)
def test_keys_made_after_another_prompt_are_those_that_are_made_alone(prompts: list[list[int]], salt: Salt | None) -> None:
    like: BlockKeys | None = None
    for prompt in prompts:
        full = len(prompt) // 4
        like, alone = BlockKeys(ROOT, 4, salt, like=like), BlockKeys(ROOT, 4, salt)
        for first in (0, full // 2):
            assert like.span(first, full, prompt) == alone.span(first, full, prompt)
            assert [like.parent(at) for at in range(full + 1)] == [alone.parent(at) for at in range(full + 1)]
