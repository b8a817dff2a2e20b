"""Small objects to begin with: of each transfer syntax and photometric interpretation, and with odd modules."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from cbmir.dicom.syntaxes import (
    DEFLATED_FRAMES,
    JPEG_XL,
    JPEG_XL_LOSSLESS,
    JPEG_XL_RECOMPRESSION,
    UNCOMPRESSED_IN_ITEMS,
)

LARGEST = 60_000
"""Bytes of a seed: small files are tried faster."""

WHEEL = Path(pydicom.__file__).parent / "data" / "test_files"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "dicom"
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)

Pixels = npt.NDArray[Any]

RAMP = np.arange(24 * 20, dtype=np.int64).reshape(24, 20)
GREY = (RAMP % 251).astype(np.uint8)
DEEP = (RAMP * 8).astype(np.uint16)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
ONE_BIT = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}


def write_seeds(folder: Path) -> int:
    """Write the corpus; say how many files it has."""
    count = 0
    for count, data in enumerate(seeds(), 1):
        (folder / f"seed-{count:04}").write_bytes(data)
    return count


def seeds() -> Iterator[bytes]:
    """Files of pydicom's wheel and of ../shared where that is there, and objects made here."""
    for root in (WHEEL, SHARED / "broken", SHARED / "constructed", SHARED / "nonimage"):
        for path in sorted(each for each in root.rglob("*") if each.is_file()):
            if path.stat().st_size <= LARGEST and path.suffix != ".zst":
                yield path.read_bytes()
    for dataset in made():
        yield written(dataset)
    lossless = written(_encapsulated(GREY, JPEGLSLossless, bytes(imagecodecs.jpegls_encode(GREY))))
    yield lossless.replace(
        JPEGLSLossless.encode(), ExplicitVRLittleEndian.encode().ljust(len(JPEGLSLossless), b"\0")
    )
    yield from _plain_pictures()


def written(dataset: Dataset) -> bytes:
    """The object as a file."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format="TransferSyntaxUID" in dataset.file_meta)
    return buffer.getvalue()


def made() -> Iterator[Dataset]:
    """Objects that the wheel's files lack."""
    yield from _native()
    yield from _compressed()
    yield from _long()
    yield from _modules()


