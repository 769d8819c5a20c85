"""A model gets the columns that it names, whatever their order and wherever they come from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.features import FEATURES
from ml.features.available import Numbers, available, columns, needs_profiles
from ml.features.profile_schema import PROFILE_FEATURES

CUSTOMER = Numbers(FEATURES, np.arange(3.0 * len(FEATURES)).reshape(3, -1))
OTHER = Numbers(("own_a", "own_b"), np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]))


def test_todays_models_get_the_very_array_of_the_customers_features() -> None:
    assert columns(FEATURES, [CUSTOMER, OTHER]) is CUSTOMER.values


@given(st.permutations([*FEATURES, "own_a", "own_b"]), st.integers(1, len(FEATURES) + 2))
def test_any_names_in_any_order_give_their_columns(names: list[str], count: int) -> None:
    found = columns(tuple(names[:count]), [CUSTOMER, OTHER])
    both = dict(zip((*CUSTOMER.names, *OTHER.names), [*CUSTOMER.values.T, *OTHER.values.T], strict=True))
    assert found.flags.c_contiguous
    assert found.tolist() == np.array([both[name] for name in names[:count]]).T.tolist()


def test_a_name_that_no_source_has_is_an_error() -> None:
    with pytest.raises(KeyError, match="moon_phase"):
        columns((*FEATURES, "moon_phase"), [CUSTOMER, OTHER])


def test_all_that_is_available_has_one_name_each() -> None:
    names = available(("own_a",))
    assert len(set(names)) == len(names)
    assert names[: len(FEATURES)] == FEATURES
    assert names[-1] == "own_a"
    assert not needs_profiles(FEATURES)
    assert all(needs_profiles((FEATURES[0], name)) for name in PROFILE_FEATURES)
