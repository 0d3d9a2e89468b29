/** Widgets: what a cell and the page share, over the protocol of Jupyter's widgets. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import type { Json } from '../../kernel-ext/protocol/messages';
import { TestKernel } from './kernel';
import { Page } from './page';

let kernel: TestKernel;
let page: Page;
before(async () => {
  kernel = await TestKernel.start();
  page = new Page(kernel);
});
after(() => kernel.stop());

const ok = async (code: string): Promise<Record<string, string> | undefined> => {
  const { reply, result } = await kernel.run(code);
  assert.equal(reply.status, 'ok', JSON.stringify(reply.traceback));
  return result;
};

const view = 'application/vnd.jupyter.widget-view+json';

test('a counter: shown, counted up by the page, set by a cell', async () => {
  const result = await ok(`import { AnyWidget } from 'unilab/display';
const counter = new AnyWidget({ state: { count: 1, name: 'a' }, _esm: 'export default { render() {} }', _css: 'b {}', still: ({ count }) => 'count ' + count });
const seen: string[] = [];
counter.on('change', (changes, origin) => { seen.push(origin + ' ' + JSON.stringify(changes)); });
counter`);
  const { id, model } = page.last;
  assert.deepEqual([model.target, model.version], ['jupyter.widget', '2.1.0']);
  assert.deepEqual(model.state, {
    _model_module: 'anywidget',
    _model_name: 'AnyModel',
    _model_module_version: '*',
    _view_module: 'anywidget',
    _view_name: 'AnyView',
    _view_module_version: '*',
    _view_count: null,
    _anywidget_id: 'unilab.AnyWidget',
    _esm: 'export default { render() {} }',
    _css: 'b {}',
    count: 1,
    name: 'a',
  });
  assert.deepEqual(result?.[view], { version_major: 2, version_minor: 0, model_id: id });
  assert.equal(result?.['text/plain'], 'count 1');

  await page.change(id, { count: 2 });
  assert.deepEqual(model.heard, [['echo_update', { count: 2 }]]);
  assert.equal((await ok('counter.state.count'))?.['text/plain'], '2');
  await ok("counter.set({ count: 5, name: 'a' })");
  assert.deepEqual(model.heard[1], ['update', { count: 5 }]);
  assert.equal((await ok('seen.join("; ")'))?.['text/plain'], `'page {"count":2}; code {"count":5}'`);
});

test('the page’s changes answer the page’s message, and what a listener writes is the output of its cell', async () => {
  const ran = await kernel.run("counter.on('change', ({ count }) => console.log('now', count)); 1");
  const written = page.text();
  const { id } = page.last;
  const request = page.begin(id, { method: 'update', state: { count: 6 } });
  await request.idle;
  await page.until(() => written().length > 0);
  const [[parent, text]] = written();
  assert.equal(text, 'now 6\n');
  assert.equal(parent, ran.all[0].parent.msg_id);
  assert.equal(page.parents.at(-1), request.id);
});

test('a listener that fails, at once or later, is written there, and everything goes on', async () => {
  await ok(`const failing = new AnyWidget({ state: { v: 0 }, _esm: 'export default {}' });
failing.on('change', ({ v }) => { if (v === 1) throw new RangeError('at once'); });
failing.on('change', async ({ v }) => { if (v === 2) throw new RangeError('later'); });
undefined`);
  const { id } = page.last;
  const written = page.text();
  await page.change(id, { v: 1 });
  await page.change(id, { v: 2 });
  await page.until(() =>
    /at once[^]*later/.test(
      written()
        .map(([, text]) => text)
        .join(''),
    ),
  );
  const text = written()
    .map(([, piece]) => piece)
    .join('');
  assert.match(stripVTControlCharacters(text), /^RangeError: at once\n2 \| failing[^]*at cell \d+:2:/);
  assert.doesNotMatch(text, /interrupt-gate|comms/);
  assert.equal((await ok('failing.state.v'))?.['text/plain'], '2');
  assert.equal((await kernel.run('failing.set({ v: 1 })')).reply.evalue, 'at once');
  const unknown = await kernel.run('// @ts-nocheck\nfailing.set({ w: 1 })');
  assert.match(String(unknown.reply.evalue), /no 'w': it has v/);
});

test('bytes go both ways; what the page may not change is not taken', async () => {
  await ok(`const bytes = new AnyWidget({ state: { parts: [{ data: new Uint8Array([1, 2]) }], n: 3 }, _esm: 'export default {}',
  accept: ({ n, ...rest }) => (n === undefined ? rest : { ...rest, n: Math.min(n, 10) }) });
undefined`);
  const { id, model } = page.last;
  assert.deepEqual(model.state.parts, [{ data: Buffer.from([1, 2]) }]);
  await page.change(id, { parts: [{ data: null }] }, [['parts', 0, 'data']], [Buffer.from([7, 8, 9])]);
  assert.equal((await ok('[...bytes.state.parts[0].data].join()'))?.['text/plain'], "'7,8,9'");
  await page.change(id, { n: 99, _esm: 'evil', other: 1 });
  assert.deepEqual(model.heard.slice(1), [
    ['echo_update', { n: 99 }],
    ['update', { n: 10 }],
  ]);
  assert.equal((await ok('Object.keys(bytes.state).join() + bytes.state.n'))?.['text/plain'], "'parts,n10'");
});

test('messages beside the state; a page that was reloaded gets all widgets; a closed one is gone', async () => {
  await ok(`const talker = new AnyWidget({ state: { a: new Uint8Array([5]) }, _esm: 'export default {}' });
talker.on('message', (content) => talker.send({ heard: content }));
undefined`);
  const { id, model } = page.last;
  await page.send(id, { method: 'custom', content: 'hello' });
  assert.deepEqual(model.messages, [{ heard: 'hello' }]);

  const answers: { data: Json; buffers: readonly Buffer[] }[] = [];
  const stop = kernel.client.onMessage(({ content, buffers }) => {
    if (content.comm_id === 'control') answers.push({ data: content.data as Json, buffers });
  });
  const open = { comm_id: 'control', target_name: 'jupyter.widget.control', data: {} };
  await kernel.client.request('comm_open', open).idle;
  await page.send('control', { method: 'request_states' });
  stop();
  const [{ data, buffers }] = answers;
  assert.equal(data.method, 'update_states');
  const { [id]: own, ...others } = data.states as Record<string, Json>;
  assert.equal(own.model_name, 'AnyModel');
  assert.ok(Object.keys(others).length >= 3);
  const paths = data.buffer_paths as unknown[][];
  assert.deepEqual(buffers[paths.findIndex(([owner]) => owner === id)], Buffer.from([5]));

  await page.send(id, { method: 'request_state' });
  assert.equal(model.heard.at(-1)?.[0], 'update');
  const closed = await ok('talker.close(); talker');
  assert.equal(model.closed, true);
  assert.equal(closed?.[view], undefined);
  const { comms } = (await kernel.send('comm_info_request', { target_name: 'jupyter.widget' })).reply;
  assert.ok(!(id in (comms as Json)) && Object.keys(comms as Json).length >= 3);
});

test('while a cell awaits, the page’s changes are heard', async () => {
  await ok("const wait = new AnyWidget({ state: { go: false }, _esm: 'export default {}' }); undefined");
  const { id } = page.last;
  const written = page.text();
  const waiting = "const gone = new Promise<void>((go) => wait.on('change', () => go())); console.log('waits');";
  const running = kernel.run(`${waiting} await gone; wait.state.go`);
  await page.until(() => written().length > 0);
  await page.change(id, { go: true });
  assert.equal((await running).result?.['text/plain'], 'true');
});

test('ipywidgets’ slider and text field', async () => {
  await ok(`import { slider, textField } from 'unilab/display';
const size = slider({ min: 0, max: 4, step: 0.5, value: 2, description: 'size' });
size`);
  const { id, model } = page.last;
  assert.deepEqual(
    [model.state._model_module, model.state._model_name, model.state._view_name, model.state.max],
    ['@jupyter-widgets/controls', 'FloatSliderModel', 'FloatSliderView', 4],
  );
  await page.change(id, { value: 3.5 });
  assert.equal((await ok('size.state.value'))?.['text/plain'], '3.5');
  await page.change(id, { value: 9 });
  assert.deepEqual(model.heard.at(-1), ['update', { value: 4 }]);
  await ok("const name = textField({ value: 'a' }); name");
  assert.equal(page.last.model.state._model_name, 'TextModel');
  await page.change(page.last.id, { value: 'b' });
  assert.equal((await ok('name.state.value'))?.['text/plain'], "'b'");
  assert.match(String((await kernel.run('slider({ min: 1, max: 1 })')).reply.evalue), /min < max/);
});

test('the playground draws what the page asks for, and what is newest', async () => {
  await ok(`import { samplerPlayground } from 'unilab/display';
const asked: string[] = [];
const playground = samplerPlayground(async function* ({ prompt, guidance, steps, seed }) {
  asked.push([prompt, guidance, steps, seed].join(' '));
  if (prompt === 'bad') throw new Error('no such word');
  for (let step = 1; step <= steps; step++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    yield { image: { width: 8, height: 8, rgb: new Uint8Array(192).fill(10 * step) }, caption: 'step ' + step };
  }
}, { prompt: 'a dog', steps: 3, maxSteps: 6 });
await playground.draw();`);
  const { id, model } = page.last;
  const pictures = (): { png: Buffer; caption: string }[] => model.state.pictures as { png: Buffer; caption: string }[];
  assert.deepEqual(
    pictures().map(({ caption }) => caption),
    ['step 1', 'step 2', 'step 3'],
  );
  assert.equal(pictures()[0].png.subarray(1, 4).toString(), 'PNG');
  const shown = await ok('playground');
  assert.match(shown?.['text/plain'] ?? '', /a dog · guidance 3 · 3 steps · seed 0: 3 images/);
  assert.ok(shown?.['image/png'] && shown[view]);

  await page.change(id, { steps: 6 });
  await page.change(id, { steps: 99, guidance: 'x', seed: 4.4 });
  await page.until(() => model.state.status === '6 steps');
  assert.equal(pictures().length, 6);
  assert.equal((await ok('asked.slice(1).join("; ")'))?.['text/plain'], "'a dog 3 6 0; a dog 3 6 4'");
  await page.send(id, { method: 'custom', content: { draw: 'another seed' } });
  await page.until(() => model.state.status === '6 steps' && model.state.seed === 5);
  await page.change(id, { prompt: 'bad' });
  await page.until(() => model.state.status === 'no such word');
  assert.equal((await kernel.run('await playground.draw()')).reply.evalue, 'no such word');
});
