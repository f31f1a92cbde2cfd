"""The example notebook of docs/ shows what the package says: it is executed again and compared. BLESS=1 writes it anew."""

import os

import nbclient
import nbformat
from conftest import ROOT

NOTEBOOK = ROOT / "docs/notebook.ipynb"


def shown(notebook):
    """Each cell's source and outputs, without what differs from run to run."""
    cells = []
    for cell in notebook.cells:
        outputs = [output.get("data") or output.get("text") or output for output in cell.get("outputs", [])]
        cells.append((cell.source, outputs))
    return cells


def test_the_notebook_is_current():
    committed = nbformat.read(NOTEBOOK, as_version=4)
    executed = nbformat.from_dict(committed)
    nbclient.NotebookClient(executed, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    if os.environ.get("BLESS"):
        for cell in executed.cells:
            cell.metadata = {}
        executed.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        nbformat.write(executed, NOTEBOOK)
        committed = executed
    assert shown(executed) == shown(committed)
    assert all(output.output_type != "error" for cell in executed.cells for output in cell.get("outputs", []))
