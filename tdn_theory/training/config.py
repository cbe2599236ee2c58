"""What a training run is: frozen dataclasses, read from TOML."""

from __future__ import annotations

import difflib
import tomllib
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from tdn_theory.data.electrons import Quantity

T = TypeVar("T")

Form = Literal["mae", "mse", "rmse", "norm", "huber"]
Precision = Literal["float32", "float64", "bfloat16"]

RUN_OPTIONS = ("out", "device", "time_limit", "checkpoint_seconds", "workers", "tensorboard")
"""Where and how long a run computes; they may change when it is resumed, since its result does not depend on them."""

FILES = ("data.files", "data.validation_files", "data.test_files")

PRESETS = Path(__file__).parent / "presets"
"""Configurations that come with the package."""


@dataclass(frozen=True)
class DataConfig:
    """Structures to train on, to validate with and to test on.

    Attributes:
        source: `relaxations` (shipped with the package), or files of yours: `extxyz`, `pubchemqcr`, `npz` (of `data
            convert`), `ase` (`.traj`, `.db`, `.json`, VASP's `OUTCAR` and `vasprun.xml`), `cp2k` (`NAME-pos-1.xyz` with
            its cells and forces beside it), `deepmd` (folders of numpy arrays of DeePMD-kit); of OC20 and OC22 `is2re`
            (LMDB, first positions with the energy of the relaxed structure), `s2ef` (LMDB), `s2ef-text` (extended XYZ
            with reference energies beside it) and `aselmdb`.
        files: Files to train on, of OC20 and OC22 also folders of shards; not for `relaxations`.
        validation_files: Files to validate with; without any, a fraction of the groups of `files`.
        test_files: Files to test on; without any, a fraction of the groups of `files`.
        validation: Fraction of the groups (molecules, trajectories) that validate.
        test: Fraction of the groups that test.
        split: What is not cut: a `group` (molecule, trajectory), or only a `structure`, as for a trajectory of a single
            molecule. Structures of a group resemble each other, so then errors tell nothing about other groups.
        split_seed: Seed of the split.
        energy_key: Name of the energy in extxyz files; this and the following settings are those of `extxyz.Keys`.
        forces_key: Name of the forces; none if there are none.
        stress_key: Name of the stress.
        virial_key: Name of the virial, minus volume times stress.
        dipole_key: Name of the dipole moment.
        energy_unit: Unit of energies, e.g. `eV`.
        force_unit: Unit of forces, e.g. `eV/Angstrom`.
        length_unit: Unit of lengths, e.g. `Angstrom`.
        stress_unit: Unit of stresses, e.g. `GPa`.
        dipole_unit: Unit of dipole moments, e.g. `Debye`.
        group_key: Name of what says which group a structure belongs to; by default its chemical formula.
        weight_key: Name of the weight in the loss; 1 without a key.
        weights: Weights by `config_type`, e.g. `{ bulk = 2.0 }`, which multiply those of the structures.
        missing: `refuse` files with frames that lack a label, or read these frames `without` it.
        atom_energies: Energies of single atoms by element, eV; those of `IsolatedAtom` frames, which are never trained
            on nor tested, and for other elements least squares, stand for what is not given.
        ignore: Total `charge` or `spin`: files with other values than those of neutral molecules without unpaired
            electrons are refused, since a potential knows elements and positions only, unless it is named here.
        stages: Stages of a relaxation that are read from PubChemQCR files.
    """

    source: Literal[
        "relaxations", "extxyz", "pubchemqcr", "npz", "ase", "deepmd", "cp2k", "is2re", "s2ef", "s2ef-text", "aselmdb"
    ]
    files: tuple[str, ...] = ()
    validation_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    validation: float = 0.1
    test: float = 0.1
    split: Literal["group", "structure"] = "group"
    split_seed: int = 0
    energy_key: str | None = None
    forces_key: str | None = None
    stress_key: str | None = None
    virial_key: str | None = None
    dipole_key: str | None = None
    energy_unit: str | None = None
    force_unit: str | None = None
    length_unit: str | None = None
    stress_unit: str | None = None
    dipole_unit: str | None = None
    group_key: str | None = None
    weight_key: str | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    missing: Literal["refuse", "without"] = "refuse"
    atom_energies: Mapping[str, float] = field(default_factory=dict)
    ignore: tuple[Quantity, ...] = ()
    stages: tuple[str, ...] = ("DFT_1st",)

    def __post_init__(self):
        if not (self.validation >= 0 and self.test >= 0 and self.validation + self.test < 1):
            raise ValueError(
                f"data.validation is {self.validation} and data.test {self.test}; they are fractions, and must leave "
                "something to train on"
            )
        for name, weight in self.weights.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < inf:
                raise ValueError(f"data.weights has {name} = {weight!r}; give numbers >= 0 by config_type")
        if self.atom_energies:
            from ase.data import atomic_numbers

            for element, energy in self.atom_energies.items():
                if not atomic_numbers.get(element) or isinstance(energy, bool) or not isinstance(energy, int | float):
                    raise ValueError(f"data.atom_energies has {element} = {energy!r}; give energies in eV by element")


