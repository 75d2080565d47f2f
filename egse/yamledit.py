"""Changes values in YAML text and leaves the rest as it was written: comments, order, quotes, notation of numbers.

The text is not written anew from data. What is new is put in the place of what is old; then the result is read again,
and if it does not say exactly what it should (aliases and merge keys can do that), the answer is None and the caller
writes the whole text from data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from egse.yamlfile import YAMLFileError, compose_yaml, format_entry, format_inline, parse_yaml, to_plain


class _CannotEditError(Exception):
    """The place is written in a way that is not edited piece by piece; the entry around it is replaced."""


def edit_yaml(text: str, wanted: Mapping[str, Any]) -> str | None:
    """Returns the text with as few changes as it takes to say `wanted`.

    Args:
        text: a YAML document whose root is a mapping.
        wanted: what it shall say; values as for `egse.yamlfile.format_yaml`.

    Returns:
        The new text; None when it cannot be had by editing.

    Raises:
        TypeError: naming the key path of a value that has no YAML form.
    """
    plain = to_plain(wanted)
    try:
        present = parse_yaml(text)
        node = compose_yaml(text)
        if not isinstance(node, yaml.MappingNode) or not isinstance(present, dict):
            return None
        editor = _Editor(text)
        editor.mapping(node, present, _text_keys(plain))
        result = editor.result()
        return result if _same(parse_yaml(result), _text_keys(plain)) else None
    except (YAMLFileError, _CannotEditError, yaml.YAMLError):
        return None


class _Editor:
    """Collects replacements of pieces of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._edits: list[tuple[int, int, str]] = []

    def result(self) -> str:
        """Returns the text with all replacements made."""
        pieces, position = [], 0
        for start, end, new in sorted(self._edits, key=lambda edit: edit[:2]):  # stable: inner before outer
            if start < position:
                raise _CannotEditError
            pieces += [self._text[position:start], new]
            position = end
        return "".join([*pieces, self._text[position:]])

    # -- mappings ------------------------------------------------------------------------------------------------

    def mapping(self, node: yaml.MappingNode, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Changes the entries of a mapping."""
        entries = {key.value: (key, value) for key, value in node.value}
        if "<<" in entries or not any(key in new for key in entries):
            raise _CannotEditError
        for position, (name, (key, value)) in enumerate(entries.items()):
            if name not in new:
                self._remove(node, position)
            elif not _same(old[name], new[name]):
                self._change(node, key, value, old[name], new[name])
        added = {name: value for name, value in new.items() if name not in entries}
        if added:
            kept = [value for name, (_, value) in entries.items() if name in new]
            self._add(node, kept[-1], added)

    def _change(
        self, parent: yaml.MappingNode, key: yaml.ScalarNode, node: yaml.Node, old: Any, new: Any
    ) -> None:
        before = len(self._edits)
        try:
            self._value(node, old, new, bool(parent.flow_style))
        except _CannotEditError:
            del self._edits[before:]
            if parent.flow_style:
                self._edits.append((*_span(node), format_inline(new, flow=True)))
            else:
                name = self._text[key.start_mark.index : key.end_mark.index]
                entry = format_entry(new, key.start_mark.column)
                self._edits.append((key.start_mark.index, self._content_end(node), f"{name}:{entry}"))

    def _value(self, node: yaml.Node, old: Any, new: Any, flow: bool) -> None:
        if isinstance(node, yaml.MappingNode) and isinstance(new, Mapping):
            self.mapping(node, old, new)
        elif isinstance(node, yaml.SequenceNode) and isinstance(new, list) and len(node.value) == len(new):
            for child, before, after in zip(node.value, old, new):
                if not _same(before, after):
                    self._value(child, before, after, flow or bool(node.flow_style))
        elif _is_inline(node) and (written := _on_one_line(new, flow)) is not None:
            start, end = _span(node)
            gap = " " if start == end and self._text[start - 1 : start] == ":" else ""
            self._edits.append((start, end, gap + written))
        else:
            raise _CannotEditError

    def _add(self, node: yaml.MappingNode, last: yaml.Node, added: Mapping[str, Any]) -> None:
        if node.flow_style:
            end = self._content_end(last)
            written = format_inline(dict(added), flow=True)[1:-1]
            self._edits.append((end, end, f", {written}"))
            return
        column = node.value[0][0].start_mark.column
        end = self._line_end(self._content_end(last))
        lines = [
            f"\n{' ' * column}{format_inline(_number(name), flow=False)}:{format_entry(value, column)}"
            for name, value in added.items()
        ]
        self._edits.append((end, end, "".join(lines)))

    def _remove(self, node: yaml.MappingNode, position: int) -> None:
        key, value = node.value[position]
        start, end = key.start_mark.index, self._content_end(value)
        if not node.flow_style:
            begin = self._text.rfind("\n", 0, start) + 1
            if self._text[begin:start].strip():
                raise _CannotEditError  # stands behind a dash
            # With the newline before it, not after it, where something may be added.
            line_end = self._line_end(end)
            self._edits.append((begin - 1, line_end, "") if begin else (0, line_end + 1, ""))
        elif position + 1 < len(node.value):
            self._edits.append((start, node.value[position + 1][0].start_mark.index, ""))
        else:
            self._edits.append((self._content_end(node.value[position - 1][1]), end, ""))

    # -- places --------------------------------------------------------------------------------------------------

    def _content_end(self, node: yaml.Node) -> int:
        """Returns where the last thing of a node ends, without the comments that follow it."""
        if _is_inline(node):
            return node.end_mark.index
        if isinstance(node, yaml.CollectionNode) and node.value:
            last = node.value[-1]
            return self._content_end(last[1] if isinstance(last, tuple) else last)
        return len(self._text[: node.end_mark.index].rstrip())  # a block of text

    def _line_end(self, index: int) -> int:
        end = self._text.find("\n", index)
        return len(self._text) if end < 0 else end


def _span(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.index, node.end_mark.index


def _is_inline(node: yaml.Node) -> bool:
    """Says whether a node ends where its end mark is: everything but blocks."""
    if isinstance(node, yaml.ScalarNode):
        return node.style not in ("|", ">")
    return bool(node.flow_style) if isinstance(node, yaml.CollectionNode) else False


def _on_one_line(value: Any, flow: bool) -> str | None:
    """Returns a value as text that can take the place of another on its line, None when it is written as a block."""
    written = format_inline(value, flow=flow)
    is_block = isinstance(value, Mapping) or (isinstance(value, list) and not written.startswith("["))
    return None if "\n" in written or (is_block and not flow) else written


def _number(name: str) -> Any:
    return next(iter(to_plain({name: None})))


def _text_keys(value: Any) -> Any:
    """Undoes that keys which are numbers are written as numbers."""
    if isinstance(value, Mapping):
        return {str(key): _text_keys(item) for key, item in value.items()}
    return [_text_keys(item) for item in value] if isinstance(value, list) else value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and (repr(one) == repr(other) if isinstance(one, float) else one == other)


def without_header(text: str, headers: Sequence[str]) -> str:
    """Returns a text without the comment blocks at its beginning that a program wrote.

    Args:
        text: the text.
        headers: how such blocks begin; each reaches to a line that begins with "# Created on", in whatever case, or to
            the first line that is no comment.
    """
    lines = text.splitlines(keepends=True)
    while lines and any(lines[0].startswith(header) for header in headers):
        end = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
        created = [n for n in range(end) if lines[n].lower().startswith("# created on")]
        del lines[: created[0] + 1 if created else end]
        while lines and not lines[0].strip():
            del lines[0]
    return "".join(lines)
