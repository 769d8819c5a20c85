# mypy: ignore-errors
"""Asking the processor for memory before it is needed: what a fold waits for is a state that lies in no cache yet."""

from typing import Any, Final

from llvmlite import ir  # it has no types, and neither has what it builds
from numba.core import cgutils, types
from numba.extending import intrinsic

LINE: Final = 64
"""Bytes that the processor fetches at a time."""


@intrinsic
def prefetch(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
    """Ask for the line at an address (LLVM's `llvm.prefetch`): a hint, which neither waits nor fails."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        pointer = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [pointer, flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.none(types.intp), generate
