"""Fixtures of the search for architectures and of the losses, which the search for distillers uses too."""

from ..distill.conftest import outputs as outputs
from ..distill.conftest import pair as pair
from ..search.conftest import counted as counted
from ..search.conftest import fails as fails
from ..search.conftest import space as space
from ..search.conftest import strings as strings
from ..search.conftest import zcbench_command as zcbench_command
