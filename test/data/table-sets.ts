/** Sets in tables: CSV, TSV with images in base64, Parquet. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { readDpgQuestions } from '../../src/data/dpg-bench';
import { readVlmEvalKit } from '../../src/data/vlmevalkit';
import { type Breakage, bombBytes, cut, pngBytes, put, replaceIn, type SmallSet } from './broken-sets';
import { mmmu, subjects, x2x } from './parquet-sets';

const spoilt = /not UTF-8 text/;
const edit = (file: string, from: string, to: string, says: RegExp, left: number): Breakage => ({
  change: (folder) => replaceIn(folder, file, from, to),
  says,
  left,
});

const dpgFile = 'dpg_bench.csv';
const dpg: SmallSet = {
  name: 'DPG-Bench questions',
  count: 4,
  write(folder) {
    const rows = [
      'item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,question_natural_language',
      'a,"a cat, red",,1,0,entity,whole,"entity - whole (cat)","Is there a cat?"',
      'a,"a cat, red",,2,1,attribute,color,"attribute - color (cat, red)","Is it ""red""?"',
      'a,"two\nlines",,3,"1,2",relation,spatial,"relation - spatial (cat, mat)","Is it on\na mat?"',
      'b,"a dog",,1,0,entity,whole,"entity - whole (dog)","Is there a dog?"',
    ];
    put(folder, dpgFile, `${rows.join('\n')}\n`);
  },
  read: (folder) => readDpgQuestions(path.join(folder, dpgFile)),
  first: { itemId: 'a', id: 1, dependency: [0], tuple: 'entity - whole (cat)', question: 'Is there a cat?' },
  broken: {
    'missing image': { change: (folder) => rmSync(path.join(folder, dpgFile)), says: /the file is missing/, left: 0 },
    'wrong field type': edit(dpgFile, ',2,1,attribute', ',two,1,attribute', /'proposition_id' should be a number/, 3),
    'truncated file': {
      change: (folder) => cut(folder, dpgFile, 30),
      says: /the row has 7 fields, the first line has 9|should be|Quote/,
      left: 3,
    },
    'duplicate id': edit(dpgFile, ',3,"1,2"', ',2,"1,2"', /'a, question 2' was there before, at line 3/, 3),
    'empty concept': edit(dpgFile, 'b,"a dog"', ',"a dog"', /'item_id' should be a text with at least 1/, 3),
    'path traversal': edit(
      dpgFile,
      ',1,0,entity,whole,"entity - whole (dog)"',
      ',../1,0,entity,whole,"entity - whole (dog)"',
      /a number/,
      3,
    ),
    'decompression bomb': {
      change: (folder) => put(folder, dpgFile, Buffer.alloc(17 << 20, 'a')),
      says: /no row can be read from here on/,
      left: 0,
    },
    'wrong encoding': edit(dpgFile, 'Is there a dog?', 'Is there a d\xe9g?', spoilt, 3),
    'negative count': edit(dpgFile, ',2,1,attribute', ',-2,1,attribute', /at least 1/, 3),
    'mixed separators': edit(
      dpgFile,
      'b,"a dog",,1,0,entity',
      'b\t"a dog"\t\t1\t0\tentity',
      /fields are separated by commas/,
      3,
    ),
  },
};

const tsvFile = 'MMStar.tsv';
const tsv: SmallSet = {
  name: 'VLMEvalKit',
  count: 4,
  write(folder) {
    const image = pngBytes.toString('base64');
    const rows = [
      ['index', 'question', 'A', 'B', 'answer', 'category', 'image'],
      ['0', 'Which color?', 'red', 'blue', 'B', 'perception', image],
      ['1', '"Which ""shape""?\nSay it."', '1.5', 'nan', 'A', 'perception', '0'],
      ['2', 'Say\\nwhat you see', '', '', 'a cat', 'open', `['${image}', '${image}']`],
      ['3', 'How many?', '2', '3', 'A', 'counting', image],
    ];
    put(folder, tsvFile, `${rows.map((row) => row.join('\t')).join('\n')}\n`);
  },
  read: (folder) => readVlmEvalKit(path.join(folder, tsvFile)),
  first: { id: '0', question: 'Which color?', answer: 'B', choices: { A: 'red', B: 'blue' }, category: 'perception' },
  broken: {
    'missing image': edit(tsvFile, `counting\t${pngBytes.toString('base64')}`, 'counting\t', /there is no image/, 3),
    'wrong field type': edit(tsvFile, '\n3\tHow many?', '\nthree\tHow many?', /'index' should be a whole number/, 3),
    'truncated file': { change: (folder) => cut(folder, tsvFile, 60), says: /is no image/, left: 3 },
    'duplicate id': edit(tsvFile, '\n3\tHow many?', '\n0\tHow many?', /the id '0' was there before, at line 2/, 3),
    'empty concept': edit(tsvFile, 'How many?', '', /'question' should be/, 3),
    'path traversal': edit(
      tsvFile,
      `counting\t${pngBytes.toString('base64')}`,
      'counting\t../../etc/passwd',
      /is no image in base64/,
      3,
    ),
    'decompression bomb': edit(
      tsvFile,
      `counting\t${pngBytes.toString('base64')}`,
      `counting\t${bombBytes.toString('base64')}`,
      /60000 x 60000/,
      3,
    ),
    'wrong encoding': edit(tsvFile, 'How many?', 'How m\xe9ny?', spoilt, 3),
    'negative count': edit(tsvFile, '\n3\tHow many?', '\n-3\tHow many?', /'index' should be a whole number/, 3),
    'mixed separators': edit(
      tsvFile,
      '\n3\tHow many?\t2\t3',
      '\n3,How many?,2,3',
      /the row has 4 fields, the first line has 7; fields are separated by tabs/,
      3,
    ),
  },
};

export const TABLE_SETS: readonly SmallSet[] = [dpg, tsv, mmmu, subjects, x2x];
