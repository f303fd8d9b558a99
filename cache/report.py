"""Report of a run: evaluations and blocks, counted while it lasts and formatted when it is over."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from .state import Evaluation
from .step_rules import COMPUTED, REUSED


@dataclass
class CacheLog:
    """The evaluations of one expert in a run. A block forward is one block for one prompt."""

    role: str
    marks: str = ""
    reasons: Counter[str] = field(default_factory=Counter)
    blocks_run: int = 0
    blocks_total: int = 0
    bytes: int = 0
    audits: list[tuple[int, float]] = field(default_factory=list)  # evaluation, true relative error
    figures: list[tuple[float, float]] = field(default_factory=list)  # sigma, what a technique measured there
    notes: dict[str, None] = field(default_factory=dict)

    @property
    def computed(self) -> int:
        """Evaluations in which all blocks ran."""
        return self.marks.count(COMPUTED)

    @property
    def reused(self) -> int:
        """Evaluations in which blocks were left out."""
        return self.marks.count(REUSED)

    def count(self, evaluation: Evaluation, held: int) -> None:
        """Count one more evaluation, and the bytes that are held after it."""
        self.marks += REUSED if evaluation.reused else COMPUTED
        self.bytes = max(self.bytes, held)
        if evaluation.figures:
            self.figures.append((evaluation.sigma, sum(evaluation.figures) / len(evaluation.figures)))
        if evaluation.forced:
            self.reasons[evaluation.forced] += 1

    def count_blocks(self, run: int, total: int) -> None:
        """Count the blocks of one more batch."""
        self.blocks_run += run
        self.blocks_total += total

    def note(self, text: str | None) -> None:
        """Add a note, which is said once; an empty one is ignored."""
        if text:
            self.notes[text] = None

    def audit_due(self, every: int) -> bool:
        """Return True if the batch at hand, of an evaluation that is reused, is to be computed as well."""
        return every > 0 and self.reused % every == 0

    def audit(self, error: float) -> None:
        """Record the true relative error of a reused batch."""
        self.audits.append((len(self.marks) + 1, error))

    def lines(self) -> list[str]:
        """Format one line for the expert, then what explains it."""
        found = [f"  {self.role}: {self.computed} of {len(self.marks)} evaluations computed  {self.marks}"]
        if self.reasons:
            found.append("    in any case: " + ", ".join(f"{count} {why}" for why, count in self.reasons.items()))
        found += [f"    {note}" for note in self.notes]
        if self.audits:
            worst = ", ".join(f"{number}: {error:.1%}" for number, error in self.audits)
            found.append(f"    audit, error of reused evaluations: {worst}")
        return found


def format_report(title: str, logs: Iterable[CacheLog]) -> list[str]:
    """Format the report on all experts; its last line has `12 of 20 evaluations, 252 of 480 block forwards`."""
    ran = [log for log in logs if log.marks]
    if not ran:
        return []
    computed, evaluations = sum(log.computed for log in ran), sum(len(log.marks) for log in ran)
    run, total = sum(log.blocks_run for log in ran), sum(log.blocks_total for log in ran)
    held = max(log.bytes for log in ran)
    share = run / max(total, 1)
    return [
        f"{title}; # computed, . reused",
        *(line for log in ran for line in log.lines()),
        f"  It held up to {held / 1e6:.1f} MB.",
        f"  In all {computed} of {evaluations} evaluations, {run} of {total} block forwards ({share:.3f}).",
    ]
