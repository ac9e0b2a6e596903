"""Copying models and aliases to MLflow at the end of steps that change them."""

import logging

from dflib.models import mlflow_registry
from dflib.steps.step import Context

log = logging.getLogger(__name__)


def copy(context: Context) -> str:
    """Copies what MLflow lacks, where ``models.mlflow`` is set; returns words for the summary, or nothing.

    MLflow that does not answer is a warning: the model is in the tables, and the next copy makes up for it.
    """
    uri = context.config.models.mlflow
    if uri is None or context.dry_run:
        return ""
    try:
        done = mlflow_registry.copy(context.tables, context.storage, uri)
    except mlflow_registry.MlflowError as error:
        log.warning("MLflow has no copy of the newest models and aliases yet: %s", error)
        return ""
    if not done.models and not done.aliases:
        return ""
    parts = [f"{len(done.models)} models"] if done.models else []
    parts += [f"the aliases {', '.join(done.aliases)}"] if done.aliases else []
    return f"; MLflow has {' and '.join(parts)} more"
