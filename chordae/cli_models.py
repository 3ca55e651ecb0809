"""The verbs for versions of weights: which there are, which is served, and how that changes."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chordae.console import err, out
from chordae.platform.settings import load_settings

if TYPE_CHECKING:
    from chordae.platform.ledger_promotions import Promotion

models = typer.Typer(no_args_is_help=True, help="Versions of weights: which there are, and which is served.")

Config = Annotated[Path, typer.Option("--config", envvar="CHORDAE_CONFIG", help="Settings file.")]
LAPTOP = Path("configs/laptop.yaml")
Name = Annotated[str, typer.Argument(help="The model's name, as `chordae models list` shows it.")]
Version = Annotated[str, typer.Argument(help="Its number; or champion, candidate, previous.")]
Reason = Annotated[str, typer.Option(help="Kept in the ledger.")]
By = Annotated[str | None, typer.Option(help="Who decided it; default: who is logged in.")]


@models.command("list")
def models_list(config: Config = LAPTOP) -> None:
    """Every version: digest, aliases, and what training measured."""
    from chordae.console_models import versions_table
    from chordae.platform.registry.models import Models

    registry = Models(load_settings(config).data_dir)
    out.print(versions_table([one for name in registry.names() for one in registry.versions(name)]))


@models.command("show")
def models_show(name: Name, version: Version = "champion", config: Config = LAPTOP) -> None:
    """All that is known of one version, after its files have been held against what was registered."""
    from chordae.console_models import version_tables
    from chordae.platform.registry.models import Models

    registry = Models(load_settings(config).data_dir)
    found = registry.version(name, version)
    out.print(*version_tables(found, registry.verify(found)), sep="\n")


@models.command("register")
def models_register(
    checkpoint: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Directory of a checkpoint.")],
    config: Config = LAPTOP,
) -> None:
    """Make a checkpoint a version; or add what was fitted to it since (calibration, canary probes)."""
    from chordae.platform.registry.models import Models

    registry = Models(load_settings(config).data_dir)
    found = registry.register(checkpoint)
    out.print(f"version {found.number} of {found.model}, {found.digest[:12]}", markup=False)
    if lacks := registry.verify(found).lacks:
        err.print(f"it cannot be promoted before it has {' and '.join(lacks)}", style="yellow", markup=False)


@models.command("promote")
def models_promote(
    name: Name,
    version: Version,
    candidate: Annotated[
        bool, typer.Option("--candidate", help="On trial only, not in place of the champion.")
    ] = False,
    reason: Reason = "",
    by: By = None,
    config: Config = LAPTOP,
) -> None:
    """Serve that version: it becomes champion, and the champion `previous`."""
    from chordae.platform.ledger_promotions import PromotionLedger
    from chordae.platform.registry.promotion import Promotions

    settings = load_settings(config)
    promotions = Promotions(settings.data_dir, PromotionLedger(settings.ledger_url))
    change = promotions.nominate if candidate else promotions.promote
    if not candidate:
        _forewarn(promotions.replaced(name, version))
    _tell(change(name, version, by or getpass.getuser(), reason))


@models.command("rollback")
def models_rollback(name: Name, reason: Reason = "", by: By = None, config: Config = LAPTOP) -> None:
    """Serve the previous champion again."""
    from chordae.platform.ledger_promotions import PromotionLedger
    from chordae.platform.registry.promotion import Promotions

    settings = load_settings(config)
    promotions = Promotions(settings.data_dir, PromotionLedger(settings.ledger_url))
    _forewarn(promotions.replaced(name, "previous"))
    _tell(promotions.rollback(name, by or getpass.getuser(), reason))


@models.command("diff")
def models_diff(name: Name, one: Version, other: Version, config: Config = LAPTOP) -> None:
    """Where two versions of a model differ: architecture, files, metrics, lineage."""
    from chordae.console_models import difference_table
    from chordae.platform.registry.models import Models

    registry = Models(load_settings(config).data_dir)
    pair = [registry.version(name, version) for version in (one, other)]
    out.print(difference_table(pair, [registry.verify(version) for version in pair]))


def _forewarn(difference: str) -> None:
    if difference:
        told = f"another architecture than the champion's ({difference}): new replicas are started with it one by one, "
        told += "and each old one ends after; meanwhile memory for one more replica is needed"
        err.print(told, style="yellow", markup=False, soft_wrap=True)


def _tell(promotion: Promotion) -> None:
    was = f"; before: version {promotion.from_version}" if promotion.from_version else ""
    role = "candidate" if promotion.kind == "candidate" else "champion"
    out.print(f"version {promotion.to_version} of {promotion.model} is {role}{was}", markup=False)
