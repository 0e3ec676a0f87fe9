"""The report of a distiller search, drawn from invented content."""

from zcbench.kdzero.genome import Genome
from zcbench.kdzero.report import distiller_page, write_distiller_report

TERMS = {
    "ce": 1.0,
    "sharpness": -2.0,
    "sharpness_absolute": 2.0,
    "sharpness_second_order": -0.5,
    "cka": 0.5,
    "accuracy": 60.0,
    "agreement": 70.0,
}


def row(weight: float, fitness: float | None, **terms: float) -> dict:
    known = {"formula": Genome("logits", weight=weight).formula, "fitness": fitness, "proxy": -weight, "steps": 5}
    if fitness is None:
        return {**known, "status": "rejected", "reason": "excessive: <b>above</b>", "terms": None}
    return {**known, "status": "ok", "reason": "", "terms": TERMS | terms}


def content() -> dict:
    history = [row(1.0, 0.5), row(5.0, -0.5, ce=0.8, cka=0.6, accuracy=64.0), row(100.0, None), row(0.5, 0.1, ce=0.9)]
    share = {"operation": "logits", "top": 1.0, "all": 1.0}
    return {
        "best": {
            "formula": history[1]["formula"],
            "fitness": -0.5,
            "terms": {"ce": 0.8, "sharpness": -2.0, "cka": 0.6, "sum": -1.8},
            "validation_accuracy": 64.0,
            "distiller": "genome(...)",
            "evaluation": 2,
        },
        "warnings": ["The teacher has 10.00 % & more is needed."],
        "references": {"teacher": TERMS, "student alone": {"terms": TERMS, "status": "ok"}},
        "stopped": "4 evaluations are done",
        "proposals": 5,
        "duplicates": {"l2(no(no(scale_r1(logits))))": "l2(no(no(no(logits))))"},
        "statuses": {"ok": 3, "rejected": 1},
        "cost": {"candidates": 4, "rejected": 1, "steps": 17},
        "operations": {"top": 3, "parts": {"input": [share], "distance": [share | {"operation": "l2", "top": 0.4}]}},
        "correlations": [{"quantity": "ce", "n": 3, "tau": 1.0, "rho": None}],
        "shrinkage": [{"evaluations": 2, "weights": {"distance": {"l2": 0.5, "kl": 0.2}}}],
        "history": history,
        "protocol": {"student": {"arch": "small"}, "teacher": {"arch": "large"}, "dataset": "digits"},
        "search": {
            "algorithm": "evolution",
            "minimised": "CE + sharpness gap (exact) - CKA",
            "fitness": {"normalisation": "robust", "sharpness": "exact"},
        },
    }


CURVES = {
    "evolution": [{"evaluations": 1, "fitness": 0.5}, {"evaluations": 2, "fitness": -0.5}],
    "random": [{"evaluations": 3, "fitness": 0.2}],
    "empty": [],
}


def test_files_and_bytes(tmp_path):
    """Invariance: every figure in every format asked for, and the same bytes again."""
    pages = []
    for name in ("one", "two"):
        page = write_distiller_report(content(), CURVES, tmp_path / name, formats=["svg"])
        pages.append({file.name: file.read_bytes() for file in page.parent.rglob("*.*")})
    assert set(pages[0]) == {"index.html", "best_so_far.svg", "operations.svg", "terms.svg", "shrinkage.svg"}
    assert pages[0] == pages[1]


def test_the_page_says_what_was_found():
    """Contract: the best, the warning, the references, what failed, and every text escaped."""
    page = distiller_page(content(), CURVES)
    assert Genome("logits", weight=5.0).formula in page and "student alone" in page
    assert "10.00 % &amp; more" in page and "&lt;b&gt;above&lt;/b&gt;" in page and "<b>above" not in page


def test_a_search_without_shrinkage_or_failures(tmp_path):
    """Contract: what there is not is not drawn."""
    whole = content()
    whole |= {"shrinkage": [], "history": [one for one in whole["history"] if one["status"] == "ok"]}
    page = write_distiller_report(whole, CURVES, tmp_path, formats=["png"])
    assert not (tmp_path / "figures" / "shrinkage.png").exists()
    assert "trained to the end" in page.read_text()


def test_a_task_names_its_metric():
    """By definition: what candidates of a segmentation are judged by is the mean IoU."""
    found = content()
    found["protocol"]["task"] = "segmentation"
    page = distiller_page(found, CURVES)
    assert "alidation mean IoU" in page and "alidation accuracy" not in page
    assert "alidation accuracy" in distiller_page(content(), CURVES)
