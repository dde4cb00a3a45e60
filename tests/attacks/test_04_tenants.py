"""What one tenant asked tells another nothing: no cached tokens, in memory or from disk, beyond the gateway's own text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import INFO, fake_engine, run, solitary, tokens_of

from portico_engine import Engine, Request, RequestError
from portico_engine.kv.hashing import Salt, chain_key, salted_key

attack = pytest.mark.attack("4 a tenant's prompts tell another nothing")
TEXT = tuple(range(10, 100))  # five full blocks and ten tokens


def cached(engine: Engine, request: Request) -> int:
    deltas = run(engine, [request])[request.id]
    assert tokens_of(deltas) == solitary(request)
    usage = deltas[-1].usage
    assert usage is not None
    return usage.cached_tokens


def tenant(salt: bytes, *, shared: int = 0, prompt: tuple[int, ...] = TEXT) -> Request:
    return Request("r", prompt, max_tokens=3, salt=salt, shared_prefix_tokens=shared, keep=len(prompt))


@attack
@pytest.mark.parametrize("shared", [0, 1, 15, 16, 17, 40, 80, 89, 90])
@pytest.mark.parametrize("theirs", [b"b", b"", b"aa"], ids=["another", "none", "longer"])
def test_only_full_blocks_of_the_gateways_own_text_are_found(shared: int, theirs: bytes) -> None:
    """However the shared part ends in a block, and whoever comes second; the tenant itself finds all of it."""
    engine = fake_engine()
    assert cached(engine, tenant(b"a", shared=shared)) == 0
    assert cached(engine, tenant(theirs, shared=shared)) == min(shared // 16 * 16, len(TEXT) - 1)
    assert cached(engine, tenant(b"a", shared=shared)) == len(TEXT) - 1
    assert cached(engine, tenant(theirs, shared=shared)) == len(TEXT) - 1


@attack
@pytest.mark.parametrize("length", range(1, 50, 7))
def test_a_prompt_is_not_guessed_token_by_token(length: int) -> None:
    """Unfilled ends of blocks are a tenant's own too."""
    engine = fake_engine()
    run(engine, [tenant(b"secret", prompt=TEXT[:length])])
    for guess in range(1, length + 2):
        assert cached(engine, tenant(b"guesser", prompt=(*TEXT[:guess], 200 + guess))) <= guess - 1
        fresh = fake_engine()
        run(fresh, [tenant(b"secret", prompt=TEXT[:length])])
        assert cached(fresh, tenant(b"guesser", prompt=(*TEXT[:guess], 3))) == 0


@attack
@pytest.mark.parametrize("shared", [0, 20, 48])
def test_the_disk_keeps_tenants_apart(tmp_path: Path, shared: int) -> None:
    """After a restart, when nothing is in memory."""

    def started() -> Engine:
        return fake_engine(FakeExecutor(vocab_size=INFO.vocab_size), kv_dir=tmp_path)

    first = started()
    cached(first, tenant(b"a", shared=shared))
    first.close()
    second = started()
    assert cached(second, replace(tenant(b"b", shared=shared), keep=0)) == shared // 16 * 16
    second.close()
    third = started()
    assert cached(third, replace(tenant(b"a", shared=shared), keep=0)) == 80
    third.close()


@attack
def test_a_claim_to_more_shared_text_finds_nothing_of_a_tenants() -> None:
    """Blocks that a tenant's text is in hang on its salt, whatever another says of its own prompt."""
    engine = fake_engine()
    run(engine, [tenant(b"a", shared=16)])
    assert cached(engine, tenant(b"b", shared=80)) == 16
    assert cached(engine, tenant(b"c", shared=90, prompt=TEXT)) == 80, "what b called shared is"


def test_without_a_salt_keys_are_what_they_were() -> None:
    engine = fake_engine()
    run(engine, [Request("r", TEXT, max_tokens=1)])
    key = engine._kv._root
    keys = []
    for at in range(0, 80, 16):
        keys.append(key := chain_key(key, TEXT[at : at + 16]))
    index = engine._kv.pool.index
    assert {index.key(block) for block in index} - {None} == set(keys)
    assert salted_key(key, b"") != key


def test_salts_that_are_each_others_beginnings_differ() -> None:
    assert len({salted_key(b"p" * 32, salt) for salt in (b"a", b"aa", b"a\0", b"")}) == 4
    assert Salt(b"a", 0) != Salt(b"a", 1)


@pytest.mark.parametrize("shared", [-1, 91])
def test_more_shared_text_than_there_is_is_refused(shared: int) -> None:
    with pytest.raises(RequestError, match="shared_prefix_tokens is"):
        fake_engine().submit(tenant(b"a", shared=shared))


@attack
@given(
    requests=st.lists(
        st.tuples(st.sampled_from([b"", b"a", b"b"]), st.integers(0, 3), st.integers(1, 80), st.integers(0, 60)), max_size=12
    ),
    blocks=st.integers(17, 32),
)
@settings(max_examples=80, deadline=None)
def test_answers_are_solitary_and_nothing_is_found_that_wasnt_ones_own(
    requests: list[tuple[bytes, int, int, int]], blocks: int
) -> None:
    """Any mixture, one after another, under eviction."""
    engine = fake_engine(FakeExecutor(vocab_size=INFO.vocab_size, blocks=blocks))
    known: list[tuple[bytes, int, tuple[int, ...]]] = []  # salt, first salted block, all tokens
    for i, (salt, kind, length, shared) in enumerate(requests):
        prompt = (*range(10, 10 + length), 200 + kind)
        request = Request(str(i), prompt, max_tokens=4, salt=salt, shared_prefix_tokens=min(shared, len(prompt)))
        found = cached(engine, request)
        first = request.shared_prefix_tokens // 16 if salt else 0
        best = 0
        for other, others_first, tokens in known:
            same = next(
                (n for n, (x, y) in enumerate(zip(prompt, tokens, strict=False)) if x != y), min(len(prompt), len(tokens))
            )
            if other == salt and (not salt or first == others_first):
                best = max(best, same)
            else:
                open_to_both = min(first if salt else 1 << 20, others_first if other else 1 << 20) * 16
                best = max(best, min(same, open_to_both))
        assert found <= best
        known.append((salt, first, (*prompt, *solitary(request))))
        engine._scheduler.check_integrity()
