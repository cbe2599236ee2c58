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


def outcar(frames: list[Atoms]) -> str:
    """An `OUTCAR` of several ionic steps of the same atoms, in VASP's order of lines; stress as in `vasprun`."""
    kinds = list(dict.fromkeys(frames[0].symbols))
    counts = [list(frames[0].symbols).count(kind) for kind in kinds]
    potentials = "".join(f" POTCAR:    PAW_PBE {kind} 08Apr2002\n" for kind in kinds)
    text = f"""{potentials}{potentials}   ISPIN  =      1    spin polarized calculation?
   ions per type =        {"".join(f"{count:4d}" for count in counts)}
"""
    for number, atoms in enumerate(frames, start=1):
        xx, yy, zz, yz, xz, xy = -atoms.get_stress() * 1602.1766208
        energy = atoms.get_potential_energy()
        cell = "\n".join(f"  {a:.9f} {b:.9f} {c:.9f}     0.0 0.0 0.0" for a, b, c in atoms.cell.array)
        rows = "\n".join(
            "".join(f"{v:15.9f}" for v in (*position, *force))
            for position, force in zip(atoms.positions, atoms.get_forces(), strict=True)
        )
        line = " " + "-" * 83
        text += f"""----------------------------- Iteration {number:6d}(   1)  -----------------------------
  in kB  {xx:14.8f}{yy:14.8f}{zz:14.8f}{xy:14.8f}{yz:14.8f}{xz:14.8f}
      direct lattice vectors                 reciprocal lattice vectors
{cell}

 POSITION                                       TOTAL-FORCE (eV/Angst)
{line}
{rows}
{line}
  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy   TOTEN  =      {energy:.10f} eV

  energy  without entropy=      {energy:.10f}  energy(sigma->0) =      {energy:.10f}
"""
    return text


def _rows(matrix: np.ndarray) -> str:
    return "".join(f"<v>{x:.12f} {y:.12f} {z:.12f}</v>" for x, y, z in matrix)
