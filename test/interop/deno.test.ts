/** The same displays under Deno's own notebook kernel. */
import assert from 'node:assert/strict';
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { KernelClient } from '../../kernel-ext/protocol/client';
import { eventually } from '../eventually';

const root = path.resolve(__dirname, '../..');
const built = path.join(root, 'dist/src/display/index.js');

/** The npm package `deno` brings a program for each platform in a package of its own. */
function packaged(): string[] {
  const folder = path.join(root, 'node_modules/@deno');
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.map((name) => path.join(folder, name, process.platform === 'win32' ? 'deno.exe' : 'deno'));
}

function findDeno(): string | undefined {
  const { UNILAB_DENO, PATH = '' } = process.env;
  const onPath = PATH.split(path.delimiter).map((folder) => path.join(folder, 'deno'));
  const places = UNILAB_DENO ? [UNILAB_DENO] : [...packaged(), ...onPath];
  return places.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const deno = findDeno();
const skip = !deno
  ? 'the npm package `deno` has none for this platform, there is none on PATH, and UNILAB_DENO names none'
  : !existsSync(built) && 'the package is not built (`make build`)';
if (skip) console.log(`Deno's kernel: skipped, ${skip}`);

describe("Deno's kernel", { skip }, () => {
  const cache = mkdtempSync(path.join(tmpdir(), 'unilab-deno-'));
  let client: KernelClient;
  before(async () => {
    const argv = [String(deno), 'jupyter', '--kernel', '--conn', '{connection_file}'];
    client = await KernelClient.start({
      argv,
      cwd: root,
      env: { DENO_DIR: cache },
      stderr: 'ignore',
      transport: 'tcp',
    });
  });
  after(async () => {
    await client?.shutdown();
    rmSync(cache, { recursive: true, force: true });
  });

  /** Message types and MIME types of what a cell shows. Deno may send the last of it after its `idle`. */
  async function shows(code: string, count = 0): Promise<string[]> {
    const seen: string[] = [];
    // Not the request's own listener: that one has heard enough at `idle`.
    const stop = client.onMessage(({ header, content }) => {
      if (header.msg_type === 'error') seen.push(`error ${String(content.evalue)}`);
      else if (content.data) seen.push(`${header.msg_type} ${Object.keys(content.data).sort().join(' ')}`);
    });
    const request = client.execute(code);
    await request.reply;
    await request.idle;
    await eventually(() => assert.ok(seen.length >= count, `${code}: ${seen.join()}`));
    stop();
    return seen;
  }

  test('shows images, tables, plots and progress richly, and updates them', async () => {
    await shows(
      `import { createRequire } from 'node:module';
const unilab = createRequire(${JSON.stringify(path.join(root, 'package.json'))})(${JSON.stringify(built)});
const image = { width: 4, height: 4, rgb: new Uint8Array(48).fill(200) };`,
    );
    const table = 'execute_result text/html text/plain';
    const expected: [code: string, shown: string[]][] = [
      ["unilab.imageGrid([{ image, caption: '<b>x</b>' }])", ['execute_result image/png text/html text/plain']],
      ['unilab.tableView([{ a: 1 }, { a: 2 }])', [table]],
      ["unilab.traceView({ prompt: 'a', result: image, rewards: { clip: 0.5 } })", [table]],
      [
        'unilab.rewardPlot([{ step: 1, reward: 0.5 }])',
        ['execute_result application/vnd.vegalite.v5+json image/png image/svg+xml text/plain'],
      ],
      [
        "await unilab.display(unilab.tableView([{ a: 1 }]), { id: 'one' }); await unilab.updateDisplay('one', unilab.tableView([{ a: 2 }]));",
        ['display_data text/html text/plain', 'update_display_data text/html text/plain'],
      ],
    ];
    for (const [code, shown] of expected) assert.deepEqual(await shows(code, shown.length), shown, code);
    const bar = await shows("const bar = unilab.progress(3, 'steps'); bar.set(3); await bar.done();", 2);
    assert.match(bar[0], /^display_data/);
    assert.match(String(bar.at(-1)), /^update_display_data/);
  });
});
