"""The vector code that a record states is the one that ran."""

import json
import os
import subprocess
import sys

import numpy as np

from tdn_theory.checkout import ROOT

FEATURES = np.show_config(mode="dicts")["SIMD Extensions"]


def stated(imports: str, **environment: str) -> dict[str, str]:
    """In a process of its own."""
    code = f"import json{imports}; from tdn_theory.provenance import provenance; print(json.dumps(provenance(0)))"
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)["vector_code"]


def test_numpy_found_the_features_of_this_processor():
    assert stated("")["numpy"].split() == FEATURES.get("found", FEATURES["baseline"])  # which has no empty lists


def test_switched_off_features_are_not_stated():
    off = [os.environ.get("NPY_DISABLE_CPU_FEATURES", ""), *FEATURES.get("found", [])]
    found = stated(", torch", NPY_DISABLE_CPU_FEATURES=" ".join(off), ATEN_CPU_CAPABILITY="default")
    assert found["numpy"].split() == FEATURES["baseline"]
    assert found["torch"] == "DEFAULT"


def test_what_made_no_numbers_is_not_stated():
    assert "torch" not in stated("")
