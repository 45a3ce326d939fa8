"""SDV 2.0 in a process of its own: learns frames, answers with draws. The only file that imports sdv and torch.

SDV keeps models as pickles, and reading a pickle can execute code (CWE-502). So none is ever written or read: a model
lives in this process and is learnt again where it is needed. The process writes to no file, opens no connection, says
nothing but what it is asked for, and ends with whoever started it.

A message is its length in eight bytes and an `.npz` without objects: `head`, JSON as bytes, and a column each.
"""

import contextlib
import importlib
import io
import json
import os
import random
import struct
import sys
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Columns = dict[str, npt.NDArray[Any]]

_NAME = "rows"  # what SDV calls the table
_CLASSES = {
    "gaussian_copula": "GaussianCopulaSynthesizer",
    "ctgan": "CTGANSynthesizer",
    "tvae": "TVAESynthesizer",
}


def send(out: BinaryIO, head: Mapping[str, Any], columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write one message."""
    body = io.BytesIO()
    np.savez(body, allow_pickle=False, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **columns)
    out.write(struct.pack("<Q", body.tell()))
    out.write(body.getbuffer())
    out.flush()


def receive(source: BinaryIO) -> tuple[dict[str, Any], Columns]:
    """Read one message; raises EOFError where the other side has ended."""
    size = source.read(8)
    if len(size) < 8:
        raise EOFError
    body = source.read(struct.unpack("<Q", size)[0])
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        columns = {name: arrays[name] for name in arrays.files}
    return json.loads(columns.pop("head").tobytes()), columns


def serve(source: BinaryIO, out: BinaryIO) -> None:
    """Learn what the first message holds, then draw until nobody asks any more."""
    head, columns = receive(source)
    try:
        synthesizer = _learnt(head, columns)
    except Exception as error:
        send(out, {"failed": type(error).__name__}, {})  # its kind only: SDV's text may quote values
        return
    send(out, {}, {})
    with contextlib.suppress(EOFError):
        while True:
            asked, _ = receive(source)
            send(out, {}, _drawn(synthesizer, columns, asked["rows"], asked["seed"]))


def _learnt(head: Mapping[str, Any], columns: Columns) -> Any:  # noqa: ANN401 - sdv has no types
    import joblib  # type: ignore[import-untyped]  # it carries no types
    import pandas as pd
    import sdv.single_table
    from sdv.metadata import Metadata

    states = {n: c.dtype.kind == "i" for n, c in columns.items()}
    words = {n: np.array([f"s{x}" for x in c], dtype=object) for n, c in columns.items() if states[n]}
    frame = pd.DataFrame(columns | words)
    sdtypes = {n: {"sdtype": "categorical" if states[n] else "numerical"} for n in columns}
    metadata = Metadata.load_from_dict(
        {"METADATA_SPEC_VERSION": "V2", "tables": {_NAME: {"columns": sdtypes}}, "relationships": []}
    )
    _seeded(head["seed"])
    synthesizer = getattr(sdv.single_table, _CLASSES[head["generator"]])(metadata, **head["options"])
    with joblib.parallel_config(backend="sequential"):  # else CTGAN hands rows to processes that it starts
        synthesizer.fit({_NAME: frame})
    return synthesizer


def _drawn(synthesizer: Any, learnt: Columns, rows: int, seed: int) -> Columns:  # noqa: ANN401 - sdv has no types
    _seeded(seed)
    synthesizer.reset_sampling()
    synthesizer._set_random_state(seed)
    frame = synthesizer.sample(num_rows=rows)[_NAME]
    return {n: _cells(frame[n], states=c.dtype.kind == "i") for n, c in learnt.items()}


def _cells(drawn: Any, *, states: bool) -> npt.NDArray[Any]:  # noqa: ANN401 - a pandas Series of any kind
    if states:
        return np.asarray(drawn.fillna("s0").str.removeprefix("s").to_numpy(), dtype=np.int32)
    return np.asarray(drawn.to_numpy(np.float64))


def _seeded(seed: int) -> None:
    """Seed the global generators that SDV draws from, on one thread: sums must not depend on how many there are."""
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - SDV draws from it
    torch.manual_seed(seed)
    torch.set_num_threads(1)


def _refused(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook (PEP 578): no connection, no file written, no program started, from here on."""
    if event.startswith(("socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.system")):
        raise PermissionError(event)
    if event == "open" and _writes(arguments[1], arguments[2]) and arguments[0] != os.devnull:
        raise PermissionError(event)


def _writes(mode: object, flags: object) -> bool:
    if isinstance(mode, str):
        return any(sign in mode for sign in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


@contextlib.contextmanager
def _alone() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """The two ends of the conversation; whatever else is printed goes nowhere."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    for name in ("sdv.single_table", "torch._dynamo"):  # imports may fill caches; no row is here yet
        importlib.import_module(name)
    sys.addaudithook(_refused)
    yield source, out


if __name__ == "__main__":
    with _alone() as ends:
        serve(*ends)
