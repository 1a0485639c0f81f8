"""The manners of scikit-learn: parameters in, learned state out, without importing it."""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np

from pyimgret.exceptions import InvalidArgumentError


class Estimator:
    """``get_params``, ``set_params`` and a ``repr``, as scikit-learn's estimators have them."""

    @classmethod
    def _parameter_names(cls) -> list[str]:
        parameters = inspect.signature(cls.__init__).parameters
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return [n for n, p in parameters.items() if n != "self" and p.kind in named]

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """Return the constructor's arguments."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Replace constructor's arguments; returns the estimator."""
        known = self._parameter_names()
        for name, value in params.items():
            if name not in known:
                raise InvalidArgumentError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(known)}."
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        signature = inspect.signature(type(self).__init__).parameters
        shown = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if not _same(value, signature[name].default)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "embedding_size_")


def _same(a: object, b: object) -> bool:
    try:
        return bool(np.all(a == b))
    except (TypeError, ValueError):
        return False


def seed_of(random_state: int | np.random.Generator | None) -> int:
    """Return a seed below 2**31: the number given, or one drawn."""
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if not 0 <= int(random_state) < 2**63:
        raise InvalidArgumentError(f"random_state={random_state} must be from 0 to 2**63 - 1.")
    return int(random_state)
