"""Calls the load client (benches/load)."""

import json
import subprocess


class Client:
    """The load client, pinned to its cores."""

    def __init__(self, path, cores):
        self.path = path
        self.cores = cores
        self.workloads = {row["name"]: row for row in self._call(["list"], cores)}

    def fill(self, server, dataset, keys, **options):
        """Loads a data set; options are the client's, with underscores."""
        return self._call(["fill", "--port", server.port, "--dataset", dataset, "--keys", keys, *flags(options)],
                          self.cores)

    def run(self, server, workload, cores=None, **options):
        """Measures one workload once."""
        return self._call(["run", "--port", server.port, "--pid", server.pid, "--workload", workload, *flags(options)],
                          cores or self.cores)

    def _call(self, arguments, cores):
        command = ["taskset", "-c", cores, self.path, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return json.loads(done.stdout)


def flags(options):
    """{"value_size": 64, "random": True} as --value-size 64 --random; None and False are left out."""
    result = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        result.append("--" + name.replace("_", "-"))
        if value is not True:
            result.append(value)
    return result
