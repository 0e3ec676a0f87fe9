"""Tasks: a network, a loss and a metric for the labels of a data set.

>>> from zcbench.distill.tasks import read_task
>>> read_task("segmentation(head='pspnet')").metric
'miou'
"""

from zcbench.distill.tasks.base import TASKS as TASKS
from zcbench.distill.tasks.base import Criterion as Criterion
from zcbench.distill.tasks.base import Task as Task
from zcbench.distill.tasks.classification import CLASSIFICATION as CLASSIFICATION
from zcbench.distill.tasks.classification import Classification as Classification
from zcbench.distill.tasks.detection import Detection as Detection
from zcbench.distill.tasks.reading import read_task as read_task
from zcbench.distill.tasks.reading import task_of as task_of
from zcbench.distill.tasks.segmentation import Segmentation as Segmentation
