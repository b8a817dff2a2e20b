"""The browsable description of the API: Swagger UI, served from its Python package, nothing from elsewhere."""

from __future__ import annotations

from importlib.resources import as_file, files

from flask import Blueprint, Response, render_template, send_from_directory

blueprint = Blueprint("documentation", __name__, url_prefix="/api/docs")

with as_file(files("flask_swagger_ui") / "dist") as _folder:
    FOLDER = str(_folder)


@blueprint.get("/")
def page() -> str:
    """The page."""
    return render_template("documentation.html")


@blueprint.get("/<any('swagger-ui.css', 'swagger-ui-bundle.js'):name>")
def file(name: str) -> Response:
    """One of the two files that Swagger UI consists of."""
    return send_from_directory(FOLDER, name, max_age=86400)


# Swagger UI draws with inline styles and pictures from data: addresses; scripts stay bound to our own files
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
page.talisman_view_options = {"content_security_policy": _POLICY}  # type: ignore[attr-defined]
