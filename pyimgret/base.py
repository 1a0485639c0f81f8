"""What all estimators share: settings that are declared once, tables as input, random seeds."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, TypeVar, dataclass_transform

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, validate_data

from pyimgret.exceptions import DimensionMismatchError, InvalidArgumentError
from pyimgret.preprocessing.inputs import Images, is_table

RandomState = int | np.random.Generator | np.random.RandomState | None
Kind = TypeVar("Kind")

_PARAMETERS = re.compile(r"(?<=Parameters\n----------\n)(?:.+\n)*")
_ENTRY = re.compile(r"^\w.*\n(?: .*\n)*", re.MULTILINE)


class Estimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A scikit-learn transformer whose input is images or vectors."""

    embedding_size_: int
    n_features_in_: int

    @property
    def _n_features_out(self) -> int:
        return self.embedding_size_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "embedding_size_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _checked(self, X: Images, *, reset: bool) -> Images:
        """Return tables as arrays of the right width, and images as they came."""
        validate_data(self, X, reset=reset, skip_check_array=True, ensure_2d=False)
        if not is_table(X):
            return X
        try:
            table = check_array(X, ensure_all_finite=False, estimator=self, input_name="X")
        except ValueError as error:
            raise InvalidArgumentError(str(error)) from error
        if not reset and table.shape[1] != self.n_features_in_:
            raise DimensionMismatchError(
                f"X has {table.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
            )
        return table


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
def with_settings(estimator: type[Kind]) -> type[Kind]:
    """Make a class's annotated fields keyword arguments of its constructor.

    The constructor has the settings of the base classes too, and the docstring gets their
    descriptions: a setting is declared, and described, in one place.
    """
    made = dataclass(kw_only=True, repr=False, eq=False)(estimator)
    made.__doc__ = _with_inherited_parameters(made)
    return made


def _with_inherited_parameters(estimator: type) -> str:
    doc = inspect.cleandoc(estimator.__doc__ or "") + "\n"
    if not _PARAMETERS.search(doc):
        section = re.search(r"^\w+\n--+$|\Z", doc, re.MULTILINE)
        start = section.start() if section else len(doc)
        doc = f"{doc[:start]}Parameters\n----------\n\n{doc[start:]}"
    entries = _entries(doc)
    for base in estimator.__mro__[1:]:
        for entry in _entries(base.__doc__ or "") if "__dataclass_fields__" in vars(base) else ():
            if not _names(entry) & {name for known in entries for name in _names(known)}:
                entries.append(entry)
    return _PARAMETERS.sub(lambda _: "".join(entries), doc, count=1)


def _entries(doc: str) -> list[str]:
    described = _PARAMETERS.search(inspect.cleandoc(doc) + "\n")
    return _ENTRY.findall(described[0]) if described else []


def _names(entry: str) -> set[str]:
    return set(entry.partition(" : ")[0].split(", "))


def seed_of(random_state: RandomState) -> int:
    """Return a seed: the number given, or one below 2**31 that is drawn."""
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if not isinstance(random_state, Integral) or not 0 <= random_state < 2**63:
        raise InvalidArgumentError(
            f"random_state={random_state!r} must be a whole number from 0 to 2**63 - 1, or a "
            "random generator of NumPy."
        )
    return int(random_state)
