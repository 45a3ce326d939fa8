"""The pipeline file's form: frozen, typed, unknown keys refused."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from twinlake.project.cron import parse_cron
from twinlake.project.notation import parse_pointer, parse_reference
from twinlake.project.rows import Rows
from twinlake.schema import Orphans
from twinlake.verdict import Severity

RECIPIENTS = ("public", "partner", "internal")
PRIVACY_LIMITS: Mapping[str, tuple[float, float, float]] = {  # by recipient, in that order
    "membership": (0.55, 0.575, 0.6),
    "membership_tpr": (0.03, 0.04, 0.05),
    "membership_epsilon": (0.5, 0.75, 1.0),
    "singling_out": (0.05, 0.07, 0.09),
    "linkability": (0.05, 0.07, 0.09),
    "attribute_inference": (0.05, 0.075, 0.1),
    "shadow": (0.6, 0.6, 0.6),
    "holdout_units": (500, 300, 100),
}
DEFAULT_LIMITS = {
    "column_shape": 0.95,
    "pair_trend": 0.92,
    "cardinality": 0.95,
    "parent_trend": 0.92,
    "sibling_trend": 0.92,
}


def _timezone(text: str) -> str:
    if text not in available_timezones():
        raise ValueError(f'"{text}" is no time zone; write one such as "UTC" or "Europe/Zurich"')
    return text


def _rows(value: Any) -> str:  # noqa: ANN401 - any YAML value
    return str(Rows.parse(value))


def _names(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    return [value] if isinstance(value, str) else value


def _limit(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    return {"limit": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


def _reference(text: str) -> str:
    parse_reference(text)
    return text


def _orphans(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    if not isinstance(value, dict):
        return _handling(value, "")
    for pointer in value:
        parse_pointer(str(pointer))
    return {str(pointer): _handling(word, f"{pointer}: ") for pointer, word in value.items()}


def _handling(word: Any, where: str) -> Orphans:  # noqa: ANN401 - any YAML value
    plain = "null" if word is None else word  # YAML's own null is the word that is meant
    if plain not in list(Orphans):
        shown = f'"{plain}" is' if isinstance(plain, str) else "this is"
        raise ValueError(f"{where}{shown} no way to handle orphans; allowed are 'refuse', 'drop', 'null' and 'keep'")
    return Orphans(plain)


Cron = Annotated[str, AfterValidator(parse_cron)]
Timezone = Annotated[str, AfterValidator(_timezone)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Share = Annotated[float, Field(gt=0, lt=1)]
Handling = Annotated[Orphans | dict[str, Orphans], BeforeValidator(_orphans)]
Scalar = str | int | float | bool


class Frozen(BaseModel):
    """A part of the pipeline file: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OwnGenerator(Frozen):
    """Which generator learns a table of its own, with which settings."""

    name: str = Field("forest", description="forest, marginals, gaussian_copula, ctgan or tvae")
    settings: dict[str, Scalar] = Field(default_factory=dict, description="Settings of that generator")


class GeneratorChoice(OwnGenerator):
    """Which generator learns, with which settings, and the seed of the whole pipeline."""

    seed: int | None = Field(None, ge=0, description="Fixes every draw; left out, a secret seed from the vault is used")


class TableChoice(Frozen):
    """What the pipeline takes of one table."""

    key: Names | None = Field(None, description="Key column or columns; left out, the source's own key")
    references: tuple[Annotated[str, AfterValidator(_reference)], ...] | None = Field(
        None, description='References such as "id -> subjects"; left out, the source\'s own'
    )
    orphans: Handling = Field(
        Orphans.REFUSE,
        description="Rows that point to no row: refuse, drop, null or keep; for all references, or by their columns",
    )
    order_by: str | None = Field(None, description="The column that orders the rows of one parent")
    public: bool = Field(False, description="Rows are common knowledge and are carried over as they are")
    generator: OwnGenerator | None = Field(None, description="A generator of its own for this table")
    rules: tuple[str, ...] = Field(
        (), description='Conditions that every row holds, in SQL, such as "shipped >= orders.ordered"'
    )
    unique: tuple[Names, ...] = Field((), description="Columns, or lists of columns, that no two rows share")
    checks: bool = Field(True, description="Hold the CHECK and UNIQUE constraints of the source's catalog too")


