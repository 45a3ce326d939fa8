"""Table generators by name, with their settings checked; what each is made of is imported when it is asked for."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twinlake.errors import GeneratorError, ModelError, listed, nearest
from twinlake.generators.protocols import TableGenerator, TableModel
from twinlake.generators.saved import read_head
from twinlake.generators.states.census import K

_SDV = {"gaussian_copula": ("distribution",), "ctgan": ("epochs",), "tvae": ("epochs",)}
_DISTRIBUTIONS = ("norm", "beta", "truncnorm", "uniform", "gamma", "gaussian_kde")


def names() -> tuple[str, ...]:
    """The names of all table generators, the default first."""
    return tuple(_MAKERS)


def licence(name: str) -> str:
    """The SPDX name of a generator's licence."""
    _maker(name)
    return "BUSL-1.1" if name in _SDV else "Apache-2.0"


def table_generator(
    name: str, *, k: int = K, **settings: Any,  # noqa: ANN401 - settings come from a file
) -> TableGenerator:  # fmt: skip
    """The generator of that name with its settings.

    Args:
        name: one of `names()`.
        k: values held by fewer privacy units are never drawn.
        settings: of the generator; those not given have its defaults.

    Raises:
        GeneratorError: where the name or a setting is unknown or out of range, or its extra is not installed.
    """
    return _maker(name)(_Call(name, k, settings))


def read_table_model(folder: Path) -> TableModel:
    """The model that its `save` wrote to a folder.

    Raises:
        ModelError: where it can't be read.
    """
    head = read_head(folder)
    name = head.get("generator")
    try:
        return _read(str(name), folder, head)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError):
        raise ModelError("the saved model is damaged", where=str(folder), fix="Fit the model again") from None


def _read(name: str, folder: Path, head: Mapping[str, Any]) -> TableModel:
    if name == "forest":
        from twinlake.generators.forest.model import ForestModel

        return ForestModel.read(folder, head)
    if name == "marginals":
        from twinlake.generators.marginals import MarginalsModel

        return MarginalsModel.read(folder, head)
    if name in _SDV:
        from twinlake.generators.apart import SdvModel

        return SdvModel.read(folder)
    raise ModelError(f"the model is of generator {name}, which is unknown", where=str(folder))


def _maker(name: str) -> "_Maker":
    if name not in _MAKERS:
        fix = nearest(name, _MAKERS)
        raise GeneratorError(f"there is no generator {name}", allowed=f"there are {listed(_MAKERS)}", fix=fix)
    return _MAKERS[name]


@dataclasses.dataclass(frozen=True, slots=True)
class _Call:
    """What a generator was asked for."""

    name: str
    k: int
    settings: Mapping[str, Any]


def _forest(call: _Call) -> TableGenerator:
    from twinlake.generators.forest.generator import Forest

    fields = {f.name: f for f in dataclasses.fields(Forest) if f.name != "k"}
    _known(call.name, call.settings, fields)
    for key, value in call.settings.items():
        if not isinstance(fields[key].default, str):  # what names there are, Forest itself knows
            _number(call.name, key, value, whole=isinstance(fields[key].default, int))
    return Forest(k=call.k, **call.settings)


def _marginals(call: _Call) -> TableGenerator:
    from twinlake.generators.marginals import Marginals

    _known(call.name, call.settings, ())
    return Marginals(k=call.k)


def _sdv(call: _Call) -> TableGenerator:
    from twinlake.generators.apart import Sdv

    name, settings = call.name, call.settings
    _known(name, settings, (*_SDV[name], "rows"))
    rows = _number(name, "rows", settings.get("rows", 100_000), whole=True, low=100)
    if name == "gaussian_copula":
        distribution = settings.get("distribution", "norm")
        if distribution not in _DISTRIBUTIONS:
            raise GeneratorError(
                f"setting distribution of generator {name} is unknown", allowed=f"there are {listed(_DISTRIBUTIONS)}"
            )
        return Sdv(name, {"default_distribution": distribution}, rows=int(rows), k=call.k)
    epochs = _number(name, "epochs", settings.get("epochs", 300), whole=True, low=1)
    return Sdv(name, {"epochs": int(epochs), "enable_gpu": False}, rows=int(rows), k=call.k)


def _known(name: str, settings: Mapping[str, Any], allowed: "dict[str, Any] | tuple[str, ...]") -> None:
    for key in settings:
        if key not in allowed:
            raise GeneratorError(
                f"generator {name} has no setting {key}",
                allowed=f"its settings are {listed(allowed)}" if allowed else "it has no settings",
                fix=nearest(key, allowed),
            )


def _number(name: str, key: str, value: Any, *, whole: bool, low: float | None = None) -> float:  # noqa: ANN401 - from a file
    right = isinstance(value, int) or (isinstance(value, float) and not whole)
    if isinstance(value, bool) or not right or (low is not None and value < low):
        kind = "a whole number" if whole else "a number"
        least = "" if low is None else f" of at least {low:g}"
        raise GeneratorError(f"setting {key} of generator {name} is out of range", allowed=f"it is {kind}{least}")
    return float(value) if not whole else int(value)


_Maker = Callable[[_Call], TableGenerator]
_MAKERS: dict[str, _Maker] = {"forest": _forest, "marginals": _marginals, **dict.fromkeys(_SDV, _sdv)}
