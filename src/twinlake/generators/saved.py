"""Models on disk: `model.json` and `arrays.npz`. Data only; reading one executes nothing."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twinlake.errors import ModelError
from twinlake.schema import Schema, Table
from twinlake.tables import canonical

VERSION = 4
Arrays = dict[str, npt.NDArray[Any]]


def write_model(folder: Path, name: str, content: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a model to a new folder; equal models give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    head = {"generator": name, "version": VERSION, **content}
    (folder / "model.json").write_text(canonical(head) + "\n", encoding="utf-8")
    with zipfile.ZipFile(folder / "arrays.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for key in sorted(arrays):
            entry = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))  # no clock in the bytes
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(arrays[key]), allow_pickle=False)


def read_head(folder: Path) -> dict[str, Any]:
    """The `model.json` of a folder; raises ModelError where there is none that this version reads."""
    try:
        head = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ModelError("there is no readable model.json", where=str(folder), fix="Fit the model again") from None
    if not isinstance(head, dict) or head.get("version") != VERSION:
        raise ModelError(
            "the model was saved in another format", where=str(folder), allowed=f"this Twinlake reads format {VERSION}",
            fix="Fit the model again",
        )  # fmt: skip
    return head


def read_arrays(folder: Path) -> Arrays:
    """The arrays of a folder; raises ModelError where they can't be read as plain numbers."""
    try:
        with np.load(folder / "arrays.npz", allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, KeyError):
        raise ModelError("arrays.npz can't be read", where=str(folder), fix="Fit the model again") from None


def table_to_json(table: Table) -> dict[str, Any]:
    """The columns of a table as plain values; keys and references are left out, for a table generator makes none."""
    return Schema((Table(table.name, table.columns),)).to_json()


def table_from_json(data: Mapping[str, Any]) -> Table:
    """The table that `table_to_json` wrote."""
    return Schema.from_json(data).tables[0]
