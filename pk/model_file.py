"""Reading a model file: every part is checked, and every fault is named by its place.

What may stand in a file is a closed set of words; a file cannot run code.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pk.covariates import TREATMENT_DAYS, read_effect, vocabulary
from pk.errors import CaseError, ModelFileError, PkError
from pk.model import STATUSES, Contract, Parameter, Population, PopulationModel, Status
from pk.residual import Residual
from pk.structure import Structure


def read_model(text: str, name: str) -> PopulationModel:
    """Read a model from the text of its file; `name` must equal its id."""
    try:
        raw = YAML(typ="safe").load(text)
    except YAMLError as err:
        raise ModelFileError(name, str(err)) from err
    except ValueError as err:
        why = "a value looks like a date or number and is none; put it in quotes"
        raise ModelFileError(name, f"{why} ({err})") from err
    except RecursionError:
        raise ModelFileError(name, "is nested too deeply") from None
    reader = _Reader(name)
    try:
        model = _read(reader, raw, hashlib.sha256(text.encode()).hexdigest())
    except ModelFileError:
        raise
    except PkError as err:
        raise ModelFileError(f"{name}:{err.field}", err.message) from err
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as err:
        # a value of another kind than expected: the place is that of the part being read
        where = f"{name}:{reader.here}" if reader.here else name
        raise ModelFileError(where, f"cannot be read ({type(err).__name__}: {err})") from err
    _check_contracts(model)
    return model


def _read(reader: "_Reader", raw: Any, digest: str) -> PopulationModel:
    name = reader.name
    reader.keys("", raw, _REQUIRED, _OPTIONAL)
    if raw["id"] != name:
        raise ModelFileError(name, f"id is {raw['id']!r}")
    sources = {str(k): str(v) for k, v in raw["sources"].items()}
    structure = reader.structure(raw["structure"])
    parameters = reader.parameters(raw["parameters"], structure)
    names = tuple(p.name for p in parameters)
    effects, loads, sds = reader.random_effects("random_effects", raw, names)
    kappas, kappa_loads, kappa_sds = reader.random_effects("occasion_effects", raw, names)
    omega = reader.covariance(raw.get("correlations", ()), effects, sds)
    residual = reader.residual(raw["residual"], structure)
    for where, source in reader.cited.items():
        if source not in sources:
            raise ModelFileError(f"{name}:{where}", f"unknown source {source!r}")
    return PopulationModel(
        id=name,
        title=raw["title"],
        drug=raw["drug"],
        citation=raw["citation"],
        doi=raw.get("doi"),
        pmid=raw.get("pmid"),
        verified=bool(raw["verified"]),
        population=reader.population(raw["population"]),
        sources=sources,
        notes=tuple(raw.get("notes", ())),
        structure=structure,
        domain={k: reader.contract(k, v) for k, v in raw.get("covariates", {}).items()},
        parameters=parameters,
        effects=effects,
        loads=loads,
        omega=omega,
        occasion_effects=kappas,
        occasion_loads=kappa_loads,
        occasion_omega=np.diag(kappa_sds**2),
        residual=residual,
        statuses=dict(reader.statuses),
        cited=dict(reader.cited),
        digest=digest,
    )


_REQUIRED: Final = frozenset(
    [
        "id",
        "title",
        "drug",
        "citation",
        "verified",
        "population",
        "sources",
        "structure",
        "parameters",
        "random_effects",
        "residual",
    ]
)
_OPTIONAL: Final = frozenset(
    ["doi", "pmid", "notes", "covariates", "correlations", "occasion_effects"]
)


class _Reader:
    """Reads the parts of one file; collects statuses and citations on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.statuses: dict[str, Status] = {}
        self.cited: dict[str, str] = {}
        self.here = ""

    def number(self, where: str, value: Any, *, positive: bool = True) -> float:
        """A finite number, or an error that names its place."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ModelFileError(f"{self.name}:{where}", f"{value!r} is not a number")
        if not math.isfinite(value) or (positive and value <= 0.0):
            raise ModelFileError(f"{self.name}:{where}", f"{value} is not a positive number")
        return float(value)

    def structure(self, raw: Any) -> Structure:
        self.here = "structure"
        return Structure(**raw)

    def keys(
        self, where: str, raw: Any, required: frozenset[str], optional: frozenset[str]
    ) -> None:
        self.here = where
        field = f"{self.name}:{where}" if where else self.name
        if not isinstance(raw, Mapping):
            raise ModelFileError(field, "expected a mapping")
        if missing := required - set(raw):
            raise ModelFileError(field, f"missing {', '.join(sorted(missing))}")
        if unknown := set(raw) - required - optional:
            raise ModelFileError(field, f"unknown {', '.join(sorted(map(str, unknown)))}")

    def provenance(self, where: str, raw: Mapping[str, Any]) -> tuple[str, Status]:
        status = raw["status"]
        if status not in STATUSES:
            raise ModelFileError(f"{self.name}:{where}", f"status {status!r}")
        self.statuses[where] = status
        self.cited[where] = raw["source"]
        return raw["source"], status

    def population(self, raw: Mapping[str, Any]) -> Population:
        needs = frozenset({"description", "patients", "indications"})
        self.keys("population", raw, needs, frozenset({"levels"}))
        return Population(
            raw["description"], raw["patients"], raw.get("levels"), tuple(raw["indications"])
        )

    def contract(self, name: str, raw: Mapping[str, Any]) -> Contract:
        where = f"covariates.{name}"
        self.keys(
            where,
            raw,
            frozenset({"when_missing", "source"}),
            frozenset({"impute", "hard", "soft"}),
        )
        self.cited[where] = raw["source"]
        if name not in vocabulary():
            raise ModelFileError(f"{self.name}:{where}", "unknown covariate")
        if (raw["when_missing"] == "impute") != ("impute" in raw):
            raise ModelFileError(f"{self.name}:{where}", "impute needs a value, and only then")
        if raw["when_missing"] not in ("required", "impute", "ignore"):
            raise ModelFileError(f"{self.name}:{where}", f"when_missing {raw['when_missing']!r}")
        word = vocabulary()[name]
        try:
            for value in (raw.get("impute"), *raw.get("hard", ()), *raw.get("soft", ())):
                if value is not None:
                    word.check(value)
        except CaseError as err:
            raise ModelFileError(f"{self.name}:{where}", err.message) from err
        for key in ("hard", "soft"):
            limits = raw.get(key)
            if limits and word.possible and (len(limits) != 2 or not limits[0] < limits[1]):
                raise ModelFileError(
                    f"{self.name}:{where}.{key}", "needs a lower and an upper limit"
                )
        return Contract(
            name,
            raw["when_missing"],
            raw.get("impute"),
            tuple(raw.get("hard", ())),
            tuple(raw.get("soft", ())),
            raw["source"],
        )

    def parameters(self, raw: Mapping[str, Any], structure: Structure) -> tuple[Parameter, ...]:
        if set(raw) != set(structure.parameters):
            raise ModelFileError(
                f"{self.name}:parameters", f"the structure takes {', '.join(structure.parameters)}"
            )
        return tuple(self._parameter(name, raw[name]) for name in structure.parameters)

    def _parameter(self, name: str, raw: Mapping[str, Any]) -> Parameter:
        where = f"parameters.{name}"
        needs = frozenset({"value", "unit", "source", "status"})
        self.keys(where, raw, needs, frozenset({"effects"}))
        source, status = self.provenance(where, raw)
        effects = []
        for i, entry in enumerate(raw.get("effects", ())):
            entry = dict(entry)
            here = f"{where}.effects[{i}]"
            self.statuses[here] = entry.pop("status", status)
            self.cited[here] = entry.pop("source", source)
            effects.append(read_effect(entry, f"{self.name}:{here}"))
        value = self.number(f"{where}.value", raw["value"])
        return Parameter(name, value, raw["unit"], source, status, tuple(effects))

    def random_effects(
        self, key: str, raw: Mapping[str, Any], parameters: tuple[str, ...]
    ) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
        """Return names, loads (parameter x effect) and standard deviations."""
        entries = raw.get(key, ())
        loads = np.zeros((len(parameters), len(entries)))
        sds = np.zeros(len(entries))
        for i, entry in enumerate(entries):
            where = f"{key}.{entry.get('name')}"
            self.keys(
                where,
                entry,
                frozenset({"name", "on", "source", "status"}),
                frozenset({"sd", "variance", "cv"}),
            )
            self.provenance(where, entry)
            if not isinstance(entry["name"], str) or not entry["on"]:
                raise ModelFileError(f"{self.name}:{where}", "needs a name and what it acts on")
            for target in entry["on"]:
                if target not in parameters:
                    raise ModelFileError(f"{self.name}:{where}", f"no parameter {target!r}")
                loads[parameters.index(target), i] = 1.0
            sds[i] = self._standard_deviation(where, entry)
        return tuple(e["name"] for e in entries), loads, sds

    def _standard_deviation(self, where: str, entry: Mapping[str, Any]) -> float:
        """An SD on the log scale, given as sd, variance, or log-normal CV."""
        given = [k for k in ("sd", "variance", "cv") if k in entry]
        if len(given) != 1:
            raise ModelFileError(f"{self.name}:{where}", "give exactly one of sd, variance, cv")
        value = self.number(where, entry[given[0]])
        if given[0] == "variance":
            value = value**0.5
        if given[0] == "cv":
            value = math.log1p(value**2) ** 0.5
        return value

    def covariance(
        self, entries: Any, effects: tuple[str, ...], sds: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        omega = np.diag(sds**2)
        for entry in entries:
            where = f"correlations.{'-'.join(entry['between'])}"
            self.keys(
                where,
                entry,
                frozenset({"between", "source", "status"}),
                frozenset({"correlation", "covariance"}),
            )
            self.provenance(where, entry)
            i, j = (effects.index(e) for e in entry["between"])
            if "covariance" in entry:
                value = self.number(where, entry["covariance"], positive=False)
            else:
                value = self.number(where, entry.get("correlation"), positive=False)
                value *= sds[i] * sds[j]
            omega[i, j] = omega[j, i] = value
        if effects and np.linalg.eigvalsh(omega)[0] <= 0:
            raise ModelFileError(f"{self.name}:correlations", "omega is not positive definite")
        return omega

    def residual(self, raw: Mapping[str, Any], structure: Structure) -> Mapping[str, Residual]:
        if set(raw) != set(structure.analytes):
            raise ModelFileError(f"{self.name}:residual", f"needs {', '.join(structure.analytes)}")
        found = {}
        for analyte, entry in raw.items():
            where = f"residual.{analyte}"
            self.keys(
                where,
                entry,
                frozenset({"kind", "source", "status"}),
                frozenset({"proportional", "additive_ng_ml", "log_sd"}),
            )
            self.provenance(where, entry)
            numbers = {
                k: self.number(f"{where}.{k}", v) for k, v in entry.items() if k not in _NOT_NUMBERS
            }
            found[analyte] = Residual(entry["kind"], **numbers)
        return found


_NOT_NUMBERS: Final = ("kind", "source", "status")


def _check_contracts(model: PopulationModel) -> None:
    """Every covariate a formula uses must say what happens when it is missing."""
    for parameter in model.parameters:
        for effect in parameter.effects:
            if effect.covariate == TREATMENT_DAYS:
                continue
            contract = model.domain.get(effect.covariate)
            if contract is None or contract.when_missing == "ignore":
                raise ModelFileError(
                    f"{model.id}:covariates.{effect.covariate}", "used in a formula, no contract"
                )
