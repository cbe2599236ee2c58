"""Run by test_triton.py in an interpreter of its own: what the compiler makes of the kernels, without a GPU.

Each launch is caught and compiled for an H100. The machine code must keep all sums in registers (no local memory), and
read and write features 16 bytes at a time.
"""

import os

os.environ["TRITON_INTERPRET"] = "0"  # before a kernel is defined

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from tdn_theory.nn.kernels import cp, message

H100 = GPUTarget("cuda", 90, 32)
TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
POINTERS = {torch.float32: "*fp32", torch.float64: "*fp64", torch.bfloat16: "*bf16", torch.int64: "*i64"}
failures = []


class Compiled:
    """Takes the place of a kernel: compiles what is launched, and looks at the machine code."""

    def __init__(self, kernel, name: str) -> None:
        self.kernel, self.name = kernel, name

    def __getitem__(self, grid):
        return self.compile

    def compile(self, *arguments, num_warps, num_stages, enable_fp_fusion, **constants) -> None:
        """As Triton specialises a launch: 1 is a constant, multiples of 16 are known to be ones."""
        signature, attributes = {}, {}
        for place, (name, value) in enumerate(zip(self.kernel.arg_names, arguments, strict=False)):
            if isinstance(value, int) and value == 1:
                constants[name] = 1
            else:
                signature[name] = POINTERS[value.dtype] if isinstance(value, torch.Tensor) else "i32"
                if isinstance(value, torch.Tensor) or value % 16 == 0:
                    attributes[(place,)] = [["tt.divisibility", 16]]
        signature = {name: signature.get(name, "constexpr") for name in self.kernel.arg_names}
        source = ASTSource(self.kernel, signature, constexprs=constants, attrs=attributes)
        options = {"num_warps": num_warps, "num_stages": num_stages, "enable_fp_fusion": enable_fp_fusion}
        self.examine(triton.compile(source, target=H100, options=options).asm["cubin"], num_warps)

    def examine(self, cubin: bytes, num_warps: int) -> None:
        """Registers, local memory, and how memory is accessed."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "kernel.cubin"
            file.write_bytes(cubin)
            usage, code = (
                subprocess.run([TOOLS / tool, option, file], capture_output=True, text=True, check=True).stdout
                for tool, option in (("cuobjdump", "--dump-resource-usage"), ("nvdisasm", "-c"))
            )
        registers, stack = (int(re.search(rf"{what}:(\d+)", usage)[1]) for what in ("REG", "STACK"))
        wide = {kind: len(re.findall(rf"\b{kind}\.E(?:\.\w+)*\.128\b", code)) for kind in ("LDG", "STG")}
        print(f"{self.name}: {num_warps} warps, {registers} registers, {stack} bytes of local memory, {wide}")
        if stack or not wide["LDG"] or not wide["STG"]:
            failures.append(self.name)


def launches() -> None:
    """The kernels as products and message steps launch them."""
    index, order = torch.arange(2), torch.arange(2)
    start = torch.arange(3)
    for lmax in (3, 6):
        d = (lmax + 1) ** 2
        x, w, G = (torch.zeros(2, *shape) for shape in ((d, 128), (128,), (d, d)))
        if lmax == 3:
            message._couple_kernel = Compiled(couple, f"gradients of the message step, L = {lmax}")
            message.contract(G.mT, w, x, index, None, None, order, start, (x, x, index))
        message._couple_kernel = Compiled(couple, f"product, L = {lmax}")
        message.contract(G, w, x, None, None, None, None, None)
    message._matrices_kernel = Compiled(message._matrices_kernel, "gradients of matrices, L = 3")
    message.outer(torch.zeros(2, 16, 16), torch.zeros(2, 128), *[torch.zeros(2, 16, 128), None] * 3)
    cp._cp_kernel = Compiled(cp._cp_kernel, "CP, L = 3")
    torch.set_float32_matmul_precision("high")
    cp._cp(*[torch.zeros(16, 63)] * 3, *[torch.zeros(2, 16, 128)] * 2)


if __name__ == "__main__":
    couple = message._couple_kernel
    launches()
    sys.exit(f"compiled badly: {failures}" if failures else 0)
