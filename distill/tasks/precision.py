"""Average precision of detections, by pycocotools."""

import io
from contextlib import redirect_stdout
from typing import Any

from torch import Tensor

from zcbench.distill.errors import RecipeError

#: Places of the averages in the statistics of pycocotools.
_PLACES = {"ap": 0, "ap50": 1}


def require_pycocotools() -> None:
    """Refuse to go on without pycocotools.

    Raises:
        RecipeError: it is not installed.
    """
    try:
        import pycocotools.cocoeval  # noqa: F401
    except ImportError as error:
        raise RecipeError(
            f"The task detection needs pycocotools, which cannot be imported: {error}. Install 'zcbench[detection]'."
        ) from error


def average_precision(found: Tensor, labels: Tensor) -> dict[str, float]:
    """COCO average precision in percent: ``ap``, the mean over IoU from .5 to .95, and ``ap50``, that at .5.

    Both are means over the classes that occur in the labels, of the best 100 boxes of an image; 0 without any label.

    Args:
        found: ``(N, M, 6)``: class, four edges, score; the class -1 where there is no box.
        labels: ``(N, K, 5)``: class, four edges.

    Raises:
        RecipeError: pycocotools is not installed.

    Source:
        Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, arXiv:1405.0312, by ``pycocotools``.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[[0.0, 2, 2, 8, 8]]])
        >>> found = average_precision(torch.cat([boxes, torch.full((1, 1, 1), 0.9)], 2), boxes)
        >>> round(found["ap"], 6), round(found["ap50"], 6)
        (100.0, 100.0)
    """
    require_pycocotools()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    wanted, given = _records(labels), _records(found)
    if not wanted:
        return dict.fromkeys(_PLACES, 0.0)
    truth = COCO()
    classes = sorted({record["category_id"] for record in (*wanted, *given)})
    with redirect_stdout(io.StringIO()):
        truth.dataset = {
            "images": [{"id": number} for number in range(len(labels))],
            "annotations": wanted,
            "categories": [{"id": label} for label in classes],
        }
        truth.createIndex()
        answers = COCO()
        answers.dataset = {**truth.dataset, "annotations": given}
        answers.createIndex()
        evaluation = COCOeval(truth, answers, "bbox")
        # the other ranges are for statistics that are not read
        evaluation.params.areaRng, evaluation.params.areaRngLbl = evaluation.params.areaRng[:1], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {name: 100 * max(0.0, float(evaluation.stats[place])) for name, place in _PLACES.items()}


def _records(boxes: Tensor) -> list[dict[str, Any]]:
    """Annotations of pycocotools: those of labels, or detections with their scores."""
    places = (boxes[..., 0] >= 0).nonzero().tolist() if boxes.numel() else []
    chosen = boxes[boxes[..., 0] >= 0].double().cpu().tolist() if boxes.numel() else []
    return [
        {
            "id": number,
            "image_id": image,
            "category_id": int(label),
            "bbox": [left, top, right - left, bottom - top],
            "area": (right - left) * (bottom - top),
            "iscrowd": 0,
            **({"score": score[0]} if score else {}),
        }
        for number, ((image, _), (label, left, top, right, bottom, *score)) in enumerate(zip(places, chosen), 1)
    ]
