"""The whole configuration."""

import hashlib
import json
from typing import Any

from dflib.config.cluster import ClusterConfig, EstimateConfig, MonitoringConfig
from dflib.config.extraction import CropsConfig, ExtractConfig, FacesConfig, RetryConfig, SamplingConfig
from dflib.config.models import ModelsConfig, PromoteConfig, TrainConfig, WeightsConfig
from dflib.config.places import LocationConfig, SqlConfig, TablesConfig
from dflib.config.proof import ExplainConfig, VerifyConfig
from dflib.config.section import Section
from dflib.config.sources import S3Config, SourcesConfig, SplitsConfig
from dflib.config.upkeep import ForgetConfig, MaintainConfig
from dflib.config.verdicts import ChecksConfig, ExportConfig, NightlyConfig, ReleaseConfig, ReportConfig, ScoreConfig


class Config(Section):
    """The whole configuration."""

    sources: SourcesConfig
    s3: S3Config
    cluster: ClusterConfig
    tables: TablesConfig
    sql: SqlConfig
    monitoring: MonitoringConfig
    models: ModelsConfig
    reports: LocationConfig
    splits: SplitsConfig
    sampling: SamplingConfig
    faces: FacesConfig
    crops: CropsConfig
    extract: ExtractConfig
    train: TrainConfig
    weights: WeightsConfig
    promote: PromoteConfig
    score: ScoreConfig
    report: ReportConfig
    checks: ChecksConfig
    nightly: NightlyConfig
    release: ReleaseConfig
    retry: RetryConfig
    forget: ForgetConfig
    maintain: MaintainConfig
    explain: ExplainConfig
    verify: VerifyConfig
    export: ExportConfig
    estimate: EstimateConfig

    def recorded(self) -> dict[str, Any]:
        """The configuration as run records hold it: without the ids of videos that are to be forgotten."""
        values = self.model_dump(mode="json")
        values["forget"]["videos"] = ["***"] * len(self.forget.videos)
        return values

    def digest(self) -> str:
        """Hash of the whole configuration, 12 hex digits, for the run record."""
        return digest(self.model_dump())


def digest(value: object) -> str:
    """First 12 hex digits of the SHA-256 of ``value`` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
