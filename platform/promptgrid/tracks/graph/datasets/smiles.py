"""A small parser of SMILES: atoms, bonds, chirality marks and directions, which is all that graph towers read.

Why our own and not RDKit: that is 35 MB more to install for one line of text to a list of atoms and bonds. What it
does not do: it checks no valence, adds no hydrogens and calls aromatic what the text calls so. Beside RDKit 2026.9.1 on
1,601 molecules of Tox21: the same atoms and bonds in all, other types of bonds in one; marks of chirality are those of
the text, which RDKit turns by the order of neighbours (202 molecules).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from promptgrid.spec import Refused

ELEMENTS = re.findall(
    r"\w+",
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br K"
    "r Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu"
    " Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db"
    " Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og",
)
NUMBER = {name: at + 1 for at, name in enumerate(ELEMENTS)} | {"*": 0}
SINGLE, DOUBLE, TRIPLE, AROMATIC = 0, 1, 2, 3
BONDS = {"-": SINGLE, "=": DOUBLE, "#": TRIPLE, ":": AROMATIC, "/": SINGLE, "\\": SINGLE}
DIRECTIONS = {"/": 1, "\\": 2}
TURNS = {"": 0, "@@": 1, "@": 2}
"""No mark, clockwise, counter-clockwise; marks of other kinds are 3."""
TOKEN = re.compile(r"\[[^\]]*\]|Br|Cl|[BCNOPSFI]|[bcnops]|\*|[-=#:/\\]|[().]|%\d\d|\d")
BRACKET = re.compile(r"\[\d*([A-Z][a-z]?|[a-z][a-z]?|\*)(@{0,2}(?:[A-Z]{2}\d+)?)(?:H\d*)?(?:[+-]+\d*|)(?::\d+)?\]")


@dataclass
class Molecule:
    """Atoms as (atomic number, chirality 0..3) and bonds as (from, to, type 0..3, direction 0..2), each once."""

    atoms: list[tuple[int, int]] = field(default_factory=list)
    bonds: list[tuple[int, int, int, int]] = field(default_factory=list)


def parsed(text: str) -> Molecule:
    """The molecule, or several beside each other, of a SMILES string.

    Raises:
        Refused: it is not one, naming the place.
    """
    found, aromatic, loose = Molecule(), list[bool](), list[int]()
    before: int | None = None
    bond, stack = "", list[int | None]()
    rings: dict[str, tuple[int, str]] = {}
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise _refused(text, at)
        token, at = match[0], match.end()
        if token == "(":
            stack.append(before)
        elif token == ")":
            if not stack:
                raise _refused(text, at - 1)
            before = stack.pop()
        elif token == ".":
            before, bond = None, ""
        elif token in BONDS:
            bond = token
        elif token[0] in "%0123456789":
            if before is None:
                raise _refused(text, at - 1)
            key = token.lstrip("%").lstrip("0") or "0"
            if key in rings:
                other, opened = rings.pop(key)
                _bind(found, aromatic, loose, (other, before), bond or opened)
            else:
                rings[key] = before, bond
            bond = ""
        else:
            number, turn, ring = _atom(token, text, at)
            found.atoms.append((number, turn))
            aromatic.append(ring)
            if before is not None:
                _bind(found, aromatic, loose, (before, len(found.atoms) - 1), bond)
            before, bond = len(found.atoms) - 1, ""
    if rings or stack or not found.atoms:
        raise _refused(text, len(text))
    for place in set(loose) & _bridges(found) if loose else ():
        one, other, _, direction = found.bonds[place]
        found.bonds[place] = one, other, SINGLE, direction
    return found


def _atom(token: str, text: str, at: int) -> tuple[int, int, bool]:
    """(atomic number, chirality, aromatic) of an atom's token."""
    match = BRACKET.fullmatch(token) if token[0] == "[" else None
    if token[0] == "[" and match is None:
        raise _refused(text, at - len(token))
    symbol = match[1] if match else token
    if symbol.capitalize() not in NUMBER:
        raise _refused(text, at - len(token))
    return NUMBER[symbol.capitalize()], TURNS.get(match[2], 3) if match else 0, symbol[0].islower()


def _bind(found: Molecule, aromatic: list[bool], loose: list[int], ends: tuple[int, int], said: str) -> None:
    """Add a bond; one that is not written between aromatic atoms is aromatic where it lies in a ring."""
    implied = not said and aromatic[ends[0]] and aromatic[ends[1]]
    if implied:
        loose.append(len(found.bonds))
    found.bonds.append((*ends, AROMATIC if implied else BONDS.get(said, SINGLE), DIRECTIONS.get(said, 0)))


def _bridges(found: Molecule) -> set[int]:
    """The bonds that lie in no ring: without one of them the molecule falls apart (Tarjan, 1974)."""
    near: list[list[tuple[int, int]]] = [[] for _ in found.atoms]
    for place, (one, other, *_) in enumerate(found.bonds):
        near[one].append((other, place))
        near[other].append((one, place))
    seen, low, bridges = [-1] * len(near), [0] * len(near), set[int]()
    for root in range(len(near)):
        if seen[root] >= 0:
            continue
        seen[root] = low[root] = 0
        path = [(root, -1, iter(near[root]))]
        while path:
            atom, came, ahead = path[-1]
            step = next(ahead, None)
            if step is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[atom])
                    if low[atom] > seen[path[-1][0]]:
                        bridges.add(came)
            elif step[1] != came:
                to, place = step
                if seen[to] < 0:
                    seen[to] = low[to] = seen[atom] + 1
                    path.append((to, place, iter(near[to])))
                low[atom] = min(low[atom], seen[to])
    return bridges


def _refused(text: str, at: int) -> Refused:
    return Refused("not a SMILES string", where=f"place {at + 1}", got=text[:60])
