"""Voices on the Hugging Face Hub. Needs huggingface_hub (extra `hub`), and only where a voice is not a local folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spear_accel.errors import UserError
from spear_accel.storage.hub import REPOSITORY, upload
from spear_accel.voice.folder import CARD, README, VoiceFolder, open_voice

__all__ = ["download", "fetch_voice", "push_voice"]


def fetch_voice(name: str | Path, revision: str | None = None) -> VoiceFolder:
    """A voice by its folder, its shipped name or its repository id; the last is downloaded once and then cached.

    revision: branch, tag or commit of the repository. The card of a downloaded voice names the commit as its `origin`;
    take that for `revision` to get the same voice again.

    Raises:
        UserError: No such voice, huggingface_hub is missing, or the download failed.
    """
    named = str(name)
    if Path(named).expanduser().is_dir() or not REPOSITORY.fullmatch(named):
        if revision is not None:
            raise UserError(f"{name}: a revision belongs to a repository; leave it out for a folder or a shipped voice")
        return open_voice(name)
    folder = download(named, revision)
    opened = open_voice(folder)
    # A snapshot lies in a folder with the name of its commit.
    return VoiceFolder(folder, replace(opened.card, origin=f"{named}@{folder.name}"))


def download(name: str, revision: str | None = None, patterns: Sequence[str] | None = None) -> Path:
    """The folder of a repository's files, which are downloaded once and then cached.

    Args:
        name: "owner/name".
        revision: Branch, tag or commit.
        patterns: Of the files that are wanted; None takes all.

    Raises:
        UserError: huggingface_hub is missing, or the download failed.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UserError(
            f"{name}: no such folder, and for the Hub huggingface_hub is needed; install it with: "
            "pip install 'spear-accel[hub]'"
        ) from error
    try:
        wanted = None if patterns is None else list(patterns)
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except Exception as error:  # The library raises many kinds, of several packages.
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"{name}: cannot be downloaded ({reason[0]}); check the name, the network and access"
        ) from error


def push_voice(folder: VoiceFolder, repository: str, private: bool = False) -> str:
    """Upload the files of a voice, and no other of its folder; returns the address of the commit.

    Raises:
        UserError: A file is damaged, huggingface_hub is missing, or the Hub refused or cannot be reached.
    """
    folder.verify()
    return upload(folder.path, repository, "model", [*folder.card.files, CARD, README], private)
