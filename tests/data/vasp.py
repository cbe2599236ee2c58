"""Output of VASP in the least form that has all labels."""

from __future__ import annotations

import numpy as np
from ase import Atoms


def vasprun(atoms: Atoms) -> str:
    """A `vasprun.xml` of one step; VASP's stress is in kbar, and positive under pressure."""
    scaled, forces = atoms.get_scaled_positions(wrap=False), atoms.get_forces()
    stress = -atoms.get_stress(voigt=False) * 1602.1766208
    kinds = sorted(set(atoms.symbols))
    rows = "".join(f"<rc><c>{symbol} </c><c>{kinds.index(symbol) + 1}</c></rc>" for symbol in atoms.symbols)
    basis = f'<varray name="basis">{_rows(atoms.cell.array)}</varray>'
    structure = f'<crystal>{basis}</crystal><varray name="positions">{_rows(scaled)}</varray>'
    energy = f"{atoms.get_potential_energy():.10f}"
    return f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
<kpoints><varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1</v></varray></kpoints>
<atominfo><atoms>{len(atoms)}</atoms><array name="atoms"><set>{rows}</set></array></atominfo>
<structure name="initialpos">{structure}</structure>
<calculation>
<scstep><energy><i name="e_fr_energy">{energy}</i><i name="e_wo_entrp">{energy}</i><i name="e_0_energy">{energy}</i>
</energy></scstep>
<structure>{structure}</structure>
<varray name="forces">{_rows(forces)}</varray>
<varray name="stress">{_rows(stress)}</varray>
<energy><i name="e_fr_energy">{energy}</i><i name="e_wo_entrp">{energy}</i><i name="e_0_energy">{energy}</i></energy>
</calculation>
</modeling>
"""


def _rows(matrix: np.ndarray) -> str:
    return "".join(f"<v>{x:.12f} {y:.12f} {z:.12f}</v>" for x, y, z in matrix)
