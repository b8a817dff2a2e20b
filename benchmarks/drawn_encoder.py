"""The paper's encoder with drawn weights, for benchmarks that ask how fast it is and not how well it finds."""

from __future__ import annotations

from sqlalchemy.orm import Session

from cbmir.encoders import cnn_encoder
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.weights_file import WeightsFile
from cbmir.settings import Settings
from cbmir.store import encoders, tables


def add(session: Session, settings: Settings, side: int) -> tables.Encoder:
    """Store it in an installation.

    Args:
        session: one that writes.
        settings: of the installation.
        side: of its input in pixels.
    """
    # not above: converting processes import a benchmark's modules too, and would each take two seconds for torch
    from cbmir.encoders import weights
    from cbmir.encoders.cnn_autoencoder import CnnAutoencoder

    network = CnnAutoencoder(side)
    network.initialise(0)
    file = WeightsFile.of("drawn", weights.to_bytes(network.state_dict()))
    file.write(settings.weights)
    return encoders.add(
        session,
        **file.columns(),
        architecture=cnn_encoder.NAME,
        dimension=cnn_encoder.DIMENSION,
        preprocessing=Preprocessing(side).as_json(),
        training={},
        metrics={},
    )
