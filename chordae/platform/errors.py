"""Every error chordae raises on purpose.

An error has one line that says what is wrong and one that says what to do about it. The command line prints both and
exits with `exit_code`; the gateway answers with `status` and the same text. Messages never carry patients' data.
"""


class ChordaeError(Exception):
    """What went wrong, and what to do about it."""

    status = 500
    code = "internal_error"
    exit_code = 1
    stage = ""
    """Where on a study's way it happened; empty where there are no stages."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}: {self.remedy}"


class BadInput(ChordaeError):
    """The caller sent something that cannot be used as it is."""

    status = 400
    code = "bad_input"
    exit_code = 2


class UnreadableRecording(BadInput):
    """A file or study is not one that chordae can read, or not a usable one; `reason` names why, in snake case."""

    status = 422
    code = "unreadable_recording"

    def __init__(self, problem: str, remedy: str, reason: str) -> None:
        super().__init__(problem, remedy)
        self.args = (problem, remedy, reason)  # from which a copy in another process is made
        self.reason = reason


class UnknownModel(BadInput):
    """No model of that name is served here."""

    status = 404
    code = "model_not_found"


class UnknownMedia(BadInput):
    """No media with that id was uploaded here."""

    status = 404
    code = "media_not_found"


class UnknownStudy(BadInput):
    """No study or diagnosis with that id is in the ledger."""

    status = 404
    code = "study_not_found"


class BadSettings(ChordaeError):
    """A configuration file, an override or the machine does not allow what was asked."""

    code = "bad_settings"
    exit_code = 2


class ExpertUnavailable(ChordaeError):
    """An expert did not answer; the answer is missing, not empty."""

    status = 503
    code = "expert_unavailable"


class Overloaded(ChordaeError):
    """More questions are waiting than the settings allow."""

    status = 503  # not 429: it is not this client that asks too much
    code = "overloaded"


class UnknownVersion(BadInput):
    """The registry has no such model, or no such version of it."""

    status = 404
    code = "version_not_found"


class NotPromotable(BadInput):
    """A version lacks what it must have before anybody is served with it."""

    status = 409
    code = "not_promotable"


class PromotionUnderWay(ChordaeError):
    """Another promotion of the same model has begun and not ended."""

    status = 409
    code = "promotion_under_way"


class DamagedVersion(ChordaeError):
    """A file of a registered version is missing, or is not what was registered."""

    code = "damaged_version"


class RegistryUnreachable(ChordaeError):
    """The model registry does not answer; what was wanted last is still served."""

    status = 503
    code = "registry_unreachable"


class VersionRefused(ChordaeError):
    """A version of a model's weights is not served, and the one before is; says why."""

    status = 409
    code = "version_refused"


class VersionUnreadable(VersionRefused):
    """Its files are missing, damaged, or cannot be read now: whoever mends them need not promote again."""

    code = "version_unreadable"


class AnotherArchitecture(VersionRefused):
    """Weights of another shape cannot be loaded over those that are served."""

    code = "another_architecture"


class StillAnswering(ChordaeError):
    """What was being answered took longer than a change of weights waits."""

    status = 503
    code = "still_answering"


class LearningHalted(ChordaeError):
    """A brake stopped a run that learns from unlabelled cases; its weights were not kept."""

    code = "learning_halted"


class ChampionChanged(NotPromotable):
    """A version was compared with one that is champion no more."""

    code = "champion_changed"


class RoundUnderWay(ChordaeError):
    """Another round of learning of the same model has begun and not ended."""

    status = 409
    code = "round_under_way"
