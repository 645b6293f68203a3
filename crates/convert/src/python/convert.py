"""Exports one MLflow model to ONNX and measures how well the export does what the model does.

It decides nothing: for each way to export, it reports how the answers differ and how long they take.
"""

import os
import re
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import common
import exporters
import graph
import onnx
import worker
from common import Refused, say


def main(order):
    say("opening the model")
    model = worker.Model(order["root"], None)
    meta = common.pyfunc(model).metadata
    export = exporters.of(model)
    specs, fields = model.inputs.specs(), model.outputs.fields
    for spec in specs:
        if spec["optional"]:
            say("input %r may be left out of requests to the Python model; the converted one needs it" % spec["name"])
    where, given, _ = common.rows_of(model.inputs, meta, order)
    count = common.length(given)
    expected = common.answers(model, given)
    if any(len(each) != count for each in expected):
        raise Refused("it does not answer with a row for each row: %d rows in, %s out" % (count, [list(each.shape) for each in expected]))
    found, failed = [], []
    for way in export.ways():
        say("exporting as %s" % way)
        try:
            found.append(one(order, export, way, (specs, fields), (model, given, expected)))
        except Exception as error:
            traceback.print_exc()
            failed.append({"name": way, "reason": reason(export, error)})
    if found:
        measure_python(order, model, given, found)
    return {
        "framework": export.name, "what": export.what(), "form": model.outputs.form, "inputs": specs, "outputs": fields,
        "rows": {"from": where, "count": count}, "candidates": found, "failed": failed, "model_id": getattr(meta, "model_id", None),
    }


def reason(export, error):
    if isinstance(error, Refused):
        return str(error)
    part = export.part_at_fault(error)
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
    if part:
        return "%s: %s" % (part, text[:160])
    return "%s: %s" % (type(error).__name__, text[:400])


def one(order, export, way, contract, proof):
    specs, fields = contract
    model, given, expected = proof
    inner, pick = export.export(way)
    whole = graph.wrap(inner, specs, fields, pick)
    path = os.path.join(order["work"], way + ".onnx")
    onnx.save_model(whole, path)
    session = common.session(path)
    names = [field["name"] for field in fields]
    feeds = common.feeds(given)
    say("comparing %d rows" % common.length(given))
    got = session.run(names, feeds)
    outputs, agree = common.compare(fields, expected, got, order["tolerance"])
    common.alone(model, lambda feeds: session.run(names, feeds), given, agree, order["tolerance"])
    rows = common.batch(given)
    some, first = common.feeds(common.part(given, 0, rows)), common.feeds(common.part(given, 0, 1))
    return {
        "name": way, "path": path, "bytes": os.path.getsize(path), "agreeing": int(agree.sum()), "outputs": outputs,
        "one_ns": common.clock(lambda: session.run(names, first)), "batch_ns": common.clock(lambda: session.run(names, some)),
    }


def measure_python(order, model, given, found):
    say("measuring both")
    rows = common.batch(given)
    first, some = common.part(given, 0, 1), common.part(given, 0, rows)
    one_ns = common.clock(lambda: common.answers(model, first))
    batch_ns = common.clock(lambda: common.answers(model, some))
    for each in found:
        each.update(batch_rows=rows, python_one_ns=one_ns, python_batch_ns=batch_ns)


common.run(main)
