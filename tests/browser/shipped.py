"""The workflows that ship with the pack: all of them, those with a paid node, and those that run here."""

from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[2] / "workflows"
NAMES = sorted(path.stem for path in SHIPPED.glob("*.json"))
PAID = [name for name in NAMES if "allow_paid" in (SHIPPED / "api" / f"{name}.json").read_text(encoding="utf-8")]
FREE = [name for name in NAMES if name not in PAID]