class ColumnChoice(Frozen):
    """How one column is treated."""

    kind: Literal["auto", "number", "category", "text", "personal"] = "auto"
    provider: str | None = Field(None, alias="as", description="What a personal column is filled with")
    drop: bool = Field(False, description="Leave the column out of the twin")
    public: bool = Field(False, description="Every value may be shown, however rare")


class SnapshotChoice(Frozen):
    """How many rows are drawn, and when."""

    rows: Annotated[str, BeforeValidator(_rows)] = Field("1.0x", description="A multiple such as 1.0x, or a number")
    every: Cron | None = Field(None, description='A cron schedule such as "0 3 * * *"')
    timezone: Timezone = Field("UTC", description="Where the schedule's clock and the snapshot's date are read")
    locale: str = Field("en", description="Language of made-up names and addresses")


class RetrainChoice(Frozen):
    """When a new model is learnt: whenever the source changed, or on a schedule of its own."""

    on: Literal["change"] = "change"
    every: Cron | None = Field(None, description="Between two ticks, snapshots use the newest model")


class ShadowChoice(Frozen):
    """When the shadow game is played, beside when a snapshot is judged and its outcome no longer holds."""

    every: Cron | None = Field(None, description='A cron schedule such as "0 1 * * 0"')


class GateLimit(Frozen):
    """A gate's limit, and whether missing it blocks the release."""

    limit: float = Field(ge=0, le=1)
    severity: Severity = Severity.CRITICAL


class EpsilonGate(GateLimit):
    """As `GateLimit`; ε is no share, so it may be above 1."""

    limit: float = Field(ge=0)


Limit = Annotated[GateLimit, BeforeValidator(_limit)]
EpsilonLimit = Annotated[EpsilonGate, BeforeValidator(_limit)]


class FidelityGates(Frozen):
    """Floors: the snapshot is at least this alike the holdout."""

    column_shape: Limit = GateLimit(limit=DEFAULT_LIMITS["column_shape"])
    pair_trend: Limit = GateLimit(limit=DEFAULT_LIMITS["pair_trend"])
    cardinality: Limit = GateLimit(limit=DEFAULT_LIMITS["cardinality"], severity=Severity.WARNING)
    parent_trend: Limit = GateLimit(limit=DEFAULT_LIMITS["parent_trend"], severity=Severity.WARNING)
    sibling_trend: Limit = GateLimit(limit=DEFAULT_LIMITS["sibling_trend"], severity=Severity.WARNING)


class PrivacyGates(Frozen):
    """Ceilings that the upper end of the interval stays below; those left out are the recipient's.

    `min_units` is k: rarer values are never shown.
    """

    recipient: Literal["public", "partner", "internal"] = Field("public", description="Who may read the release")
    copying: Limit = GateLimit(limit=0.01)
    membership: Limit = GateLimit(limit=PRIVACY_LIMITS["membership"][0])
    membership_tpr: Limit = GateLimit(limit=PRIVACY_LIMITS["membership_tpr"][0])
    membership_epsilon: EpsilonLimit = EpsilonGate(limit=PRIVACY_LIMITS["membership_epsilon"][0])
    singling_out: Limit = GateLimit(limit=PRIVACY_LIMITS["singling_out"][0])
    linkability: Limit = GateLimit(limit=PRIVACY_LIMITS["linkability"][0])
    attribute_inference: Limit = GateLimit(limit=PRIVACY_LIMITS["attribute_inference"][0])
    shadow: Limit = GateLimit(limit=PRIVACY_LIMITS["shadow"][0])
    shadow_fits: int = Field(60, ge=0, le=10_000, description="Models learnt for the shadow game; 0: it is not played")
    shadow_days: int = Field(7, ge=1, description="How many days the outcome of a shadow game holds")
    holdout_units: int = Field(500, ge=1, description="Held-back units that attacks need before they can clear a table")
    secrets: tuple[str, ...] = Field(
        (), description="Columns (table.column) that nobody may infer: each is held to attribute_inference by itself"
    )
    subgroups: tuple[str, ...] = Field((), description="Columns (table.column) whose groups are attacked on their own")
    min_units: int = Field(10, ge=2, description="Values held by fewer privacy units never leave the vault")
    total_rows: float = Field(
        400, gt=0, description="Rows of a table that all releases together may hold, as a multiple of the source's"
    )

    @model_validator(mode="before")
    @classmethod
    def _of_recipient(cls, data: Any) -> Any:  # noqa: ANN401 - any YAML value
        """Fill what is left out with the limits of the recipient."""
        who = data.get("recipient", RECIPIENTS[0]) if isinstance(data, dict) else None
        if who not in RECIPIENTS:
            return data  # whoever validates the fields says so
        return {name: limits[RECIPIENTS.index(who)] for name, limits in PRIVACY_LIMITS.items()} | data


