"""`UnmarkedMessages`: the guess which message it was, where a message says nothing itself."""

from __future__ import annotations

import itertools
import time

import pytest

from workq_helpers.log.unmarked import UnmarkedMessages, fingerprint

SOUP, TEA = fingerprint(b"soup", 4), fingerprint(b"tea", 3)


@pytest.fixture
def messages() -> UnmarkedMessages:
    numbers = itertools.count(1)
    return UnmarkedMessages(lambda: f"new {next(numbers)}")


def test_what_was_published_is_found_in_its_order(messages: UnmarkedMessages) -> None:
    for mark, body in (("a", SOUP), ("b", TEA), ("c", SOUP)):
        messages.published(mark, "q", body)
    assert [messages.delivered("q", body, False) for body in (SOUP, SOUP, TEA)] == ["a", "c", "b"]


def test_what_nobody_saw_published_is_new(messages: UnmarkedMessages) -> None:
    messages.published("a", "other", SOUP)
    assert messages.delivered("q", SOUP, False) == "new 1"
    assert messages.delivered("q", SOUP, False) == "new 2"


def test_what_was_put_back_is_what_comes_again_and_what_is_settled_never(messages: UnmarkedMessages) -> None:
    for mark in "abc":
        messages.published(mark, "q", SOUP)
        messages.delivered("q", SOUP, False)
    messages.settled("a", "q", SOUP)
    messages.put_back("c", "q", SOUP)
    assert messages.delivered("q", SOUP, True) == "c"
    messages.settled("c", "q", SOUP)
    assert messages.delivered("q", SOUP, True) == "b"  # its holder's end was not noticed yet
    assert messages.delivered("q", SOUP, False) == "new 1"


def test_what_comes_again_without_its_flag_is_no_new_one(messages: UnmarkedMessages) -> None:
    for mark in "ab":
        messages.published(mark, "q", SOUP)
    messages.delivered("q", SOUP, False)
    messages.put_back("a", "q", SOUP)
    assert [messages.delivered("q", SOUP, False) for _ in range(3)] == ["b", "a", "new 1"]


def test_who_held_a_message_before_has_no_say_any_more(messages: UnmarkedMessages) -> None:
    messages.published("a", "q", SOUP)
    for holder in ("first", "second"):
        assert messages.delivered("q", SOUP, holder == "second", holder=holder) == "a"
    messages.put_back("a", "q", SOUP, "first")
    messages.settled("a", "q", SOUP, "second")
    assert messages.delivered("q", SOUP, True) == "new 1"


@pytest.mark.parametrize("end", ["held", "answered", "settled", "back"])
def test_a_first_delivery_that_is_read_after_its_redelivery_is_no_new_message(
    messages: UnmarkedMessages, end: str
) -> None:
    messages.published("a", "q", SOUP)
    assert messages.delivered("q", SOUP, True, holder="quick") == "a"
    if end != "held":
        moves = {"answered": messages.answered, "settled": messages.settled, "back": messages.put_back}
        moves[end]("a", "q", SOUP, "quick")
    assert messages.delivered("q", SOUP, False, holder="slow") == "a"
    messages.put_back("a", "q", SOUP, "slow")  # who has heard late that its connection is gone
    assert messages.delivered("q", SOUP, True, holder="next") == ("new 1" if end == "settled" else "a")
    assert messages.delivered("q", SOUP, False) == "new 1"


def test_a_late_first_delivery_does_not_take_what_was_published_after_it(messages: UnmarkedMessages) -> None:
    messages.published("a", "q", SOUP)
    messages.delivered("q", SOUP, True)
    messages.published("b", "q", SOUP)
    assert {messages.delivered("q", SOUP, False) for _ in range(2)} == {"a", "b"}


def test_what_was_answered_comes_again_until_the_answer_is_known_to_have_arrived(messages: UnmarkedMessages) -> None:
    for mark, answer in (("a", messages.answered), ("b", messages.turned_away)):
        messages.published(mark, "q", SOUP)
        assert messages.delivered("q", SOUP, False, holder="first") == mark
        answer(mark, "q", SOUP, "first")
        assert messages.delivered("q", SOUP, True, holder="second") == mark
        messages.put_back(mark, "q", SOUP, "first")  # who has heard late that it came to nothing
        messages.answered(mark, "q", SOUP, "second")
        messages.settled(mark, "q", SOUP, "second")
        assert messages.delivered("q", SOUP, True) == f"new {1 if mark == 'a' else 2}"
        messages.settled(f"new {1 if mark == 'a' else 2}", "q", SOUP)
        messages.delivered("q", SOUP, False)  # its first delivery, which is read late
    assert messages._alike == {}


def test_what_was_settled_comes_again_after_a_crash_alone(messages: UnmarkedMessages) -> None:
    messages.published("a", "q", SOUP)
    messages.settled(messages.delivered("q", SOUP, False), "q", SOUP)
    messages.crashed()
    assert messages.delivered("q", SOUP, True) == "a"
    messages.settled("a", "q", SOUP)
    assert messages.delivered("q", SOUP, False) == "new 1"  # another one, that nobody saw published
    messages.settled("new 1", "q", SOUP)
    messages.published("b", "q", SOUP)
    assert messages.delivered("q", SOUP, True) == "b"


def test_each_queue_gets_the_copies_of_an_exchange(messages: UnmarkedMessages) -> None:
    messages.published("a", "", SOUP)
    messages.published("b", "", SOUP)
    assert [messages.delivered("one", SOUP, False) for _ in range(3)] == ["a", "b", "new 1"]
    assert [messages.delivered("two", SOUP, False) for _ in range(2)] == ["a", "b"]


def test_what_was_returned_refused_or_purged_is_not_delivered(messages: UnmarkedMessages) -> None:
    for mark in "abcd":
        messages.published(mark, "q", SOUP)
    assert messages.returned("q", SOUP) == "a"
    messages.never_arrived("c", "q", SOUP)
    assert messages.delivered("q", SOUP, False) == "b"
    messages.emptied("q")
    assert messages.delivered("q", SOUP, False) == "new 1"
    messages.published("e", "", TEA)
    assert messages.returned("", TEA) == "e"
    assert messages.returned("", TEA) is None


def test_settled_messages_take_no_room(messages: UnmarkedMessages) -> None:
    for number in range(100):
        body = fingerprint(str(number).encode(), 1)
        messages.published(str(number), "q", body)
        messages.settled(messages.delivered("q", body, False), "q", body)
    assert messages._alike == {}


def test_a_dead_letter_is_found_where_it_died(messages: UnmarkedMessages) -> None:
    for mark in ("rejected", "expired"):
        messages.published(mark, "q", SOUP)
    messages.delivered("q", SOUP, False)
    messages.turned_away("rejected", "q", SOUP)
    assert messages.delivered("graves", SOUP, False, ["between", "q"]) == "rejected"
    assert messages.delivered("graves", SOUP, False, ["q"]) == "expired"
    assert messages.delivered("graves", SOUP, False, ["q"]) == "new 1"


def test_one_of_many_equal_messages_is_found_as_quickly_as_one_of_few(messages: UnmarkedMessages) -> None:
    def seconds_each(count: int) -> float:
        for number in range(count):
            messages.published(f"{number} of {count}", "q", SOUP)
        began = time.process_time()
        for _ in range(count):
            messages.settled(messages.delivered("q", SOUP, False), "q", SOUP)
        return (time.process_time() - began) / count

    few = min(seconds_each(5_000) for _ in range(3))
    assert seconds_each(80_000) < 3 * few  # it took more than five times as long
