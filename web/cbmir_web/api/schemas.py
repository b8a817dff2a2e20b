"""The shapes of the REST API, as marshmallow schemas: what is taken, what is given, what OpenAPI describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, pre_load, validate

from cbmir.evaluation.definitions import PROBES
from cbmir.services.retrieval.library import Sort
from cbmir.store.quarantine import meaning
from cbmir.training.request import RANGES, TRAINABLE
from cbmir.types import LARGEST_K, JobState, OnePer

LARGEST_ID = 2**31 - 1
"""Of a row; a larger number is none that a database takes."""
UID_LENGTH = validate.Length(max=64)
UID = validate.Regexp(r"^[0-9]+(\.[0-9]+)+$(?!\n)", error="Not a DICOM UID.")


class Input(Schema):
    """What is handed in: empty fields count as absent, as HTML forms send them; unknown ones are refused."""

    @pre_load
    def drop_empty(self, data: Any, **_: Any) -> Any:
        """Leave out the fields that were not filled in."""
        if not isinstance(data, Mapping):
            return data  # no object at all: the schema will say so
        return {name: filled(value) for name, value in data.items() if value not in ("", None)}


def filled(value: Any) -> Any:
    """A list without its empty members; anything else as it is."""
    return [each for each in value if each != ""] if isinstance(value, list) else value


class Whole(fields.Integer):
    """A whole number, as JSON or as text; 1.5 and true are none."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class ErrorBody(Schema):
    code = fields.String(required=True, metadata={"description": "Stable, for programs.", "example": "not-found"})
    reason = fields.String(required=True, metadata={"description": "What is wrong, in one sentence."})
    remedy = fields.String(required=True, metadata={"description": "What to do about it; may be empty."})


class ErrorSchema(Schema):
    error = fields.Nested(ErrorBody, required=True)


class QuestionSchema(Input):
    sop_instance_uid = fields.String(validate=[UID, UID_LENGTH])
    frame_number = Whole(validate=validate.Range(min=1), metadata={"description": "With a UID; from 1."})
    frame_id = Whole(validate=validate.Range(min=1, max=LARGEST_ID))
    k = Whole(load_default=5, validate=validate.Range(min=1, max=LARGEST_K))
    where = fields.List(
        fields.String(),
        metadata={
            "description": "Terms that all must hold: NAME=VALUE, NAME!=VALUE, or several joined by ` OR `; "
            'a name or a value that has that in it stands in double quotes: subclass="black OR white"; '
            "`study_date` takes >=, >, <= and <, too. An image without a date meets none of these, not != either.",
            "example": ["modality=MR OR modality=CT", "subclass!=normal", "study_date>=2024-01-31"],
        },
    )
    encoder = fields.String(validate=validate.Length(max=64), metadata={"description": "Else the one in use."})
    exclude_same_patient = fields.Boolean(
        load_default=False, metadata={"description": "Leave out the query's own patient; the page does by default."}
    )
    priors = Whole(
        load_default=0,
        validate=validate.Range(min=0, max=LARGEST_K),
        metadata={"description": "How many images of the own patient's other studies to list beside the hits."},
    )
    one_per = fields.String(
        validate=validate.OneOf([each.value for each in OnePer]),
        metadata={"description": "Only the best hit of each study or patient; else each image may be a hit."},
    )


class SearchSchema(QuestionSchema):
    """The page's form, where a box that is not ticked is not sent: it leaves the own patient out by default."""

    same_patient = fields.Boolean(load_default=False)


class SimilarSchema(Input):
    """What the archive's own pages ask about: one of them."""

    instance = fields.String(validate=[UID, UID_LENGTH])
    series = fields.String(validate=[UID, UID_LENGTH])
    study = fields.String(validate=[UID, UID_LENGTH])


class HitNamedSchema(Input):
    """A hit of an answer."""

    frame_id = Whole(required=True, validate=validate.Range(min=1, max=LARGEST_ID))


class ExplanationSchema(HitNamedSchema):
    query = fields.String(
        required=True, validate=validate.Length(max=36), metadata={"description": "Id of the job that answered."}
    )


class WaitSchema(Input):
    wait = fields.Float(
        load_default=0.0,
        validate=validate.Range(min=0, max=60),
        metadata={"description": "Seconds to wait for the job to end before answering."},
    )


class PageSchema(Input):
    limit = Whole(load_default=50, validate=validate.Range(min=1, max=500))
    offset = Whole(load_default=0, validate=validate.Range(min=0, max=2**31))


class JobsPageSchema(PageSchema):
    state = fields.String(validate=validate.OneOf([each.value for each in JobState]))


class ReasonSchema(Input):
    code = fields.String(
        validate=validate.Length(max=32),
        metadata={"description": "Only files that were set aside for this.", "example": "no-pixels"},
    )


class QuarantinePageSchema(PageSchema, ReasonSchema):
    pass


class RetrySchema(ReasonSchema):
    ids = fields.List(Whole(validate=validate.Range(min=1, max=LARGEST_ID)), validate=validate.Length(max=10_000))
    all = fields.Boolean(load_default=False)


