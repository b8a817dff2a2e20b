"""Decoders that may compute without end are ended here as the product ends them: with the whole object.

The product converts in a process that ends with its budget (`cbmir.services.conversion.isolation`). The fuzzer
would end with it too: so such a decoder is tried in a child first, and here where the child was in time.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import replace

from pydicom.uid import JPEGLSLossless, JPEGLSNearLossless

from cbmir.dicom import budget
from cbmir.dicom.codecs import CODECS, Decode, Samples
from cbmir.dicom.layout import Layout
from cbmir.dicom.syntaxes import JPEG_XL, JPEG_XL_LOSSLESS, JPEG_XL_RECOMPRESSION

LIMITED = (JPEGLSLossless, JPEGLSNearLossless, JPEG_XL, JPEG_XL_LOSSLESS, JPEG_XL_RECOMPRESSION)
"""Transfer syntaxes whose decoders have a budget."""


class TimeIsUp(BaseException):
    """A decoder was ended. No decoder is tried behind it: in the product the process is gone."""


def keep() -> None:
    """Keep the budgets of time and memory from now on."""
    budget.enforce()
    signal.signal(signal.SIGPROF, signal.SIG_IGN)  # of time only in the children
    for syntax in LIMITED:
        CODECS[syntax] = tuple(replace(each, decode=_tried(each.decode)) for each in CODECS[syntax])


def _tried(decode: Decode) -> Decode:
    def tried(frame: bytes, layout: Layout) -> Samples:
        if _ends_by(decode, frame, layout) == signal.SIGPROF:
            raise TimeIsUp
        return decode(frame, layout)

    return tried


def _ends_by(decode: Decode, frame: bytes, layout: Layout) -> int:
    """The signal that a child ends by which decodes the frame; 0 for none."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            decode(frame, layout)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
