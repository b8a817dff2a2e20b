"""POST /query: a search, as a job or answered in one call."""

from __future__ import annotations

from flask import Response, jsonify, make_response, request

from cbmir.types import JobState
from cbmir_web import errors
from cbmir_web.actions import asking, waiting
from cbmir_web.api.answer_schemas import AnswerSchema
from cbmir_web.api.answers import accepted, jobs_json
from cbmir_web.api.blueprint import Blueprint
from cbmir_web.api.schemas import ErrorSchema, JobSchema, QuestionSchema, WaitSchema
from cbmir_web.arguments import from_request
from cbmir_web.installation import installation

blueprint = Blueprint("query", __name__, description="Search by an image.")

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "allOf": [
                        QuestionSchema,
                        {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}},
                    ]
                }
            },
            "application/json": {"schema": QuestionSchema, "example": {"frame_id": 1, "k": 5}},
        },
    }
}


@blueprint.route("/query", methods=["POST"])
@blueprint.doc(**BODY)
@blueprint.arguments(WaitSchema, location="query")
@blueprint.response(200, AnswerSchema, description="The answer, if it came within `wait`.")
@blueprint.alt_response(202, schema=JobSchema, description="The job; its `result` will be the answer.")
@blueprint.alt_response(409, schema=ErrorSchema, description="Nothing to search in.")
@blueprint.alt_response(413, schema=ErrorSchema)
def ask(wait: dict[str, float]) -> Response:
    """Search with a file, a SOP Instance UID or a frame of the archive.

    Give exactly one of `file`, `sop_instance_uid` and `frame_id`. With `wait`, the answer comes in this call.
    """
    here = installation()
    question = asking.Ask(file=request.files.get("file"), **from_request(QuestionSchema()))
    job = asking.enqueue(here, question)
    job = waiting.finished(here.database, job.id, wait["wait"])
    if job.state == JobState.SUCCEEDED:
        with here.database.read() as session:
            return jsonify(jobs_json(session, [job])[0]["result"])
    if job.is_final:
        return errors.answer(errors.problem_of_job(job))
    body, status, headers = accepted(job)
    return make_response(jsonify(JobSchema().dump(body)), status, headers)