class ImagesPageSchema(PageSchema):
    where = fields.List(fields.String(), metadata={"description": "As in a query."})
    text = fields.String(load_default="", metadata={"description": "Part of a file name, or a whole UID."})
    sort = fields.Enum(
        Sort,
        by_value=True,
        load_default=Sort.ADDED,
        metadata={"description": "What comes first: the newest here, the newest study, or by file name."},
    )


class TrainingSchema(Input):
    """What is left out is what the architecture is usually trained with."""

    architecture = fields.String(
        load_default="cnn-autoencoder",
        validate=validate.OneOf(TRAINABLE),
        metadata={"description": "`cnn-autoencoder`, the paper's, or `efficientnet-lite0`, which needs labels."},
    )
    epochs = Whole(validate=validate.Range(*RANGES["epochs"]))
    seed = Whole(validate=validate.Range(*RANGES["seed"]))
    side = Whole(validate=validate.Range(*RANGES["side"]))
    batch_size = Whole(validate=validate.Range(*RANGES["batch_size"]))
    start = fields.String(
        validate=validate.Length(min=1, max=64),
        metadata={
            "description": "What a training by labels goes on from: `default`, `photographs` or an encoder's id."
        },
    )


class ExtractionSchema(Input):
    encoder = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=64))


class EvaluationSchema(ExtractionSchema):
    k = fields.List(
        Whole(validate=validate.Range(min=1, max=LARGEST_K)),
        load_default=lambda: [1, 5, 10, 20, 40, 60, 80, 100],
    )
    label = fields.String(load_default="subclass", validate=validate.Length(min=1, max=64))
    by = fields.List(
        fields.String(validate=validate.Length(max=64)),
        load_default=list,
        validate=validate.Length(max=8),
        metadata={"description": "Other labels by which queries are told apart."},
    )
    probes = fields.List(
        fields.String(validate=validate.OneOf([*PROBES, "all"])),
        load_default=list,
        metadata={"description": "What else than content may explain the figures."},
    )
    against = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=64),
        metadata={"description": "Another encoder, asked the same queries."},
    )


class EncoderQuerySchema(Input):
    encoder = fields.String(validate=validate.Length(max=64), metadata={"description": "Else the one in use."})


class ThumbnailSchema(Input):
    side = Whole(load_default=256, validate=validate.Range(min=16, max=512))


class JobSchema(Schema):
    id = fields.String(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    done = fields.Integer(required=True)
    total = fields.Integer(required=True, metadata={"description": "0 while it is not known."})
    message = fields.String(required=True)
    detail = fields.Dict(required=True, metadata={"description": "Figures, such as the loss of each epoch."})
    result = fields.Dict(required=True, allow_none=True)
    error = fields.Nested(ErrorBody, required=True, allow_none=True)
    attempts = fields.Integer(required=True)
    cancel_requested = fields.Boolean(required=True)
    created_at = fields.DateTime(required=True)
    started_at = fields.DateTime(required=True, allow_none=True)
    finished_at = fields.DateTime(required=True, allow_none=True)


class JobsSchema(Schema):
    jobs = fields.List(fields.Nested(JobSchema), required=True)


class EncoderSchema(Schema):
    id = fields.String(required=True)
    architecture = fields.String(required=True)
    weights_sha256 = fields.String(required=True)
    dimension = fields.Integer(required=True)
    preprocessing = fields.Dict(required=True)
    training = fields.Dict(required=True)
    metrics = fields.Dict(required=True)
    features = fields.Integer(required=True, metadata={"description": "Frames that have a feature of it."})
    outdated = fields.Integer(
        required=True, metadata={"description": "Those of them that are of pictures of an earlier conversion."}
    )
    state = fields.String(
        required=True,
        metadata={"description": "One of: in use, ready, preparing, not extracted, freed.", "example": "in use"},
    )
    missing = fields.Integer(required=True, metadata={"description": "Frames that lack a feature of it."})
    bytes = fields.Integer(required=True, metadata={"description": "What the features' vectors take."})
    is_previous = fields.Boolean(required=True, metadata={"description": "Whether `/encoders/back` leads to it."})
    created_at = fields.DateTime(required=True)


class SwitchSchema(Input):
    incomplete = fields.Boolean(
        load_default=False, metadata={"description": "Switch although some images would no longer be found."}
    )


class SwitchedSchema(Schema):
    encoder = fields.String(required=True, metadata={"description": "The one that answers now."})
    before = fields.String(required=True, allow_none=True, metadata={"description": "The one that did before."})
    lacking = fields.Integer(
        required=True, metadata={"description": "Images that are no longer found, for lack of features."}
    )


class EncodersSchema(Schema):
    encoders = fields.List(fields.Nested(EncoderSchema), required=True)
    frames = fields.Integer(required=True, metadata={"description": "Frames in the archive."})


class QuarantinedSchema(Schema):
    id = fields.Integer(required=True)
    file_name = fields.String(required=True)
    sha256 = fields.String(required=True)
    code = fields.String(required=True)
    meaning = fields.Function(lambda row: meaning(row.code), metadata={"type": "string"})
    reason = fields.String(required=True)
    remedy = fields.String(required=True)
    created_at = fields.DateTime(required=True)


class QuarantineSchema(Schema):
    quarantine = fields.List(fields.Nested(QuarantinedSchema), required=True)
    total = fields.Integer(required=True, metadata={"description": "Files that match."})
    codes = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "Files in quarantine by the code of their reason."},
    )
