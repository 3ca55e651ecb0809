"""Echocardiography of simulated hearts: speckled sector loops of the standard views, and the junk of a real study."""

from chordae.cohort.echo.plan import ClipSpec, ClipTruth, plan_study
from chordae.cohort.echo.series import write_echo

__all__ = ["ClipSpec", "ClipTruth", "plan_study", "write_echo"]
