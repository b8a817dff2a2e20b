"""What will be read soon, told to the processor: it is fetched while other work goes on.

For compiled code alone. A hint changes nothing, waits for nothing, and does no harm where it is beyond the array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LINE = 64
"""Bytes that a processor fetches at once; where it is more, some hints are in vain."""
Hint = Callable[[npt.NDArray[Any], int], None]
"""Have the cache line of one element of a contiguous array fetched, by its place in memory."""

_ADDRESS, _NUMBER = ir.IntType(8).as_pointer(), ir.IntType(32)
_READ, _DATA = _NUMBER(0), _NUMBER(1)


def _hint(kept: int) -> Hint:
    """A hint that says where the line is wanted: from 3, in all caches, to 1, in the last alone."""

    def typed(_context: Any, array: types.Array, _place: types.Integer) -> Any:
        return types.void(array, types.intp), generate

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), _ADDRESS)
        kind = ir.FunctionType(ir.VoidType(), [_ADDRESS, _NUMBER, _NUMBER, _NUMBER])
        hint = builder.module.declare_intrinsic("llvm.prefetch", [_ADDRESS], kind)
        builder.call(hint, [address, _READ, _NUMBER(kept), _DATA])
        return context.get_dummy_value()

    return cast(Hint, intrinsic(typed))


prefetch = _hint(3)
prefetch_beyond = _hint(2)
"""In all but the first cache, which would have to give up for it what is read before."""
