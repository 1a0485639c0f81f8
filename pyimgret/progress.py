"""The progress bar of everything that takes a while."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any


def progress_bar(
    items: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    description: str = "",
    unit: str = " image",
    verbose: bool | None = None,
    **options: Any,
) -> Any:
    """Return a tqdm bar: shown on a terminal or in a notebook, silent in a pipe.

    Parameters
    ----------
    items : iterable, optional
        What the bar iterates over; without it, it is moved by ``update``.
    total : int, optional
    description, unit : str
    verbose : bool, optional
        Show it everywhere, or nowhere.
    **options
        Of tqdm.
    """
    from tqdm.auto import tqdm

    shown = sys.stderr.isatty() or "ipykernel" in sys.modules if verbose is None else verbose
    return tqdm(
        items,
        total=total,
        desc=description,
        unit=unit,
        disable=not shown,
        leave=False,
        file=sys.stderr,
        **options,
    )
