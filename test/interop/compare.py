"""Compares two executed copies of a notebook: same cells, same outputs. Cells tagged `varies` may differ in numbers."""

import json
import re
import sys


def text(value):
    return "".join(value) if isinstance(value, list) else value


def said(output, masked):
    kind = output["output_type"]
    if kind == "stream":
        shown = [kind, output["name"], text(output["text"])]
    elif kind == "error":
        shown = [kind, output["ename"], output["evalue"]]
    else:
        shown = [kind, sorted(output["data"]), text(output["data"].get("text/plain", ""))]
    found = json.dumps(shown)
    return re.sub(r"[\d.:]+|[━─▁-█]+", "#", found) if masked else found


def joined(outputs, masked):
    """Outputs as comparable texts; pieces of one stream in a row count as one."""
    merged = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last and output["output_type"] == last["output_type"] == "stream" and last["name"] == output["name"]:
            last["text"] = text(last["text"]) + text(output["text"])
        else:
            merged.append(dict(output))
    return [said(output, masked) for output in merged]


def main(first, second):
    one, two = (json.load(open(path, encoding="utf-8")) for path in (first, second))
    wrong = 0
    if len(one["cells"]) != len(two["cells"]):
        print(f"{len(one['cells'])} and {len(two['cells'])} cells")
        wrong += 1
    for number, (a, b) in enumerate(zip(one["cells"], two["cells"]), 1):
        if a["cell_type"] != "code":
            continue
        masked = "varies" in a["metadata"].get("tags", [])
        left, right = joined(a["outputs"], masked), joined(b["outputs"], masked)
        if left != right:
            wrong += 1
            print(f"cell {number} differs:\n  {left}\n  {right}")
    print(f"{first} and {second}: {'the same outputs' if not wrong else f'{wrong} differences'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
