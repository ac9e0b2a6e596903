"""train: a training set of labelled faces, a network fitted on it, and the row of the model."""

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
    if training.exists:
        line += "; it is there already, nothing to do"
        if training.latest != training.model_id:
            latest = training.latest or "no model"
            line += f"; latest is {latest}, score with this one by --set score.model={training.model_id}"
        return Summary(line, counts, _table(training))
    if context.dry_run:
        return Summary(f"{line}; would be trained", counts, _table(training))
    result = train.run(training, context.tables, context.storage, context.config, context.run_id, context.progress)
    best = result.best_epoch
    counts |= {
        "retries": result.retries,
        "epochs": len(result.history),
        "seconds": result.seconds,
        "best_epoch": best.epoch,
    }
    counts |= {"val_loss": best.val_loss, "val_accuracy": best.val_accuracy, "unreadable": result.unreadable}
    line += (
        f", {len(result.history)} epochs in {result.seconds:,.0f} s, best {context.config.train.monitor} "
        f"{getattr(best, context.config.train.monitor):.3f} at epoch {best.epoch}"
    )
    return Summary(line, counts, _table(training))


def _table(training: TrainingJob) -> str:
    lines = [f"training set {training.selection.set_id} of extractor {training.selection.extractor}"]
    for count in training.selection.counts:
        label = "FAKE" if count.label else "REAL"
        lines.append(f"  {count.split:<10} {label}  {count.faces:>9,} faces of {count.videos:>7,} videos")
    return "\n".join(lines)


STEP = Step("train", run, train.check)