@dataclass(frozen=True)
class Term:
    """One term of the loss.

    Attributes:
        weight: Its weight; 0 leaves it out.
        form: Of the errors of all components in the batch: `mae` mean absolute error, `mse` mean square, `rmse` its
            root, `huber` mean of `x^2/2` up to `delta` and `delta (|x| - delta/2)` beyond, `norm` mean Euclidean
            length of the error vectors (of one component: `mae`).
        delta: Where `huber` turns from square to straight, in the units of the error.
    """

    weight: float = 0.0
    form: Form = "mae"
    delta: float = 0.01

    def __post_init__(self):
        if not self.weight >= 0 or not self.delta > 0:
            raise ValueError(
                f"a term of the loss has weight {self.weight} and delta {self.delta}; give a weight >= 0, a delta > 0"
            )


@dataclass(frozen=True)
class LossConfig:
    """Weighted sum of terms, one per label; the default is that of the paper (TAB1).

    Attributes:
        energy: Energy per atom (eV).
        forces: Forces (eV/Angstrom).
        stress: Stress (eV/Angstrom^3).
        dipole: Dipole moment (e Angstrom).
        polarizability: Polarizability volume (Angstrom^3).
        energy_per: What the error of an energy is divided by: the number of atoms (`atom`), or nothing (`structure`),
            as for adsorption energies.
    """

    energy: Term = Term(1.0, "mae")
    forces: Term = Term(1.0, "rmse")
    stress: Term = Term()
    dipole: Term = Term()
    polarizability: Term = Term()
    energy_per: Literal["atom", "structure"] = "atom"

    def __post_init__(self):
        if not self.terms:
            raise ValueError("every term of the loss has weight 0; give one of them a weight, e.g. energy")

    @property
    def terms(self) -> dict[str, Term]:
        """The terms that count, by label."""
        terms = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "energy_per"}
        return {name: term for name, term in terms.items() if term.weight > 0}


