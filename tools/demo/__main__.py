"""Generates a demo data set: ``python -m tools.demo --out demo-data``."""

import argparse
import sys
import time
from pathlib import Path

from dflib.errors import ConfigError, DflibError
from dflib.runtime.progress import Progress
from tools.demo.dataset import make
from tools.demo.truth import Settings


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return 0 for success, 1 for failure, 2 for invalid arguments."""
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="python -m tools.demo",
        description="Generate a miniature Deepfake Detection Challenge: OUT/chunks/*.zip and OUT/truth.json.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set", default=argparse.SUPPRESS)
    parser.add_argument("--identities", type=int, default=defaults.identities, help="number of identities")
    parser.add_argument(
        "--clips", type=int, default=defaults.clips_per_identity, help="clips of each identity, a third of them real"
    )
    parser.add_argument("--chunks", type=int, default=defaults.chunks, help="number of archives")
    parser.add_argument("--seconds", type=float, default=defaults.seconds, help="length of a clip in seconds")
    parser.add_argument("--size", type=int, default=defaults.size, help="shorter side of most clips, in pixels")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="random seed of all content")
    parser.add_argument("--workers", type=int, default=None, help="threads; by default one for each processor")
    parser.add_argument("--no-specials", action="store_true", help="leave out special clips and planted defects")
    parser.add_argument("--overwrite", action="store_true", help="replace a demo data set with other settings")
    arguments = parser.parse_args(argv)
    start = time.monotonic()
    bar = Progress()

    def show(done: int, total: int) -> None:
        if done == 1:
            bar.start("videos", total)
        bar.set(done)
        if done == total:
            bar.finish()

    try:
        truth = make(
            arguments.out,
            identities=arguments.identities,
            clips_per_identity=arguments.clips,
            chunks=arguments.chunks,
            seconds=arguments.seconds,
            size=arguments.size,
            seed=arguments.seed,
            specials=not arguments.no_specials,
            workers=arguments.workers,
            overwrite=arguments.overwrite,
            progress=show,
        )
    except DflibError as error:
        print(f"demo data: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except OSError as error:
        print(f"demo data: {arguments.out}: {error}", file=sys.stderr)
        return 1
    fakes = sum(video.fake for video in truth.videos)
    print(
        f"demo data: {len(truth.videos)} videos ({fakes} fake) of {truth.settings.identities} identities in "
        f"{len(truth.chunks)} chunks, {sum(truth.chunks.values()) / 1e6:.0f} MB, {len(truth.codes())} kinds of "
        f"planted defects, {time.monotonic() - start:.1f} s: {arguments.out}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
