# ruff: noqa: N802 (the methods of the LanguageRuntime service have gRPC's names)
"""The Python language host: runs a project's Python program for the Pulumi engine.

Started by the engine as `pulumi-language-python [FLAGS] ENGINE_ADDRESS`; prints the port of a gRPC server on the
loopback that serves Pulumi's LanguageRuntime protocol (the messages are documented in the stubs of the `pulumi`
package), and ends with the engine. The official host is not published as a module that could be built here.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent import futures
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import grpc  # type: ignore[import-untyped]
from engine_watch import watch_engine  # type: ignore[import-not-found]  # beside this file once installed
from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

EXECUTOR = Path(__file__).resolve().parent.parent / "bin" / "pulumi-language-python-exec"
Context: TypeAlias = Any  # grpc.ServicerContext: grpc has no types
MESSAGE_SHOWN = 32  # the executor's exit code for "the operator has already seen why"


def program_python(info: language_pb2.ProgramInfo) -> str:
    """Return the Python of the project: its `virtualenv` option, else the environment this host runs in."""
    folder = next((value for name, value in info.options.items() if name == "virtualenv"), "")
    return str(Path(info.root_directory) / str(folder) / "bin" / "python3") if folder else sys.executable


def search_path(python: str) -> list[Path]:
    """Return the folders in which `python` finds installed packages."""
    if python == sys.executable:
        return [Path(entry) for entry in sys.path if entry.endswith("-packages")]
    return sorted(Path(python).parent.parent.glob("lib/python3*/site-packages"))


def required_packages(folders: Iterable[Path]) -> list[plugin_pb2.PackageDependency]:
    """Return the provider plugins that the installed Python packages name in their pulumi-plugin.json."""
    found = []
    for file in sorted(path for folder in folders for path in folder.glob("*/pulumi-plugin.json")):
        plugin = json.loads(file.read_text(encoding="utf-8"))
        if plugin.get("resource"):
            version, server = plugin.get("version", ""), plugin.get("server", "")
            found.append(
                plugin_pb2.PackageDependency(name=plugin["name"], kind="resource", version=version, server=server)
            )
    return found


def run_command(request: language_pb2.RunRequest, engine: str) -> list[str]:
    """Return the command that runs the program: the SDK's executor in the project's Python."""
    options = {
        "monitor": request.monitor_address,
        "engine": engine,
        "project": request.project,
        "root_directory": request.info.root_directory,
        "stack": request.stack,
        "pwd": request.pwd,
        "dry_run": "true" if request.dryRun else "false",
        "parallel": str(request.parallel),
        "organization": request.organization,
    }
    command = [program_python(request.info), "-u", str(EXECUTOR)]
    for name, value in options.items():
        if value:
            command += [f"--{name}", value]
    # The program ends even when this host is killed hard.
    setpriv = shutil.which("setpriv")
    tie = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
    return [*tie, *command, request.program or request.info.entry_point or ".", *request.args]


def run_environment(request: language_pb2.RunRequest) -> dict[str, str]:
    """Return the program's environment: this host's and the stack's configuration, as the executor reads it."""
    config = {"PULUMI_CONFIG": json.dumps(dict(request.config))}
    config["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(list(request.configSecretKeys))
    return {**os.environ, **config}


class Children:
    """The processes that this host has started and that must not outlive it."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def start(self, command: list[str], **options: object) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own: an interrupt at the keyboard is for the engine to act on."""
        child: subprocess.Popen[bytes] = subprocess.Popen(command, start_new_session=True, **options)  # type: ignore[call-overload]
        with self._lock:
            self._running.add(child)
        return child

    def wait(self, child: subprocess.Popen[bytes]) -> int:
        """Wait for the end of `child`; return its exit code (negative: the signal that ended it)."""
        code = child.wait()
        with self._lock:
            self._running.discard(child)
        return code

    def end(self) -> None:
        """End all of them, with the processes they started."""
        with self._lock:
            running = list(self._running)
        for child in running:
            try:
                os.killpg(child.pid, signal.SIGTERM)
            except ProcessLookupError:
                continue


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """The LanguageRuntime service for one engine."""

    def __init__(self, engine: str, children: Children) -> None:
        self.engine = engine
        self.children = children

    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, context: Context
    ) -> language_pb2.LanguageHandshakeResponse:
        self.engine = request.engine_address or self.engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Empty, context: Context) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: Context
    ) -> language_pb2.GetRequiredPackagesResponse:
        packages = required_packages(search_path(program_python(request.info)))
        return language_pb2.GetRequiredPackagesResponse(packages=packages)

    def GetRequiredPlugins(
        self, request: language_pb2.GetRequiredPluginsRequest, context: Context
    ) -> language_pb2.GetRequiredPluginsResponse:
        plugins = [
            plugin_pb2.PluginDependency(name=package.name, kind=package.kind, version=package.version)
            for package in required_packages(search_path(program_python(request.info)))
        ]
        return language_pb2.GetRequiredPluginsResponse(plugins=plugins)

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: Context
    ) -> language_pb2.GetProgramDependenciesResponse:
        folders = [str(folder) for folder in search_path(program_python(request.info))]
        found = {item.metadata["Name"]: item.version for item in metadata.distributions(path=folders)}
        dependencies = [language_pb2.DependencyInfo(name=name, version=found[name]) for name in sorted(found)]
        return language_pb2.GetProgramDependenciesResponse(dependencies=dependencies)

    def About(self, request: language_pb2.AboutRequest, context: Context) -> language_pb2.AboutResponse:
        return language_pb2.AboutResponse(executable=program_python(request.info), version=sys.version.split()[0])

    def RuntimeOptionsPrompts(
        self, request: language_pb2.RuntimeOptionsRequest, context: Context
    ) -> language_pb2.RuntimeOptionsResponse:
        return language_pb2.RuntimeOptionsResponse()

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: Context
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        message = "The project's own runner installs its Python packages, from the lock file.\n"
        yield language_pb2.InstallDependenciesResponse(stdout=message.encode())

    def Run(self, request: language_pb2.RunRequest, context: Context) -> language_pb2.RunResponse:
        program = self.children.start(
            run_command(request, self.engine), env=run_environment(request), cwd=request.pwd or None
        )
        code = self.children.wait(program)
        if code == MESSAGE_SHOWN:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"the program ended with exit code {code}" if code else "")

    def RunPlugin(
        self, request: language_pb2.RunPluginRequest, context: Context
    ) -> Iterator[language_pb2.RunPluginResponse]:
        environment = dict(item.split("=", 1) for item in request.env) or None
        folder = Path(request.info.program_directory) / (request.info.entry_point or ".")
        command = [program_python(request.info), "-u", str(folder), *request.args]
        plugin = self.children.start(
            command, env=environment, cwd=request.pwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        context.add_callback(plugin.terminate)
        for line in plugin.stdout or ():
            yield language_pb2.RunPluginResponse(stdout=line)
        yield language_pb2.RunPluginResponse(exitcode=self.children.wait(plugin))

    def Cancel(self, request: Empty, context: Context) -> Empty:
        self.children.end()
        return Empty()


def main() -> None:
    """Serve until the engine stops this process or is gone."""
    children = Children()
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    watch_engine(stop.set)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=_GRPC_CHANNEL_OPTIONS)
    engine = next((argument for argument in reversed(sys.argv[1:]) if not argument.startswith("-")), "")
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(engine, children), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    stop.wait()
    children.end()
    server.stop(0)
    os._exit(0)  # not held up by a thread that still waits for a child


if __name__ == "__main__":
    main()
