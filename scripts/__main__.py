"""`python -m scripts NAME` and, once installed, `tracksift NAME`: the list of commands and nothing else."""

import typer

from core import cli
from scripts import (
    benchmark,
    cache,
    chat_moments,
    convert_detector,
    convert_selector,
    data,
    demo,
    evaluate,
    explain,
    extract_features,
    fuse,
    generate,
    import_tracks,
    plot,
    predict,
    predict_moments,
    query,
    report,
    status,
    stream,
    submit,
    train_grounder,
    train_selector,
    web,
)  # fmt: skip

app = typer.Typer(
    name="tracksift",
    help="Which object tracks, where in every frame, and when. A video is tracked once into a cache; "
    "any number of expressions is then answered from it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("generate", epilog=generate.EPILOG)(generate.main)
app.command("status", epilog=status.EPILOG)(status.main)
app.command("import", epilog=import_tracks.EPILOG)(import_tracks.main)
app.command("extract-features", epilog=extract_features.EPILOG)(extract_features.main)
app.command("train-selector", epilog=train_selector.EPILOG)(train_selector.main)
app.command("evaluate", epilog=evaluate.EPILOG)(evaluate.main)
app.command("predict", epilog=predict.EPILOG)(predict.main)
app.command("train-grounder", epilog=train_grounder.EPILOG)(train_grounder.main)
app.command("predict-moments", epilog=predict_moments.EPILOG)(predict_moments.main)
app.command("fuse", epilog=fuse.EPILOG)(fuse.main)
app.command("query", epilog=query.EPILOG)(query.main)
app.command("chat-moments", epilog=chat_moments.EPILOG)(chat_moments.main)
app.command("explain", epilog=explain.EPILOG)(explain.main)
app.command("report", epilog=report.EPILOG)(report.main)
app.command("stream", epilog=stream.EPILOG)(stream.main)
app.command("plot", epilog=plot.EPILOG)(plot.main)
app.command("demo")(demo.main)
app.command("web", epilog=web.EPILOG)(web.main)
app.command("convert-detector", epilog=convert_detector.EPILOG)(convert_detector.main)
app.command("convert-selector", epilog=convert_selector.EPILOG)(convert_selector.main)
app.command("benchmark", epilog=benchmark.EPILOG)(benchmark.main)
app.add_typer(cache.app, name="cache")
app.add_typer(data.app, name="data")
app.add_typer(submit.app, name="submit")


def run() -> None:
    """Run the command line."""
    cli.run(app)


if __name__ == "__main__":
    run()
