"""Answers as DICOM documents: a key object selection, a structured report, and de-identified copies of objects."""