def _dataset(pixels: Pixels, syntax: str = ExplicitVRLittleEndian, **elements: Any) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID("1.2.3.4")
    dataset.Modality = "OT"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    if syntax in NATIVE:
        dataset.PixelData = (pixels.byteswap() if syntax == ExplicitVRBigEndian else pixels).tobytes()
        dataset["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def _encapsulated(pixels: Pixels, syntax: str, frame: bytes, **elements: Any) -> Dataset:
    dataset = _dataset(pixels, syntax, **elements)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    return dataset


def _native() -> Iterator[Dataset]:
    for syntax in NATIVE:
        for dtype in (np.uint8, np.int16, np.uint32):
            yield _dataset(RAMP.astype(dtype), syntax)
        yield _dataset(COLOUR, syntax)
    for photometric in ("YBR_FULL", "YBR_PARTIAL_420", "YBR_RCT", "YBR_ICT"):
        yield _dataset(COLOUR, PhotometricInterpretation=photometric, PlanarConfiguration=1)
    yield _dataset(COLOUR, PhotometricInterpretation="YBR_FULL_422", PixelData=GREY.tobytes() * 2)
    yield _dataset(DEEP, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    yield _dataset(DEEP, BitsStored=10, HighBit=12, PixelPaddingValue=0, PixelPaddingRangeLimit=8)
    yield _dataset(GREY, **ONE_BIT, PixelData=np.packbits(GREY > 99).tobytes())
    yield _dataset(GREY, BitsAllocated=12, BitsStored=12, HighBit=11, PixelData=GREY.tobytes() * 2)
    yield from _floats()


def _floats() -> Iterator[Dataset]:
    for keyword, dtype in (("FloatPixelData", np.float32), ("DoubleFloatPixelData", np.float64)):
        dataset = _dataset(RAMP.astype(dtype))
        del dataset.PixelData
        setattr(dataset, keyword, RAMP.astype(dtype).tobytes())
        yield dataset


def _compressed() -> Iterator[Dataset]:
    signed = (DEEP.astype(np.int32) - 900).astype(np.int16)
    twelve = {"BitsStored": 12, "HighBit": 11}
    baseline = bytes(imagecodecs.jpeg8_encode(GREY, 80))
    yield _encapsulated(GREY, JPEGBaseline8Bit, baseline)
    yield _encapsulated(COLOUR, JPEGBaseline8Bit, bytes(imagecodecs.jpeg8_encode(COLOUR, 80)))
    yield _encapsulated(COLOUR, JPEGBaseline8Bit, _progressive(), PhotometricInterpretation="YBR_FULL_422")
    yield _encapsulated(
        DEEP, JPEGExtended12Bit, bytes(imagecodecs.jpeg8_encode(DEEP, 80, bitspersample=12)), **twelve
    )
    for syntax in (JPEGLossless, JPEGLosslessSV1):
        for pixels in (GREY, DEEP, COLOUR):
            yield _encapsulated(pixels, syntax, bytes(imagecodecs.jpeg8_encode(pixels, lossless=True)))
    for syntax, level in ((JPEGLSLossless, 0), (JPEGLSNearLossless, 2)):
        for pixels in (GREY, DEEP, COLOUR):
            yield _encapsulated(pixels, syntax, bytes(imagecodecs.jpegls_encode(pixels, level)))
    for pixels in (GREY, DEEP, signed, COLOUR):
        yield from _jpeg_2000(pixels)
        yield _rle(pixels)
        yield from _jpeg_xl(pixels)
    yield _encapsulated(DEEP, DEFLATED_FRAMES, _deflated(DEEP))
    yield _encapsulated(DEEP, UNCOMPRESSED_IN_ITEMS, DEEP.tobytes())
    yield from _unusual()


def _unusual() -> Iterator[Dataset]:
    """Single bits, and a tile that is cut."""
    bits = np.packbits(GREY > 99, bitorder="little")
    yield _encapsulated(GREY, DEFLATED_FRAMES, _deflated(bits), **ONE_BIT)
    runs = b"".join(bytes([len(each) - 1]) + each.tobytes() for each in np.array_split(bits, 4))
    yield _encapsulated(GREY, RLELossless, struct.pack("<16L", 1, 64, *[0] * 14) + runs, **ONE_BIT)
    frame = bytes(imagecodecs.jpegls_encode(GREY))
    yield _encapsulated(GREY, JPEGLSLossless, frame, TotalPixelMatrixRows=99, Rows=GREY.shape[0] + 9)


def _jpeg_2000(pixels: Pixels) -> Iterator[Dataset]:
    for syntax, how in ((JPEG2000Lossless, {"reversible": True}), (JPEG2000, {"level": 40})):
        yield _encapsulated(pixels, syntax, bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", **how)))
    if pixels.dtype == np.uint8:
        yield _encapsulated(pixels, JPEG2000, _tiled(pixels))
    yield _encapsulated(pixels, JPEG2000, bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="jp2")))
    for syntax in (HTJ2KLossless, HTJ2KLosslessRPCL):
        yield _encapsulated(pixels, syntax, bytes(imagecodecs.htj2k_encode(pixels, reversible=True)))
    yield _encapsulated(pixels, HTJ2K, bytes(imagecodecs.htj2k_encode(pixels, reversible=False)))


def _jpeg_xl(pixels: Pixels) -> Iterator[Dataset]:
    unsigned = pixels.astype(f"u{pixels.dtype.itemsize}")
    for boxes in (True, False):
        frame = bytes(imagecodecs.jpegxl_encode(unsigned, lossless=True, usecontainer=boxes))
        yield _encapsulated(pixels, JPEG_XL_LOSSLESS, frame)
    yield _encapsulated(pixels, JPEG_XL, bytes(imagecodecs.jpegxl_encode(unsigned, distance=1.0)))
    if pixels.dtype == np.uint8:
        frame = bytes(imagecodecs.jpegxl_encode_jpeg(imagecodecs.jpeg8_encode(pixels, 80)))
        for syntax in (JPEG_XL_RECOMPRESSION, JPEG_XL_LOSSLESS):
            yield _encapsulated(pixels, syntax, frame)


def _tiled(pixels: Pixels) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG2000", no_jp2=True, tile_size=(8, 8), num_resolutions=2)
    return stream.getvalue()


def _rle(pixels: Pixels) -> Dataset:
    dataset = _dataset(pixels)
    dataset.compress(RLELossless, generate_instance_uid=False)
    return dataset


def _progressive() -> bytes:
    stream = BytesIO()
    Image.fromarray(COLOUR).save(stream, "JPEG", progressive=True, quality=80)
    return stream.getvalue()


def _deflated(pixels: Pixels) -> bytes:
    squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeezer.compress(pixels.tobytes()) + squeezer.flush()


def _long() -> Iterator[Dataset]:
    """Objects of several frames, by each way of telling them apart."""
    native = _dataset(GREY, NumberOfFrames=5)
    native.PixelData = GREY.tobytes() * 5
    yield native
    bits = _dataset(GREY, BitsAllocated=1, BitsStored=1, HighBit=0, NumberOfFrames=3)
    bits.PixelData = np.packbits(np.tile(GREY > 99, (3, 1))).tobytes()
    yield bits
    frame = bytes(imagecodecs.jpeg8_encode(GREY, 80))
    for fragments in (1, 2):
        for table in (True, False):
            dataset = _encapsulated(GREY, JPEGBaseline8Bit, frame, NumberOfFrames=4)
            dataset.PixelData = encapsulate([frame] * 4, fragments_per_frame=fragments, has_bot=table)
            yield dataset
    extended = _encapsulated(GREY, JPEGBaseline8Bit, frame, NumberOfFrames=4)
    extended.PixelData, extended.ExtendedOffsetTable, extended.ExtendedOffsetTableLengths = encapsulate_extended(
        [frame] * 4
    )
    yield extended
    yield _enhanced()


def _item(**elements: Any) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _enhanced() -> Dataset:
    dataset = _dataset(DEEP, NumberOfFrames=3, Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1")
    dataset.PixelData = DEEP.tobytes() * 3
    anatomy = _item(FrameLaterality="R", AnatomicRegionSequence=[_item(CodeMeaning="Knee", CodeValue="1")])
    dataset.SharedFunctionalGroupsSequence = [
        _item(PixelMeasuresSequence=[_item(PixelSpacing=[2, 1])], FrameAnatomySequence=[anatomy])
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        _item(
            FrameVOILUTSequence=[_item(WindowCenter=100 * each, WindowWidth=50, VOILUTFunction="SIGMOID")],
            PixelValueTransformationSequence=[_item(RescaleSlope=each, RescaleIntercept=-5, RescaleType="US")],
        )
        for each in (1, 2, 3)
    ]
    return dataset


def _lut(vr_words: bool = True) -> Dataset:
    data = np.arange(256, dtype=np.uint16)
    item = _item(LUTDescriptor=[256, 0, 16])
    item.add_new("LUTData", "OW" if vr_words else "US", data.tobytes() if vr_words else data.tolist())
    return item


def _modules() -> Iterator[Dataset]:
    yield _dataset(DEEP, VOILUTSequence=[_lut()], ModalityLUTSequence=[_lut(vr_words=False)])
    yield _dataset(DEEP, WindowCenter=[100, 200], WindowWidth=[50, 60], RescaleSlope=2, RescaleIntercept=-100)
    yield _dataset(GREY, PixelSpacing=[1, 2], PresentationLUTShape="INVERSE", BurnedInAnnotation="YES")
    yield _palette(segmented=False)
    yield _palette(segmented=True)
    yield _overlaid()
    yield _ultrasound()
    yield _waveform("1.2.840.10008.5.1.4.1.1.9.1.1", "mV")
    yield _waveform("1.2.840.10008.5.1.4.1.1.9.7.1", "uV")
    yield _dataset(GREY, PixelDataProviderURL="file:///etc/passwd", ReferencedFileID="../../etc/passwd")
    icon = _item(Rows=8, Columns=8, BitsAllocated=8, SamplesPerPixel=1, PixelData=bytes(64))
    yield _dataset(GREY, IconImageSequence=[icon], ICCProfile=bytes(128), PatientID="A", PatientName="B^C")


def _palette(segmented: bool) -> Dataset:
    table = (np.arange(256, dtype=np.uint16) * 257).tobytes()
    pieces = np.array([0, 2, 0, 9, 1, 200, 60_000, 2, 1, 0, 0, 0, 53, *range(53)], np.uint16).tobytes()
    dataset = _dataset(GREY, PhotometricInterpretation="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        prefix = "Segmented" if segmented else ""
        setattr(dataset, f"{prefix}{colour}PaletteColorLookupTableData", pieces if segmented else table)
    return dataset


def _overlaid() -> Dataset:
    dataset = _dataset(DEEP, BitsStored=12, HighBit=11)
    for group, bit in ((0x6000, None), (0x6002, 15)):
        dataset.add_new((group, 0x0010), "US", 24)
        dataset.add_new((group, 0x0011), "US", 20)
        dataset.add_new((group, 0x0015), "IS", 1)
        dataset.add_new((group, 0x0040), "CS", "G")
        dataset.add_new((group, 0x0050), "SS", [1, 1])
        dataset.add_new((group, 0x0051), "US", 1)
        dataset.add_new((group, 0x0100), "US", 1 if bit is None else 16)
        dataset.add_new((group, 0x0102), "US", bit or 0)
        if bit is None:
            dataset.add_new((group, 0x3000), "OW", np.packbits(GREY > 99).tobytes())
    return dataset


def _ultrasound() -> Dataset:
    region = _item(
        RegionLocationMinX0=2, RegionLocationMinY0=2, RegionLocationMaxX1=15, RegionLocationMaxY1=20,
        RegionSpatialFormat=1, RegionDataType=1,
    )  # fmt: skip
    return _dataset(COLOUR, Modality="US", SequenceOfUltrasoundRegions=[region, region])


def _waveform(kind: str, unit: str) -> Dataset:
    dataset = _dataset(GREY, SOPClassUID=kind, Modality="ECG")
    del dataset.PixelData
    units = [_item(CodeValue=unit, CodingSchemeDesignator="UCUM")]
    channels = [
        _item(
            ChannelSensitivity=each, ChannelSensitivityCorrectionFactor=1, ChannelBaseline=0,
            WaveformBitsStored=16, ChannelSensitivityUnitsSequence=units,
        )
        for each in (1, 2)
    ]  # fmt: skip
    group = _item(WaveformOriginality="ORIGINAL", NumberOfWaveformChannels=2, NumberOfWaveformSamples=100)
    group.SamplingFrequency, group.ChannelDefinitionSequence = 50, channels
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.add_new("WaveformPaddingValue", "OW", b"\0\x80")
    group.add_new("WaveformData", "OW", (RAMP.reshape(-1)[:200] % 97).astype(np.int16).tobytes())
    late = deepcopy(group)
    late.ChannelDefinitionSequence[0].ChannelTimeSkew, late.ChannelDefinitionSequence[1].ChannelSampleSkew = 0.1, -3
    derived = deepcopy(group)
    derived.WaveformOriginality = "DERIVED"
    dataset.WaveformSequence = [group, late, derived]
    return dataset


def _plain_pictures() -> Iterator[bytes]:
    for pixels in (GREY, COLOUR):
        for known in ("PNG", "JPEG", "TIFF", "BMP"):
            stream = BytesIO()
            Image.fromarray(pixels).save(stream, known)
            yield stream.getvalue()
