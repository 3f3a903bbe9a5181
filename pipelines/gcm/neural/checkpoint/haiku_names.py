"""Between the weights of a checkpoint, named as Haiku names modules, and our parameter tree; random initial weights.

A conversion is strict: each weight the settings call for is used exactly once, has its shape and is finite float32.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from sciml.pipelines.errors import DataError, suggest
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint.weights import Path, weights

Params = dict[str, "Params | np.ndarray"]


def from_haiku(config: c.ModelConfig, params: Mapping, *, source: str) -> Params:
    """Our parameter tree from the `params` of a checkpoint: each weight used once, none missing, shapes as they must be.

    Raises:
      DataError: a weight is missing, of another shape, not of real numbers, or belongs to nothing; the message names it.
    """
    given = {(str(module), str(name)): value for module, arrays in _items(params, source) for name, value in arrays}
    expected = weights(config)
    tree: Params = {}
    for weight in expected:
        key = (weight.module, weight.name)
        if key not in given:
            left = [module for module, name in given if name == weight.name]
            near = suggest(weight.module, left) if left else "all that it holds has another place"
            raise DataError(f'{source} lacks the weight "{weight.name}" of {weight.module}; {near}'[:600])
        what = f'{source}: weight "{weight.name}" of {weight.module}'
        _put(tree, weight.path, _checked(given.pop(key), weight.shape, what))
    if given:
        (module, name), *rest = given
        more = f" (and {len(rest)} more)" if rest else ""
        raise DataError(f'{source} holds the weight "{name}" of {module}{more}, which the settings have no use for')
    return tree


def checked_tree(config: c.ModelConfig, tensors: Mapping[str, np.ndarray], *, source: str) -> Params:
    """Our parameter tree from arrays by their place in it, "encoder/tower/encode/linear_0/kernel".

    Raises:
      DataError: as `from_haiku`.
    """
    given, tree = dict(tensors), {}
    for weight in weights(config):
        name = "/".join(weight.path)
        if name not in given:
            raise DataError(f'{source} lacks the weight "{name}"; {suggest(name, given)}'[:600])
        _put(tree, weight.path, _checked(given.pop(name), weight.shape, f'{source}: weight "{name}"'))
    if given:
        raise DataError(f"{source} holds weights which the settings have no use for: {', '.join(given)}"[:600])
    return tree


def _items(params: Mapping, source: str) -> Iterator[tuple[str, list]]:
    if not isinstance(params, Mapping):
        raise DataError(f"{source}: params is {type(params).__name__}, wanted a dict of modules")
    for module, arrays in params.items():
        if not isinstance(arrays, Mapping):
            raise DataError(f"{source}: params of {module} are {type(arrays).__name__}, wanted a dict of arrays")
        yield module, list(arrays.items())


def _checked(value: object, shape: tuple[int, ...], what: str) -> np.ndarray:
    array = np.asarray(value)
    if array.shape != shape:
        raise DataError(f"{what} has shape {array.shape}; the settings want {shape}")
    if array.dtype != np.float32:
        raise DataError(f"{what} is {array.dtype}; wanted float32")
    if not np.isfinite(array).all():
        raise DataError(f"{what} is not finite")
    return array


def _put(tree: dict, path: Path, value: np.ndarray) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


def to_haiku(config: c.ModelConfig, params: Params) -> dict[str, dict[str, np.ndarray]]:
    """The original's `params` from our tree: the inverse of `from_haiku`."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for weight in weights(config):
        value = params
        for name in weight.path:
            value = value[name]
        found.setdefault(weight.module, {})[weight.name] = np.asarray(value)
    return found


def initial(config: c.ModelConfig, seed: int) -> Params:
    """Random weights as the original starts from: dense and convolution kernels normal with deviation 1 / sqrt(inputs)
    and cut at two of it, constant embeddings with deviation 1, all else 0. Draws are NumPy's, not the original's."""
    generator, tree = np.random.default_rng(seed), {}
    for weight in weights(config):
        value = np.zeros(weight.shape, np.float32)
        if weight.spread:
            value = (_truncated(generator, weight.shape) * weight.spread).astype(np.float32)
        _put(tree, weight.path, value)
    return tree


def _truncated(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal values within [-2, 2]: those outside are drawn again."""
    values = generator.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = generator.standard_normal(int(outside.sum()))
    return values
