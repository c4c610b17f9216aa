"""Makes the pictures that are drawn once a fixture here."""

from tests.report.drawn_once import drawn_once

__all__ = ["drawn_once"]
