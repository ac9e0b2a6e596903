"""train: a training set of labelled faces, a network fitted on it, and the row of the model."""

from dflib.config import Config
from dflib.models import aliases, mlflow_registry, promotion
from dflib.steps import mlflow
from dflib.steps.step import Context, Step, Summary
from dflib.tables.current import NOT_CURRENT
from dflib.training import train
from dflib.training.train import TrainingJob


def run(context: Context) -> Summary:
    """Prepares the training, and runs it unless the model exists already."""
    training = train.prepare(context.tables, context.storage, context.config, context.dry_run)
    faces = {split: training.selection.faces(split) for split in sorted(training.selection.groups)}
    counts = {
        "model_id": training.model_id,
        "training_set": training.selection.set_id,
        "faces": faces,
        "crossing_videos": training.selection.crossing_videos,
        "not_current": training.selection.not_current,
    }
    line = (
        f"{training.model_id}: {faces['train']:,} train faces ({training.selection.groups['train']:,} groups), "
        f"{faces['validation']:,} validation"
    )
    if training.selection.crossing_videos:
        line += f", {training.selection.crossing_videos:,} videos left out that would join two splits"
    if training.selection.not_current:
        not_current = training.selection.not_current
        line += f", {not_current:,} faces left out ({NOT_CURRENT})"
    if context.dry_run and not training.exists:
        return Summary(f"{line}; would be trained", counts, _table(training))
    if training.exists:
        line += f"; it is there already, nothing to do{_champion(context, training.model_id)}{mlflow.copy(context)}"
        return Summary(line, counts, _table(training))
    result = train.run(training, context.tables, context.storage, context.config, context.run_id, context.progress)
    best, monitor = result.best_epoch, context.config.train.monitor
    counts |= {
        "retries": result.retries,
        "epochs": len(result.history),
        "seconds": result.seconds,
        "best_epoch": best.epoch,
    }
    counts |= {"val_loss": best.val_loss, "val_accuracy": best.val_accuracy, "unreadable": result.unreadable}
    line += (
        f", {len(result.history)} epochs in {result.seconds:,.0f} s, best {monitor} "
        f"{getattr(best, monitor):.3f} at epoch {best.epoch}{_champion(context, training.model_id)}"
    )
    line += mlflow.copy(context)
    return Summary(line, counts, _table(training))


def _champion(context: Context, model_id: str) -> str:
    """Makes the first model the champion; says how to use one that is not."""
    if not context.dry_run and promotion.promote_first(context.tables, model_id, context.run_id):
        return f"; it is the first model and becomes the {aliases.CHAMPION}"
    named = aliases.current(context.tables)
    champion = named[aliases.CHAMPION].model_id if aliases.CHAMPION in named else "no model"
    if champion == model_id:
        return ""
    return (
        f"; the {aliases.CHAMPION} is {champion}: score with this one by --set score.model={model_id}, or "
        f"promote it by 'promote {model_id} --as {aliases.CHAMPION}'"
    )


def _table(training: TrainingJob) -> str:
    lines = [f"training set {training.selection.set_id} of extractor {training.selection.extractor}"]
    for count in training.selection.counts:
        label = "FAKE" if count.label else "REAL"
        lines.append(f"  {count.split:<10} {label}  {count.faces:>9,} faces of {count.videos:>7,} videos")
    return "\n".join(lines)


def check(config: Config) -> None:
    """Raises :class:`ConfigError` when the training is not possible as it is configured."""
    train.check(config)
    mlflow_registry.check(config.models.mlflow)


STEP = Step("train", run, check, needs_tables=True)
