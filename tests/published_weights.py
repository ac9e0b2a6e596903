"""Settings for the weights that the authors of MesoNet published."""

from pathlib import Path


def settings(sample_data: Path, name: str) -> tuple[str, ...]:
    """Settings that import the weights ``name`` (such as Meso4_DF), and score and report with them."""
    return (
        f"weights.path={sample_data}/mesonet/{name}.h5",
        "weights.network=meso4",
        f"weights.name={name}",
        "weights.positive=real",
        f"score.model={name}",
        f"report.model={name}",
    )
