# SPDX-License-Identifier: AGPL-3.0-or-later
"""The parts of `cbmir_orthanc`: Python 3.9 and later, standard library only; none of them imports Orthanc."""
