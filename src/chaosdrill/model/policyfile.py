"""chaosdrill.yaml as it is written: what each environment demands of a run.

This is the file's shape only; `chaosdrill.model.policy.Rules` is what the gate reads. Scalars arrive as
strings and are typed here. Loading it costs pydantic, so only a policy file that is there loads it.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from chaosdrill.model.experiment import Words
from chaosdrill.model.fields import Duration, Frozen, Share
from chaosdrill.model.policy import Span, parse_span
from chaosdrill.units import parse_size

#: The systems that an environment can name.
SYSTEMS = ("sandbox",)
#: What people alone can answer, so that an environment may need it from nobody.
WAIVABLE = ("team-notified", "off-peak", "executive-approval", "customer-communication")


def _span(value: object) -> Span:
    return value if isinstance(value, Span) else parse_span(str(value))


def _day(value: object) -> date:
    try:
        return value if isinstance(value, date) else date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is no day; write it like 2026-12-18") from None


def _system(value: object) -> object:
    if isinstance(value, dict):
        named = ", ".join(str(key) for key in value) or "nothing"
        raise ValueError(f"{named} can't be reached yet; known: {', '.join(SYSTEMS)}")
    if value not in SYSTEMS:
        raise ValueError(f"there is no target system {value!r}; known: {', '.join(SYSTEMS)}")
    return value


def _zone(name: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError(f"there is no time zone {name!r}; write it like Europe/Berlin or UTC") from None
    return name


def _country(name: str) -> str:
    # Imported here: only a policy that speaks of holidays needs to know them.
    from holidays import list_supported_countries

    country, dash, part = name.partition("-")
    known = list_supported_countries()
    if country not in known:
        raise ValueError(f"no holidays are known of {name!r}; write a country such as DE, or a part: DE-BY")
    if dash and part not in known[country]:
        parts = ", ".join(known[country][:8]) or "none"
        raise ValueError(f"{country} has no part {part!r} with holidays of its own; known: {parts}")
    return name


class Secret(NamedTuple):
    """Where a value is that no file may hold: a variable of the environment, or the content of a file."""

    place: Literal["env", "file"]
    name: str


def _address(value: object) -> str | Secret:
    if isinstance(value, (str, Secret)):
        return value
    if isinstance(value, dict) and len(value) == 1:
        place, name = next(iter(value.items()))
        if place in ("env", "file") and isinstance(name, str) and name:
            return Secret(place, name)
    raise ValueError("an address is a text, {env: NAME} or {file: PATH}")


_Hours = Annotated[
    Span,
    BeforeValidator(_span),
    WithJsonSchema({"type": "string", "examples": ["Tue-Thu 10:00-15:00", "Mon,Wed 09:00-12:00"]}),
]
_Day = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-12-18"]}),
]
_ADDRESS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        *(
            {
                "type": "object",
                "properties": {key: {"type": "string"}},
                "required": [key],
                "additionalProperties": False,
            }
            for key in ("env", "file")
        ),
    ]
}
Address = Annotated[Any, AfterValidator(_address), WithJsonSchema(_ADDRESS_SCHEMA)]
_System = Annotated[str, BeforeValidator(_system), WithJsonSchema({"enum": list(SYSTEMS)})]
_Zone = Annotated[str, AfterValidator(_zone)]
_Country = Annotated[
    str, AfterValidator(_country), WithJsonSchema({"type": "string", "examples": ["DE", "DE-BY"]})
]
_Size = Annotated[
    float, BeforeValidator(parse_size), WithJsonSchema({"type": "string", "examples": ["50 MB", "1 GiB"]})
]
_Refusal = Literal["allow", "refuse"]


class LimitsSpec(Frozen):
    """The most that any experiment may hit here; the stricter of this and the experiment's own counts."""

    max_targets: Annotated[int, Field(ge=1)] | None = Field(None, description="so many at most")
    max_share: Share | None = Field(None, description="so large a part of the candidates at most")


class FreezeSpec(Frozen):
    """Days without experiments, both included."""

    from_: _Day = Field(alias="from", description="the first day")
    to: _Day = Field(description="the last day")
    why: Words = Field(description="the reason, for whoever is refused")

    @model_validator(mode="after")
    def _in_order(self) -> FreezeSpec:
        if self.to < self.from_:
            raise ValueError(f"a freeze from {self.from_} can't end on {self.to}")
        return self


class WindowsSpec(Frozen):
    """When experiments may run."""

    timezone: _Zone = Field("UTC", description="whose wall clock counts")
    allow: tuple[_Hours, ...] = Field((), description="hours in which they may run; none: at any time")
    off_peak: tuple[_Hours, ...] = Field((), description="hours that need nobody's word")
    holidays: _Country | None = Field(None, description="no runs on public holidays of: DE, DE-BY")
    freezes: tuple[FreezeSpec, ...] = Field((), description="days without experiments")


