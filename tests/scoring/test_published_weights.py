"""Published weights on their authors' images: ingest, import and score give the published scores."""

from pathlib import Path

import numpy as np
import pytest

from dflib.steps import import_model, ingest, score
from dflib.steps.runner import Application, run_job
from dflib.steps.step import Job
from dflib.tables.schemas import PREDICTIONS
from dflib.tables.store import Tables
from tests import published_weights
from tests.training.synthetic_faces import configuration

PUBLISHED = {
    # P(real) that the authors' networks give: two images of the folder df, then two of the folder real.
    "Meso4_DF": (0.0304, 0.0281, 0.9897, 0.9983),
    "Meso4_F2F": (0.8222, 0.7676, 0.8810, 0.9585),
}


@pytest.mark.spark
@pytest.mark.shared
def test_published_weights_give_the_published_scores(tables: Tables, sample_data: Path, tmp_path: Path) -> None:
    images = sample_data / "mesonet" / "test_images"
    names = sorted(path.stem for path in images.glob("df/*")) + sorted(path.stem for path in images.glob("real/*"))
    for steps, (name, published) in zip(([ingest.STEP], []), PUBLISHED.items(), strict=True):
        config = configuration(
            tmp_path,
            *("tables.metastore=none", "sources.chunks=", f"sources.crops={images}"),
            *("sources.crop_fake=df", "sources.crop_pattern=<video>"),
            *published_weights.settings(sample_data, name),
        )
        application = Application(config=config, code_version="", dry_run=False)
        assert run_job(Job("published", (*steps, import_model.STEP, score.STEP)), application, tables.spark) == 0
        rows = tables.read(PREDICTIONS).where(f"model_id = '{name}'").collect()
        scores = {row["video_id"]: row["p_fake"] for row in rows}
        ours = np.array([scores[f"dfdc/{image}"] for image in names])
        np.testing.assert_allclose(ours, 1 - np.array(published), atol=1e-3)
