"""train: labelled faces become a training set, a network is fitted on it, and a model's row is written."""

from dflib.steps.job import Job, Summary, main
from dflib.training import train
from dflib.training.train import Plan


def run(job: Job) -> Summary:
    """Plans the training, and carries it out unless the model is there already."""
    plan = train.plan(job.tables, job.storage, job.config, job.dry_run)
    faces = {split: plan.chosen.faces(split) for split in sorted(plan.chosen.groups)}
    counts = {
        "model_id": plan.model_id,
        "training_set": plan.chosen.set_id,
        "faces": faces,
        "joiners": plan.chosen.joiners,
        "not_current": plan.chosen.not_current,
    }
    line = (
        f"{plan.model_id}: {faces['train']:,} train faces ({plan.chosen.groups['train']:,} groups), "
        f"{faces['validation']:,} validation"
    )
    if plan.chosen.joiners:
        line += f", {plan.chosen.joiners:,} videos left out that would join two splits"
    if plan.chosen.not_current:
        line += f", {plan.chosen.not_current:,} faces left out (file changed or extraction cut short: run extract)"
    if plan.done:
        line += "; it is there already, nothing to do"
        if plan.latest != plan.model_id:
            line += f"; latest is {plan.latest or 'no model'}, score with this one by --set score.model={plan.model_id}"
        return Summary(line, counts, _table(plan))
    if job.dry_run:
        return Summary(f"{line}; would be trained", counts, _table(plan))
    result = train.carry_out(plan, job.tables, job.storage, job.config, job.run_id, job.progress)
    best = result.best_epoch
    counts |= {
        "retries": result.retries,
        "epochs": len(result.history),
        "seconds": result.seconds,
        "best_epoch": best.epoch,
    }
    counts |= {"val_loss": best.val_loss, "val_accuracy": best.val_accuracy, "unreadable": result.unreadable}
    line += (
        f", {len(result.history)} epochs in {result.seconds:,.0f} s, best {job.config.train.monitor} "
        f"{getattr(best, job.config.train.monitor):.3f} at epoch {best.epoch}"
    )
    return Summary(line, counts, _table(plan))


def _table(plan: Plan) -> str:
    lines = [f"training set {plan.chosen.set_id} of extractor {plan.chosen.extractor}"]
    for count in plan.chosen.counts:
        label = "FAKE" if count.label else "REAL"
        lines.append(f"  {count.split:<10} {label}  {count.faces:>9,} faces of {count.videos:>7,} videos")
    return "\n".join(lines)


if __name__ == "__main__":
    main("train", run, train.check)
