"""The bench of the register gives a row to each of its users."""

from bench import register, register_check


def test_each_user_of_the_crowd_has_one_row_by_one_call_and_the_lists() -> None:
    found = register.measure(400)
    assert found["rows"] == 400
    assert 400 < found["calls"] < 400 + 1600  # the lists take a call for each day and shard, however many users


def test_the_register_of_random_users_is_what_a_recomputation_gives() -> None:
    # `make bench` takes 100,000.
    rows, of_erased, differing = register_check.difference(1500)
    assert differing == []
    assert rows > 800
    assert of_erased > 5
