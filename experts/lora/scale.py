"""The scale of a LoRA without `.alpha` keys: what PEFT says in the metadata, or in a file beside it."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..partner import partner_of

BESIDE = "adapter_config.json"
_BESIDE_LIMIT = 1_000_000  # bytes
_FILES = (".safetensors", ".sft", ".pt", ".pth", ".bin", ".ckpt")


@dataclass(frozen=True)
class Config:
    """PEFT's settings of one adapter. `prefix` is the network it is for, as the keys of the file name it."""

    prefix: str
    alpha: float
    ranks: tuple[int, ...]
    rank_stabilised: bool
    patterns: tuple[tuple[str, float], ...]

    def alpha_of(self, module: str, rank: int) -> float:
        """The alpha that, divided by the rank, is the scale of a module."""
        alpha = next((alpha for pattern, alpha in self.patterns if _names(pattern, module)), self.alpha)
        return alpha * math.sqrt(rank) if self.rank_stabilised else alpha


@dataclass(frozen=True)
class Scale:
    """The scale that a LoRA states, and its source. `doubt` is why something that was found is not used."""

    source: str = ""
    configs: tuple[Config, ...] = ()
    doubt: str = ""

    def alpha_of(self, module: str, rank: int) -> float | None:
        """The alpha of a module, by its name in the file; None if nobody says."""
        config = self._config_of(module)
        return config.alpha_of(module, rank) if config else None

    def checked(self, ranks: Mapping[str, int]) -> "Scale":
        """This, if the modules of the file have the ranks that are said here; else nothing but the doubt."""
        for module, rank in ranks.items():
            config = self._config_of(module)
            if config and config.ranks and rank not in config.ranks:
                said = " or ".join(map(str, config.ranks))
                return Scale(doubt=f"{self.source} is of another file (rank {said}, here {rank}): not used")
        return self

    def _config_of(self, module: str) -> Config | None:
        named = (config for config in self.configs if config.prefix and f".{config.prefix}." in f".{module}.")
        return next(named, self.configs[0] if len(self.configs) == 1 else None)


def read_scale(path: str, metadata: Mapping[str, str]) -> Scale:
    """The scale that the file at `path` or its folder states. `ss_network_alpha` alone proves nothing."""
    texts = {name: text for name, text in metadata.items() if "lora_alpha" in text and not name.startswith("ss_")}
    for name, said in (("metadata", metadata), *((name, _parsed(text)) for name, text in texts.items())):
        configs = tuple(_configs(said))
        if configs:
            return Scale(name, configs)
    beside = beside_of(path)
    if beside is None:
        return Scale()
    configs = tuple(_configs(_parsed(beside.read_text(encoding="utf-8", errors="replace"))))
    if not configs:
        return Scale()
    return Scale(BESIDE, configs) if _is_alone(Path(path)) else Scale(doubt=f"{BESIDE} lies beside several: not used")


def beside_of(path: str) -> Path | None:
    """The file in which PEFT keeps the settings of a LoRA, if there is one in its folder."""
    beside = Path(path).with_name(BESIDE)
    return beside if beside.is_file() and beside.stat().st_size <= _BESIDE_LIMIT else None


def _is_alone(path: Path) -> bool:
    """Say whether the folder holds no other LoRA but the other half of this one."""
    if path.stem == "adapter_model":
        return True
    others = sorted(file.name for file in path.parent.iterdir() if file.suffix.lower() in _FILES and file != path)
    try:
        return not others or others == [partner_of(path.name, others, trained_apart=True)]
    except ValueError:  # several
        return False


def _configs(said: Any, prefix: str = "") -> Iterator[Config]:
    """The configs in what was said: plain, one for each network, or with the networks' names before a dot."""
    if not isinstance(said, Mapping):
        return
    groups: dict[str, dict[str, Any]] = {}
    for key, value in said.items():
        network, _, own = str(key).rpartition(".")
        groups.setdefault(network, {})[own] = value
    for network, settings in groups.items():
        config = _config(".".join(filter(None, (prefix, network))), settings)
        if config:
            yield config
    for key, value in said.items():
        if isinstance(value, Mapping) and not str(key).endswith("_pattern"):
            yield from _configs(value, str(key))


def _config(prefix: str, settings: Mapping[str, Any]) -> Config | None:
    alpha = _number(settings.get("lora_alpha"))
    if alpha is None:
        return None
    ranks = _pattern(settings.get("rank_pattern"))
    rank = next((rank for name in ("r", "rank", "lora_rank") if (rank := _number(settings.get(name)))), None)
    return Config(
        prefix,
        alpha,
        tuple(sorted({int(rank), *(int(other) for _, other in ranks)})) if rank else (),
        str(settings.get("use_rslora")).lower() == "true",
        _pattern(settings.get("alpha_pattern")),
    )


def _pattern(said: Any) -> tuple[tuple[str, float], ...]:
    found = _parsed(said) if isinstance(said, str) else said
    items: Iterable[tuple[Any, Any]] = found.items() if isinstance(found, Mapping) else ()
    return tuple((str(name), number) for name, value in items if (number := _number(value)) is not None)


def _names(pattern: str, module: str) -> bool:
    """Say whether a pattern of PEFT is for a module: it matches the last parts of its name."""
    try:
        return re.fullmatch(rf"(?:.*\.)?(?:{pattern.removeprefix('^').removesuffix('$')})", module) is not None
    except re.error:
        return module.endswith(pattern)


def _number(said: Any) -> float | None:
    try:
        number = float(said)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text) if "{" in text else None
    except (ValueError, RecursionError):
        return None
