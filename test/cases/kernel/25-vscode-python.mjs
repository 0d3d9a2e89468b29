#!/usr/bin/env node
import { run, verdict } from './lib/notebook.mjs';

const metadata = { kernelspec: { display_name: 'Python 3', name: 'python3' }, language_info: { name: 'python' } };
const { status, printed } = run(['1+1'], { metadata });
verdict([
  [
    'a Python notebook (as VS Code saves it: no kernelspec.language) is refused',
    status !== 0 && /python/i.test(printed),
    `exit ${status}: it ran as TypeScript`,
  ],
]);
