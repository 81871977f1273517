#!/usr/bin/env python3
"""Room: tests/trace. Runs the Python snippets of docs/trace_format.md on a trace, and looks at what they give.

usage: read_snippets.py DOCS TRACE...      exit 77: h5py or xarray is not installed
"""
import re
import sys

try:
    import h5netcdf  # noqa: F401
    import h5py
    import numpy as np
    import xarray as xr
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)


def snippets(path):
    """The fenced python blocks of the page by the library they import first; those about stories and visits by these words."""
    text = open(path, encoding="utf-8").read()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    def name(block):
        for word, what in (("vocab", "story"), ("turns", "visits")):
            if word in block:
                return what
        return re.search(r"import (\w+)", block).group(1)

    return {name(b): b for b in blocks}


def check(docs, trace):
    code = snippets(docs)
    names = {"path": trace}
    exec(code["h5py"], names)
    w = names["w"]
    with h5py.File(trace, "r") as f:
        assert f.attrs["format"] in ("mneme-trace", b"mneme-trace"), f.attrs["format"]
        site = f["sites/read_0"]
        first, count = f["episodes/step_begin"][0], f["episodes/step_count"][0]
        assert w.shape == (count, f["slot"].shape[0]), w.shape
        assert np.allclose(w.sum(axis=1), 1, atol=1e-4)
        assert (site["argmax"][first:first + count] == w.argmax(axis=1)).all()
        assert site["weights"].dims[0].label in ("", "step") and site["weights"].dims[0][0].name == "/step"
        assert (f["step"][first:first + count] == np.arange(count)).all()
        groups = [g for g in ("sites/read_0", "sites/write_0", "io", "episodes", "memory", "controller", "items")
                  if g in f]
        complete = f["meta/complete"][()]
    if "items" in groups:
        exec(code["story"], names)
        with h5py.File(trace, "r") as f:  # the long way round
            e, site = f["episodes"], f["sites"][f["sites"].attrs["order"].decode().split(",")[-1]]
            last = e["step_begin"][0] + e["step_count"][0] - 1
            best = int(site["weights"][last].argmax())
            token = 0
            for i in range(best + 1):
                count = f["items/token_count"][e["item_begin"][0] + i]
                words, token = f["items/token"][token:token + count], token + count
            want = [f["meta/vocab"][int(t)].decode() for t in words]
        assert list(names["sentence"]) == want, (names["sentence"], want)
        names["path"] = trace
    exec(code["visits"], names)
    assert names["visits"][0] == "write_0" and sorted(names["visits"]) == sorted(names["order"]), names["visits"]
    exec(code["xarray"], names)
    assert names["ds"].weights.dims == ("step", "slot"), names["ds"].weights.dims
    for group in groups:
        with xr.open_dataset(trace, group=group, engine="h5netcdf") as ds:
            for name, variable in ds.variables.items():
                assert not any(d.startswith("phony") for d in variable.dims), (group, name, variable.dims)
                variable.values
                assert "long_name" in variable.attrs or name in ds.coords, (group, name)
    print(f"{trace}: {len(groups)} groups, complete={complete}")


for trace in sys.argv[2:]:
    check(sys.argv[1], trace)
