/** Sets of subjects whose files are JSON, lines or folders. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { readDreamBenchPlus } from '../../src/data/dreambench-plus';
import { readKontextBench } from '../../src/data/kontext-bench';
import { readMcLlava } from '../../src/data/mc-llava';
import { readYoLlava } from '../../src/data/yollava';
import { put, putJson, replaceIn, type SmallSet } from './broken-sets';
import { edits, png, noText, twice, outside, spoilt, slashes, tooFew } from './set-edits';
import { unifyConcepts, unifyPrompts, unifyQuestions } from './unify-sets';

const yollavaFile = 'yollava-visual-qa.json';
const yollava: SmallSet = {
  name: "Yo'LLaVA",
  count: 3,
  write(folder) {
    const qa = (color: string) => ({
      question: `Which color is <sks> ${color}?`,
      options: { A: 'Brown', B: 'Grey' },
      correct_answer: 'A',
    });
    png(folder, 'yollava-data/test/bo/0.png', 'yollava-data/test/bo/1.png', 'yollava-data/test/mam/0.png');
    putJson(folder, yollavaFile, {
      bo: { './yollava-data/test/bo/0.png': qa('one'), './yollava-data/test/bo/1.png': qa('two') },
      mam: { './yollava-data/test/mam/0.png': qa('three') },
    });
  },
  read: readYoLlava,
  first: { concept: 'bo', question: 'Which color is <sks> one?', answer: 'A', choices: { A: 'Brown', B: 'Grey' } },
  broken: edits(
    yollavaFile,
    'yollava-data/test/bo/1.png',
    {
      'wrong field type': ['"Which color is <sks> two?"', '5', noText, 2],
      'duplicate id': ['./yollava-data/test/mam/0.png', './yollava-data/test/bo/1.png', twice, 2],
      'empty concept': ['"mam": {', '"none": {}, "mam": {', /concept 'none': it has no images/, 3],
      'path traversal': ['./yollava-data/test/bo/1.png', '../../../etc/passwd', outside, 2],
      'wrong encoding': ['<sks> two', '<sks> \xe9two', spoilt, 2],
      'negative count': ['"correct_answer": "A"', '"correct_answer": -1', /correct_answer/, 2],
      'mixed separators': ['./yollava-data/test/bo/1.png', 'yollava-data\\\\test\\\\bo\\\\1.png', slashes, 2],
    },
    [40, /not JSON|breaks off/, 2],
    2,
  ),
};

const mcTest = 'animals/concept/test';
const mcLlava: SmallSet = {
  name: 'MC-LLaVA',
  count: 8,
  write(folder) {
    putJson(folder, 'concept_type.json', { bafan: 'animals', milo: 'animals' });
    for (const name of ['bafan', 'milo']) {
      png(folder, `${mcTest}/${name}/0.png`);
      const about = (Human: string, AI: string) => ({ [`/authors/${name}/0.png`]: { Human, AI } });
      putJson(folder, `${mcTest}/${name}/vqa.json`, about(`What does <${name}> do?`, 'It sleeps.'));
      putJson(folder, `${mcTest}/${name}/choice.json`, about('Where is it? A. here B. there', 'A'));
      putJson(folder, `${mcTest}/${name}/qa.json`, [{ question: 'Which color? A. red B. blue', answer: 'B' }]);
    }
  },
  read: readMcLlava,
  first: { concept: 'bafan', kind: 'rec', answer: 'Yes' },
  broken: {
    ...edits(
      `${mcTest}/milo/vqa.json`,
      `${mcTest}/milo/0.png`,
      {
        'wrong field type': ['"It sleeps."', '5', noText, 7],
        'duplicate id': [
          '"/authors/milo/0.png": {',
          '"/authors/milo/0.png": {"Human": "x", "AI": "y"}, "/other/0.png": {',
          twice,
          8,
        ],
        'path traversal': ['/authors/milo/0.png', '/authors/..', /leads out|no image/, 7],
        'wrong encoding': ['It sleeps.', 'It sle\xe9ps.', spoilt, 7],
        'mixed separators': ['/authors/milo/0.png', 'authors\\\\milo\\\\0.png', slashes, 7],
      },
      [6, /not JSON|breaks off/, 7],
      5,
    ),
    'missing image': {
      change: (folder) => rmSync(path.join(folder, mcTest, 'milo/0.png')),
      says: /concept 'milo': there are no test images/,
      left: 5,
    },
    'negative count': {
      change: (folder) => replaceIn(folder, `${mcTest}/milo/qa.json`, '"B"', '-1'),
      says: noText,
      left: 7,
    },
    'empty concept': {
      change: (folder) => replaceIn(folder, 'concept_type.json', '"bafan"', '"nobody"'),
      says: /concept 'nobody': there are no test images/,
      left: 4,
    },
  },
};

const captions = 'captions/animal/01.txt';
const dreamBenchPlus: SmallSet = {
  name: 'DreamBench++',
  count: 3,
  write(folder) {
    for (const [i, id] of ['animal/00', 'animal/01', 'style/00'].entries()) {
      png(folder, `images/${id}.jpg`);
      put(folder, `captions/${id}.txt`, `subject ${i}\na subject ${i} in a wood\na subject ${i} at sea\n`);
    }
  },
  read: readDreamBenchPlus,
  first: {
    id: 'animal/00',
    category: 'animal',
    subject: 'subject 0',
    prompts: ['a subject 0 in a wood', 'a subject 0 at sea'],
  },
  broken: {
    ...edits(
      captions,
      'images/animal/01.jpg',
      {
        'wrong encoding': ['in a wood', 'in a w\xe9od', spoilt, 2],
      },
      [42, /'prompts' should be/, 2],
      2,
    ),
    'wrong field type': {
      change: (folder) => put(folder, captions, Buffer.from('\ufeffsubject', 'utf16le')),
      says: /UTF-16/,
      left: 2,
    },
    'duplicate id': {
      change: (folder) => put(folder, 'images/animal/01.jpg', 'no image'),
      says: /is no image/,
      left: 2,
    },
    'empty concept': { change: (folder) => put(folder, captions, '\n\n'), says: /'subject' should be/, left: 2 },
    'path traversal': {
      change: (folder) => put(folder, 'captions/../captions/other/9.txt', 'cat\na cat'),
      says: /there is no image/,
      left: 3,
    },
    'negative count': {
      change: (folder) => put(folder, captions, 'subject only\n'),
      says: /'prompts' should be/,
      left: 2,
    },
    'mixed separators': {
      change: (folder) => put(folder, 'captions/a\\b/01.txt', 'cat\na cat'),
      says: slashes,
      left: 3,
    },
  },
};

const kontext: SmallSet = {
  name: 'Kontext-Bench',
  count: 3,
  write(folder) {
    png(folder, 'images/0.jpg', 'images/1.jpg', 'images/2.jpg');
    const lines = [0, 1, 2].map((key) => ({
      file_name: `images/${key}.jpg`,
      instruction: `draw it ${key}`,
      category: 'Character Reference',
      key,
    }));
    put(folder, 'metadata.jsonl', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  },
  read: (folder) => readKontextBench(folder, 'Character Reference'),
  first: { id: '0', instruction: 'draw it 0', category: 'Character Reference' },
  broken: edits(
    'metadata.jsonl',
    'images/1.jpg',
    {
      'wrong field type': ['"draw it 1"', '5', noText, 2],
      'duplicate id': ['"key":2', '"key":1', twice, 2],
      'empty concept': ['"draw it 1"', '""', tooFew, 2],
      'path traversal': ['images/1.jpg', 'images/../../1.jpg', outside, 2],
      'wrong encoding': ['draw it 1', 'dr\xe9w it 1', spoilt, 2],
      'negative count': ['"key":1', '"key":-1', tooFew, 2],
      'mixed separators': ['images/1.jpg', 'images\\\\1.jpg', slashes, 2],
    },
    [9, /not JSON/, 2],
    2,
  ),
};

export const CONCEPT_SETS: readonly SmallSet[] = [
  yollava,
  mcLlava,
  unifyQuestions,
  unifyConcepts,
  unifyPrompts,
  dreamBenchPlus,
  kontext,
];
