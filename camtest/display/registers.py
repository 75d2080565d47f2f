"""A register map: registers with their fields; those that differ from the words after power-on are marked."""

from __future__ import annotations

from camtest.display.markup import WARN, Cell, block, fold, table
from egse.reg import RegisterMap

MARK = "*"


def as_text(registers: RegisterMap) -> str:
    """Returns all registers and fields as a table, with what differs from power-on below it."""
    changes = _changes(registers)
    lines = [f"  {name}: {old:#x} after power-on, {new:#x} now" for name, (old, new) in changes.items()]
    note = "\n".join(["differs from power-on:", *lines]) if lines else "all as after power-on"
    return f"{registers.table()}\n{note}"


def as_html(registers: RegisterMap) -> str:
    """Returns the registers, each to open and close; those with changed fields are open."""
    changes = _changes(registers)
    parts = []
    for register, address in registers.registers.items():
        fields = [
            (name, field)
            for name, field in registers.layout.fields.items()
            if any(piece.register == register for piece in field.pieces)
        ]
        changed = [name for name, _ in fields if name in changes]
        rows = []
        for name, field in fields:
            value = registers.get_value(name)
            style = f"color:{WARN};font-weight:bold" if name in changes else ""
            spread = " (spread)" if len(field.pieces) > 1 else ""
            before = f"{changes[name][0]:#x}" if name in changes else ""
            texts = (
                f"{name}{spread}",
                f"{field.width}",
                f"{value}",
                f"{value:#x}",
                registers.value_name(name) or "",
                before,
            )
            rows.append([Cell(text, style) for text in texts])
        head = ("field", "bits", "value", "hex", "name", "after power-on")
        title = f"{register}  {address:#06x}  {registers.get_register(register):#010x}"
        title += f"  {MARK} {', '.join(changed)}" if changed else ""
        parts.append(fold(title, table(head, rows), is_open=bool(changed)))
    title = f"{registers.name} register map {registers.layout.name}"
    summary = f"{len(changes)} fields differ from power-on" if changes else "all as after power-on"
    return block(f"<b>{title}</b>, {summary}", *parts)


def _changes(registers: RegisterMap) -> dict[str, tuple[int, int]]:
    """Returns value after power-on and value now of each field that differs."""
    reset = RegisterMap(registers.name, registers.layout)
    return {change.name: (change.old, change.new) for change in reset.diff(registers)}
