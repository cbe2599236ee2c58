"""What to compare with: other people's network and orders of operations, on e3nn's products."""

from typing import Any


def o3() -> Any:
    """The module `e3nn.o3`.

    Raises:
        ImportError: e3nn is not installed; the message names the extra that has it.
    """
    try:
        from e3nn import o3
    except ImportError as error:
        raise ImportError("the baselines are built on e3nn: pip install 'tdn-theory[benchmark]'") from error
    return o3
