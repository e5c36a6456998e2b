"""Installing the explorer's files into the data folder with npm."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from api.http.explorer.assets import ASSETS, PACKAGES, AssetsMissing, ExplorerError, Package, folder, integrity, read

NPM_OPTIONS: Final = (
    "--prefer-offline",  # versions never change, and hashes are checked, so npm's cache will do
    "--fetch-retries=1",  # npm's own retries keep a machine without network waiting for over a minute
    "--fetch-retry-mintimeout=500",
    "--fetch-timeout=15000",
    "--ignore-scripts",
    "--no-update-notifier",
    "--loglevel=error",
)

UNREACHABLE: Final = frozenset(
    ("EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "ETIMEDOUT")
)


def install(data_dir: Path, *, timeout: float = 120) -> Path:
    """Install the files of GraphiQL in `data_dir/explorer`, and return that folder.

    Does nothing where they are installed already. All packages are checked before one rename puts them in place. The
    registry is the one in npm's configuration. npm loads 7 MB, and may take `timeout` seconds.

    Raises ExplorerError: npm is absent, fails or is too slow, the registry can't be reached, a package or file
    does not have its pinned hash, the folder can't be written.
    """
    target = folder(data_dir)
    try:
        read(target)
    except AssetsMissing:
        pass
    else:
        return target
    npm = shutil.which("npm")
    if npm is None:
        raise ExplorerError("npm is not installed; it brings the explorer's files (any Node.js release has it)")
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        # Next to the target, since a rename only works within one file system.
        with tempfile.TemporaryDirectory(dir=data_dir, prefix=".explorer-") as temporary:
            work = Path(temporary)
            _pack(npm, work, timeout)
            staged = work / "explorer"
            staged.mkdir()
            for package in PACKAGES:
                _unpack(package, work, staged)
            read(staged)
            _place(staged, target, aside=work / "replaced")
    except OSError as error:
        raise ExplorerError(f"{error.filename or target} can't be written: {error.strerror or error}") from error
    return target


def _pack(npm: str, work: Path, timeout: float) -> None:
    specs = [f"{package.name}@{package.version}" for package in PACKAGES]
    try:
        result = subprocess.run(  # noqa: S603 - fixed arguments
            [npm, "pack", *specs, *NPM_OPTIONS],
            cwd=work,
            env={**os.environ, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ExplorerError(f"npm did not finish within {timeout:g} s") from None
    if result.returncode == 0:
        return
    found = re.search(r"^npm (?:error|ERR!) code (\S+)", result.stderr, re.MULTILINE)
    code = found[1] if found else f"exit status {result.returncode}"
    if code in UNREACHABLE:
        raise ExplorerError(f"npm can't reach its registry ({code}); is there a network?")
    # npm's own text may carry addresses and names of users, and is in its log.
    raise ExplorerError(f"npm could not bring {', '.join(specs)}: {code} (npm's log has more)")


def _unpack(package: Package, work: Path, staged: Path) -> None:
    """Copy the package's assets from its tarball: by exact name and as bytes, so no member can choose a path."""
    tarball = work / package.tarball
    if not tarball.is_file():
        raise ExplorerError(f"npm did not make {package.tarball}")
    if integrity(tarball.read_bytes(), "sha512") != package.integrity:
        raise ExplorerError(f"{package.name} {package.version} is not the pinned package: its hash differs")
    with tarfile.open(tarball) as archive:
        for asset in ASSETS:
            if asset.package is package and (member := archive.extractfile(f"package/{asset.path}")) is not None:
                (staged / asset.name).write_bytes(member.read())


def _place(staged: Path, target: Path, *, aside: Path) -> None:
    try:
        staged.rename(target)
    except OSError:
        try:
            read(target)  # another process was faster
        except AssetsMissing:
            target.rename(aside)  # an older release's files, or damaged ones
            staged.rename(target)
