"""Schemas of requests and responses, for validation and documentation, and reading requests."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeAlias, TypeVar, get_origin

from flask import Request
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    JsonValue,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from pyimgret.index import to_json
from pyimgret_server.problems import ProblemError

JSON: Final = "application/json"
FORM: Final = "multipart/form-data"

Body = TypeVar("Body", bound=BaseModel)
Form = TypeVar("Form", bound=BaseModel)

_ABSENT: Any = Field(default=None)
"""An optional field that must not be null."""

_NO_KEY: Any = Field(default=None, description="By default a new key.")

_QUERIES: Final = ("image", "vector", "key")


def _decoded(encoded: bytes) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise ValueError(f"is not valid base64 ({error})") from error


Image = Annotated[
    bytes,
    AfterValidator(_decoded),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "minLength": 1}),
]
Upload: TypeAlias = Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})]


def _storable(text: str) -> str:
    """Reject text that cannot be stored."""
    if "\0" in text or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise ValueError("contains a NUL or a lone surrogate")
    return text


def _plain_json(metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Reject NaN and infinity, which are not valid JSON."""
    to_json(metadata)
    return metadata


Text = Annotated[str, AfterValidator(_storable)]
Key = Annotated[Text, Field(min_length=1, max_length=4096)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Vector = Annotated[list[Number], Field(min_length=1, max_length=65_536)]
ItemId = Annotated[str, Field(max_length=64, pattern="^[0-9A-Za-z_-]+$")]
Metadata = Annotated[dict[Text, JsonValue], AfterValidator(_plain_json)]


class _Strict(BaseModel):
    """A request: unknown fields are an error, because they may be misspelt."""

    model_config = ConfigDict(extra="forbid")


class SearchConditions(_Strict):
    """The conditions of a search."""

    k: int = Field(default=5, ge=1, description="Maximum number of matches.")
    min_score: float = Field(
        default=-1.0, ge=-1, le=1, description="Exclude matches with a lower score."
    )
    exclude_self: bool = Field(
        default=False, description="Exclude the item whose key is the query."
    )


def _exactly_one(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": [name]} for name in _QUERIES]


class SearchRequest(SearchConditions):
    """A search by image, vector or item of the index."""

    model_config = ConfigDict(json_schema_extra=_exactly_one)

    image: Image = _ABSENT
    vector: Vector = _ABSENT
    key: Key = _ABSENT
    where: Text | dict[str, JsonValue] = Field(
        default="", description="A filter over the metadata, as text or as JSON."
    )

    @model_validator(mode="after")
    def _one_query(self) -> SearchRequest:
        given = [name for name in _QUERIES if name in self.model_fields_set]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of image, vector and key (got {', '.join(given) or 'none'})"
            )
        return self


class SearchForm(SearchConditions):
    """A search by an uploaded image."""

    image: Upload
    where: Text = Field(default="", description="A filter over the metadata, as text.")


class Match(BaseModel):
    """A matching item."""

    key: str
    id: str
    score: float = Field(description="Cosine with the query, -1 to 1; higher is nearer.")
    rank: int
    metadata: dict[str, JsonValue]


class SearchAnswer(BaseModel):
    """The nearest items, best first."""

    matches: list[Match]
    took_ms: float


class EmbedRequest(_Strict):
    """Images to embed."""

    images: list[Image] = Field(min_length=1)


class EmbedForm(_Strict):
    """Uploaded images to embed; the field may be repeated."""

    image: list[Upload] = Field(min_length=1)


class EmbedAnswer(BaseModel):
    """Vectors of length 1, in the order of the images."""

    vectors: list[list[float]]
    took_ms: float


class ItemPath(BaseModel):
    """The opaque id of an item."""

    id: ItemId


class ItemQuery(BaseModel):
    """The key of an item, which may contain slashes and any other characters."""

    key: Key


class Item(BaseModel):
    """One item of the index."""

    id: str
    key: str
    metadata: dict[str, JsonValue]
    vector: list[float]


class NewItem(_Strict):
    """An item to add: an image, or a vector."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["image"]}, {"required": ["vector"]}]}
    )

    image: Image = _ABSENT
    vector: Vector = _ABSENT
    key: Key = _NO_KEY
    metadata: Metadata = Field(default_factory=dict)
    replace: bool = Field(default=False, description="Replace an existing item with this key.")

    @model_validator(mode="after")
    def _one_source(self) -> NewItem:
        if len({"image", "vector"} & self.model_fields_set) != 1:
            raise ValueError("give exactly one of image and vector")
        return self


class NewItemForm(_Strict):
    """An uploaded image to add."""

    image: Upload
    key: Key = _NO_KEY
    metadata: Annotated[
        Json[Metadata], WithJsonSchema({"type": "string", "contentMediaType": "application/json"})
    ] = Field(default_factory=dict)
    replace: bool = Field(default=False, description="Replace an existing item with this key.")


class Added(BaseModel):
    """An item that was added."""

    id: str
    key: str


class ExplainRequest(_Strict):
    """An image and the matching item."""

    image: Image
    id: ItemId


class ExplainForm(_Strict):
    """An uploaded image and the matching item."""

    image: Upload
    id: ItemId


class ExplainAnswer(BaseModel):
    """Heat maps: values from 0 to 1; higher values contribute more to the similarity."""

    score: float
    query: list[list[float]]
    match: list[list[float]]


class IndexAnswer(BaseModel):
    """Facts about the served index."""

    count: int
    dimension: int
    metric: str
    model: str = Field(description="The class name of the model; empty without a model.")
    model_checksum: str
    uuid: str
    revision: int
    writable: bool
    explain: bool = Field(description="Whether /v1/explain is available.")
    max_k: int
    max_upload: int


class Health(BaseModel):
    """The state of the service."""

    live: bool = True
    ready: bool


def read(request: Request, body: type[Body], form: type[Form]) -> Body | Form:
    """Parse and validate a request body, JSON or form.

    Raises
    ------
    ProblemError
        415 for another media type, 400 for invalid JSON.
    ValidationError
        If a field is invalid.
    """
    if request.mimetype == JSON:
        return _from_json(request, body)
    if request.mimetype == FORM:
        return form.model_validate(_fields(request, form))
    sent = request.mimetype[:80] or "a body without a media type"
    detail = f"Send {FORM} or {JSON}, not {sent}."
    raise ProblemError(415, "unsupported-media-type", detail, {"Accept": f"{FORM}, {JSON}"})


def _from_json(request: Request, body: type[Body]) -> Body:
    try:
        # NB: strict, to match the OpenAPI document.
        return body.model_validate_json(request.get_data(), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] != "json_invalid":
            raise
        raise ProblemError(
            400, "invalid-json", f"The body is not valid JSON: {first['msg']}."
        ) from error


def _fields(request: Request, form: type[BaseModel]) -> dict[str, Any]:
    """Return the fields and files of a form; only lists may be repeated."""
    values: dict[str, Any] = {}
    files = (
        (name, [upload.stream.read() for upload in uploads])
        for name, uploads in request.files.lists()
    )
    sent: list[tuple[str, Sequence[str | bytes]]] = [*request.form.lists(), *files]
    for name, parts in sent:
        field = form.model_fields.get(name)
        many = field is not None and get_origin(field.annotation) is list
        if name in values or (len(parts) > 1 and not many):
            raise ProblemError(422, "invalid-request", f"{name[:80]}: sent more than once.")
        values[name] = parts if many else parts[0]
    return values
