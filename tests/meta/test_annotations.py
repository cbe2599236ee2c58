"""The annotations of the package are checked while the tests run."""

import jaxtyping
import numpy as np
import pytest

from tdn_theory.so3.harmonics import spherical_harmonics


def test_a_wrong_shape_is_caught():
    with pytest.raises(jaxtyping.TypeCheckError, match="vectors"):
        spherical_harmonics(1, np.zeros((2, 4)))


@pytest.mark.usefixtures("unchecked")
def test_unchecked_shows_what_a_user_sees():
    with pytest.raises(ValueError, match=r"shape \(2, 4\)"):
        spherical_harmonics(1, np.zeros((2, 4)))
