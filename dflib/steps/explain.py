"""explain: the chain from the bytes of a video to its verdict."""

import dataclasses
import json

from dflib.config import Config
from dflib.errors import ConfigError
from dflib.proof import bundle, chain, page, replay, text
from dflib.steps.step import Argument, Context, Step, Summary


def check(config: Config) -> None:
    """Raises :class:`ConfigError` when no video is named."""
    if not config.explain.video:
        raise ConfigError("explain.video: name a video_id, as in 'explain dfdc/abofeumbvv'")
    if config.explain.format == "html" and config.explain.to is None:
        raise ConfigError("explain.to: name a file for the page, as in '--format html --to page.html'")


def run(context: Context) -> Summary:
    wanted = context.config.explain
    assert wanted.video is not None
    found = chain.collect(context.tables, context.storage, wanted.video, wanted.model, wanted.extractor)
    checks = replay.replay(found, context.config, context.storage, context.spark) if wanted.replay else []
    if wanted.format == "json":
        content = json.dumps(found.data | {"replay": [dataclasses.asdict(each) for each in checks]}, indent=2)
    elif wanted.format == "html":
        content = page.render(found, checks)
    else:
        content = "\n".join([text.render(found.data), *(text.of_check(each) for each in checks)])
    different = replay.first_difference(checks)
    line = f"{wanted.video}: {len(found.data['faces'])} faces, {len(found.data['verdicts'])} verdicts"
    failed = f"replayed: {different.link} is the first to differ" if different else ""
    if wanted.replay:
        unchecked = [each.link for each in checks if each.outcome == "not checked"]
        same = "replayed, and the same"
        if unchecked:
            same += f" but for what was not checked: {', '.join(unchecked)}"
        line += f"; {failed or same}"
    if wanted.bundle is not None and not context.dry_run:
        packed = bundle.pack(found)
        context.storage.write(wanted.bundle, packed)
        line += f"; bundle {wanted.bundle}, {len(packed):,} bytes"
    if wanted.to is not None and not context.dry_run:
        context.storage.write(wanted.to, content.encode())
        return Summary(f"{line}; {wanted.to}", failed=failed)
    return Summary(line, text=content, failed=failed)


STEP = Step(
    "explain",
    run,
    check,
    recorded=False,
    arguments=(
        Argument("VIDEO", "explain.video", "video_id"),
        Argument("--model", "explain.model", "model_id or alias; default: that of the current verdict", required=False),
        Argument("--extractor", "explain.extractor", "default: that of the current verdict", required=False),
        Argument("--format", "explain.format", "text, json or html", required=False),
        Argument("--to", "explain.to", "file for the output; default: the terminal", required=False),
        Argument("--bundle", "explain.bundle", "file for the chain with its crops, for verify", required=False),
        Argument("--replay", "explain.replay", "compute all again and compare", required=False, is_flag=True),
    ),
    needs_tables=True,
)
