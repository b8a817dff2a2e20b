"""Radiographs as objects: Computed Radiography (PS3.3 A.2) and Digital X-Ray for presentation (A.26)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation

from cbmir.phantoms.chest import Chest
from cbmir.phantoms.hand import Hand
from cbmir.phantoms.header import Study, coded
from cbmir.phantoms.pixels import grain, store
from cbmir.phantoms.shapes import Canvas, Field, posed

CANVAS = Canvas.of(448, 384)
VIEWS = 3
BITS = 12
SPACING = 0.9
"""Millimetres from pixel to pixel: the plate is 40 cm high."""


@dataclass(frozen=True)
class Site:
    """What was put before the plate, in the words of the header; a chest has no side."""

    part: str
    view: str
    region: Code
    projection: Code
    laterality: str = ""


CHEST = Site("CHEST", "PA", codes.SCT.Chest, Code("R-10214", "SRT", "postero-anterior"))
HAND = Site("HAND", "AP", codes.SCT.Hand, Code("R-10206", "SRT", "antero-posterior"))


def chests(study: Study, rng: np.random.Generator, opaque: bool) -> list[Dataset]:
    """The visit's chest films: of odd patients from a CR reader, of the others from a detector."""
    drawn = Chest.of(rng, opaque).draw(CANVAS)
    films = [_film(rng, drawn, rng.uniform(1.07, 1.15), "L") for _ in range(VIEWS)]
    return [_object(study, number, film, CHEST) for number, film in enumerate(films, 1)]


def hands(study: Study, rng: np.random.Generator) -> list[Dataset]:
    """The visit's films of a hand."""
    hand = Hand.of(rng)
    drawn = hand.draw(CANVAS)
    side = "R" if hand.mirrored else "L"
    films = [_film(rng, drawn, rng.uniform(0.96, 1.06), side) for _ in range(VIEWS)]
    return [_object(study, number, film, replace(HAND, laterality=side)) for number, film in enumerate(films, 1)]


def _film(rng: np.random.Generator, drawn: Field, zoom: float, marker: str) -> Field:
    """One exposure: the subject stands a little differently each time, and so does the dose."""
    stand = (float(rng.normal(0, 0.012)), float(rng.normal(0, 0.012)))
    film = posed(drawn, stand, float(rng.normal(0, 0.02)), zoom) * rng.uniform(0.92, 1.05)
    film = grain(rng, film, 0.012)
    _mark(film, marker)
    return np.clip(film, 0, 1)


def _mark(film: Field, letter: str) -> None:
    """The lead letter that tells the side, upper right of the plate."""
    paper = Image.new("L", (26, 26))
    ImageDraw.Draw(paper).text((5, 1), letter, fill=255, font=ImageFont.load_default(22))
    spot = film[16:42, -42:-16]
    np.maximum(spot, np.asarray(paper, np.float32) / 255, out=spot)


def _object(study: Study, number: int, film: Field, site: Site) -> Dataset:
    plate = study.patient % 2 == 1
    kind = ComputedRadiographyImageStorage if plate else DigitalXRayImageStorageForPresentation
    dataset = study.header(kind, "CR" if plate else "DX", number)
    dataset.BodyPartExamined, dataset.ViewPosition = site.part, site.view
    dataset.PatientOrientation = ["L", "F"]
    dataset.ImagerPixelSpacing = [SPACING, SPACING]
    store(dataset, film, bits=BITS, inverted=number == 2)
    dataset.WindowCenter, dataset.WindowWidth = 2 ** (BITS - 1), 2**BITS
    if not plate:
        _digital(dataset, site)
    elif site.laterality:
        dataset.Laterality = site.laterality
    return dataset


def _digital(dataset: Dataset, site: Site) -> None:
    """What Digital X-Ray asks for beyond CR (C.8.11.1 to C.8.11.5)."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.ImageLaterality = site.laterality or "U"
    dataset.AnatomicRegionSequence = [coded(site.region)]
    dataset.ViewCodeSequence = [coded(site.projection)]
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = []
    dataset.PositionerType = "NONE"
    dataset.DetectorType = "DIRECT"
    dataset.PixelIntensityRelationship = "LOG"
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    dataset.PixelIntensityRelationshipSign = 1 if inverted else -1
    dataset.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.LossyImageCompression = "00"
    dataset.BurnedInAnnotation = "NO"
    dataset.AcquisitionContextSequence = []