class Gates(Frozen):
    """All limits that the file may set."""

    fidelity: FidelityGates = FidelityGates()
    privacy: PrivacyGates = PrivacyGates()


class ReleaseChoice(Frozen):
    """How many releases are kept, and where DVC pushes them."""

    keep: int = Field(10, ge=1)
    remote: str | None = Field(None, description="A DVC remote's name or URL; left out, the project's default remote")

    @field_validator("remote")
    @classmethod
    def _without_password(cls, remote: str | None) -> str | None:
        if remote and re.search(r"://[^/@]*:[^/@]*@", remote):
            raise ValueError("holds a password, and manifests tell it; give it to DVC: dvc remote modify --local")
        return remote


class VaultChoice(Frozen):
    """How long real rows and models stay."""

    keep_days: int = Field(30, ge=0, description="Extracts and models that nothing needs any more go after this")


class Pipeline(Frozen):
    """One pipeline file."""

    name: str = Field(description="The file's stem", exclude=True)
    description: str = ""
    owners: tuple[str, ...] = Field((), description="For the catalogue: team:data or a@b.example")
    source: SecretStr = Field(description="postgresql://..., duckdb:///file.duckdb or files:folder/*.parquet")
    unit: str | None = Field(
        None, description="The root table whose rows, with all their descendants, are one person's"
    )
    holdout: Share = 0.2
    tables: dict[str, TableChoice] = Field(min_length=1)
    columns: dict[str, ColumnChoice] = Field(default_factory=dict)
    generator: GeneratorChoice = GeneratorChoice()
    snapshot: SnapshotChoice = SnapshotChoice()
    retrain: RetrainChoice = RetrainChoice()
    shadow: ShadowChoice = ShadowChoice()
    gates: Gates = Gates()
    release: ReleaseChoice = ReleaseChoice()
    vault: VaultChoice = Field(VaultChoice(), exclude=True)  # a release does not depend on it

    @field_validator("tables", mode="before")
    @classmethod
    def _empty_is_default(cls, value: Any) -> Any:  # noqa: ANN401 - any YAML value
        return {k: {} if v is None else v for k, v in value.items()} if isinstance(value, dict) else value

    @field_validator("owners")
    @classmethod
    def _owners(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for owner in value:
            if not re.fullmatch(r"team:[\w\- ]+|[^@\s]+@[^@\s]+\.[^@\s]+", owner):
                raise ValueError(f'owner "{owner}" is neither team:name nor an e-mail address')
        return value

    def public_settings(self) -> dict[str, Any]:
        """All settings that may leave the vault: without the source and without the seed."""
        settings = self.model_dump(mode="json", by_alias=True, exclude={"source"})
        settings["generator"].pop("seed")
        return settings


def json_schema() -> dict[str, Any]:
    """JSON Schema of the pipeline file, for editors."""
    schema = Pipeline.model_json_schema(by_alias=True)
    schema["properties"].pop("name")
    schema["required"].remove("name")
    schema["properties"]["source"] = {"type": "string", "description": schema["properties"]["source"]["description"]}
    _allow_short_forms(schema["$defs"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Twinlake pipeline"}


def _allow_short_forms(defs: dict[str, Any]) -> None:
    """`column_shape: 0.95`, `key: id` and an empty table are read too, so editors shall not underline them."""
    for name, most in (("GateLimit", {"maximum": 1}), ("EpsilonGate", {})):
        limit = defs.pop(name)
        defs[name] = {"anyOf": [{"type": "number", "minimum": 0, **most}, limit]}
    key = defs["TableChoice"]["properties"]["key"]
    key["anyOf"].append({"type": "string"})
    orphans = defs.pop("Orphans")  # with YAML's own null
    defs["Orphans"] = {"title": "Orphans", "enum": [*orphans["enum"], None]}
    unique = defs["TableChoice"]["properties"]["unique"]
    unique["items"] = {"anyOf": [unique["items"], {"type": "string"}]}
    table = defs.pop("TableChoice")
    defs["TableChoice"] = {"anyOf": [table, {"type": "null"}]}
    rows = defs["SnapshotChoice"]["properties"]["rows"]
    rows["type"] = ["string", "integer"]
