"""The protocol's own conformance suite, with every feature that the kernel claims switched on."""

import unittest

import jupyter_kernel_test as jkt

VEGA = (
    "({ $schema: 'https://vega.github.io/schema/vega-lite/v5.json', data: { values: [{ a: 1, b: 2 }] },"
    " mark: 'bar', encoding: { x: { field: 'a' }, y: { field: 'b' } } })"
)
HTML = "import { display } from 'unilab/display';\nawait display({ [Symbol.for('Jupyter.display')]: () => ({ %r: %r }) });"


class UniLabConformance(jkt.KernelTests):
    @classmethod
    def setUpClass(cls):
        """The suite waits 15 s for an answer: on a busy machine the first cell, which waits for the compiler, takes longer."""
        super().setUpClass()
        cls.kc.execute_interactive("import 'unilab/display'", timeout=300, store_history=False)

    kernel_name = "unilab"
    language_name = "typescript"
    file_extension = ".ts"

    code_hello_world = "console.log('hello, world')"
    code_stderr = "console.error('to stderr')"
    code_generate_error = "throw new Error('generated')"

    completion_samples = [
        {"text": "Math.flo", "matches": {"floor"}},
        {"text": "JSON.", "matches": {"parse", "stringify"}},
    ]
    complete_code_samples = ["1", "const a = 3", "function f() { return 1; }", "console.log('hi')", "await f()"]
    incomplete_code_samples = ["function f() {", "foo(", "const s = `a", "if (true) {\n  1;"]
    invalid_code_samples = ["import = 7q", "const = 3", ")", "'open"]

    code_execute_result = [
        {"code": "1 + 2 + 3", "result": "6"},
        {"code": "[1, 2, 3].map((n) => n * n)", "result": "[ 1, 4, 9 ]"},
        {"code": "await Promise.resolve('late')", "result": "'late'"},
        {"code": VEGA, "mime": "image/svg+xml"},
    ]
    code_display_data = [
        {"code": HTML % ("text/html", "<b>bold</b>"), "mime": "text/html"},
        {"code": HTML % ("image/png", "iVBORw0KGgo="), "mime": "image/png"},
    ]
    code_inspect_sample = "JSON.stringify"
    code_clear_output = "import { clearOutput } from 'unilab/display';\nawait clearOutput();"
    code_history_pattern = "1 + 2*"
    supported_history_operations = ("tail", "range", "search")
    code_interrupt = "await new Promise((resolve) => setTimeout(resolve, 60_000))"

    # Payloads are deprecated by the protocol; the kernel claims none.
    test_pager = None


class UniLabWelcome(jkt.IopubWelcomeTests):
    kernel_name = "unilab"
    support_iopub_welcome = True


if __name__ == "__main__":
    unittest.main()
