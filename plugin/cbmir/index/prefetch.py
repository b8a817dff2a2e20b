"""What will be read soon, told to the processor: it is fetched while other work goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LINE = 64
"""Bytes that a processor fetches at once; where it is more, some hints are in vain."""

_ADDRESS, _NUMBER = ir.IntType(8).as_pointer(), ir.IntType(32)
_READ, _KEPT_CLOSE, _DATA = _NUMBER(0), _NUMBER(3), _NUMBER(1)


def _prefetch(_context: Any, array: types.Array, _place: types.Integer) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), _ADDRESS)
        kind = ir.FunctionType(ir.VoidType(), [_ADDRESS, _NUMBER, _NUMBER, _NUMBER])
        hint = builder.module.declare_intrinsic("llvm.prefetch", [_ADDRESS], kind)
        builder.call(hint, [address, _READ, _KEPT_CLOSE, _DATA])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


prefetch = cast(Callable[[npt.NDArray[Any], int], None], intrinsic(_prefetch))
"""In compiled code alone: have the cache line of one element of a contiguous array fetched, by its place in memory.

It is a hint. It changes nothing, waits for nothing, and a place beyond the array does no harm.
"""
