"""Uploads to the Hugging Face Hub: a folder becomes a repository of models or data sets. Needs the extra `hub`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from spear_accel.errors import UserError

__all__ = ["REPOSITORY", "check_upload", "upload"]

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
"""Of the form owner/name."""


def check_upload(repository: str) -> None:
    """Check before long work that something can be uploaded, as far as this machine knows.

    Raises:
        UserError: The name is none of a repository, or huggingface_hub is missing.
    """
    if not REPOSITORY.fullmatch(repository):
        raise UserError(f"{repository}: no name of a repository; give OWNER/NAME")
    if find_spec("huggingface_hub") is None:
        raise UserError("for the Hub huggingface_hub is needed; install it with: pip install 'spear-accel[hub]'")


def upload(
    folder: Path, repository: str, kind: Literal["model", "dataset"], patterns: Sequence[str], private: bool = False
) -> str:
    """Make the repository if it is not there, and upload files of a folder in one commit; returns the commit's address.

    Args:
        folder: What is uploaded.
        repository: `owner/name`.
        kind: Of the repository.
        patterns: Which files of the folder, as of a shell.
        private: Whether a repository that is made is seen by its owner alone.

    Raises:
        UserError: As `check_upload`, or the Hub refused or cannot be reached.
    """
    check_upload(repository)
    from huggingface_hub import HfApi

    hub: Any = HfApi()
    try:
        hub.create_repo(repository, repo_type=kind, private=private, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=repository, repo_type=kind, folder_path=str(folder), allow_patterns=list(patterns),
            commit_message="Upload by spear-accel",
        )  # fmt: skip
    except Exception as error:  # The library raises many kinds, of several packages.
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"{repository}: cannot be uploaded ({reason[0]}); check the name, the network, and that you are logged in "
            "(hf auth login)"
        ) from error
    return str(getattr(commit, "commit_url", None) or commit)
