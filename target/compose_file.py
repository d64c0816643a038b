"""Pin one service's image in the text of a compose file, and release the pin. Pure.

Only the span of the ``image:`` scalar changes; comments, order and line ends stay. What stood
there first is kept in a comment on the same line, so that the file itself says how to undo it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from target.yaml_text import YamlError, compose_yaml

MARK = "# sermon-monitor: was "
_ORIGINAL = r"""\s*# sermon-monitor: was (?P<was>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'](?:[^\r\n]*?[^\s])??)(?=\s+#|\s*$)"""
_REST = re.compile(r"[ \t]*(?:[ \t]#[^\r\n]*)?(?=\r?\n|\r?\Z)")


class ComposeFileError(Exception):
    """The file cannot be edited; the words say why and what mends it."""


@dataclass(frozen=True)
class ImageLine:
    """Where a service names its image: ``text[start:end]`` is the scalar, ``text[end:rest]`` the comment."""

    start: int
    end: int
    rest: int
    line: int
    """Counted from 1."""
    value: str
    """Without quotes; variables such as ``${TAG}`` are not filled in."""
    written: str
    """With its quotes."""
    original: str | None
    """What a pin replaced, with its quotes; None where nothing is pinned."""


def find_image(text: str, service: str) -> ImageLine:
    """The ``image:`` of ``service``. Raises ComposeFileError where there is none that can be edited."""
    node = _child(_child(_root(text), "services", "the file"), service, "services")
    key, value = _pair(node, "image", f"service {service}")
    name = f"image of service {service} (line {key.start_mark.line + 1})"
    if not isinstance(value, yaml.ScalarNode):
        raise ComposeFileError(f"{name} is not a plain text")
    start, end = value.start_mark.index, value.end_mark.index
    between = text[key.end_mark.index : start] if start > key.end_mark.index else "*"
    if not re.fullmatch(r"[ \t]*:[ \t]+", between) or text[start] in "&!*":
        raise ComposeFileError(
            f"{name} is an anchor, an alias or a tag, or does not stand on the line of its key; "
            "write it there as plain text"
        )
    written = text[start:end]
    if value.style in ("|", ">") or "\n" in written:
        raise ComposeFileError(f"{name} goes over several lines; write it on one")
    rest = _REST.match(text, end)
    if rest is None:
        raise ComposeFileError(f"{name} shares its line with other keys; give it a line of its own")
    pinned = re.match(_ORIGINAL, rest.group())
    return ImageLine(
        start=start,
        end=end,
        rest=rest.end(),
        line=value.start_mark.line + 1,
        value=value.value,
        written=written,
        original=pinned.group("was") if pinned else None,
    )


def pin(text: str, service: str, reference: str) -> str:
    """``text`` with ``service`` on ``reference``; the first original survives a second pin."""
    image = find_image(text, service)
    comment = "" if image.original is not None else f" {MARK}{image.written}"
    pinned = text[: image.start] + reference + comment + text[image.end :]
    _check(pinned, service, reference)
    return pinned


def unpin(text: str, service: str) -> str:
    """``text`` as it was before the first pin; the same text where nothing is pinned."""
    image = find_image(text, service)
    if image.original is None:
        return text
    rest = re.sub(_ORIGINAL, "", text[image.end : image.rest], count=1)
    return text[: image.start] + image.original + rest + text[image.rest :]


def forget(text: str, service: str) -> str:
    """``text`` without the note of a former pin; the image stays as it is."""
    image = find_image(text, service)
    rest = re.sub(_ORIGINAL, "", text[image.end : image.rest], count=1)
    return text[: image.end] + rest + text[image.rest :]


def restore(text: str, service: str, written: str, original: str | None) -> str:
    """``text`` with the image line of ``service`` as it stood: ``written`` with its quotes, and with
    ``original`` in a pin's comment where it was pinned then."""
    bare = forget(text, service)
    image = find_image(bare, service)
    comment = "" if original is None else f" {MARK}{original}"
    return bare[: image.start] + written + comment + bare[image.end :]


def unquoted(written: str) -> str:
    """The value of a scalar as it stands in a file: ``"a:b"`` and ``'a:b'`` are ``a:b``."""
    try:
        node = compose_yaml(written)
    except YamlError:
        return written
    return node.value if isinstance(node, yaml.ScalarNode) else written


def _check(text: str, service: str, reference: str) -> None:
    """The edit must read back as what was meant, or it is not made."""
    image = find_image(text, service)
    if image.value != reference or image.original is None:
        raise ComposeFileError(
            f"{reference} cannot be written into the image line of service {service} (line {image.line})"
        )


def _root(text: str) -> yaml.Node | None:
    try:
        return compose_yaml(text)
    except YamlError as error:
        raise ComposeFileError(f"not a YAML file: {error}") from error


def _pair(node: yaml.Node | None, key: str, where: str) -> tuple[yaml.Node, yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value == key:
                return name, value
    raise ComposeFileError(f"{where} has no {key}:")


def _child(node: yaml.Node | None, key: str, where: str) -> yaml.Node:
    return _pair(node, key, where)[1]
