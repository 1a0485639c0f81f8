"""``pyimgret serve``: search by image over HTTP, and a page to do it with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.options import Dependent, refuse_others
from pyimgret.exceptions import MissingExtraError

if TYPE_CHECKING:
    from pyimgret_server import Settings


@click.command()
@click.option("--index", "directory", metavar="DIR", type=click.Path(path_type=Path),
              help="The directory of the index, or a link to one.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535),
              help="Port to listen on; 0 for a free one.")  # fmt: skip
@click.option("--writable", is_flag=True, help="Let clients with an API key add and delete.")
@click.option("--api-key-file", "api_keys", cls=Dependent,
              needs="writable|new_api_key|revoke_api_key|list_api_keys",
              type=click.Path(dir_okay=False, path_type=Path),
              help="File with the hashes of the API keys.")  # fmt: skip
@click.option("--new-api-key", metavar="NAME", help="Add a key to the file, print it, and end.")
@click.option("--revoke-api-key", metavar="NAME", help="Remove a key from the file, and end.")
@click.option("--list-api-keys", is_flag=True, help="Print the names of the keys, and end.")
@click.option("--max-upload", type=click.IntRange(1), help="Bytes of a request.")
@click.option("--max-pixels", type=click.IntRange(1), help="Pixels of a picture.")
@click.option("--max-k", type=click.IntRange(1), help="Most matches of a search.")
@click.option("--rate", type=click.FloatRange(0, min_open=True),
              help="Requests a second from one address; none by default.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1), help="Requests worked on at a time.")
@click.option("--batch-size", type=click.IntRange(1), help="Most pictures encoded together.")
@click.option("--batch-wait", type=click.FloatRange(0), metavar="MS",
              help="Longest wait for other pictures, in milliseconds.")  # fmt: skip
@click.option("--queue", "queue_size", type=click.IntRange(1), help="Pictures that may wait.")
@click.option("--behind-proxy", is_flag=True,
              help="Trust the X-Forwarded-* headers of one reverse proxy.")  # fmt: skip
def serve(
    directory: Path | None,
    host: str,
    port: int,
    api_keys: Path | None,
    new_api_key: str | None,
    revoke_api_key: str | None,
    list_api_keys: bool,
    batch_wait: float | None,
    **options: Any,
) -> None:
    """Serve an index over HTTP, with a page at /.

    SIGTERM stops it when running requests are finished; SIGHUP loads the index anew.
    """
    # NB: before NumPy is loaded; the waiting threads of its BLAS would otherwise spin on the
    # cores that decode pictures, which costs half of the throughput.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    _check_installed()
    if list_api_keys:
        refuse_others("list_api_keys", "api_keys")
    elif new_api_key is not None or revoke_api_key is not None:
        first = "revoke_api_key" if new_api_key is None else "new_api_key"
        refuse_others(first, "revoke_api_key", "api_keys")
    if list_api_keys or new_api_key is not None or revoke_api_key is not None:
        _keep_keys(api_keys, new_api_key, revoke_api_key)
        return
    if directory is None:
        raise click.UsageError("Missing option '--index'.")
    from pyimgret_server import Settings

    wait = None if batch_wait is None else batch_wait / 1000
    given = {"api_keys": api_keys, "batch_wait": wait, **options}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    _run(directory, settings, host, port)


def _check_installed() -> None:
    try:
        import pyimgret_server  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"The service needs the package {error.name}; install it with: "
            "pip install 'pyimgret[server]'"
        ) from error


def _keep_keys(file: Path | None, new: str | None, revoked: str | None) -> None:
    """Revoke a key, make one, or print the names of all."""
    from pyimgret_server.keys import make_key, read_keys, revoke_key

    if file is None:
        raise click.UsageError("API keys are kept in a file; give --api-key-file.")
    if revoked is not None:
        revoke_key(file, revoked)
        click.echo(
            f"Revoked the key {revoked}; a running service refuses it from now on.", err=True
        )
    if new is not None:
        click.echo(make_key(file, new))
        click.echo(f"Its hash was added to {file}; the key itself is kept nowhere.", err=True)
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
    """Let the JVM sweep a small heap often, so that memory stays where it is.

    Encoding leaves little behind; by default the JVM would let it pile up to a gigabyte.
    """
    from pyimgret.jvm import bridge, configure, current_settings

    if bridge().started:
        return
    options = current_settings().options
    if not any(option.startswith(("-XX:+Use", "-Xms")) for option in options):
        configure(options=("-XX:+UseSerialGC", "-Xms64m", *options))
