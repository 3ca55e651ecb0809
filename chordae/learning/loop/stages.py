"""One round, stage by stage: collect -> train -> evaluate -> register -> shadow -> canary -> decide, and again.

A stage reads what the ledger and the round's directory hold, leaves its result there, and only then is written down as
done. Whoever is killed in the middle of one does that stage again, and no other.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

from chordae.cohort.record_cases import Case
from chordae.learning.calibrate_reasoner import calibrate_on
from chordae.learning.checkpoint import manifest_of
from chordae.learning.config import load_config
from chordae.learning.diagnosis_evaluation import chosen
from chordae.learning.gate.decision import GateDecision, decide
from chordae.learning.gate.live import LiveTrial, live_trial
from chordae.learning.gate.measured import Trial
from chordae.learning.gate.page import decision_page
from chordae.learning.launch import train
from chordae.learning.loop.measuring import measured_trial
from chordae.learning.loop.place import Place, alone, is_made, place_of, read_recipe, write_recipe, write_records
from chordae.learning.reasoner_lessons import held_apart, open_cases
from chordae.platform.diagnosis.category import Category
from chordae.platform.diagnosis.reasoning import digest
from chordae.platform.diagnosis.record import CmrRecord
from chordae.platform.errors import BadInput, BadSettings, ChampionChanged, LearningHalted
from chordae.platform.files import write_atomically
from chordae.platform.ledger_gate import GateLedger, KeptDecision
from chordae.platform.ledger_learning import LearningLedger, LearningRound
from chordae.platform.ledger_promotions import PromotionLedger
from chordae.platform.ledger_records import ProspectiveRecord
from chordae.platform.ledger_trials import OnTrial, TrialsLedger
from chordae.platform.registry.models import Models, Registered
from chordae.platform.registry.promotion import Promotions
from chordae.platform.settings import Settings
from chordae.platform.weights import fetch_checkpoint, read_manifest

Tell = Callable[[str], None]
Step = Literal["done", "waits", "idle"]
"""A stage is done; one waits for questions to be asked; there is nothing to do."""


class LearningLoop:
    """Of the settings' reasoner.

    Raises:
        BadSettings: the settings have no reasoner, or the ledger cannot be opened.
    """

    def __init__(self, settings: Settings, tell: Tell) -> None:
        if settings.reasoner is None:
            raise BadSettings("there is no reasoner in the settings", "add one under `reasoner`")
        self._settings, self._learning, self._reasoner = settings, settings.learning, settings.reasoner
        self._tell = tell
        self._ledger, self._gate = LearningLedger(settings.ledger_url), GateLedger(settings.ledger_url)
        self._trials = TrialsLedger(settings.ledger_url)
        self._models = Models(settings.data_dir)
        self._history = PromotionLedger(settings.ledger_url)
        self._promotions = Promotions(settings.data_dir, self._history)
        self._shipped = fetch_checkpoint(self._reasoner.model, self._reasoner.revision)
        self.model = read_manifest(self._shipped).name

    def step(self) -> Step:
        """Do the next stage of the round, or begin one if it is time.

        Raises:
            RoundUnderWay: another loop is at it.
            ChordaeError: the stage could not be done; the next call tries it again.
        """
        with alone(self._settings.data_dir, self.model):
            return self._step()

    def _step(self) -> Step:
        found = self._ledger.open_round(self.model)
        if found is None:
            if not self.due():
                return "idle"
            found = self._ledger.begin_round(self.model, self._learning.most_per_site)
            self._tell(f"round {found.id}: {len(self._ledger.records_of(found.id))} records collected")
            return "done"
        stages = {
            "collected": self._train,
            "trained": self._evaluate,
            "evaluated": self._register,
            "registered": self._shadow,
            "shadowed": self._canary,
            "decided": self._close,
        }
        stages[found.stage](found, place_of(self._settings.data_dir, found))
        after = self._ledger.open_round(self.model)
        return "waits" if after is not None and after.stage == found.stage else "done"

    def due(self) -> bool:
        """Whether enough records wait, or any has waited long enough."""
        waiting = sum(self._ledger.waiting(self.model).values())
        if waiting >= self._learning.least_records:
            return True
        rounds = self._ledger.rounds(self.model)
        if not waiting or self._learning.every_h is None:
            return False
        return not rounds or datetime.now(UTC) - rounds[-1].changed_at >= timedelta(hours=self._learning.every_h)

    def champion(self) -> Registered:
        """What candidates are compared with; the settings' checkpoint, where none is yet."""
        if "champion" not in (self._models.aliases(self.model) if self.model in self._models.names() else {}):
            shipped = self._models.register(self._shipped)
            self._promotions.promote(self.model, shipped.number, "loop", "what the settings serve")
        return self._models.version(self.model, "champion")

    def _train(self, found: LearningRound, place: Place) -> None:
        champion, recipe = self.champion(), read_recipe(self._learning.recipe)
        held_apart(recipe.cases, self._learning.sentinels, self._learning.calibration)
        # one that was sent with a question may have come in, too
        judged = {_said(record) for record, _ in self._ledger.labelled(found.id)}
        records = [one for one in self._ledger.records_of(found.id) if _said(one) not in judged]
        write_records(place, records)
        version = f"{champion.number}.{found.id}"
        write_recipe(place, recipe, self.model, version, champion.directory, len(records))
        before = load_config(place.recipe).version.split(".")[0]  # who was champion when the round began to train
        if not is_made(place):
            self._tell(f"round {found.id}: training from version {before}")
            try:
                train("pcrl", place.recipe, place.model, data_dir=self._settings.data_dir)
            except LearningHalted as halt:
                self._end(found, f"halted: {halt.problem}")
                return
        self._ledger.advance(found, "trained", {"champion": before, "training": manifest_of(place.model)["metrics"]})

    def _evaluate(self, found: LearningRound, place: Place) -> None:
        self._tell(f"round {found.id}: calibrating, and measuring beside version {found.content['champion']}")
        cases = chosen(open_cases(self._learning.calibration), self._learning.most_sentinels)
        try:
            calibrate_on(place.model, self._reasoner, cases, "learning.calibration")
        except BadInput as error:  # probabilities that no temperature mends: nobody is to be served with them
            self._end(found, f"sent back: {error.problem}")
            return
        champion = self._models.version(self.model, found.content["champion"])
        pair = ((champion.number, champion.directory), ("candidate", place.model))
        trial = measured_trial(self.model, *pair, self._reasoner, self._sentinels(found.id))
        write_atomically(place.trial, trial.model_dump_json().encode())
        self._ledger.advance(found, "evaluated", {"sentinels": len(trial.champion.outcomes)})

    def _register(self, found: LearningRound, place: Place) -> None:
        version = self._models.register(place.model)
        self._promotions.settle(self.model)  # a nomination that this loop was killed in
        version = self._models.version(self.model, version.number)
        if not {"candidate", "champion"} & set(version.aliases):
            self._promotions.nominate(self.model, version.number, "loop", f"round {found.id}")
        self._tell(f"round {found.id}: version {version.number} is candidate")
        self._ledger.advance(found, "registered", {"candidate": version.number})

    def _shadow(self, found: LearningRound, place: Place) -> None:
        """A candidate that passes on sentinels answers what the champion is asked, unheard; any other is decided on."""
        number, wanted = str(found.content["candidate"]), self._learning.trial
        passed = decide(self._trial(found, place), self._learning.gate).decision == "promote"
        settled, begun = self._settled(found), self._trials.open_trial(self.model)
        if begun is None or begun.version != number:
            if not passed or settled or not wanted.shadow_answers + wanted.canary_answers:
                self._ledger.advance(found, "shadowed", {"trial": None})
                return
            begun = self._trials.begin_trial(self.model, number, self._models.version(self.model, number).digest)
            self._tell(f"round {found.id}: version {number} is tried on questions, unheard")
        if settled or self._asked_enough(
            begun, sum(self._trials.trial_counts(begun.id).values()), wanted.shadow_answers
        ):
            self._trials.move_trial(begun.id, share=wanted.share if wanted.canary_answers else 0.0)
            self._ledger.advance(found, "shadowed", {"trial": begun.id})

    def _canary(self, found: LearningRound, place: Place) -> None:
        """Then a share of the studies hears it; in the end the gate decides by all that was seen."""
        number = str(found.content["candidate"])
        kept = next((one for one in self._decisions(number) if one.by == "gate"), None)
        if kept is not None:  # before this loop was killed
            decision = GateDecision.model_validate(kept.content)
        elif self._under_way(found):
            return
        else:
            decision = decide(self._trial(found, place), self._learning.gate, self._live(found))
            content = decision.model_dump(mode="json")
            self._gate.keep_gate_decision(self.model, decision.from_version, number, decision.decision, "gate", content)
        write_atomically(place.page, decision_page(decision).encode())
        self._tell(f"round {found.id}: {decision.decision}, {decision.why}")
        self._ledger.advance(found, "decided", {"decision": decision.decision, "why": decision.why})

    def _under_way(self, found: LearningRound) -> bool:
        """Whether the candidate is still to be heard by more."""
        trial = self._trials.open_trial(self.model)
        if trial is None or trial.id != found.content["trial"] or self._settled(found):
            return False
        heard = self._trials.trial_counts(trial.id)["candidate"]
        return not self._asked_enough(trial, heard, self._learning.trial.canary_answers)

    def _live(self, found: LearningRound) -> LiveTrial | None:
        trial = found.content["trial"]
        if trial is None:
            return None
        said, labels = self._trials.trial_answers(trial), self._trials.trial_labels(trial)
        return live_trial(said, labels, self._learning.trial, self._trials.trial(trial).problem)

    def _trial(self, found: LearningRound, place: Place) -> Trial:
        """What was measured on sentinels, the candidate by its number."""
        trial = Trial.model_validate_json(place.trial.read_bytes())
        named = trial.candidate.model_copy(update={"version": str(found.content["candidate"])})
        return trial.model_copy(update={"candidate": named})

    def _asked_enough(self, trial: OnTrial, asked: int, wanted: int) -> bool:
        """Whether a stage of a trial is over: enough was asked, nothing can be, or its time is."""
        over = bool(trial.problem) or datetime.now(UTC) - trial.begun_at >= timedelta(hours=self._learning.trial.most_h)
        return over or asked >= wanted

    def _settled(self, found: LearningRound) -> bool:
        """Whether somebody has decided about the candidate meanwhile, or made another version champion."""
        said = any(one.by == "person" for one in self._decisions(str(found.content["candidate"])))
        return said or self._models.version(self.model, "champion").number != found.content["champion"]

    def _close(self, found: LearningRound, place: Place) -> None:
        number, verdict, why = (str(found.content[name]) for name in ("candidate", "decision", "why"))
        said = [one for one in self._decisions(number) if one.by == "person"]
        self._promotions.settle(self.model)
        if self._models.version(self.model, "champion").number == number:  # by a person, or before this loop was killed
            verdict = "promote"
        elif said:  # and has done it: what a person took back is not done again
            verdict = "rollback" if said[-1].decision == "rollback" else "hold"
        elif verdict == "promote" and self._learning.promote == "person":
            verdict, why = "hold", "a person decides, by the settings"
        elif verdict == "promote":
            verdict, why = self._promote(found, number, why)
        why = "a person decided" if said else why
        if found.content["trial"] is not None:
            self._trials.move_trial(found.content["trial"], state="ended")
        outcomes = {"promote": "promoted", "hold": "held", "rollback": "sent back"}
        self._end(found, f"version {number} {outcomes[verdict]}: {why}")

    def _promote(self, found: LearningRound, number: str, why: str) -> tuple[str, str]:
        if any((one.kind, one.to_version) == ("promote", number) for one in self._history.promotions(self.model)):
            return "hold", "it was promoted, and taken back meanwhile"
        try:
            over = str(found.content["champion"])
            self._promotions.promote(self.model, number, "gate", f"round {found.id}: {why}", over)
        except ChampionChanged as error:
            return "hold", error.problem
        return "promote", why

    def _end(self, found: LearningRound, outcome: str) -> None:
        self._ledger.end_round(found, outcome)
        self._tell(f"round {found.id}: {outcome}")

    def _decisions(self, number: str) -> list[KeptDecision]:
        return [one for one in self._gate.gate_decisions(self.model) if one.to_version == number]

    def _sentinels(self, learning_round: int) -> list[Case]:
        most = self._learning.most_sentinels
        learned = {_said(record) for record in self._ledger.records_of(learning_round)}
        labelled = [pair for pair in self._ledger.labelled(learning_round) if _said(pair[0]) not in learned]
        late = [_case(record, cast(Category, category)) for record, category in labelled]
        return [*chosen(open_cases(self._learning.sentinels), most), *chosen(late, most)]


def _said(record: ProspectiveRecord) -> str:
    """What a record says, as a hash: whoever brought it."""
    return digest(CmrRecord.model_validate(record.content))


def _case(record: ProspectiveRecord, category: Category) -> Case:
    """A record that a clinician has labelled, as sentinels are."""
    return Case(
        patient=record.id,
        site=record.site,
        category=category,
        record=CmrRecord.model_validate(record.content),
        topics=(),
        altered=(),
        numbers={},
    )
