"""MA-GRPO's live view: each step's figures in the log of losses (and MLflow), each round as a table in the terminal."""

from io import StringIO

from rich.console import Console
from rich.table import Table

from chordae.learning.curriculum.state import CurriculumState, Round
from chordae.learning.reasoner_cases import Assessed
from chordae.learning.reasoner_report import StepReport

WIDTH = 110


class RoundReport(StepReport):
    """Notes steps; the last step of a round carries the round's figures."""

    def of_step(self) -> dict[str, float]:
        """How many groups were replaced."""
        return {"replaced": float(self.trainer.replaced)}

    def round(self, ended: Round, found: Assessed, state: CurriculumState) -> None:
        """A round was assessed; `state` has taken it in."""
        counts = found.counts
        right, total = (sum(column) for column in zip(*counts.values(), strict=True))
        shares = {name: correct / cases for name, (correct, cases) in counts.items()}
        self.more = {"accuracy": right / total, "balanced_accuracy": sum(shares.values()) / len(shares)}
        self.more["macro_f1"] = found.macro_f1
        self.more |= {f"accuracy.{name}": share for name, share in shares.items()}
        self.more |= {f"posterior.{name}": one.mean for name, one in state.posteriors.items()}
        self.more |= {f"quota.{name}": float(count) for name, count in ended.quota.items()}
        self.more |= {"rollouts": float(state.rollouts), "round": float(ended.number)}
        self.say("\n" + as_text(round_table(ended, found, state)))


def round_table(ended: Round, found: Assessed, state: CurriculumState) -> Table:
    """A line a class: what the round wanted and got of it, how it was answered, what is believed now."""
    title = f"Round {ended.number}, {state.rollouts} answers so far, macro-F1 {found.macro_f1:.3f}"
    table = Table("class", "weight", "quota", "drawn", "right", "accuracy", "posterior", title=title)
    for name, posterior in state.posteriors.items():
        correct, total = found.counts.get(name, (0, 0))
        table.add_row(
            name,
            f"{ended.weights[name]:.3f}",
            str(ended.quota[name]),
            str(ended.drawn[name]),
            f"{correct}/{total}",
            f"{correct / total:.3f}" if total else "not assessed",
            f"{posterior.mean:.3f} = Beta({posterior.alpha:g}, {posterior.beta:g})",
        )
    return table


def as_text(table: Table) -> str:
    """A table for a log, without colours."""
    console = Console(file=StringIO(), width=WIDTH)
    console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text
