"""The reasoner's candidate on Ray Serve while it is on trial: a replica of its own, the champion keeps all of its."""

from __future__ import annotations

from typing import Any

from ray import serve

from chordae.deployments.reasoner import Reasoner
from chordae.platform.errors import VersionRefused
from chordae.platform.registry.desired import Desired
from chordae.platform.settings import Settings
from chordae.platform.wanted import Wanted


class DesiredCandidate(Desired):
    """As the champion's, but for the version on trial."""

    def wanted(self, model: str) -> Wanted | None:
        """The candidate; None where there is none, or none any more."""
        return self.candidate(model)


class Candidate(Reasoner):
    """`Reasoner` with its engine loaded: a replica is ready once this constructor returns."""

    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]
        """Raises VersionRefused where the candidate cannot be served: unlike a champion's, its place is left empty."""
        super().__init__(settings, desired=DesiredCandidate(settings.data_dir, settings.swap.poll_s))
        await self.start()
        if why := self._versions.state().get("refused"):
            self.stop()
            raise VersionRefused(str(why), "train it again")


CandidateDeployment: Any = serve.deployment(Candidate)