@dataclass(frozen=True)
class ReferenceConfig:
    """What is subtracted from energies for training, and added back in every prediction.

    Attributes:
        kind: `elements`: an energy per element, by least squares (`data.atom_energies` go before); the unit of what is
            left is the root mean square of the forces, without forces that of the energies. `mean`: one energy for all
            structures, as for adsorption energies; the unit is their standard deviation, over the mean number of atoms
            if there are no forces.
        mean: Of the energies, eV; by default that of the training set. Only for `mean`.
        deviation: Their standard deviation, eV; by default that of the training set. Only for `mean`.
    """

    kind: Literal["elements", "mean"] = "elements"
    mean: float | None = None
    deviation: float | None = None

    def __post_init__(self):
        if self.kind == "elements" and (self.mean is not None or self.deviation is not None):
            raise ValueError("reference.mean and reference.deviation are for kind 'mean'; leave them out, or choose it")
        if self.deviation is not None and not self.deviation > 0:
            raise ValueError(f"reference.deviation is {self.deviation}; it must be positive, in eV")


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam, with decoupled weight decay if it is not 0 (AdamW).

    Attributes:
        learning_rate: Before the schedule scales it.
        betas: Decay of the averages of the gradient and of its square.
        weight_decay: Of matrices; biases and normalisations do not decay.
        clip: Largest norm of the gradient, which is scaled down to it; 0 for no limit.
    """

    learning_rate: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip: float = 10.0

    def __post_init__(self):
        if not self.learning_rate > 0 or not self.weight_decay >= 0 or not self.clip >= 0:
            raise ValueError(
                f"learning_rate is {self.learning_rate}, weight_decay {self.weight_decay}, clip {self.clip}; give a "
                "positive learning rate, and the others >= 0"
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas are {self.betas}; both must be in [0, 1)")


@dataclass(frozen=True)
class ScheduleConfig:
    """How the learning rate changes.

    Attributes:
        kind: `plateau` (lowered when the validation loss stops falling), `cosine` (half a period over all epochs) or
            `constant`.
        warmup: Epochs, not necessarily whole, over which it rises linearly to its full value.
        warmup_factor: Fraction of the full value that warm-up starts at.
        patience: `plateau`: epochs without a new least validation loss that are endured.
        factor: `plateau`: what the learning rate is multiplied with then.
        floor: Least fraction of the full value.
    """

    kind: Literal["plateau", "cosine", "constant"] = "plateau"
    warmup: float = 0.0
    warmup_factor: float = 0.2
    patience: int = 2
    factor: float = 0.5
    floor: float = 1e-3

    def __post_init__(self):
        if not self.warmup >= 0 or self.patience < 0:
            raise ValueError(f"warmup is {self.warmup}, patience {self.patience}; both must be >= 0")
        for name in ("warmup_factor", "factor", "floor"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it is a fraction, in [0, 1]")


@dataclass(frozen=True)
class TrainConfig:
    """A training run. The defaults are those of the paper (TAB1) where it states them.

    Attributes:
        data: What to learn.
        model: Settings of `PotentialConfig`; its `elements` are by default those of the training data.
        init: A saved potential to begin with, for fine-tuning: its weights, energies of elements and scale are taken
            over, and `model` must not say otherwise.
        loss: What to minimise.
        reference: What is subtracted from energies.
        optimizer: Adam or AdamW.
        schedule: Of the learning rate.
        frozen: Names of modules or parameters of the potential that stay as they are, e.g. `blocks.0`.
        epochs: Passes over the training data.
        stop_patience: Epochs without a new least validation loss after which training ends; 0 for all `epochs`.
        batch_size: Structures per step, over all processes together.
        seed: Of the initial weights and of the order of the structures.
        average: Decay per step of the exponential moving average of the weights, which is what is evaluated and saved;
            0 for the weights themselves.
        precision: `float32`, `float64`, or `bfloat16`: matrix products in bfloat16, weights and sums in float32; only
            on a GPU, and with direct forces.
        out: Folder of the run.
        device: `cpu`, `cuda` or `cuda:1`; torchrun gives each of its processes its own.
        time_limit: Minutes after which this run stops, evaluates and can be resumed; 0 for none.
        checkpoint_seconds: Seconds between two checkpoints within an epoch; each epoch ends with one anyway.
        workers: Processes that prepare batches; 0 prepares them in this one.
        tensorboard: Log to TensorBoard too.
    """

    data: DataConfig
    model: Mapping[str, Any] = field(default_factory=dict)
    init: str = ""
    loss: LossConfig = LossConfig()
    reference: ReferenceConfig = ReferenceConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    frozen: tuple[str, ...] = ()
    epochs: int = 100
    stop_patience: int = 0
    batch_size: int = 64
    seed: int = 0
    average: float = 0.99
    precision: Precision = "float32"
    out: str = "run"
    device: str = "cpu"
    time_limit: float = 0.0
    checkpoint_seconds: float = 300.0
    workers: int = 0
    tensorboard: bool = False

    def __post_init__(self):
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError(f"epochs is {self.epochs}, batch_size {self.batch_size}; both must be at least 1")
        if not 0 <= self.average < 1:
            raise ValueError(f"average is {self.average}; it is a decay per step, in [0, 1)")
        for name in ("stop_patience", "seed", "time_limit", "checkpoint_seconds", "workers"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be >= 0")

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> TrainConfig:
        """From nested tables, as TOML and JSON hold them.

        Raises:
            ValueError: A key is unknown (the nearest allowed one is named) or missing, or a value is not allowed.
            TypeError: A value has the wrong type.
        """
        return _from_table(cls, table, "")

    @classmethod
    def read(cls, path: Path, **changes: Any) -> TrainConfig:
        """From a TOML file; `changes` replace entries of its top level.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is not TOML, or as in `from_dict`; the message names the file.
            TypeError: As in `from_dict`.
        """
        try:
            table = tomllib.loads(path.read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not TOML: {error}") from error
        try:
            return cls.from_dict({**table, **changes})
        except (ValueError, TypeError) as error:
            raise type(error)(f"{path}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """The JSON form that `from_dict` reads."""
        return asdict(self)

    def what(self) -> dict[str, Any]:
        """All that the weights depend on, with dotted names, in JSON types.

        That is everything but the `RUN_OPTIONS` and the names of files, whose content counts; and, unless the learning
        rate follows a cosine over all of them, what decides about the number of epochs, so that a finished run can go
        on.
        """
        left = {*RUN_OPTIONS, "stop_patience", *(["epochs"] if self.schedule.kind != "cosine" else [])}
        settings = dict(_flat({name: value for name, value in self.to_dict().items() if name not in left}))
        return {name: value for name, value in settings.items() if name not in FILES}


def shipped(name: Path) -> Path:
    """The file `name`, or else the configuration of this name that is shipped with the package.

    Raises:
        FileNotFoundError: There is neither; the message names the shipped ones.
    """
    own = PRESETS / f"{name}.toml"
    if not name.is_file() and not own.is_file():
        names = ", ".join(sorted(path.stem for path in PRESETS.glob("*.toml")))
        raise FileNotFoundError(f"there is no file {name}; shipped configurations are {names}")
    return name if name.is_file() else own


def check_keys(given: Iterable[str], allowed: Iterable[str], place: str) -> None:
    """Refuse keys that are not allowed.

    Raises:
        ValueError: One is not; the message has `place`, the nearest allowed key, and all of them.
    """
    known = list(allowed)
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            advice = f", did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"unknown key {key!r} at {place}{advice}; allowed are {', '.join(known)}")


def _from_table(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    hints = get_type_hints(kind)
    allowed = {f.name: f for f in fields(kind)}  # pyright: ignore[reportArgumentType]
    place = f"[{where}]" if where else "the top level"
    check_keys(table, allowed, place)
    missing = [
        name
        for name, f in allowed.items()
        if name not in table and f.default is MISSING and f.default_factory is MISSING
    ]
    if missing:
        raise ValueError(f"{place} lacks {', '.join(missing)}")
    dotted = {key: f"{where}.{key}" if where else key for key in table}
    return kind(**{key: _value(hints[key], value, dotted[key]) for key, value in table.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    """`value` as the annotation `hint` wants it; integers stand for floats, lists for tuples."""
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint) and isinstance(value, Mapping):
        return _from_table(hint, value, where)  # pyright: ignore[reportArgumentType]
    if origin in (Union, types.UnionType):
        return None if value is None else _value(arguments[0], value, where)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{where} is {value!r}; allowed are {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple and isinstance(value, list | tuple):
        if arguments[-1] is not Ellipsis and len(value) != len(arguments):
            raise ValueError(f"{where} has {len(value)} entries; give {len(arguments)}")
        return tuple(_value(arguments[0], item, where) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    expected = Mapping if is_dataclass(hint) or origin is Mapping else hint if isinstance(hint, type) else origin
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        name = {Mapping: "table", str: "string", tuple: "list"}.get(expected, expected.__name__)
        raise TypeError(f"{where} is {value!r}; it must be a {name}")
    return value


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((prefix + key, list(value) if isinstance(value, tuple) else value))
    return found
