"""``pyimgret serve``: search by image over HTTP, with a web page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.options import PATH, POSITIVE, dependent_option, given, refuse_others
from pyimgret.exceptions import MissingExtraError

if TYPE_CHECKING:
    from pyimgret_server import Settings


@click.command()
@click.option(
    "--index",
    "directory",
    metavar="DIR",
    type=PATH,
    help="The directory of the index, or a symbolic link to it.",
)
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option(
    "--port",
    default=8080,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 for a free one.",
)
@click.option("--writable", is_flag=True, help="Allow clients with an API key to add and delete.")
@dependent_option(
    "--api-key-file",
    "api_keys",
    needs="writable|new_api_key|revoke_api_key|list_api_keys",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the hashes of the API keys.",
)
@click.option("--new-api-key", metavar="NAME", help="Add a key to the file, print it, and exit.")
@click.option("--revoke-api-key", metavar="NAME", help="Remove a key from the file, and exit.")
@click.option("--list-api-keys", is_flag=True, help="Print the names of the keys, and exit.")
@click.option("--max-upload", type=POSITIVE, help="Maximum size of a request in bytes.")
@click.option("--max-pixels", type=POSITIVE, help="Maximum number of pixels of an image.")
@click.option("--max-k", type=POSITIVE, help="Maximum number of matches per search.")
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    help="Requests per second and address; unlimited by default.",
)
@click.option("--threads", type=POSITIVE, help="Number of requests processed at a time.")
@click.option("--batch-size", type=POSITIVE, help="Maximum number of images encoded together.")
@click.option(
    "--batch-wait",
    type=click.FloatRange(0),
    metavar="MS",
    help="Maximum wait for other images, in milliseconds.",
)
@click.option("--queue", "queue_size", type=POSITIVE, help="Maximum number of waiting images.")
@click.option(
    "--behind-proxy", is_flag=True, help="Trust the X-Forwarded-* headers of one reverse proxy."
)
def serve(
    directory: Path | None,
    host: str,
    port: int,
    api_keys: Path | None,
    new_api_key: str | None,
    revoke_api_key: str | None,
    list_api_keys: bool,  # noqa: ARG001  (see `given`)
    batch_wait: float | None,
    **options: Any,
) -> None:
    """Serve an index over HTTP, with a web page at /.

    SIGTERM stops it after running requests have finished; SIGHUP reloads the index.
    """
    # NB: before NumPy is loaded; the idle threads of its BLAS would otherwise spin on the
    # cores that decode images, which halves the throughput.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    _check_installed()
    actions = {"new_api_key", "revoke_api_key", "list_api_keys"} & given()
    if actions:
        if "list_api_keys" in actions:
            refuse_others("list_api_keys", "api_keys")
        else:
            refuse_others(min(actions), "revoke_api_key", "api_keys")
        _manage_keys(api_keys, new_api_key, revoke_api_key)
        return
    if directory is None:
        raise click.UsageError("Missing option '--index'.")
    from pyimgret_server import Settings

    wait = None if batch_wait is None else batch_wait / 1000
    chosen = {"api_keys": api_keys, "batch_wait": wait, **options}
    settings = Settings(**{name: value for name, value in chosen.items() if value is not None})
    _run(directory, settings, host, port)


def _check_installed() -> None:
    try:
        import pyimgret_server  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"The service needs the package {error.name}; install it with: "
            "pip install 'pyimgret[server]'"
        ) from error


def _manage_keys(file: Path | None, new: str | None, revoked: str | None) -> None:
    """Revoke a key, create one, or print the names of all."""
    from pyimgret_server.keys import make_key, read_keys, revoke_key

    if file is None:
        raise click.UsageError("API keys are stored in a file; give --api-key-file.")
    if revoked is not None:
        revoke_key(file, revoked)
        click.echo(
            f"Revoked the key {revoked}; a running service rejects it from now on.", err=True
        )
    if new is not None:
        click.echo(make_key(file, new))
        click.echo(f"Its hash was added to {file}; the key itself is not stored.", err=True)
    if new is None and revoked is None:
        for name in sorted(set(read_keys(file).values())):
            click.echo(name)


def _run(directory: Path, settings: Settings, host: str, port: int) -> None:
    from pyimgret_server import create_app, logs
    from pyimgret_server.serving import Server

    logs.configure()
    _prefer_small_heap()
    app = create_app(directory, settings)
    try:
        server = Server(app, host, port)
    except OSError as error:
        raise OSError(
            error.errno, f"{error.strerror}; choose another --port or --host", f"{host}:{port}"
        ) from error
    click.echo(f"pyimgret: open http://{server.host}:{server.port}/", err=True)
    with server.signals():
        server.run()


def _prefer_small_heap() -> None:
    """Use a small Java heap that is collected often, so that memory does not grow.

    Encoding produces little garbage, but by default the JVM lets it grow to a gigabyte.
    """
    from pyimgret.jvm import bridge, configure, current_settings

    if bridge().started:
        return
    options = current_settings().options
    if not any(option.startswith(("-XX:+Use", "-Xms")) for option in options):
        configure(options=("-XX:+UseSerialGC", "-Xms64m", *options))
