"""Things are timed in turn and compared round by round."""

from collections.abc import Callable

from benchmarks.timing.rounds import Spread, divide_rounds, time_in_turn


def test_things_are_timed_in_turn_and_compared_round_by_round() -> None:
    order: list[str] = []
    clock = iter([1.0, 2.0, 30.0, 10.0, 4.0, 6.0])

    def timed(name: str) -> Callable[[], float]:
        return lambda: order.append(name) or next(clock)

    measured = time_in_turn({"a": timed("a"), "b": timed("b")}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert measured == {"a": [1.0, 10.0, 4.0], "b": [2.0, 30.0, 6.0]}
    assert divide_rounds(measured["b"], measured["a"]) == Spread(median=2.0, least=1.5, most=3.0)
