"""The configuration: typed sections, how they are loaded, and the identities derived from them."""

from dflib.config.cluster import ClusterConfig, EstimateConfig, MonitoringConfig
from dflib.config.config import Config, digest
from dflib.config.extraction import CropsConfig, ExtractConfig, FacesConfig, RetryConfig, SamplingConfig
from dflib.config.faces import Quality, View
from dflib.config.models import AugmentConfig, PromoteConfig, TrainConfig, WeightsConfig
from dflib.config.places import LocationConfig, SqlConfig, TablesConfig
from dflib.config.proof import ExplainConfig, VerifyConfig
from dflib.config.section import Section
from dflib.config.sources import S3Config, SourcesConfig, SplitsConfig
from dflib.config.upkeep import ForgetConfig, MaintainConfig
from dflib.config.verdicts import ChecksConfig, ExportConfig, NightlyConfig, ReleaseConfig, ReportConfig, ScoreConfig

__all__ = [
    "AugmentConfig",
    "ChecksConfig",
    "ClusterConfig",
    "Config",
    "CropsConfig",
    "EstimateConfig",
    "ExplainConfig",
    "ExportConfig",
    "ExtractConfig",
    "FacesConfig",
    "ForgetConfig",
    "LocationConfig",
    "MaintainConfig",
    "MonitoringConfig",
    "NightlyConfig",
    "PromoteConfig",
    "Quality",
    "ReleaseConfig",
    "ReportConfig",
    "RetryConfig",
    "S3Config",
    "SamplingConfig",
    "ScoreConfig",
    "Section",
    "SourcesConfig",
    "SplitsConfig",
    "SqlConfig",
    "TablesConfig",
    "TrainConfig",
    "VerifyConfig",
    "View",
    "WeightsConfig",
    "digest",
]