class ApprovalsSpec(Frozen):
    """Who has to sign."""

    need: Annotated[int, Field(ge=0)] = Field(0, description="how many people")
    signers: Words | None = Field(
        None, description="an allowed-signers file of ssh-keygen, beside the policy"
    )
    valid_for: Duration = Field(86_400.0, description="how long a signature counts at most")

    @model_validator(mode="after")
    def _somebody_may_sign(self) -> ApprovalsSpec:
        if self.need and not self.signers:
            raise ValueError(f"need: {self.need}, and nobody may sign: add `signers`, a file of their keys")
        return self


class QuietSpec(Frozen):
    """When the system is left alone."""

    after_deviation: Duration = Field(0.0, description="this long after a run of the service that deviated")
    alerts: Address | None = Field(None, description="an Alertmanager: no run while one of its alerts fires")
    deployments: Literal["ignore", "refuse"] = Field("ignore", description="refuse: no run in a rollout")


class ItemSpec(Frozen):
    """How one item of the checklist is decided here."""

    not_needed: _Refusal | None = Field(
        None, description="whether a file's word that it needs no answer counts"
    )
    waived: Words | None = Field(None, description="the reason why nobody has to answer it here")


class GuardiansSpec(Frozen):
    """The small team that is told of an unannounced drill instead of the responders."""

    names: tuple[Words, ...] = Field((), description="who may answer: ready RUN --as NAME")
    via: tuple[Address, ...] = Field((), description="addresses of apprise")


class NotifiedSpec(ItemSpec):
    """Who is told before a run, and who has to answer."""

    via: tuple[Address, ...] = Field((), description="addresses of apprise, such as mattermost://...")
    needs_answer: bool = Field(False, description="whether somebody has to say: chaosdrill ready RUN")
    answer_within: Duration = Field(900.0, description="how long a run waits for the answer")
    responders: tuple[Words, ...] = Field((), description="who may answer; none: anybody")
    guardians: GuardiansSpec = Field(GuardiansSpec(), description="who knows of an unannounced drill")


class ChecklistSpec(Frozen):
    """The items of the checklist that people answer; what a machine can see is never waived here."""

    team_notified: NotifiedSpec = Field(NotifiedSpec(), description="Team notified and ready")
    off_peak: ItemSpec = Field(ItemSpec(), description="Off-peak hours")
    executive_approval: ItemSpec = Field(ItemSpec(), description="Executive approval")
    customer_communication: ItemSpec = Field(ItemSpec(), description="Customer communication plan")
    observations: ItemSpec = Field(ItemSpec(), description="Observations documented")
    status_communicated: ItemSpec = Field(ItemSpec(), description="Status communicated")
    findings: ItemSpec = Field(ItemSpec(), description="Findings documented")
    improvements: ItemSpec = Field(ItemSpec(), description="Improvements identified")
    learnings_shared: ItemSpec = Field(ItemSpec(), description="Learnings shared")


class EnvironmentSpec(Frozen):
    """What one environment demands; what it does not mention is asked in its strict form."""

    target: _System = Field(description="the system to act on")
    plain_files: _Refusal | None = Field(None, description="whether files without a chaosdrill block may run")
    blast_radius: LimitsSpec = Field(LimitsSpec(), description="the most that may be hit")
    windows: WindowsSpec | None = Field(None, description="when experiments may run")
    approvals: ApprovalsSpec = Field(ApprovalsSpec(), description="who has to sign")
    quiet: QuietSpec = Field(QuietSpec(), description="when the system is left alone")
    free_disk: _Size = Field(50_000_000.0, description="what must be free where the run folder lies")
    checklist: ChecklistSpec = Field(ChecklistSpec(), description="how items of the checklist are decided")

    @model_validator(mode="after")
    def _no_word_instead_of_a_signature(self) -> EnvironmentSpec:
        item = self.checklist.executive_approval
        if self.approvals.need and (item.not_needed == "allow" or item.waived):
            raise ValueError(
                f"approvals.need is {self.approvals.need}, so executive-approval can't be waived"
            )
        return self


class PolicyFile(Frozen):
    """The rules that experiments are under, by environment."""

    version: Literal[1] = Field(1, description="of this format")
    environments: dict[str, EnvironmentSpec] = Field(description="what each one demands, by name")
    severity_scheme: str | None = Field(None, description="kept for incidents")
    store: str | None = Field(None, description="kept for the index of runs")
    notify: dict[str, Any] = Field({}, description="kept for messages about drills and incidents")

    @model_validator(mode="before")
    @classmethod
    def _version_is_a_number(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("version") == "1":
            return {**data, "version": 1}
        return data
