"""Make ``spaces/nasbench101/tables/cells.parquet``: all cells of NAS-Bench-101 in the order of their fingerprints.

python examples/nasbench101_index.py spaces/nasbench101/tables/cells.parquet     # about a minute
"""

import sys

import pyarrow as pa
import pyarrow.parquet as pq

from zcbench.spaces.nasbench101.cell import OPERATIONS, enumerate_cells, fingerprint


def main(path: str) -> None:
    """Enumerate, sort and write."""
    cells = sorted(enumerate_cells(), key=fingerprint)
    graphs = ["|".join("".join(map(str, sources)) for sources in graph.sources) for graph in cells]
    codes = [sum(op * len(OPERATIONS) ** place for place, op in enumerate(graph.operations)) for graph in cells]
    known = {text: number for number, text in enumerate(sorted(set(graphs)))}
    numbers = pa.array([known[text] for text in graphs], type=pa.int16())
    table = pa.table(
        {
            "graph": pa.DictionaryArray.from_arrays(numbers, pa.array(list(known))),
            "operations": pa.array(codes, type=pa.uint8()),
        }
    )
    pq.write_table(table, path, compression="zstd", compression_level=19)


if __name__ == "__main__":
    main(*sys.argv[1:])
