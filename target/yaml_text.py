"""YAML that somebody else wrote, as plain values. Whatever is wrong with it is one error, in words.

PyYAML's own errors are only a part of what its safe loader raises: a value with a tag of its own
(``!!timestamp x``), a day like 2026-13-45, a number of 5,000 digits each end in another one of Python's.
"""

from __future__ import annotations

from typing import Any

import yaml

MOST_NODES = 200_000
"""With every alias counted as what it stands for: a few lines of them can stand for 10^9."""
_RAISED = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError)


class YamlError(ValueError):
    """Not YAML that can be read."""


def parse_yaml(text: str | bytes, loader: type[Any] = yaml.SafeLoader) -> Any:
    """What the one document of ``text`` says; None for an empty one. Raises YamlError.

    ``loader``: one of PyYAML's safe ones.
    """
    return _read(text, loader, construct=True)


def compose_yaml(text: str | bytes) -> yaml.Node | None:
    """The nodes of the one document, with where each stands. Raises YamlError."""
    node: yaml.Node | None = _read(text, yaml.SafeLoader, construct=False)
    return node


def _read(text: str | bytes, loader: type[Any], *, construct: bool) -> Any:
    reading = None
    try:
        reading = loader(text)
        node = reading.get_single_node()
        if node is None:
            return None
        _refuse_bombs(node)
        return reading.construct_document(node) if construct else node
    except yaml.YAMLError as error:
        raise YamlError(" ".join(str(error).split())) from error
    except YamlError:
        raise
    except RecursionError as error:
        raise YamlError("nested too deeply") from error
    except _RAISED as error:
        raise YamlError(f"a value that cannot be read: {error}"[:200]) from error
    finally:
        if reading is not None:
            reading.dispose()


def _refuse_bombs(root: yaml.Node) -> None:
    """Raises YamlError; RecursionError where it is nested so deeply."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        known = sizes.get(id(node))
        if known is None:
            sizes[id(node)] = 0  # until it is known: who meets this is inside of it
            known = sizes[id(node)] = 1 + sum(map(size, _parts(node)))
            if known > MOST_NODES:
                raise YamlError(f"more than {MOST_NODES} values, with its aliases written out")
        elif known == 0:
            raise YamlError("an alias that stands for what it is in")
        return known

    size(root)


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []
