"""Builds the load client and the server."""

import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def target_folder():
    """The folder into which cargo builds."""
    return os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target")


def build(profile, skip, with_server):
    """Builds with `profile` unless `skip`; returns the paths of the load client and the server."""
    if not skip:
        what = ["--example", "load"] + (["--bin", "itemory"] if with_server else [])
        if subprocess.run(["cargo", "build", "--profile", profile, *what], cwd=ROOT).returncode != 0:
            raise RuntimeError("the build failed")
    folder = os.path.join(target_folder(), "debug" if profile == "dev" else profile)
    load, server = os.path.join(folder, "examples", "load"), os.path.join(folder, "itemory")
    for path in [load] + ([server] if with_server else []):
        if not os.path.exists(path):
            raise RuntimeError(f"{path} is missing; run without --no-build")
    return load, server
