"""Single-line mistakes that a person could make in a Python file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

COMPARISONS = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
SUMS = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "/", ast.Mod: "//"}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"}
# Keywords whose values people read, and zip's, which says what holds anyway
UNSEEN = ("tooltip", "description", "display_name", "strict")


@dataclass(frozen=True)
class Mistake:
    """One line of a file as it is and as it would be, both stripped, and its number from 1 on."""

    file: str
    number: int
    line: str
    becomes: str

    @property
    def key(self) -> str:
        """The name by which it is known when lines above it have moved."""
        return f"{self.file}: {self.line} -> {self.becomes}"

    @property
    def diff(self) -> str:
        """The line before and after."""
        return f"    - {self.line}\n    + {self.becomes}"

    def put_into(self, source: str) -> str:
        """The source with the mistake."""
        lines = source.split("\n")
        indent = lines[self.number - 1][: -len(lines[self.number - 1].lstrip())]
        lines[self.number - 1] = indent + self.becomes
        return "\n".join(lines)

    def compiles_in(self, source: str) -> bool:
        """Say whether the source with the mistake is Python."""
        try:
            compile(self.put_into(source), self.file, "exec")
        except SyntaxError:
            return False
        return True


def mistakes(file: str, source: str) -> list[Mistake]:
    """Every mistake for every line, without doubles. A few don't compile."""
    lines = source.split("\n")
    found: dict[tuple[int, str], Mistake] = {}
    for node, text in _edits(ast.parse(source)):
        if node.lineno != node.end_lineno:
            continue
        raw = lines[node.lineno - 1].encode()
        before, after = raw[: node.col_offset].decode(), raw[node.end_col_offset :].decode()
        old = raw[node.col_offset : node.end_col_offset].decode()
        becomes = f"{before}{text(old) if callable(text) else text}{after}"
        mistake = Mistake(file, node.lineno, lines[node.lineno - 1].strip(), becomes.strip())
        if mistake.becomes != mistake.line:
            found[node.lineno, mistake.becomes] = mistake
    return list(found.values())


class _Place:
    """A stretch of one line, where an AST node does not have just that."""

    def __init__(self, first: ast.expr, last: ast.expr) -> None:
        self.lineno, self.col_offset = first.lineno, first.col_offset
        self.end_lineno, self.end_col_offset = last.end_lineno, last.end_col_offset


def _edits(tree: ast.AST) -> Iterator[tuple]:
    """Pairs of a place and the text that takes its place, or a function of the text that is there."""
    for node in _code(tree):
        yield from _statement(node)
        yield from _expression(node)


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but imports, annotations, decorators, docstrings and what no run sees."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "bases"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.keyword) and child.arg in UNSEEN:
                continue
            if isinstance(child, ast.AST):
                yield from _code(child)


def _statement(node: ast.AST) -> Iterator[tuple]:
    if _can_go(node):
        yield node, "pass"
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield node, "return None"
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        yield node.test, lambda text: f"(not ({text}))"
    if isinstance(node, ast.comprehension):
        yield from ((test, lambda text: f"(not ({text}))") for test in node.ifs)


def _can_go(node: ast.AST) -> bool:
    """Say whether every name is still defined without a statement."""
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant)  # a docstring, or `...`
    if isinstance(node, ast.Assign):
        return isinstance(node.targets[0], ast.Attribute | ast.Subscript)
    return isinstance(node, ast.AugAssign | ast.Raise | ast.Continue | ast.Break | ast.Delete)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _expression(node: ast.AST) -> Iterator[tuple]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield node, f"{ast.unparse(node.left)} {COMPARISONS[type(node.ops[0])]} {ast.unparse(node.comparators[0])}"
    elif isinstance(node, ast.BinOp) and (other := SUMS.get(type(node.op))):
        yield node, f"({ast.unparse(node.left)} {other} {ast.unparse(node.right)})"
    elif isinstance(node, ast.BoolOp):
        yield node, f"({(' or ' if isinstance(node.op, ast.And) else ' and ').join(map(ast.unparse, node.values))})"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node, ast.unparse(node.operand)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield node, str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield node, str(node.value + 1)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in NAMES:
        yield node, NAMES[node.id]
    elif isinstance(node, ast.Call):
        yield from _call(node)


def _call(node: ast.Call) -> Iterator[tuple]:
    """Two neighbours of the arguments change places; a keyword is left out."""
    for one, two in pairwise(node.args):
        if not isinstance(one, ast.Starred) and not isinstance(two, ast.Starred):
            yield _Place(one, two), f"{ast.unparse(two)}, {ast.unparse(one)}"
    named = [keyword for keyword in node.keywords if keyword.arg and keyword.arg not in UNSEEN]
    for gone in named:
        kept = [keyword for keyword in node.keywords if keyword is not gone]
        yield node, ast.unparse(ast.Call(node.func, node.args, kept))
    for one, two in pairwise(named):
        swapped = [
            ast.keyword(k.arg, two.value if k is one else one.value if k is two else k.value) for k in node.keywords
        ]
        yield node, ast.unparse(ast.Call(node.func, node.args, swapped))
