"""A cluster of one node with one CPU on this machine, in a process of its own, which knows nothing of the tests' Ray.

Prints its address; takes lines from stdin: `add N` adds a node of N CPUs, `end` or the end of input ends it.
"""

from __future__ import annotations

import sys


def main() -> None:
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 2**27}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        print(cluster.address, flush=True)
        for line in sys.stdin:
            if line.startswith("end"):
                break
            cluster.add_node(num_cpus=int(line.split()[1]))
    finally:
        cluster.shutdown()
        print("ended", flush=True)


if __name__ == "__main__":
    main()
