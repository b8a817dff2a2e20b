"""The shapes of the REST API that tell of images."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from cbmir.services.conversion.convert import is_outdated
from cbmir.services.ingestion.removal import Extent
from cbmir_web.api.schemas import Input
from cbmir_web.conversion import syntax_name
from cbmir_web.installation import installation


class ImageSchema(Schema):
    instance_id = fields.Integer(required=True)
    frame_id = fields.Integer(required=True, metadata={"description": "Of its first frame."})
    frames = fields.Integer(required=True)
    file_name = fields.String(required=True)
    sop_instance_uid = fields.String(required=True, allow_none=True)
    modality = fields.String(required=True, allow_none=True)
    body_part = fields.String(required=True, allow_none=True)
    study_date = fields.Date(required=True, allow_none=True)
    labels = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    created_at = fields.DateTime(required=True)


class ImagesSchema(Schema):
    images = fields.List(fields.Nested(ImageSchema), required=True, attribute="cards")
    total = fields.Integer(
        required=True,
        metadata={"description": "Images that match; at most 10,000, or to the next page's end, are counted."},
    )
    more = fields.Boolean(required=True, metadata={"description": "Whether more match than `total`."})


class FrameSchema(Schema):
    id = fields.Integer(required=True)
    frame_number = fields.Integer(required=True)
    rows = fields.Integer(required=True)
    columns = fields.Integer(required=True)
    pipeline = fields.String(required=True, metadata={"description": "The conversion that made the picture."})
    outdated = fields.Function(
        lambda frame: is_outdated(frame.pipeline, installation().settings),
        metadata={"type": "boolean", "description": "Whether it would be made in another way today."},
    )
    steps = fields.List(
        fields.String(), required=True, metadata={"description": "What the conversion did, in order."}
    )


class RegionSchema(Schema):
    x0 = fields.Integer(required=True, metadata={"description": "First column, from 0."})
    y0 = fields.Integer(required=True)
    x1 = fields.Integer(required=True, metadata={"description": "Last column, inclusive."})
    y1 = fields.Integer(required=True)
    spatial_format = fields.Integer(required=True, metadata={"description": "Region Spatial Format (0018,6012)."})
    data_type = fields.Integer(required=True, metadata={"description": "Region Data Type (0018,6014)."})


class ImageDetailSchema(Schema):
    id = fields.Integer(required=True)
    file_name = fields.String(required=True)
    sha256 = fields.String(required=True)
    sop_instance_uid = fields.String(required=True, allow_none=True)
    sop_class_uid = fields.String(required=True, allow_none=True)
    study_instance_uid = fields.String(required=True, allow_none=True)
    series_instance_uid = fields.String(required=True, allow_none=True)
    transfer_syntax_uid = fields.String(required=True, allow_none=True)
    transfer_syntax = fields.Function(
        lambda instance: syntax_name(instance.transfer_syntax_uid),
        metadata={"type": "string", "description": "Its name; empty where it is not known."},
    )
    modality = fields.String(required=True, allow_none=True)
    body_part = fields.String(required=True, allow_none=True)
    study_date = fields.Date(
        required=True, allow_none=True, metadata={"description": "Null where the header has none."}
    )
    photometric = fields.String(required=True, allow_none=True)
    burned_in_annotation = fields.String(
        required=True, allow_none=True, metadata={"description": "YES or NO; null where the header does not say."}
    )
    laterality = fields.String(required=True, allow_none=True)
    view_position = fields.String(required=True, allow_none=True)
    manufacturer = fields.String(required=True, allow_none=True)
    model_name = fields.String(
        required=True, allow_none=True, metadata={"description": "Manufacturer's Model Name (0008,1090)."}
    )
    ultrasound_regions = fields.List(fields.Nested(RegionSchema), required=True, allow_none=True)
    frame_count = fields.Integer(
        required=True, metadata={"description": "Frames that the object has; `frames` may be a choice of them."}
    )
    labels = fields.Function(
        lambda instance: {label.name: {"value": label.value, "origin": label.origin} for label in instance.labels}
    )
    frames = fields.List(fields.Nested(FrameSchema), required=True)
    created_at = fields.DateTime(required=True)


class LabellingSchema(Schema):
    labels = fields.Dict(
        keys=fields.String(),
        values=fields.String(allow_none=True),
        required=True,
        metadata={
            "description": "Labels by name; null or an empty text takes one away.",
            "example": {"subclass": "brain_glioma", "remark": None},
        },
    )


class DeletionSchema(Input):
    of = fields.String(
        load_default=Extent.IMAGE.value,
        validate=validate.OneOf([each.value for each in Extent]),
        metadata={"description": "What goes: the image alone, or all of its study or patient."},
    )


class DeletedSchema(Schema):
    deleted = fields.Integer(required=True, metadata={"description": "Images that were deleted."})
