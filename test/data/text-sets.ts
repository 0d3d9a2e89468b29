/** Sets of prompts and questions whose files are JSON, lines or folders. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { readCocoCaptions } from '../../src/data/coco-captions';
import { readMcotR1, readX2xRft } from '../../src/data/corl-sets';
import { readUnison } from '../../src/data/unison';
import { readWise } from '../../src/data/wise';
import { type Breakage, put, putJson, replaceIn, type SmallSet } from './broken-sets';
import { edits, png, noText, twice, outside, spoilt, slashes, tooFew } from './set-edits';

const x2x: SmallSet = {
  name: 'x2x_rft as JSON lines',
  count: 3,
  write(folder) {
    png(folder, 'images/0.png', 'images/1.png', 'images/2.png');
    const lines = [0, 1, 2].map((i) => ({
      real_image: `images/${i}.png`,
      prompt: `a cat ${i}`,
      qa_problem: `How many ${i}?`,
      qa_solution: `${i}`,
      qa_type: 'open',
    }));
    put(folder, 'train.jsonl', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  },
  read: (folder) => readX2xRft(path.join(folder, 'train.jsonl')),
  first: { id: 'line 1', prompt: 'a cat 0', question: 'How many 0?', answer: '0', questionType: 'open' },
  broken: edits(
    'train.jsonl',
    'images/1.png',
    {
      'wrong field type': ['"a cat 1"', '5', noText, 2],
      'duplicate id': ['"qa_solution":"1"', '"qa_solution":["1","1"]', noText, 2],
      'empty concept': ['"a cat 1"', '" "', tooFew, 2],
      'path traversal': ['images/1.png', '/etc/passwd', /is an absolute path/, 2],
      'wrong encoding': ['a cat 1', 'a c\xe9t 1', spoilt, 2],
      'negative count': ['"qa_type":"open"},', '"qa_type":-1},', noText, 2],
      'mixed separators': ['images/1.png', 'images\\\\1.png', slashes, 2],
    },
    [9, /not JSON/, 2],
    2,
  ),
};
(x2x.broken as Record<string, Breakage>)['negative count'] = {
  change: (folder) => replaceIn(folder, 'train.jsonl', '"qa_solution":"1"', '"qa_solution":-1'),
  says: noText,
  left: 2,
};

const mcot: SmallSet = {
  name: 'mcot_r1, multiple choice',
  count: 3,
  write(folder) {
    png(folder, '0.png', '1.png', '2.png');
    const lines = [0, 1, 2].map((i) => ({
      image: `${i}.png`,
      problem: `Which? A. ${i} B. none`,
      solution: i === 0 ? '<answer> A </answer>' : `${'AB'[i - 1]}`,
    }));
    put(folder, 'mcq.jsonl', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  },
  read: (folder) => readMcotR1(path.join(folder, 'mcq.jsonl'), 'mcq'),
  first: { id: 'line 1', question: 'Which? A. 0 B. none', answer: 'A' },
  broken: edits(
    'mcq.jsonl',
    '1.png',
    {
      'wrong field type': ['"Which? A. 1 B. none"', '5', noText, 2],
      'duplicate id': ['"solution":"A"', '"solution":"A or B"', /should be the letter of a choice/, 2],
      'empty concept': ['"Which? A. 1 B. none"', '""', tooFew, 2],
      'path traversal': ['"1.png"', '"../1.png"', outside, 2],
      'wrong encoding': ['A. 1', 'A. \xe9', spoilt, 2],
      'negative count': ['"solution":"A"', '"solution":-1', noText, 2],
      'mixed separators': ['"1.png"', '"a\\\\1.png"', slashes, 2],
    },
    [9, /not JSON/, 2],
    2,
  ),
};

const coco: SmallSet = {
  name: 'COCO captions',
  count: 4,
  write(folder) {
    png(folder, 'val/a.jpg', 'val/b.jpg');
    putJson(folder, 'captions.json', {
      info: { images: 'not this one', annotations: [1, 2] },
      images: [
        { id: 7, file_name: 'a.jpg' },
        { id: 9, file_name: 'b.jpg' },
      ],
      licenses: [],
      annotations: [
        { image_id: 7, id: 70, caption: 'A cat sleeps, "well".' },
        { image_id: 9, id: 90, caption: 'A dog runs.' },
        { image_id: 7, id: 71, caption: 'A sleeping cat [here]' },
        { image_id: 7, id: 72, caption: 'One {cat}' },
      ],
    });
  },
  read: (folder) => readCocoCaptions(path.join(folder, 'captions.json'), path.join(folder, 'val')),
  first: { id: '70', imageId: 7, caption: 'A cat sleeps, "well".' },
  broken: edits(
    'captions.json',
    'val/b.jpg',
    {
      'wrong field type': ['"A dog runs."', '5', noText, 3],
      'duplicate id': ['"id": 71', '"id": 70', twice, 3],
      'empty concept': ['"A dog runs."', '""', tooFew, 3],
      'path traversal': ['"b.jpg"', '"../../b.jpg"', outside, 3],
      'wrong encoding': ['A dog runs', 'A d\xe9g runs', spoilt, 3],
      'negative count': ['"image_id": 9', '"image_id": -9', tooFew, 3],
      'mixed separators': ['"b.jpg"', '"c\\\\b.jpg"', slashes, 3],
    },
    [14, /not JSON|breaks off/, 3],
    3,
  ),
};

const wise: SmallSet = {
  name: 'WISE',
  count: 4,
  write(folder) {
    const row = (prompt_id: number) => ({
      Prompt: `the fruit of ${prompt_id}`,
      Explanation: 'An apple.',
      Category: 'Culture',
      Subcategory: 'Food',
      prompt_id,
    });
    putJson(folder, 'cultural_common_sense.json', [row(1), row(2)]);
    putJson(folder, 'spatio-temporal_reasoning.json', [row(401)]);
    putJson(folder, 'natural_science.json', [row(901)]);
  },
  read: readWise,
  first: { id: 1, prompt: 'the fruit of 1', explanation: 'An apple.', category: 'Culture' },
  broken: {
    ...edits(
      'cultural_common_sense.json',
      undefined,
      {
        'wrong field type': ['"the fruit of 2"', '5', noText, 3],
        'duplicate id': ['"prompt_id": 2', '"prompt_id": 1', twice, 3],
        'empty concept': ['"the fruit of 2"', '""', tooFew, 3],
        'wrong encoding': ['the fruit of 2', 'the fr\xe9it of 2', spoilt, 3],
        'negative count': ['"prompt_id": 2', '"prompt_id": -2', tooFew, 3],
        'mixed separators': ['"prompt_id": 2', '"prompt_id"; 2', /not JSON/, 3],
        'path traversal': ['"prompt_id": 2', '"prompt_id": "../2"', /a number|a whole number/, 3],
      },
      [10, /not JSON|breaks off/, 3],
      3,
    ),
    'missing image': {
      change: (folder) => rmSync(path.join(folder, 'natural_science.json')),
      says: /the file is missing/,
      left: 3,
    },
    'decompression bomb': {
      change: (folder) => put(folder, 'natural_science.json', Buffer.alloc(4 << 20, '[')),
      says: /breaks off|not JSON/,
      left: 3,
    },
  },
};

const unisonPart = 'Internal_Consistency';
const unison: SmallSet = {
  name: 'Unison',
  count: 3,
  write(folder) {
    put(folder, `${unisonPart}/prompts.txt`, 'a red cat\na blue dog\ntwo birds\n');
    const questions = [{ question: 'Is it red?', answer: 'Yes' }];
    putJson(folder, `${unisonPart}/questions.json`, {
      prompt_1: questions,
      prompt_2: [{ question: 'Is it blue?', answer: 'no' }],
      prompt_3: questions,
    });
  },
  read: readUnison,
  first: { id: 'prompt_1', prompt: 'a red cat', questions: [{ question: 'Is it red?', answer: 'yes' }] },
  broken: {
    ...edits(
      `${unisonPart}/questions.json`,
      undefined,
      {
        'wrong field type': ['"Is it blue?"', '5', noText, 2],
        'duplicate id': ['"prompt_3"', '"prompt_2"', /it was there before|no questions 'prompt_3'/, 2],
        'empty concept': ['"Is it blue?"', '""', tooFew, 2],
        'wrong encoding': ['Is it blue', 'Is it bl\xe9e', spoilt, 2],
        'negative count': ['"no"', '-1', noText, 2],
        'mixed separators': ['"answer": "no"', '"answer"; "no"', /not JSON/, 2],
        'path traversal': ['"prompt_2"', '"../prompt_2"', /no questions 'prompt_2'/, 2],
      },
      [8, /not JSON|breaks off/, 2],
      2,
    ),
    'missing image': {
      change: (folder) => rmSync(path.join(folder, unisonPart, 'questions.json')),
      says: /the file is missing/,
      left: 0,
    },
    'decompression bomb': {
      change: (folder) => put(folder, `${unisonPart}/questions.json`, Buffer.alloc(4 << 20, '{')),
      says: /breaks off|not JSON/,
      left: 0,
    },
  },
};

export const TEXT_SETS: readonly SmallSet[] = [x2x, mcot, coco, wise, unison];
