"""The request class, which keeps uploads in memory."""

from __future__ import annotations

import io
from typing import IO

from flask import Request


class BoundedRequest(Request):
    """A request that never touches the file system."""

    max_form_parts = 128

    def _get_file_stream(
        self,
        total_content_length: int | None,  # noqa: ARG002  (Werkzeug's signature)
        content_type: str | None,  # noqa: ARG002
        filename: str | None = None,  # noqa: ARG002
        content_length: int | None = None,  # noqa: ARG002
    ) -> IO[bytes]:
        # NB: Werkzeug would use a temporary file, impossible on a read-only file system.
        return io.BytesIO()
