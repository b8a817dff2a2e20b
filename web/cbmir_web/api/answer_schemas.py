"""The shape of an answer and of its hits."""

from __future__ import annotations

from marshmallow import Schema, fields, validate


class HitSchema(Schema):
    rank = fields.Integer(required=True)
    distance = fields.Float(required=True, metadata={"description": "Euclidean, in the encoder's feature space."})
    frame_id = fields.Integer(required=True)
    file_name = fields.String(required=True)
    sop_instance_uid = fields.String(required=True, allow_none=True)
    series_instance_uid = fields.String(required=True, allow_none=True)
    study_instance_uid = fields.String(required=True, allow_none=True)
    study_date = fields.Date(required=True, allow_none=True)
    frame_number = fields.Integer(required=True)
    labels = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    viewer = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Where the archive that holds it shows it; null where there is no viewer."},
    )


class PriorSchema(HitSchema):
    when = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf(["before", "same day", "after"]),
        metadata={"description": "Its study, seen from the query's; null where a date is not known."},
    )


class AnswerSchema(Schema):
    query = fields.Dict(required=True)
    encoder = fields.String(required=True)
    confidence = fields.Float(
        allow_none=True,
        metadata={
            "description": "Share of the archive's own images that are at least as far from those of other "
            "patients, for where they lie; null where the encoder is not calibrated."
        },
    )
    nothing_similar = fields.Boolean(
        allow_none=True, metadata={"description": "Whether that is below `CBMIR_NOTHING_SIMILAR_BELOW`."}
    )
    hits = fields.List(fields.Nested(HitSchema), required=True)
    priors = fields.List(
        fields.Nested(PriorSchema),
        required=True,
        metadata={"description": "Images of the own patient's other studies, nearest first, as far as asked for."},
    )
    outdated = fields.Integer(
        required=True, metadata={"description": "Features compared that are of pictures of an earlier conversion."}
    )
    missing = fields.Integer(metadata={"description": "Frames of the archive that have no feature yet."})
    recall = fields.Float(
        allow_none=True,
        metadata={
            "description": "Share of the true 10 nearest that an approximate index finds, as measured when it was "
            "made; null where the index is exact (`CBMIR_INDEX`)."
        },
    )
